"""Levels in decibel of many overlapping windows at once: the front end of Seismo-Performer and Spec-CNN.

Windows that overlap share their frames, so the transform of a frame is computed once: `frame_levels_into`
gives the levels of all frames of a stretch of data, `window_peaks_into` the largest value of each window, and
`assemble_windows_into` puts windows together. A window divided by its peak before the transform has levels
lower by 10 log10(peak), so dividing is a subtraction at the end. `spectrogram_windows_into` does the three.
"""

from __future__ import annotations

import math
from collections.abc import Callable
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

_VECTOR = 16
"""float32 values of the widest vector."""

_MOST_JOINED = 256
"""Columns of scratch beyond which the frames of each channel are a block of their own."""


@dataclass(frozen=True, eq=False)
class SpectrogramScratch:
    """Memory for `spectrogram_windows_into`, of one caller at a time, and its numbers; made by `spectrogram_scratch`.

    Attributes
    ----------
    channels, width, stride, hop : int
        Of a window; samples from a window to the next and from a frame to the next.
    shape : (int, int, int)
        Frames, frequencies and channels of a window's result; `values` in all.
    shared, single : function of x, first and out
        What does windows whose frames are computed once, and one window alone, after the checks.
    """

    channels: int
    width: int
    stride: int
    hop: int
    shape: tuple[int, int, int]
    values: int
    shared: Callable[[Float32, int, Float32], None]
    single: Callable[[Float32, int, Float32], None]


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
    if not out.size:
        return
    peak_levels = peaks.copy()
    levels_in_place(peak_levels, np.float32(DECIBELS_PER_OCTAVE))
    assemble_into(
        levels.reshape(-1),
        peak_levels,
        rows,
        np.float32(floor_db),
        np.float32(divisor),
        out.reshape(len(out), math.prod(out.shape[1:])),
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
    return np.array([stride // step, hop // step, frames], dtype=np.int64)


def _frames_of(width: int, hop: int, transform: FrameTransform) -> int:
    require_at_least(hop, "hop", least=1)
    require_at_least(width, "width", least=transform.frame_samples)
    return (width - transform.frame_samples) // hop + 1


def _shared_positions(count: int, frames: int, stride: int, hop: int) -> int:
    """Frames to compute for `count` windows when each frame is computed once."""
    return ((count - 1) * stride + (frames - 1) * hop) // math.gcd(stride, hop) + 1


def spectrogram_scratch(  # noqa: PLR0913 - the numbers that define the result, by keyword
    channels: int, *, stride: int, width: int, hop: int, transform: FrameTransform, floor_db: float, divisor: float
) -> SpectrogramScratch:
    """Make the memory of `spectrogram_windows_into`, once: a call then allocates next to nothing.

    Parameters
    ----------
    channels : int
        Of the waveform.
    stride, width, hop : int
        Samples from a window to the next; of a window; from a frame to the next.
    transform : FrameTransform
        From `frame_transform`.
    floor_db, divisor : float
        Lowest level and divisor, dB.

    Raises
    ------
    ArrayError
        A window is shorter than a frame, `channels`, `stride` or `hop` below 1, the divisor not above 0, or the floor
        not finite.
    """
    frames = _frames_of(width, hop, transform)
    require_at_least(channels, "channels", least=1)
    require_at_least(stride, "stride", least=1)
    require_positive(divisor, "divisor")
    if not math.isfinite(floor_db):
        raise ArrayError(f"floor_db: found {floor_db}, wanted a finite number")
    # Frames are shared only where that makes at most twice as many, so this many rows are always enough.
    positions = max(min(_shared_positions(_BATCH, frames, stride, hop), 2 * _BATCH * frames), frames)
    levels = np.zeros(positions * transform.frequencies * channels, np.float32)
    peaks = np.zeros(_BATCH, np.float32)
    scales = np.array([0.5 * DECIBELS_PER_OCTAVE, DECIBELS_PER_OCTAVE, floor_db, divisor], np.float32)

    def held(step: int, memory: Float32) -> Callable[[Float32, int, Float32], None]:
        place = np.array([stride, width, step, _fourier.LANES, stride // step, hop // step, frames], np.int64)
        tables, order = transform.tables, transform.order
        return window_levels_into.hold(..., ..., place, tables, order, scales, memory, levels, peaks, ...)

    step, n = math.gcd(stride, hop), transform.frame_samples
    rows, columns = scratch_shape(n, hop)
    alone = np.zeros((rows, max(columns, _joined_columns(channels, frames, n, hop))), np.float32)
    shape = frames, transform.frequencies, channels
    return SpectrogramScratch(
        channels,
        width,
        stride,
        hop,
        shape,
        math.prod(shape),
        shared=held(step, frame_scratch(transform, step)),
        single=held(hop, alone),
    )


def _joined_columns(channels: int, frames: int, n: int, hop: int) -> int:
    """Columns of scratch in which the frames of all channels of one window find room, if they are few."""
    tail = (n - 1) // hop
    columns = -(-channels * (frames + tail) // _VECTOR) * _VECTOR + tail
    return columns if columns <= _MOST_JOINED else 0


def spectrogram_windows_into(x: Float32, scratch: SpectrogramScratch, out: Float32, *, first: int = 0) -> None:
    """Compute the spectrogram of each window, normalised by the window's joint peak.

    The bits of a window do not depend on how many windows are asked for in a call.

    Parameters
    ----------
    x : float32 (channel, sample)
        Waveform, any unit.
    scratch : SpectrogramScratch
        From `spectrogram_scratch`, whose numbers define the result.
    out : float32 (window, frame, frequency, channel)
        ``max(10 log10 |STFT(window / max|window|)|, floor_db) / divisor`` with
        ``(width - frame_samples) // hop + 1`` frames, for as many windows as it has room. Shares no memory with `x`.
    first : int
        Sample where window 0 starts.

    Raises
    ------
    ArrayError
        If an array does not keep the contract or a window reaches beyond the data.

    Notes
    -----
    kapre 0.3.5 ``STFT`` + ``Magnitude`` + ``MagnitudeToDecibel`` as used by Seismo-Performer (frame 64, hop
    16, width 400, floor -50 dB, divisor 50); ten times the logarithm of the magnitude, not twenty. The division is a
    product with the reciprocal, rounded to float32.
    """
    require_array(x, "x", dtypes=(FLOAT32,), ndim=2)
    if x.shape[0] != scratch.channels:
        raise ArrayError(f"x: found {x.shape[0]} channels, wanted {scratch.channels}")
    require_out(out, "out", shape=(None, *scratch.shape))
    require_apart(out, "out", x)
    count, stride, frames = out.shape[0], scratch.stride, scratch.shape[0]
    _require_inside(x, first, (count - 1) * stride + scratch.width, count)
    flat = out.reshape(count, scratch.values)
    done = 0
    while done < count:
        batch = min(_BATCH, count - done)
        cut = scratch.shared
        if batch == 1 or _shared_positions(batch, frames, stride, scratch.hop) > 2 * batch * frames:
            # Too few windows to share: each by itself, with no frame between its own. The 2 is the price of a
            # call for each, measured.
            batch, cut = 1, scratch.single
        cut(x, first + done * stride, flat if batch == count else flat[done : done + batch])
        done += batch
