"""Kernels of a window's steps, and the one that does all of them: `baseline`, `taper`, `normalise`, `quantise` check.

Each step may write where it reads. Sums are taken in eight parts side by side, in a fixed order: an addition need not
wait for the one before it.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from ._arrays import Float32, Float64, Int64, Samples
from ._kernel import kernel

DEMEAN, DETREND, TAPER, STD, MAX_ABS, SIGNED_MAX, TRUNCATE, FILTER = range(8)
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


@kernel("void(const i2[:,::1], f4[:,::1])", "void(const i4[:,::1], f4[:,::1])", "void(const f4[:,::1], f4[:,::1])")
def demean_channels(x: Samples, out: Float32) -> None:
    channels, npts = x.shape
    for c in range(channels):
        mean = _sum(x, c) / npts
        for i in range(npts):
            out[c, i] = float(x[c, i]) - mean


@kernel("void(const i2[:,::1], f4[:,::1])", "void(const i4[:,::1], f4[:,::1])", "void(const f4[:,::1], f4[:,::1])")
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


@kernel("void(f4[:,::1], const f8[::1])")
def _taper_ends(window: Float32, ramp: Float64) -> None:
    """Do as `taper_channels` in place, where the middle stays as it is."""
    channels, npts = window.shape
    for c in range(channels):
        for i in range(ramp.shape[0]):
            window[c, i] = float(window[c, i]) * ramp[i]
        for i in range(npts - ramp.shape[0], npts):
            window[c, i] = float(window[c, i]) * ramp[npts - 1 - i]


@kernel("void(f4[:,::1], const f8[::1], f8[:,:,::1])")
def _filter_three(window: Float32, sos: Float64, state: Float64) -> None:
    """Filter three channels in lockstep. With a silent fourth one beside them they are a vector of the processor."""
    for i in range(window.shape[1]):
        z, n, e, p = float(window[0, i]), float(window[1, i]), float(window[2, i]), 0.0
        for s in range(sos.shape[0] // 6):
            b0, b1, b2, a1, a2 = sos[6 * s], sos[6 * s + 1], sos[6 * s + 2], sos[6 * s + 4], sos[6 * s + 5]
            z0, n0, e0, p0 = state[s, 0, 0], state[s, 0, 1], state[s, 0, 2], state[s, 0, 3]
            z1, n1, e1, p1 = state[s, 1, 0], state[s, 1, 1], state[s, 1, 2], state[s, 1, 3]
            zr, nr, er, pr = b0 * z + z0, b0 * n + n0, b0 * e + e0, b0 * p + p0
            z0, n0, e0, p0 = (
                b1 * z - a1 * zr + z1,
                b1 * n - a1 * nr + n1,
                b1 * e - a1 * er + e1,
                b1 * p - a1 * pr + p1,
            )
            z1, n1, e1, p1 = b2 * z - a2 * zr, b2 * n - a2 * nr, b2 * e - a2 * er, b2 * p - a2 * pr
            state[s, 0, 0], state[s, 0, 1], state[s, 0, 2], state[s, 0, 3] = z0, n0, e0, p0
            state[s, 1, 0], state[s, 1, 1], state[s, 1, 2], state[s, 1, 3] = z1, n1, e1, p1
            z, n, e, p = zr, nr, er, pr
        window[0, i], window[1, i], window[2, i] = z, n, e


@kernel("void(f4[:,::1], const f8[::1], f8[:,:,::1])")
def _filter_three_by_two(window: Float32, sos: Float64, state: Float64) -> None:
    """Do as `_filter_three` for two sections, with the state in registers."""
    b0, b1, b2, a1, a2 = sos[0], sos[1], sos[2], sos[4], sos[5]
    d0, d1, d2, c1, c2 = sos[6], sos[7], sos[8], sos[10], sos[11]
    z0, n0, e0, p0 = state[0, 0, 0], state[0, 0, 1], state[0, 0, 2], state[0, 0, 3]
    z1, n1, e1, p1 = state[0, 1, 0], state[0, 1, 1], state[0, 1, 2], state[0, 1, 3]
    z2, n2, e2, p2 = state[1, 0, 0], state[1, 0, 1], state[1, 0, 2], state[1, 0, 3]
    z3, n3, e3, p3 = state[1, 1, 0], state[1, 1, 1], state[1, 1, 2], state[1, 1, 3]
    for i in range(window.shape[1]):
        z, n, e, p = float(window[0, i]), float(window[1, i]), float(window[2, i]), 0.0
        zr, nr, er, pr = b0 * z + z0, b0 * n + n0, b0 * e + e0, b0 * p + p0
        z0, n0, e0, p0 = (
            b1 * z - a1 * zr + z1,
            b1 * n - a1 * nr + n1,
            b1 * e - a1 * er + e1,
            b1 * p - a1 * pr + p1,
        )
        z1, n1, e1, p1 = b2 * z - a2 * zr, b2 * n - a2 * nr, b2 * e - a2 * er, b2 * p - a2 * pr
        z, n, e, p = d0 * zr + z2, d0 * nr + n2, d0 * er + e2, d0 * pr + p2
        z2, n2, e2, p2 = (
            d1 * zr - c1 * z + z3,
            d1 * nr - c1 * n + n3,
            d1 * er - c1 * e + e3,
            d1 * pr - c1 * p + p3,
        )
        z3, n3, e3, p3 = d2 * zr - c2 * z, d2 * nr - c2 * n, d2 * er - c2 * e, d2 * pr - c2 * p
        window[0, i], window[1, i], window[2, i] = z, n, e
    state[0, 0, 0], state[0, 0, 1], state[0, 0, 2], state[0, 0, 3] = z0, n0, e0, p0
    state[0, 1, 0], state[0, 1, 1], state[0, 1, 2], state[0, 1, 3] = z1, n1, e1, p1
    state[1, 0, 0], state[1, 0, 1], state[1, 0, 2], state[1, 0, 3] = z2, n2, e2, p2
    state[1, 1, 0], state[1, 1, 1], state[1, 1, 2], state[1, 1, 3] = z3, n3, e3, p3


@kernel("void(f4[:,::1], const f8[::1], f8[:,:,::1])")
def _filter_channels(window: Float32, sos: Float64, state: Float64) -> None:
    """Filter a window from rest, in place.

    `sos` stands row behind row; `state`, (section, 2, channel) with four channels at least, is scratch.
    """
    sections = sos.shape[0] // 6
    for s in range(sections):
        for c in range(state.shape[2]):
            state[s, 0, c] = 0.0
            state[s, 1, c] = 0.0
    if window.shape[0] == 3 and sections == 2:
        _filter_three_by_two(window, sos, state)
        return
    if window.shape[0] == 3:
        _filter_three(window, sos, state)
        return
    for i in range(window.shape[1]):
        for c in range(window.shape[0]):
            value = float(window[c, i])
            for s in range(sections):
                result = sos[6 * s] * value + state[s, 0, c]
                state[s, 0, c] = sos[6 * s + 1] * value - sos[6 * s + 4] * result + state[s, 1, c]
                state[s, 1, c] = sos[6 * s + 2] * value - sos[6 * s + 5] * result
                value = result
            window[c, i] = value


@kernel("void(f4[:,::1], const i8[::1], f8, const f8[::1], f8[:,:,::1])")
def _step(window: Float32, code: Int64, eps: float, tables: Float64, state: Float64) -> None:
    """Do one step, (code, span, ddof, where its table starts and stops), in place."""
    if code[0] == DEMEAN:
        demean_channels(window, window)
    elif code[0] == DETREND:
        detrend_channels(window, window)
    elif code[0] == TAPER:
        _taper_ends(window, tables[code[3] : code[4]])
    elif code[0] == STD:
        divide_by_std(window, code[1], code[2], eps, window)
    elif code[0] == MAX_ABS:
        divide_by_max_abs(window, code[1], eps, window)
    elif code[0] == SIGNED_MAX:
        divide_by_signed_max(window, window)
    elif code[0] == FILTER:
        _filter_channels(window, tables[code[3] : code[4]], state)
    else:
        truncate_int16_channels(window, window)


_REST = "i8, i8, const i8[:,::1], const f8[::1], const f8[::1], f8[:,:,::1], f4[:,:,::1], f4[:,:,::1]"


@kernel(f"void(const i2[:,::1], {_REST})", f"void(const i4[:,::1], {_REST})", f"void(const f4[:,::1], {_REST})")
def windows_into(  # noqa: PLR0913, PLR0917 - a kernel takes no structures
    x: Samples,
    first: int,
    stride: int,
    codes: Int64,
    eps: Float64,
    tables: Float64,
    state: Float64,
    work: Float32,
    out: Float32,
) -> None:
    """Cut windows out of a record, and do every step on each while it is in the cache.

    The result is (window, channel, sample); where `work` holds a window, it is (window, sample, channel).
    """
    is_turned = work.shape[0] > 0
    for k in range(out.shape[0]):
        window = work[0] if is_turned else out[k]
        start = first + k * stride
        for c in range(window.shape[0]):
            row = x[c, start : start + window.shape[1]]
            for i in range(window.shape[1]):
                window[c, i] = np.float32(row[i])
        for s in range(codes.shape[0]):
            _step(window, codes[s], eps[s], tables, state)
        if is_turned:
            for i in range(window.shape[1]):
                for c in range(window.shape[0]):
                    out[k, i, c] = window[c, i]
