"""Kernels of the spectrogram: transform, decibels, peaks of windows, windows put together; `spectrogram` checks.

Frames are transformed a block at a time, point by point across the block: scratch rows are points of the
transform, columns ("lanes") are frames, so every inner loop runs over neighbouring float32 values and
becomes vector instructions. No arithmetic joins two lanes, and a frame of n real samples is its own complex
transform of n / 2 points (even samples real, odd ones imaginary): a frame's bits depend on its samples
only, not on the block, the lane, the neighbours or the other channels.
"""

from __future__ import annotations

import math

import numpy as np

from ._arrays import Float32, Int32, Int64
from ._kernel import kernel

SILENCE_DB = -1000.0
"""Level of a power below the smallest normal float32, 1.2e-38: finite, and below every level of a sound."""

_SILENCE = np.float32(SILENCE_DB)
_ONE = np.float32(1.0)
_QUARTER = np.float32(0.25)
_SMALLEST_NORMAL = np.float32(2.0**-126)
_ROOT_HALF_BITS = np.int32(0x3F3504F3)
"""sqrt(1/2) as the bits of a float32: subtracting them splits p into 2**e * m with m about 1."""
# log2(1 + t) / t as a polynomial: Chebyshev interpolation of degree 7 over sqrt(1/2) - 1 to sqrt(2) - 1,
# rounded to float32; tests/kernels/test_spectrogram.py derives them again. Relative error 3e-7.
_L0 = np.float32(1.4426950216293335)
_L1 = np.float32(-0.7213529348373413)
_L2 = np.float32(0.48091670870780945)
_L3 = np.float32(-0.3602251708507538)
_L4 = np.float32(0.2872888743877411)
_L5 = np.float32(-0.24927182495594025)
_L6 = np.float32(0.23265257477760315)
_L7 = np.float32(-0.14275974035263062)
DECIBELS_PER_OCTAVE = 10.0 * math.log10(2.0)


@kernel("void(const f4[::1], i8, i8, i8, i8, i8, i8, f4[:,::1])")
def _spread(  # noqa: PLR0913, PLR0917 - a kernel takes no structures
    x: Float32, start: int, step: int, n: int, lanes: int, offset: int, stop: int, scratch: Float32
) -> None:
    """Sort the samples of a block by their remainder modulo step, from column `offset` on; zeros up to `stop`."""
    for r in range(min(step, n)):
        count = lanes + (n - 1 - r) // step
        for q in range(count):
            scratch[n + r, offset + q] = x[start + r + q * step]
        for q in range(offset + count, stop):
            scratch[n + r, q] = 0.0


@kernel("void(const f4[:,::1], const i4[::1], i8, i8, f4[:,::1])")
def _load(tables: Float32, order: Int32, step: int, lanes: int, scratch: Float32) -> None:
    """Multiply by the window and put each point where the transform wants it."""
    n = tables.shape[1]
    for i in range(n):
        target = order[i // 2] + (i % 2) * (n // 2)
        shift = i // step
        # A row of its own: an index shift + lane, which might be below 0, would hinder vector instructions.
        source = scratch[n + i % step, shift : shift + lanes]
        weight = tables[0, i]
        for lane in range(lanes):
            scratch[target, lane] = weight * source[lane]


@kernel("void(const f4[:,::1], i8, i8, f4[:,::1])")
def _stage(tables: Float32, span: int, lanes: int, scratch: Float32) -> None:
    """Join transforms of `span` points to transforms of twice as many (Cooley and Tukey 1965, radix 2)."""
    n = tables.shape[1]
    half = n // 2
    for start in range(0, half, 2 * span):
        for k in range(span):
            # exp(-2 pi i k / (2 span))
            cosine = tables[1, k * (half // span)]
            sine = tables[2, k * (half // span)]
            a = start + k
            b = a + span
            for lane in range(lanes):
                real = cosine * scratch[b, lane] + sine * scratch[half + b, lane]
                imag = cosine * scratch[half + b, lane] - sine * scratch[b, lane]
                scratch[b, lane] = scratch[a, lane] - real
                scratch[half + b, lane] = scratch[half + a, lane] - imag
                scratch[a, lane] = scratch[a, lane] + real
                scratch[half + a, lane] = scratch[half + a, lane] + imag


@kernel("void(const f4[:,::1], i8, f4[:,::1])")
def _powers(tables: Float32, lanes: int, scratch: Float32) -> None:
    """Turn the complex transform of n / 2 points into |X|^2 of the real one of n, in rows 0 to n / 2.

    With Z of (even + i odd): E = (Z_f + conj Z_-f) / 2, O = (Z_f - conj Z_-f) / 2i, X_f = E + exp(-2 pi i f
    / n) O and X_(n/2 - f) = conj(E - exp(-2 pi i f / n) O).
    """
    half = tables.shape[1] // 2
    for f in range(1, half // 2 + 1):
        g = half - f
        cosine = tables[1, f]
        sine = tables[2, f]
        for lane in range(lanes):
            # Sums without the 1/2: the quarter of the power comes at the end, and is exact.
            even_real = scratch[f, lane] + scratch[g, lane]
            even_imag = scratch[half + f, lane] - scratch[half + g, lane]
            odd_real = scratch[half + f, lane] + scratch[half + g, lane]
            odd_imag = scratch[g, lane] - scratch[f, lane]
            real = cosine * odd_real + sine * odd_imag
            imag = cosine * odd_imag - sine * odd_real
            upper_real = even_real - real
            upper_imag = even_imag - imag
            lower_real = even_real + real
            lower_imag = even_imag + imag
            scratch[g, lane] = _QUARTER * (upper_real * upper_real + upper_imag * upper_imag)
            scratch[f, lane] = _QUARTER * (lower_real * lower_real + lower_imag * lower_imag)
    for lane in range(lanes):
        zero = scratch[0, lane] + scratch[half, lane]
        nyquist = scratch[0, lane] - scratch[half, lane]
        scratch[0, lane] = zero * zero
        scratch[half, lane] = nyquist * nyquist


@kernel("void(const f4[:,::1], const i4[::1], i8, i8, f4[:,::1])")
def _transform(tables: Float32, order: Int32, step: int, lanes: int, scratch: Float32) -> None:
    """Turn the samples of a block into powers, in rows 0 to n / 2."""
    _load(tables, order, step, lanes, scratch)
    span = 1
    while span < tables.shape[1] // 2:
        _stage(tables, span, lanes, scratch)
        span *= 2
    _powers(tables, lanes, scratch)


@kernel("void(const f4[:,::1], i8, i8, i8, const f4[:,::1], const i4[::1], f4[:,::1], f4[::1])")
def frame_powers(  # noqa: PLR0913, PLR0917 - a kernel takes no structures
    x: Float32, first: int, step: int, block: int, tables: Float32, order: Int32, scratch: Float32, out: Float32
) -> None:
    """Write |DFT|^2 of frames `step` samples apart, `block` at a time: (position, frequency, channel), flat."""
    n = tables.shape[1]
    channels = x.shape[0]
    values = (n // 2 + 1) * channels
    positions = out.shape[0] // values
    tail = (n - 1) // step
    # Few frames: those of all channels lie beside each other in one block, between them lanes that nobody reads.
    apart = positions + tail
    together = (channels * apart + 15) // 16 * 16 + tail <= scratch.shape[1]
    group = channels if together else 1
    for c in range(0, channels, group):
        for start in range(0, positions, block):
            lanes = positions if together else min(block, positions - start)
            for g in range(group):
                stop = scratch.shape[1] if g == group - 1 else (g + 1) * apart
                _spread(x[c + g], first + start * step, step, n, lanes, g * apart, stop, scratch)
            # Whole vectors: a rest done number by number takes longer than zeros beside it.
            whole = (channels * apart + 15) // 16 * 16 if together else min(block, (lanes + 15) // 16 * 16)
            _transform(tables, order, step, whole, scratch)
            for g in range(group):
                for f in range(n // 2 + 1):
                    row = scratch[f, g * apart : g * apart + lanes]
                    target = out[start * values + f * channels + c + g :]
                    for lane in range(lanes):
                        target[lane * values] = row[lane]
            if together:
                break


@kernel("void(f4[::1], f4)")
def levels_in_place(values: Float32, scale: np.float32) -> None:
    """Replace each power p by scale * log2(p)."""
    for i in range(values.shape[0]):
        p = values[i]
        bits = np.float32(p).view(np.int32)
        # Each cast keeps integers at 32 bits: numba would widen them, and halve the numbers in a vector.
        exponent = np.int32(np.int32(bits - _ROOT_HALF_BITS) >> 23)
        t = np.int32(bits - (exponent << 23)).view(np.float32) - _ONE
        tail = _L4 + t * (_L5 + t * (_L6 + t * _L7))
        level = scale * (np.float32(exponent) + t * (_L0 + t * (_L1 + t * (_L2 + t * (_L3 + t * tail)))))
        if p < _SMALLEST_NORMAL:
            level = _SILENCE
        if p != p:  # noqa: PLR0124  (true of NaN only; there is no isnan without a library call)
            level = p
        values[i] = level


@kernel("void(const f4[:,::1], i8, i8, i8, f4[::1])")
def find_peaks_into(x: Float32, first: int, stride: int, width: int, out: Float32) -> None:
    for k in range(out.shape[0]):
        start = first + k * stride
        largest = np.int32(0)
        for c in range(x.shape[0]):
            window = x[c, start : start + width]
            for i in range(width):
                # Without their sign, the bits of float32 numbers are ordered as the numbers are, NaN above
                # all. A maximum of integers becomes vector instructions, one of floats does not.
                bits = np.int32(np.float32(window[i]).view(np.int32) & 0x7FFFFFFF)
                largest = max(largest, bits)
        out[k] = np.int32(largest).view(np.float32)


@kernel("void(const f4[::1], const f4[::1], const i8[::1], f4, f4, f4[:,::1])")
def assemble_into(
    levels: Float32, peak_levels: Float32, rows: Int64, floor: np.float32, divisor: np.float32, out: Float32
) -> None:
    """Put windows together from levels, (position, value) flat; `out` is (window, frame and value flat).

    `rows`: from window to window, from frame to frame, and frames of a window.
    """
    factor = _ONE / divisor
    values = out.shape[1] // rows[2]
    # Frames that lie behind each other are one run: fewer rests of vectors.
    runs = 1 if rows[1] == 1 else rows[2]
    length = out.shape[1] // runs
    for k in range(out.shape[0]):
        peak = peak_levels[k]
        silent = peak == _SILENCE
        for j in range(runs):
            first = (k * rows[0] + j * rows[1]) * values
            row = levels[first : first + length]
            target = out[k, j * length : (j + 1) * length]
            for v in range(length):
                level = row[v] - peak
                # This way round a NaN stays.
                if level < floor or silent:
                    level = floor
                target[v] = level * factor


@kernel(
    "void(const f4[:,::1], i8, const i8[::1], const f4[:,::1], const i4[::1], const f4[::1], f4[:,::1], f4[::1], "
    "f4[::1], f4[:,::1])"
)
def window_levels_into(  # noqa: PLR0913, PLR0917 - a kernel takes no structures
    x: Float32,
    first: int,
    place: Int64,
    tables: Float32,
    order: Int32,
    scales: Float32,
    scratch: Float32,
    levels: Float32,
    peaks: Float32,
    out: Float32,
) -> None:
    """Do all of a batch of windows in one call.

    `place`: stride, width, step, block, rows from window to window and from frame to frame, frames of a window.
    `scales`: decibels per octave of a magnitude and of a peak, floor, divisor. `levels` and `peaks` have room for more.
    """
    windows = out.shape[0]
    positions = (windows - 1) * place[4] + (place[6] - 1) * place[5] + 1
    size = positions * (out.shape[1] // place[6])
    find_peaks_into(x, first, place[0], place[1], peaks[:windows])
    levels_in_place(peaks[:windows], scales[1])
    frame_powers(x, first, place[2], place[3], tables, order, scratch, levels[:size])
    levels_in_place(levels[:size], scales[0])
    assemble_into(levels[:size], peaks[:windows], place[4:], scales[2], scales[3], out)
