"""Measure a pick: where exactly the wave begins, how large it is, how far above the noise."""

from __future__ import annotations

import math

import numpy as np

from ._arrays import (
    FLOAT32,
    FLOAT64,
    ArrayError,
    Float64,
    Samples,
    require_apart,
    require_out,
    require_samples,
)
from ._kernel import kernel

_LEAST_SAMPLES = 4
"""Two on each side of an onset: one sample has no variance."""
_FLOAT32_STEP = 2.0**-23
_ROOT_HALF_BITS = 0x3FE6A09E667F3BCD
"""sqrt(1/2) as the bits of a float64: subtracting them splits v into 2**e * m with m from sqrt(1/2) to sqrt(2)."""
_WITHOUT_SIGN = np.int64(0x7FFFFFFFFFFFFFFF)
_LN2 = math.log(2.0)


@kernel(
    "f8(const i2[::1], f8, f8[:,::1])",
    "f8(const i4[::1], f8, f8[:,::1])",
    "f8(const f4[::1], f8, f8[:,::1])",
)
def _split_variances_into(x: Samples, least: float, out: Float64) -> float:
    """Write the variances of x[:k] and of x[k:] at k, none below `least`; give the variance of all."""
    npts = x.shape[0]
    # Welford's update (Technometrics 4, 1962): equal samples give exactly 0, and no large squares cancel.
    mean = 0.0
    square = 0.0
    for k in range(npts):
        variance = square / k if k > 0 else 0.0
        out[0, k] = max(variance, least)
        deviation = float(x[k]) - mean
        mean += deviation / (k + 1)
        square += deviation * (float(x[k]) - mean)
    mean = 0.0
    square = 0.0
    variance = 0.0
    for k in range(npts - 1, -1, -1):
        deviation = float(x[k]) - mean
        mean += deviation / (npts - k)
        square += deviation * (float(x[k]) - mean)
        variance = square / (npts - k)
        out[1, k] = max(variance, least)
    return variance


@kernel("void(f8[:,::1])")
def _logarithms_in_place(values: Float64) -> None:
    """Replace each v by log(v), for normal numbers above 0; relative error below 1e-15.

    log(m) = 2 artanh(s) = 2 (s + s^3 / 3 + s^5 / 5 + ...) with s = (m - 1) / (m + 1); s^2 is below 0.0295, so what
    follows s^19 / 19 is below 3e-17 of the sum.
    """
    for r in range(values.shape[0]):
        for i in range(values.shape[1]):
            bits = np.float64(values[r, i]).view(np.int64)
            exponent = np.int64(bits - _ROOT_HALF_BITS) >> 52
            m = np.int64(bits - (exponent << 52)).view(np.float64)
            s = (m - 1.0) / (m + 1.0)
            z = s * s
            tail = 1.0 / 13.0 + z * (1.0 / 15.0 + z * (1.0 / 17.0 + z * (1.0 / 19.0)))
            tail = 1.0 / 3.0 + z * (1.0 / 5.0 + z * (1.0 / 7.0 + z * (1.0 / 9.0 + z * (1.0 / 11.0 + z * tail))))
            values[r, i] = exponent * _LN2 + 2.0 * (s + s * z * tail)


@kernel("i8(const f8[:,::1])")
def _least_aic(logarithms: Float64) -> int:
    """Give the k of the least k log var(x[:k]) + (n - k - 1) log var(x[k:]); two samples at least on each side."""
    npts = logarithms.shape[1]
    best = 2
    least = np.inf
    for k in range(2, npts - 1):
        aic = k * logarithms[0, k] + (npts - k - 1) * logarithms[1, k]
        if aic < least:
            least = aic
            best = k
    return best


@kernel("i8(const i2[::1], f8)", "i8(const i4[::1], f8)", "i8(const f4[::1], f8)")
def _peak_index(x: Samples, baseline: float) -> int:
    """Give the place of the largest |x - baseline|, the first of equals; of the first NaN if there is one."""
    # As in `_row_sums.row_max_abs`; then the first that has it.
    largest = np.int64(0)
    for i in range(x.shape[0]):
        bits = np.float64(float(x[i]) - baseline).view(np.int64) & _WITHOUT_SIGN
        largest = max(largest, bits)
    amplitude = np.int64(largest).view(np.float64)
    for i in range(x.shape[0]):
        value = abs(float(x[i]) - baseline)
        # value != value is true of NaN only; there is no isnan without a library call
        if value == amplitude or value != value:  # noqa: PLR0124
            return i
    return 0


@kernel("f8(const i2[::1])", "f8(const i4[::1])", "f8(const f4[::1])")
def _power(x: Samples) -> float:
    """Give the mean square of x about its mean; exactly 0 for equal samples."""
    npts = x.shape[0]
    first = float(np.float64(x[0]))  # numba's float() leaves a float32 one, and would subtract in float32
    # In eight parts side by side, in a fixed order: an addition need not wait for the one before it.
    whole = npts - npts % 8
    s0, s1, s2, s3, s4, s5, s6, s7 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(0, whole, 8):
        s0, s1 = s0 + (float(x[i]) - first), s1 + (float(x[i + 1]) - first)
        s2, s3 = s2 + (float(x[i + 2]) - first), s3 + (float(x[i + 3]) - first)
        s4, s5 = s4 + (float(x[i + 4]) - first), s5 + (float(x[i + 5]) - first)
        s6, s7 = s6 + (float(x[i + 6]) - first), s7 + (float(x[i + 7]) - first)
    for i in range(whole, npts):
        s0 += float(x[i]) - first
    mean = (((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))) / npts
    s0, s1, s2, s3, s4, s5, s6, s7 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(0, whole, 8):
        d0, d1 = (float(x[i]) - first) - mean, (float(x[i + 1]) - first) - mean
        d2, d3 = (float(x[i + 2]) - first) - mean, (float(x[i + 3]) - first) - mean
        d4, d5 = (float(x[i + 4]) - first) - mean, (float(x[i + 5]) - first) - mean
        d6, d7 = (float(x[i + 6]) - first) - mean, (float(x[i + 7]) - first) - mean
        s0, s1, s2, s3 = s0 + d0 * d0, s1 + d1 * d1, s2 + d2 * d2, s3 + d3 * d3
        s4, s5, s6, s7 = s4 + d4 * d4, s5 + d5 * d5, s6 + d6 * d6, s7 + d7 * d7
    for i in range(whole, npts):
        d0 = (float(x[i]) - first) - mean
        s0 += d0 * d0
    square = ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))
    return float(square / npts)


def _require_span(x: Samples, first: int, stop: int) -> None:
    require_samples(x, "x", ndim=1)
    if not 0 <= first < stop <= x.size:
        raise ArrayError(f"first, stop: found {first} and {stop}, wanted 0 <= first < stop <= {x.size}")


def refine_onset(x: Samples, first: int, stop: int, *, scratch: Float64 | None = None) -> int | None:
    """Find the sample at which the character of x[first:stop] changes most: Akaike's criterion (AIC).

    Give it noise, the beginning of one wave and little more: a larger wave later in the span draws the minimum to
    itself.

    Parameters
    ----------
    x : int16, int32 or float32 (sample,)
        One component, counts.
    first, stop : int
        The span that is searched, in samples of `x`.
    scratch : float64 (2, stop - first), optional
        Working space; without it 16 bytes a sample are allocated. Shares no memory with `x`.

    Returns
    -------
    int or None
        The first sample of the wave: the k of the least AIC, counted from the beginning of `x`, the first of equals. At
        least two samples of the span stand before it and two from it on. None where there is no onset: fewer than four
        samples, all of them equal, or a NaN or an infinity among them.

    Raises
    ------
    ArrayError
        If an array does not keep the contract or not 0 <= first < stop <= x.size.

    Notes
    -----
    AIC(k) = k log var(x[:k]) + (n - k - 1) log var(x[k:]), n samples: Maeda, 1985, Zisin 38, 365-379; as ObsPy's
    ``aic_simple`` at k - 1. Equal samples have no variance and would have an AIC of minus infinity, so three equal
    counts would beat every earthquake. Samples come rounded to steps of q, which alone makes a variance of q^2 / 12: no
    variance is taken to be less. q is 1 for counts, and max|x| 2^-23 for float32.
    """
    _require_span(x, first, stop)
    npts = stop - first
    if scratch is None:
        scratch = np.empty((2, npts))
    require_out(scratch, "scratch", shape=(2, npts), dtype=FLOAT64)
    require_apart(scratch, "scratch", x)
    span = x[first:stop]
    step = 1.0
    if x.dtype == FLOAT32:
        step = _FLOAT32_STEP * abs(float(span[_peak_index(span, 0.0)]))
    variance = _split_variances_into(span, step * step / 12.0, scratch)
    if npts < _LEAST_SAMPLES or not variance > 0.0:  # a NaN or an infinity makes it NaN
        return None
    _logarithms_in_place(scratch)
    return first + int(_least_aic(scratch))


def peak_amplitude(x: Samples, first: int, stop: int, baseline: float = 0.0) -> tuple[int, float]:
    """Find the largest |x - baseline| of x[first:stop].

    Parameters
    ----------
    x : int16, int32 or float32 (sample,)
        One component, counts.
    first, stop : int
        The span that is searched, in samples of `x`.
    baseline : float
        What counts as 0, in the unit of `x`: for instance the mean before the onset.

    Returns
    -------
    tuple of int and float
        The sample, counted from the beginning of `x`, the first of equals, and the amplitude, never negative. With a
        NaN in the span: the first one, and NaN.

    Raises
    ------
    ArrayError
        If `x` does not keep the contract, not 0 <= first < stop <= x.size, or `baseline` is not finite.
    """
    _require_span(x, first, stop)
    if not math.isfinite(baseline):
        raise ArrayError(f"baseline: found {baseline}, wanted a finite number")
    place = first + int(_peak_index(x[first:stop], baseline))
    return place, abs(float(x[place]) - baseline)


def signal_to_noise(x: Samples, onset: int, noise_samples: int, signal_samples: int) -> float:
    """Compare the samples from an onset on with those before it: the ratio of their root mean squares in dB.

    Parameters
    ----------
    x : int16, int32 or float32 (sample,)
        One component, counts. Each window's own mean is removed.
    onset : int
        First sample of the signal.
    noise_samples, signal_samples : int
        Lengths of the window that ends before the onset and of the one that begins with it, at least 1.

    Returns
    -------
    float
        20 log10(rms of the signal / rms of the noise). Infinity where the noise has none, minus infinity where the
        signal has none. NaN where neither has, where a window reaches past the record, or with a NaN or an infinity in
        one of them.

    Raises
    ------
    ArrayError
        If `x` does not keep the contract or a window has no samples.
    """
    require_samples(x, "x", ndim=1)
    if noise_samples < 1 or signal_samples < 1:
        found = f"noise_samples, signal_samples: found {noise_samples} and {signal_samples}"
        raise ArrayError(f"{found}, wanted at least 1")
    if onset < noise_samples or onset + signal_samples > x.size:
        return math.nan
    noise = float(_power(x[onset - noise_samples : onset]))
    signal = float(_power(x[onset : onset + signal_samples]))
    if not (math.isfinite(noise) and math.isfinite(signal)) or noise == signal == 0.0:
        return math.nan
    if noise == 0.0:
        return math.inf
    return 10.0 * math.log10(signal / noise) if signal > 0.0 else -math.inf
