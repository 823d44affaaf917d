"""A spectrogram as a picture: the input of networks that were trained on plots."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ._arrays import (
    FLOAT32,
    ArrayError,
    Float32,
    Float64,
    Int64,
    require_apart,
    require_array,
    require_out,
    require_positive,
)
from ._fourier import FrameTransform, frame_transform
from ._kernel import kernel
from ._levels import SILENCE_DB
from .spectrogram import frame_levels_into

_INNER_DB = 10.0 * math.log10(2.0)
"""A one-sided density counts the inner frequencies twice, the lowest and the highest once."""


_SILENCE = SILENCE_DB


@dataclass(frozen=True, eq=False)
class SpectrogramImage:
    """Tables of `spectrogram_image_into`; made by `spectrogram_image`.

    Attributes
    ----------
    transform : FrameTransform
        With the Tukey window.
    hop, frames : int
        Samples from frame to frame, frames of a record.
    range_db : float
        Levels more than this below the highest of a panel count as so much below it.
    places : int64 (2, rows + columns)
        For each row, and behind them each column, of the picture: the two rows, or frames, that it lies between.
    shares : float64 (rows + columns,)
        How much of the second of the two.
    """

    transform: FrameTransform
    hop: int
    frames: int
    range_db: float
    places: Int64
    shares: Float64


def spectrogram_image(
    npts: int, *, frame_samples: int, hop: int, taper_fraction: float, range_db: float, size: tuple[int, int]
) -> SpectrogramImage:
    """Make the tables for records of `npts` samples and pictures of `size` (rows, columns).

    Raises
    ------
    ArrayError
        If the record is shorter than a frame, or a number is not one that the names allow.
    """
    base = frame_transform(frame_samples)
    if npts < frame_samples or hop < 1 or min(size) < 1:
        raise ArrayError(f"npts: found {npts}, hop {hop}, size {size}, wanted at least {frame_samples}, 1 and (1, 1)")
    if not 0.0 < taper_fraction <= 1.0:
        raise ArrayError(f"taper_fraction: found {taper_fraction}, wanted more than 0, at most 1")
    require_positive(range_db, "range_db")
    tables = base.tables.copy()
    tables[0] = _tukey(frame_samples, taper_fraction)
    frames = (npts - frame_samples) // hop + 1
    rows, row_shares = _between(base.frequencies, size[0])
    columns, column_shares = _between(frames, size[1])
    rows = base.frequencies - 1 - rows  # the highest frequency in row 0
    return SpectrogramImage(
        FrameTransform(frame_samples, tables, base.order),
        hop,
        frames,
        range_db,
        np.concatenate((rows, columns), axis=1),
        np.concatenate((row_shares, column_shares)),
    )


def _tukey(n: int, fraction: float) -> Float64:
    """Periodic Tukey window: ``scipy.signal.get_window(("tukey", fraction), n)``."""
    place = np.arange(n) / n  # of n + 1 points, the last left out
    edge = np.minimum(place, 1.0 - place) / (0.5 * fraction)
    return np.where(edge < 1.0, 0.5 * (1.0 - np.cos(np.pi * np.minimum(edge, 1.0))), 1.0)


def _between(have: int, want: int) -> tuple[Int64, Float64]:
    """Places of `want` pixels among `have`, centre to centre, as OpenCV's INTER_LINEAR; ends are repeated."""
    centre = np.clip((np.arange(want) + 0.5) * have / want - 0.5, 0.0, have - 1.0)
    low = np.floor(centre).astype(np.int64)
    return np.stack((low, np.minimum(low + 1, have - 1))), centre - low


@kernel("void(const f4[:,::1], i8, i8, f4[:,::1])")
def _segments_into(x: Float32, n: int, hop: int, out: Float32) -> None:
    """Copy the frames of each channel one behind the other, each without its mean."""
    for c in range(x.shape[0]):
        for m in range(out.shape[1] // n):
            total = 0.0
            for i in range(n):
                total += float(x[c, m * hop + i])
            mean = total / n
            for i in range(n):
                out[c, m * n + i] = float(x[c, m * hop + i]) - mean


@kernel("void(f4[:,:,::1], f8, f8)")
def _grey_in_place(levels: Float32, inner: float, span: float) -> None:
    """Turn 10 log10 |X| (frame, frequency, channel) into grey values, each channel on its own."""
    frames, frequencies, channels = levels.shape
    for c in range(channels):
        highest = -1e30
        for m in range(frames):
            for f in range(frequencies):
                value = 2.0 * float(levels[m, f, c]) + (
                    inner if 0 < f < frequencies - 1 and levels[m, f, c] > _SILENCE else 0.0
                )
                levels[m, f, c] = value
                if value > highest or value != value:  # noqa: PLR0124  (true of NaN only, which stays)
                    highest = value
        lowest = highest
        for m in range(frames):
            for f in range(frequencies):
                lowest = min(lowest, max(float(levels[m, f, c]), highest - span))
        for m in range(frames):
            for f in range(frequencies):
                above = max(float(levels[m, f, c]) - lowest, 0.0)
                # A panel without any difference is black; with a NaN, all of it is NaN.
                levels[m, f, c] = above / max(highest - lowest, 1e-6) * 255.0 + (highest - highest)


@kernel("void(const f4[:,:,::1], const i8[:,::1], const f8[::1], f4[:,:,::1])")
def _resize_into(grey: Float32, places: Int64, shares: Float64, out: Float32) -> None:
    channels, rows, columns = out.shape
    for c in range(channels):
        for r in range(rows):
            upper, lower, down = places[0, r], places[1, r], shares[r]
            for t in range(columns):
                left, right, across = places[0, rows + t], places[1, rows + t], shares[rows + t]
                first = (1.0 - across) * grey[left, upper, c] + across * grey[right, upper, c]
                second = (1.0 - across) * grey[left, lower, c] + across * grey[right, lower, c]
                out[c, r, t] = (1.0 - down) * first + down * second


def spectrogram_image_into(x: Float32, image: SpectrogramImage, out: Float32) -> None:
    """Draw the spectrogram of each channel.

    Parameters
    ----------
    x : float32 (channel, sample)
        A record, any unit.
    image : SpectrogramImage
        From `spectrogram_image`, for this length.
    out : float32 (channel, row, column)
        Grey values: each panel's levels in dB, lowest to highest on 0 to 255, the highest frequency in row 0, time to
        the right; zeros for a record that is constant, NaN for one with a NaN. Shares no memory with `x`.

    Raises
    ------
    ArrayError
        If an array does not keep the contract or does not fit the tables.

    Notes
    -----
    ``10 log10 scipy.signal.spectrogram(x, nperseg=n, noverlap=n - hop)`` (Tukey window, constant detrend, density),
    scaled, turned upside down and resized. A constant factor of the density has no effect on the scaled picture.
    """
    n = image.transform.frame_samples
    require_array(x, "x", dtypes=(FLOAT32,), ndim=2)
    frames = (x.shape[1] - n) // image.hop + 1 if x.shape[1] >= n else 0
    if frames != image.frames:
        raise ArrayError(f"x: found {x.shape[1]} samples, wanted as many as the tables are for: {image.frames} frames")
    require_out(out, "out", shape=(x.shape[0], None, None))
    if out.shape[1] + out.shape[2] != image.shares.size:
        raise ArrayError(f"out: found shape {out.shape}, wanted the size that the tables are for")
    require_apart(out, "out", x)
    segments = np.empty((x.shape[0], frames * n), np.float32)
    _segments_into(x, n, image.hop, segments)
    levels = np.empty((frames, image.transform.frequencies, x.shape[0]), np.float32)
    frame_levels_into(segments, 0, n, image.transform, levels)
    _grey_in_place(levels, _INNER_DB, image.range_db)
    _resize_into(levels, image.places, image.shares, out)
