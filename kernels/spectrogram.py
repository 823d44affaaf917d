"""Levels in decibel of many overlapping windows at once: the front end of Seismo-Performer and Spec-CNN.

Windows that overlap share their frames, so the transform of a frame is computed once: `frame_levels_into`
gives the levels of all frames of a stretch of data, `window_peaks_into` the largest value of each window, and
`assemble_windows_into` puts windows together. A window divided by its peak before the transform has levels
lower by 10 log10(peak), so dividing is a subtraction at the end. `spectrogram_windows` does the three.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from . import _fourier
from ._arrays import (
    FLOAT32,
    ArrayError,
    Float32,
    Int64,
    require_apart,
    require_array,
    require_at_least,
    require_out,
    require_positive,
)
from ._fourier import FrameTransform, frame_powers_into, frame_scratch, scratch_shape
from ._levels import DECIBELS_PER_OCTAVE, assemble_into, find_peaks_into, levels_in_place, window_levels_into


@dataclass(frozen=True)
class WindowGeometry:
    """How frames make windows, in samples.

    Attributes
    ----------
    stride : int
        From the start of a window to that of the next.
    hop : int
        From a frame to the next of the same window.
    step : int
        From a computed frame to the next; divides `hop`, and `stride` if there is more than one window.
    """

    stride: int
    hop: int
    step: int


_BATCH = 128
"""Windows computed together: their levels stay in the second cache, and the scratch has a bound."""


@dataclass(frozen=True, eq=False)
class SpectrogramScratch:
    """Memory for `spectrogram_windows`; made by `spectrogram_scratch`."""

    shared: Float32
    single: Float32
    levels: Float32
    peaks: Float32


def frame_levels_into(
    x: Float32,
    first: int,
    step: int,
    transform: FrameTransform,
    out: Float32,
    scratch: Float32 | None = None,
) -> None:
    """Compute the levels of frames `step` samples apart.

    Parameters
    ----------
    x : float32 (channel, sample)
        Waveform, any unit.
    first, step : int
        Sample where frame 0 starts; samples from a frame to the next.
    transform : FrameTransform
        From `frame_transform`; frames have n samples.
    out : float32 (position, frequency, channel)
        ``10 log10 |DFT_f(hann * x[c, first + m step : ... + n])|``, dB; n / 2 + 1 frequencies. It says how
        many frames are wanted. Shares no memory with `x`.
    scratch : float32, optional
        From ``frame_scratch(transform, step)``; made anew for the call if absent.

    Raises
    ------
    ArrayError
        If an array does not keep the contract or a frame reaches beyond the data.

    Notes
    -----
    Computed as 5 log10(re^2 + im^2), the logarithm by a polynomial: relative error at most 1e-6. A power
    below 1.2e-38 gives `kernels.SILENCE_DB`. A NaN in a frame makes its levels NaN, an infinite power is
    about 193 dB. A frame's bits depend on its samples only.
    """
    require_array(x, "x", dtypes=(FLOAT32,), ndim=2)
    require_out(out, "out", shape=(None, transform.frequencies, x.shape[0]))
    require_apart(out, "out", x)
    if scratch is None:
        scratch = frame_scratch(transform, step)
    frame_powers_into(x, first, step, transform, out, scratch)
    levels_in_place(out.reshape(-1), np.float32(0.5 * DECIBELS_PER_OCTAVE))


def window_peaks_into(x: Float32, first: int, stride: int, width: int, out: Float32) -> None:
    """Find the largest absolute value of each window over all channels.

    Parameters
    ----------
    x : float32 (channel, sample)
        Waveform, any unit.
    first, stride, width : int
        Window k is ``x[:, first + k * stride : first + k * stride + width]``.
    out : float32 (window,)
        max|x|; NaN if a value of the window is. Shares no memory with `x`.

    Raises
    ------
    ArrayError
        If an array does not keep the contract or a window reaches beyond the data.
    """
    require_array(x, "x", dtypes=(FLOAT32,), ndim=2)
    require_out(out, "out", shape=(None,))
    require_apart(out, "out", x)
    require_at_least(stride, "stride", least=1)
    require_at_least(width, "width", least=1)
    _require_inside(x, first, (out.size - 1) * stride + width, out.size)
    find_peaks_into(x, first, stride, width, out)


def assemble_windows_into(
    levels: Float32, peaks: Float32, geometry: WindowGeometry, floor_db: float, divisor: float, out: Float32
) -> None:
    """Put windows together from the levels of their frames.

    Parameters
    ----------
    levels : float32 (position, frequency, channel)
        From `frame_levels_into`, dB.
    peaks : float32 (window,)
        From `window_peaks_into`.
    geometry : WindowGeometry
        Frame j of window k is ``levels[(k * stride + j * hop) // step]``.
    floor_db : float
        Lowest level, dB.
    divisor : float
        Divides the result, dB.
    out : float32 (window, frame, frequency, channel)
        ``max(level - 10 log10(peak), floor_db) / divisor``. All floor where the peak is 0 (or below
        1.2e-38), all NaN where it is NaN. Shares no memory with the inputs.

    Raises
    ------
    ArrayError
        If an array does not keep the contract or a frame is not among the levels.
    """
    require_array(levels, "levels", dtypes=(FLOAT32,), ndim=3)
    require_array(peaks, "peaks", dtypes=(FLOAT32,), ndim=1)
    require_out(out, "out", shape=(peaks.size, None, *levels.shape[1:]))
    require_apart(out, "out", levels, peaks)
    require_positive(divisor, "divisor")
    if not math.isfinite(floor_db):
        raise ArrayError(f"floor_db: found {floor_db}, wanted a finite number")
    rows = _frame_rows(geometry, levels.shape[0], windows=out.shape[0], frames=out.shape[1])
    peak_levels = peaks.copy()
    levels_in_place(peak_levels, np.float32(DECIBELS_PER_OCTAVE))
    flat = math.prod(levels.shape[1:])
    assemble_into(
        levels.reshape(-1),
        peak_levels,
        rows,
        np.float32(floor_db),
        np.float32(divisor),
        out.reshape(*out.shape[:2], flat),
    )


def _require_inside(x: Float32, first: int, extent: int, count: int) -> None:
    if first < 0 or (count > 0 and first + extent > x.shape[1]):
        raise ArrayError(f"x: found {x.shape[1]} samples, wanted samples {first} to {first + extent - 1}")


def _frame_rows(geometry: WindowGeometry, positions: int, *, windows: int, frames: int) -> Int64:
    """Rows of the levels from one window to the next and from one frame to the next."""
    stride, hop, step = geometry.stride, geometry.hop, geometry.step
    require_at_least(step, "geometry.step", least=1)
    require_at_least(min(stride, hop), "geometry.stride and hop", least=1)
    if hop % step or (windows > 1 and stride % step):
        raise ArrayError(f"geometry: found {geometry}, wanted a step that divides stride and hop")
    if windows and frames:
        last = ((windows - 1) * stride + (frames - 1) * hop) // step
        if last >= positions:
            raise ArrayError(f"levels: found {positions} positions, wanted at least {last + 1}")
    return np.array([stride // step, hop // step], dtype=np.int64)


def _frames_of(width: int, hop: int, transform: FrameTransform) -> int:
    require_at_least(hop, "hop", least=1)
    require_at_least(width, "width", least=transform.frame_samples)
    return (width - transform.frame_samples) // hop + 1


def _shared_positions(count: int, frames: int, stride: int, hop: int) -> int:
    """Frames to compute for `count` windows when each frame is computed once."""
    return ((count - 1) * stride + (frames - 1) * hop) // math.gcd(stride, hop) + 1


def spectrogram_scratch(
    channels: int, *, stride: int, width: int, hop: int, transform: FrameTransform
) -> SpectrogramScratch:
    """Make the memory of `spectrogram_windows`, once: a station then allocates next to nothing in a call.

    Raises
    ------
    ArrayError
        If a window is shorter than a frame, or `stride` or `hop` below 1.
    """
    frames = _frames_of(width, hop, transform)
    require_at_least(stride, "stride", least=1)
    # Frames are shared only where that makes at most twice as many, so this many rows are always enough.
    positions = min(_shared_positions(_BATCH, frames, stride, hop), 2 * _BATCH * frames)
    return SpectrogramScratch(
        shared=frame_scratch(transform, math.gcd(stride, hop)),
        single=frame_scratch(transform, hop),
        levels=np.zeros((max(positions, frames), transform.frequencies, channels), dtype=np.float32),
        peaks=np.zeros(_BATCH, dtype=np.float32),
    )


def spectrogram_windows(  # noqa: PLR0913  (the numbers that define the result, by keyword)
    x: Float32,
    first: int,
    count: int,
    *,
    stride: int,
    width: int,
    hop: int,
    transform: FrameTransform,
    floor_db: float,
    divisor: float,
    out: Float32,
    scratch: SpectrogramScratch | None = None,
) -> None:
    """Compute the spectrogram of each window, normalised by the window's joint peak.

    The bits of a window do not depend on how many windows are asked for in a call.

    Parameters
    ----------
    x : float32 (channel, sample)
        Waveform, any unit.
    first, count : int
        Sample where window 0 starts; number of windows.
    stride, width, hop : int
        Samples from a window to the next; of a window; from a frame to the next.
    transform : FrameTransform
        From `frame_transform`.
    floor_db, divisor : float
        Lowest level and divisor, dB.
    out : float32 (count, frame, frequency, channel)
        ``max(10 log10 |STFT(window / max|window|)|, floor_db) / divisor`` with
        ``(width - frame_samples) // hop + 1`` frames. Shares no memory with `x`.
    scratch : SpectrogramScratch, optional
        From `spectrogram_scratch` with the same numbers; made anew for the call if absent.

    Raises
    ------
    ArrayError
        If an array does not keep the contract or a window reaches beyond the data.

    Notes
    -----
    kapre 0.3.5 ``STFT`` + ``Magnitude`` + ``MagnitudeToDecibel`` as used by Seismo-Performer (frame 64, hop
    16, width 400, floor -50 dB, divisor 50); ten times the logarithm of the magnitude, not twenty.
    """
    frames = _frames_of(width, hop, transform)
    channels, n = x.shape[0] if x.ndim else 0, transform.frame_samples
    require_array(x, "x", dtypes=(FLOAT32,), ndim=2)
    require_out(out, "out", shape=(count, frames, transform.frequencies, channels))
    require_apart(out, "out", x)
    require_at_least(stride, "stride", least=1)
    require_positive(divisor, "divisor")
    if not math.isfinite(floor_db):
        raise ArrayError(f"floor_db: found {floor_db}, wanted a finite number")
    _require_inside(x, first, (count - 1) * stride + width, count)
    if scratch is None:
        scratch = spectrogram_scratch(channels, stride=stride, width=width, hop=hop, transform=transform)
    step, values = math.gcd(stride, hop), transform.frequencies * channels
    require_out(scratch.shared, "scratch.shared", shape=scratch_shape(n, step))
    require_out(scratch.single, "scratch.single", shape=scratch_shape(n, hop))
    require_out(scratch.levels, "scratch.levels", shape=(None, transform.frequencies, channels))
    scales = np.array([0.5 * DECIBELS_PER_OCTAVE, DECIBELS_PER_OCTAVE, floor_db, divisor], np.float32)
    flat, memory = out.reshape(count, frames, values), scratch.levels.reshape(-1)
    done = 0
    while done < count:
        batch = min(_BATCH, count - done)
        positions = _shared_positions(batch, frames, stride, hop)
        apart, frame_memory = step, scratch.shared
        if positions > 2 * batch * frames:
            # Too few windows to share: each by itself, with no frame between its own. The 2 is the price of a
            # call for each, measured.
            batch, positions, apart, frame_memory = 1, frames, hop, scratch.single
        place = np.array(
            [first + done * stride, stride, width, apart, _fourier.LANES, stride // apart, hop // apart], np.int64
        )
        levels, peaks = memory[: positions * values], scratch.peaks[:batch]
        window_levels_into(
            x, place, transform.tables, transform.order, scales, frame_memory, levels, peaks, flat[done : done + batch]
        )
        done += batch
