"""Powers of the discrete Fourier transform of many overlapping frames.

Frames are transformed a block at a time, point by point across the block: scratch rows are points of the
transform, columns ("lanes") are frames, so every inner loop runs over neighbouring float32 values and
becomes vector instructions. No arithmetic joins two lanes, and a frame of n real samples is its own complex
transform of n / 2 points (even samples real, odd ones imaginary): a frame's bits depend on its samples
only, not on the block, the lane, the neighbours or the other channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._arrays import ArrayError, Float32, Int32, Int64, require_out
from ._kernel import kernel

LANES = 64
"""Frames of a block: enough to pay for starting a loop, few enough that the scratch stays in the first
cache."""
_QUARTER = np.float32(0.25)


@dataclass(frozen=True, eq=False)
class FrameTransform:
    """Tables of a windowed Fourier transform; made by `frame_transform`, shared by any number of streams.

    Attributes
    ----------
    frame_samples : int
        n, samples of a frame; there are n / 2 + 1 frequencies, zero and the Nyquist frequency among them.
    tables : float32 (3, n)
        Periodic Hann window; cos(2 pi i / n); sin(2 pi i / n).
    order : int32 (n / 2,)
        Bit-reversed index of each point of the complex transform.
    """

    frame_samples: int
    tables: Float32
    order: Int32

    @property
    def frequencies(self) -> int:
        """Number of frequencies, n / 2 + 1."""
        return self.frame_samples // 2 + 1


def frame_transform(frame_samples: int) -> FrameTransform:
    """Make the tables for frames of this many samples.

    Parameters
    ----------
    frame_samples : int
        A power of two, 16 to 1024.

    Raises
    ------
    ArrayError
        If it is anything else.

    Notes
    -----
    Periodic Hann: (1 - cos(2 pi i / n)) / 2, as ``scipy.signal.get_window("hann", n)`` and ``tf.signal``.
    """
    if not 16 <= frame_samples <= 1024 or frame_samples & (frame_samples - 1):
        raise ArrayError(f"frame_samples: found {frame_samples}, wanted a power of two, 16 to 1024")
    angle = 2.0 * np.pi * np.arange(frame_samples) / frame_samples
    tables = np.stack((0.5 * (1.0 - np.cos(angle)), np.cos(angle), np.sin(angle))).astype(np.float32)
    bits = frame_samples.bit_length() - 2
    order = [int(f"{i:0{bits}b}"[::-1], 2) for i in range(frame_samples // 2)]
    return FrameTransform(frame_samples, tables, np.array(order, dtype=np.int32))


def frame_scratch(transform: FrameTransform, step: int) -> Float32:
    """Make the scratch for frames `step` samples apart: a station makes it once, and passes it to each call.

    Rows 0 to n / 2: real parts; n / 2 to n: imaginary parts; from n on: the samples of a block by their
    remainder modulo `step`, so that the same point of neighbouring frames stands side by side.
    """
    n = transform.frame_samples
    return np.zeros(_scratch_shape(n, step), dtype=np.float32)


def _scratch_shape(n: int, step: int) -> tuple[int, int]:
    if step < 1:
        raise ArrayError(f"step: found {step}, wanted 1 or more")
    return n + min(step, n), LANES + -(-n // step)


@kernel("void(const f4[::1], i8, i8, i8, i8, f4[:,::1])")
def _spread(x: Float32, start: int, step: int, n: int, lanes: int, scratch: Float32) -> None:
    """Sort the samples of a block by their remainder modulo step."""
    for r in range(min(step, n)):
        for q in range(lanes + (n - 1 - r) // step):
            scratch[n + r, q] = x[start + r + q * step]


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


@kernel("void(const f4[:,::1], const i8[::1], const f4[:,::1], const i4[::1], f4[:,::1], f4[:,:,::1])")
def _frame_powers_into(x: Float32, place: Int64, tables: Float32, order: Int32, scratch: Float32, out: Float32) -> None:
    first = place[0]
    step = place[1]
    block = place[2]
    n = tables.shape[1]
    positions, frequencies, channels = out.shape
    for c in range(channels):
        for start in range(0, positions, block):
            lanes = min(block, positions - start)
            _spread(x[c], first + start * step, step, n, lanes, scratch)
            _load(tables, order, step, lanes, scratch)
            span = 1
            while span < n // 2:
                _stage(tables, span, lanes, scratch)
                span *= 2
            _powers(tables, lanes, scratch)
            for lane in range(lanes):
                for f in range(frequencies):
                    out[start + lane, f, c] = scratch[f, lane]


def frame_powers_into(
    x: Float32, first: int, step: int, transform: FrameTransform, out: Float32, scratch: Float32
) -> None:
    """Compute |DFT|^2 of frames `step` samples apart into out (position, frequency, channel).

    `spectrogram.frame_levels_into` has checked `x` and `out`.

    Raises
    ------
    ArrayError
        If a frame reaches beyond the data or the scratch is not from `frame_scratch(transform, step)`.
    """
    n = transform.frame_samples
    require_out(scratch, "scratch", shape=_scratch_shape(n, step))
    stop = first + (out.shape[0] - 1) * step + n
    if out.shape[0] and not 0 <= first <= stop <= x.shape[1]:
        raise ArrayError(f"x: found {x.shape[1]} samples, wanted samples {first} to {stop - 1}")
    place = np.array([first, step, LANES], dtype=np.int64)
    _frame_powers_into(x, place, transform.tables, transform.order, scratch, out)
