"""Remove the mean or the straight line of each channel."""

from __future__ import annotations

import numpy as np

from ._arrays import Float32, Samples, require_apart, require_out, require_samples
from ._kernel import kernel


@kernel(
    "void(const i2[:,::1], f4[:,::1])",
    "void(const i4[:,::1], f4[:,::1])",
    "void(const f4[:,::1], f4[:,::1])",
)
def _demean_into(x: Samples, out: Float32) -> None:
    channels, npts = x.shape
    for c in range(channels):
        # Four sums side by side: an addition need not wait for the one before it. The order is fixed.
        sum0 = 0.0
        sum1 = 0.0
        sum2 = 0.0
        sum3 = 0.0
        whole = npts - npts % 4
        for i in range(0, whole, 4):
            sum0 += float(x[c, i])
            sum1 += float(x[c, i + 1])
            sum2 += float(x[c, i + 2])
            sum3 += float(x[c, i + 3])
        for i in range(whole, npts):
            sum0 += float(x[c, i])
        mean = ((sum0 + sum1) + (sum2 + sum3)) / npts
        for i in range(npts):
            out[c, i] = float(x[c, i]) - mean


@kernel(
    "void(const i2[:,::1], f4[:,::1])",
    "void(const i4[:,::1], f4[:,::1])",
    "void(const f4[:,::1], f4[:,::1])",
)
def _detrend_into(x: Samples, out: Float32) -> None:
    channels, npts = x.shape
    centre = 0.5 * (npts - 1)
    # sum of (i - centre)^2 over all samples, in closed form; one sample has no slope.
    square = npts * (float(npts) * npts - 1.0) / 12.0
    for c in range(channels):
        total0 = 0.0
        total1 = 0.0
        moment0 = 0.0
        moment1 = 0.0
        whole = npts - npts % 2
        for i in range(0, whole, 2):
            total0 += float(x[c, i])
            total1 += float(x[c, i + 1])
            moment0 += (i - centre) * float(x[c, i])
            moment1 += (i + 1 - centre) * float(x[c, i + 1])
        if whole < npts:
            total0 += float(x[c, whole])
            moment0 += (whole - centre) * float(x[c, whole])
        mean = (total0 + total1) / npts
        slope = 0.0
        if npts > 1:
            slope = (moment0 + moment1) / square
        for i in range(npts):
            out[c, i] = float(x[c, i]) - (mean + slope * (i - centre))


def _require(x: Samples, out: Float32) -> None:
    require_samples(x, "x")
    require_out(out, "out", shape=x.shape)
    require_apart(out, "out", x, in_place=True)


def demean_into(x: Samples, out: Float32) -> None:
    """Subtract from each channel its mean.

    Parameters
    ----------
    x : int16, int32 or float32 (channel, sample)
        Counts. A NaN makes its whole channel NaN. No channels or no samples: nothing is done.
    out : float32 (channel, sample)
        May be `x` itself if `x` is float32.

    Raises
    ------
    ArrayError
        If an array does not keep the contract of the package.

    Notes
    -----
    Sums and difference in float64. Same as ObsPy's ``Trace.detrend("demean")``.
    """
    _require(x, out)
    if x.size:
        _demean_into(x, out)


def detrend_into(x: Samples, out: Float32) -> None:
    """Subtract from each channel its least-squares straight line.

    Parameters
    ----------
    x : int16, int32 or float32 (channel, sample)
        Counts. A NaN makes its whole channel NaN. No channels or no samples: nothing is done.
    out : float32 (channel, sample)
        May be `x` itself if `x` is float32.

    Raises
    ------
    ArrayError
        If an array does not keep the contract of the package.

    Notes
    -----
    With t = i - (npts - 1) / 2 the line is mean + t * sum(t x) / sum(t^2); sums in float64. Same as
    ``scipy.signal.detrend`` and ObsPy's ``Trace.detrend("linear")``. One sample becomes 0.
    """
    _require(x, out)
    if x.size:
        _detrend_into(x, out)


def demean(x: Samples) -> Float32:
    """Return `x` without the mean of each channel, as a new array; see `demean_into`.

    Examples
    --------
    >>> demean(np.array([[1, 2, 6]], dtype=np.int32))
    array([[-2., -1.,  3.]], dtype=float32)
    """
    require_samples(x, "x")
    out = np.empty(x.shape, dtype=np.float32)
    demean_into(x, out)
    return out


def detrend(x: Samples) -> Float32:
    """Return `x` without the straight line of each channel, as a new array; see `detrend_into`.

    Examples
    --------
    >>> detrend(np.array([[1, 3, 5, 7]], dtype=np.int16))
    array([[0., 0., 0., 0.]], dtype=float32)
    """
    require_samples(x, "x")
    out = np.empty(x.shape, dtype=np.float32)
    detrend_into(x, out)
    return out
