"""Kernels of a window's steps: `baseline`, `taper`, `normalise` and `quantise` check. Each may write where it reads."""

from __future__ import annotations

from math import sqrt

import numpy as np

from ._arrays import Float32, Float64, Samples
from ._kernel import kernel
from ._row_sums import row_max, row_max_abs, row_square_sum, row_sum

_HIGHEST = 32767.0


@kernel("void(const i2[:,::1], f4[:,::1])", "void(const i4[:,::1], f4[:,::1])", "void(const f4[:,::1], f4[:,::1])")
def demean_channels(x: Samples, out: Float32) -> None:
    channels, npts = x.shape
    for c in range(channels):
        mean = row_sum(x, c) / npts
        for i in range(npts):
            out[c, i] = float(x[c, i]) - mean


@kernel("void(const i2[:,::1], f4[:,::1])", "void(const i4[:,::1], f4[:,::1])", "void(const f4[:,::1], f4[:,::1])")
def detrend_channels(x: Samples, out: Float32) -> None:
    channels, npts = x.shape
    centre = 0.5 * (npts - 1)
    # sum of (i - centre)^2 over all samples, in closed form; one sample has no slope.
    square = npts * (float(npts) * npts - 1.0) / 12.0
    whole = npts - npts % 8
    for c in range(channels):
        # The sum of x and that of (i - centre) x in one pass, each in eight parts as in `row_sum`.
        s0, s1, s2, s3, s4, s5, s6, s7 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        m0, m1, m2, m3, m4, m5, m6, m7 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for i in range(0, whole, 8):
            t = float(np.int32(i)) - centre
            x0, x1, x2, x3 = float(x[c, i]), float(x[c, i + 1]), float(x[c, i + 2]), float(x[c, i + 3])
            x4, x5, x6, x7 = float(x[c, i + 4]), float(x[c, i + 5]), float(x[c, i + 6]), float(x[c, i + 7])
            s0, s1, s2, s3 = s0 + x0, s1 + x1, s2 + x2, s3 + x3
            s4, s5, s6, s7 = s4 + x4, s5 + x5, s6 + x6, s7 + x7
            m0, m1, m2, m3 = m0 + t * x0, m1 + (t + 1.0) * x1, m2 + (t + 2.0) * x2, m3 + (t + 3.0) * x3
            m4, m5, m6, m7 = m4 + (t + 4.0) * x4, m5 + (t + 5.0) * x5, m6 + (t + 6.0) * x6, m7 + (t + 7.0) * x7
        for i in range(whole, npts):
            s0 += float(x[c, i])
            m0 += (float(np.int32(i)) - centre) * float(x[c, i])
        mean = (((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))) / npts
        slope = 0.0
        if npts > 1:
            slope = (((m0 + m1) + (m2 + m3)) + ((m4 + m5) + (m6 + m7))) / square
        for i in range(npts):
            out[c, i] = float(x[c, i]) - (mean + slope * (float(np.int32(i)) - centre))


@kernel(
    "void(const i2[:,::1], const f8[::1], f4[:,::1])",
    "void(const i4[:,::1], const f8[::1], f4[:,::1])",
    "void(const f4[:,::1], const f8[::1], f4[:,::1])",
)
def taper_channels(x: Samples, ramp: Float64, out: Float32) -> None:
    channels, npts = x.shape
    count = ramp.shape[0]
    for c in range(channels):
        for i in range(count):
            out[c, i] = float(x[c, i]) * ramp[i]
        # Rows of their own: an index that might be below 0, for all the compiler knows, hinders vectors.
        middle = x[c, count : npts - count]
        kept = out[c, count : npts - count]
        for i in range(middle.shape[0]):
            kept[i] = middle[i]
        for i in range(npts - count, npts):
            out[c, i] = float(x[c, i]) * ramp[npts - 1 - i]


@kernel("void(f4[:,::1], const f8[::1])")
def taper_ends(window: Float32, ramp: Float64) -> None:
    """Do as `taper_channels` in place, where the middle stays as it is."""
    channels, npts = window.shape
    for c in range(channels):
        for i in range(ramp.shape[0]):
            window[c, i] = float(window[c, i]) * ramp[i]
        for i in range(npts - ramp.shape[0], npts):
            window[c, i] = float(window[c, i]) * ramp[npts - 1 - i]


@kernel(
    "void(const i2[:,::1], i8, i8, f8, f4[:,::1])",
    "void(const i4[:,::1], i8, i8, f8, f4[:,::1])",
    "void(const f4[:,::1], i8, i8, f8, f4[:,::1])",
)
def _divide(x: Samples, first: int, stop: int, divisor: float, out: Float32) -> None:
    """Divide channels first to stop - 1; a divisor of 0 gives zeros.

    By a product, which takes a fifth of the time of a division; in float64, of which a float32 remains.
    """
    for c in range(first, stop):
        if divisor == 0.0:
            for i in range(x.shape[1]):
                out[c, i] = 0.0
        else:
            factor = 1.0 / divisor  # here, since uncompiled a division by 0 raises
            for i in range(x.shape[1]):
                out[c, i] = float(x[c, i]) * factor


@kernel(
    "void(const i2[:,::1], i8, i8, f8, f4[:,::1])",
    "void(const i4[:,::1], i8, i8, f8, f4[:,::1])",
    "void(const f4[:,::1], i8, i8, f8, f4[:,::1])",
)
def divide_by_std(x: Samples, span: int, ddof: int, eps: float, out: Float32) -> None:
    """Divide by standard deviation + eps, `span` channels by one; a deviation of 0 gives zeros."""
    for first in range(0, x.shape[0], span):
        count = span * x.shape[1]
        total = 0.0
        for c in range(first, first + span):
            total += row_sum(x, c)
        square = 0.0
        for c in range(first, first + span):
            square += row_square_sum(x, c, total / count)
        divisor = sqrt(square / (count - ddof))
        if divisor != 0.0:
            divisor += eps
        _divide(x, first, first + span, divisor, out)


@kernel(
    "void(const i2[:,::1], i8, f8, f4[:,::1])",
    "void(const i4[:,::1], i8, f8, f4[:,::1])",
    "void(const f4[:,::1], i8, f8, f4[:,::1])",
)
def divide_by_max_abs(x: Samples, span: int, eps: float, out: Float32) -> None:
    """Divide by max |x| + eps, `span` channels by one."""
    for first in range(0, x.shape[0], span):
        largest = 0.0
        for c in range(first, first + span):
            found = row_max_abs(x, c)
            # found != found is true of NaN only; once taken, nothing compares as larger.
            if found > largest or found != found:  # noqa: PLR0124  (no isnan without a library call)
                largest = found
        _divide(x, first, first + span, largest + eps, out)


@kernel("void(const i2[:,::1], f4[:,::1])", "void(const i4[:,::1], f4[:,::1])", "void(const f4[:,::1], f4[:,::1])")
def divide_by_signed_max(x: Samples, out: Float32) -> None:
    """Divide by the largest value of all channels, NaN if one is; 0 counts as 1."""
    largest = -np.inf
    for c in range(x.shape[0]):
        found = row_max(x, c)
        if found > largest or found != found:  # noqa: PLR0124  (as in divide_by_max_abs)
            largest = found
    if largest == 0.0:
        largest = 1.0
    _divide(x, 0, x.shape[0], largest, out)


@kernel("void(const f4[:,::1], f4[:,::1])")
def truncate_int16_channels(x: Float32, out: Float32) -> None:
    channels, npts = x.shape
    largest = 0.0
    for c in range(channels):
        found = row_max_abs(x, c)
        if found > largest or found != found:  # noqa: PLR0124  (as in divide_by_max_abs)
            largest = found
    for c in range(channels):
        for i in range(npts):
            if largest == 0.0:
                out[c, i] = 0.0
            else:
                # The product first, which is exact: the largest value then gives 32767 and never 32766.99….
                value = float(x[c, i]) * _HIGHEST / largest
                out[c, i] = float(int(value)) if -_HIGHEST - 1.0 <= value <= _HIGHEST else value  # else NaN
