"""Powers of the discrete Fourier transform of many overlapping frames: tables, scratch and checks.

The kernels stand in `_levels`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._arrays import ArrayError, Float32, Int32, require_out
from ._levels import frame_powers

LANES = 64
"""Frames of a block: enough to pay for starting a loop, few enough that the scratch stays in the first
cache."""


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
    return np.zeros(scratch_shape(n, step), dtype=np.float32)


def scratch_shape(n: int, step: int) -> tuple[int, int]:
    """Give the shape of `frame_scratch` for frames of n samples."""
    if step < 1:
        raise ArrayError(f"step: found {step}, wanted 1 or more")
    return n + min(step, n), LANES + -(-n // step)


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
    require_out(scratch, "scratch", shape=scratch_shape(n, step))
    stop = first + (out.shape[0] - 1) * step + n
    if out.shape[0] and not 0 <= first <= stop <= x.shape[1]:
        raise ArrayError(f"x: found {x.shape[1]} samples, wanted samples {first} to {stop - 1}")
    frame_powers(x, first, step, LANES, transform.tables, transform.order, scratch, out.reshape(-1))
