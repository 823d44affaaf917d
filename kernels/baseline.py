"""Remove the mean or the straight line of each channel."""

from __future__ import annotations

import numpy as np

from . import _row_steps as loops
from ._arrays import Float32, Samples, require_apart, require_out, require_samples


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
        loops.demean_channels(x, out)


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
        loops.detrend_channels(x, out)


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
