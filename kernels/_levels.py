"""Kernels of the spectrogram: decibels, peaks of windows, windows put together; `spectrogram` checks."""

from __future__ import annotations

import math

import numpy as np

from ._arrays import Float32, Int64
from ._kernel import kernel

SILENCE_DB = -1000.0
"""Level of a power below the smallest normal float32, 1.2e-38: finite, and below every level of a sound."""

_SILENCE = np.float32(SILENCE_DB)
_ONE = np.float32(1.0)
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


@kernel("void(const f4[:,::1], const f4[::1], const i8[::1], f4, f4, f4[:,:,::1])")
def assemble_into(
    levels: Float32, peak_levels: Float32, rows: Int64, floor: np.float32, divisor: np.float32, out: Float32
) -> None:
    windows, frames, values = out.shape
    for k in range(windows):
        silent = peak_levels[k] == _SILENCE
        for j in range(frames):
            row = levels[k * rows[0] + j * rows[1]]
            target = out[k, j]
            for v in range(values):
                level = row[v] - peak_levels[k]
                # This way round a NaN stays.
                if level < floor or silent:
                    level = floor
                target[v] = level / divisor
