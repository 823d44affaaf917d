"""Kernels of a window's steps, and the one that does all of them: `baseline`, `taper`, `normalise`, `quantise` check.

Each step may write where it reads. Sums are taken in eight parts side by side, in a fixed order: an addition need not
wait for the one before it.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from ._arrays import Float32, Float64, Int64, Samples
from ._kernel import kernel

DEMEAN, DETREND, TAPER, STD, MAX_ABS, SIGNED_MAX, TRUNCATE = range(7)
"""Codes of the steps of `windows_into`."""
_HIGHEST = 32767.0
_WITHOUT_SIGN = np.int64(0x7FFFFFFFFFFFFFFF)


@kernel("f8(const i2[:,::1], i8)", "f8(const i4[:,::1], i8)", "f8(const f4[:,::1], i8)")
def _sum(x: Samples, c: int) -> float:
    npts = x.shape[1]
    sum0 = 0.0
    sum1 = 0.0
    sum2 = 0.0
    sum3 = 0.0
    sum4 = 0.0
    sum5 = 0.0
    sum6 = 0.0
    sum7 = 0.0
    whole = npts - npts % 8
    for i in range(0, whole, 8):
        sum0 += float(x[c, i])
        sum1 += float(x[c, i + 1])
        sum2 += float(x[c, i + 2])
        sum3 += float(x[c, i + 3])
        sum4 += float(x[c, i + 4])
        sum5 += float(x[c, i + 5])
        sum6 += float(x[c, i + 6])
        sum7 += float(x[c, i + 7])
    for i in range(whole, npts):
        sum0 += float(x[c, i])
    return ((sum0 + sum1) + (sum2 + sum3)) + ((sum4 + sum5) + (sum6 + sum7))


@kernel("f8(const i2[:,::1], i8, f8)", "f8(const i4[:,::1], i8, f8)", "f8(const f4[:,::1], i8, f8)")
def _square_sum(x: Samples, c: int, mean: float) -> float:
    """Give the sum of the squares about the mean."""
    npts = x.shape[1]
    sum0 = 0.0
    sum1 = 0.0
    sum2 = 0.0
    sum3 = 0.0
    sum4 = 0.0
    sum5 = 0.0
    sum6 = 0.0
    sum7 = 0.0
    whole = npts - npts % 8
    for i in range(0, whole, 8):
        sum0 += (float(x[c, i]) - mean) * (float(x[c, i]) - mean)
        sum1 += (float(x[c, i + 1]) - mean) * (float(x[c, i + 1]) - mean)
        sum2 += (float(x[c, i + 2]) - mean) * (float(x[c, i + 2]) - mean)
        sum3 += (float(x[c, i + 3]) - mean) * (float(x[c, i + 3]) - mean)
        sum4 += (float(x[c, i + 4]) - mean) * (float(x[c, i + 4]) - mean)
        sum5 += (float(x[c, i + 5]) - mean) * (float(x[c, i + 5]) - mean)
        sum6 += (float(x[c, i + 6]) - mean) * (float(x[c, i + 6]) - mean)
        sum7 += (float(x[c, i + 7]) - mean) * (float(x[c, i + 7]) - mean)
    for i in range(whole, npts):
        sum0 += (float(x[c, i]) - mean) * (float(x[c, i]) - mean)
    return ((sum0 + sum1) + (sum2 + sum3)) + ((sum4 + sum5) + (sum6 + sum7))


@kernel("f8(const i2[:,::1], i8, f8)", "f8(const i4[:,::1], i8, f8)", "f8(const f4[:,::1], i8, f8)")
def _moment(x: Samples, c: int, centre: float) -> float:
    """Give the sum of (i - centre) x."""
    npts = x.shape[1]
    sum0 = 0.0
    sum1 = 0.0
    sum2 = 0.0
    sum3 = 0.0
    sum4 = 0.0
    sum5 = 0.0
    sum6 = 0.0
    sum7 = 0.0
    whole = npts - npts % 8
    for i in range(0, whole, 8):
        time = float(np.int32(i)) - centre
        sum0 += time * float(x[c, i])
        sum1 += (time + 1.0) * float(x[c, i + 1])
        sum2 += (time + 2.0) * float(x[c, i + 2])
        sum3 += (time + 3.0) * float(x[c, i + 3])
        sum4 += (time + 4.0) * float(x[c, i + 4])
        sum5 += (time + 5.0) * float(x[c, i + 5])
        sum6 += (time + 6.0) * float(x[c, i + 6])
        sum7 += (time + 7.0) * float(x[c, i + 7])
    for i in range(whole, npts):
        sum0 += (float(np.int32(i)) - centre) * float(x[c, i])
    return ((sum0 + sum1) + (sum2 + sum3)) + ((sum4 + sum5) + (sum6 + sum7))


@kernel(
    "void(const i2[:,::1], f4[:,::1])",
    "void(const i4[:,::1], f4[:,::1])",
    "void(const f4[:,::1], f4[:,::1])",
)
def demean_channels(x: Samples, out: Float32) -> None:
    channels, npts = x.shape
    for c in range(channels):
        mean = _sum(x, c) / npts
        for i in range(npts):
            out[c, i] = float(x[c, i]) - mean


@kernel(
    "void(const i2[:,::1], f4[:,::1])",
    "void(const i4[:,::1], f4[:,::1])",
    "void(const f4[:,::1], f4[:,::1])",
)
def detrend_channels(x: Samples, out: Float32) -> None:
    channels, npts = x.shape
    centre = 0.5 * (npts - 1)
    # sum of (i - centre)^2 over all samples, in closed form; one sample has no slope.
    square = npts * (float(npts) * npts - 1.0) / 12.0
    for c in range(channels):
        mean = _sum(x, c) / npts
        slope = 0.0
        if npts > 1:
            slope = _moment(x, c, centre) / square
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


@kernel(
    "void(const i2[:,::1], i8, i8, f8, f4[:,::1])",
    "void(const i4[:,::1], i8, i8, f8, f4[:,::1])",
    "void(const f4[:,::1], i8, i8, f8, f4[:,::1])",
)
def _divide(x: Samples, first: int, stop: int, divisor: float, out: Float32) -> None:
    """Divide channels first to stop - 1; a divisor of 0 gives zeros.

    By a product, which takes a fifth of the time of a division; in float64, of which a float32 remains.
    """
    factor = 1.0 / divisor
    for c in range(first, stop):
        if divisor == 0.0:
            for i in range(x.shape[1]):
                out[c, i] = 0.0
        else:
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
            total += _sum(x, c)
        square = 0.0
        for c in range(first, first + span):
            square += _square_sum(x, c, total / count)
        divisor = sqrt(square / (count - ddof))
        if divisor != 0.0:
            divisor += eps
        _divide(x, first, first + span, divisor, out)


@kernel("f8(const i2[:,::1], i8)", "f8(const i4[:,::1], i8)", "f8(const f4[:,::1], i8)")
def _max_abs(x: Samples, c: int) -> float:
    """Give the largest |x| of a channel; NaN if one of them is."""
    # Without their sign, the bits of floating-point numbers are ordered as the numbers are, NaN above all. A maximum of
    # integers becomes vector instructions, one of floats does not.
    largest = np.int64(0)
    for i in range(x.shape[1]):
        bits = np.float64(x[c, i]).view(np.int64) & _WITHOUT_SIGN
        largest = max(largest, bits)
    return np.int64(largest).view(np.float64)


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
            found = _max_abs(x, c)
            # found != found is true of NaN only; once taken, nothing compares as larger.
            if found > largest or found != found:  # noqa: PLR0124  (no isnan without a library call)
                largest = found
        _divide(x, first, first + span, largest + eps, out)


@kernel("void(const i2[:,::1], f4[:,::1])", "void(const i4[:,::1], f4[:,::1])", "void(const f4[:,::1], f4[:,::1])")
def divide_by_signed_max(x: Samples, out: Float32) -> None:
    """Divide by the largest value of all channels, NaN if one is; 0 counts as 1."""
    largest = float(x[0, 0])
    for c in range(x.shape[0]):
        for i in range(x.shape[1]):
            value = float(x[c, i])
            if value > largest or value != value:  # noqa: PLR0124  (as in divide_by_max_abs)
                largest = value
    if largest == 0.0:
        largest = 1.0
    _divide(x, 0, x.shape[0], largest, out)


@kernel("void(const f4[:,::1], f4[:,::1])")
def truncate_int16_channels(x: Float32, out: Float32) -> None:
    channels, npts = x.shape
    largest = 0.0
    for c in range(channels):
        found = _max_abs(x, c)
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


@kernel("void(f4[:,::1], const i8[::1], f8, const f8[::1])")
def _step(window: Float32, code: Int64, eps: float, ramps: Float64) -> None:
    """Do one step, (code, span, ddof, where its ramp starts and stops), in place."""
    if code[0] == DEMEAN:
        demean_channels(window, window)
    elif code[0] == DETREND:
        detrend_channels(window, window)
    elif code[0] == TAPER:
        taper_channels(window, ramps[code[3] : code[4]], window)
    elif code[0] == STD:
        divide_by_std(window, code[1], code[2], eps, window)
    elif code[0] == MAX_ABS:
        divide_by_max_abs(window, code[1], eps, window)
    elif code[0] == SIGNED_MAX:
        divide_by_signed_max(window, window)
    else:
        truncate_int16_channels(window, window)


@kernel(
    "void(const i2[:,::1], i8, i8, const i8[:,::1], const f8[::1], const f8[::1], f4[:,:,::1])",
    "void(const i4[:,::1], i8, i8, const i8[:,::1], const f8[::1], const f8[::1], f4[:,:,::1])",
    "void(const f4[:,::1], i8, i8, const i8[:,::1], const f8[::1], const f8[::1], f4[:,:,::1])",
)
def windows_into(  # noqa: PLR0913, PLR0917 - a kernel takes no structures
    x: Samples, first: int, stride: int, codes: Int64, eps: Float64, ramps: Float64, out: Float32
) -> None:
    """Cut windows (window, channel, sample) out of a record, and do every step on each while it is in the cache."""
    for k in range(out.shape[0]):
        window = out[k]
        start = first + k * stride
        for c in range(window.shape[0]):
            row = x[c, start : start + window.shape[1]]
            for i in range(window.shape[1]):
                window[c, i] = np.float32(row[i])
        for s in range(codes.shape[0]):
            _step(window, codes[s], eps[s], ramps)


@kernel(
    "void(const i2[:,::1], i8, i8, const i8[:,::1], const f8[::1], const f8[::1], f4[:,:,::1], f4[:,:,::1])",
    "void(const i4[:,::1], i8, i8, const i8[:,::1], const f8[::1], const f8[::1], f4[:,:,::1], f4[:,:,::1])",
    "void(const f4[:,::1], i8, i8, const i8[:,::1], const f8[::1], const f8[::1], f4[:,:,::1], f4[:,:,::1])",
)
def turned_windows_into(  # noqa: PLR0913, PLR0917 - as above
    x: Samples, first: int, stride: int, codes: Int64, eps: Float64, ramps: Float64, work: Float32, out: Float32
) -> None:
    """Do as `windows_into`, with the axes of the result turned: (window, sample, channel); `work` holds one window."""
    for k in range(out.shape[0]):
        windows_into(x, first + k * stride, stride, codes, eps, ramps, work)
        window = out[k]
        for i in range(window.shape[0]):
            for c in range(window.shape[1]):
                window[i, c] = work[0, c, i]
