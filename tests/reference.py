"""Slow, obvious twins of the kernels: float64, SciPy where it has them; each cites its formula."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
from hypothesis import settings
from numpy.typing import NDArray
from scipy import signal

Real = NDArray[np.float64]
Numbers = NDArray[Any]

COMPILED = os.environ.get("SEISEDGE_KERNELS") != "plain"
"""Whether the kernels under test are compiled; plain Python is some hundred times slower."""


def examples(count: int) -> settings:
    """Hypothesis settings: this many examples compiled, a few in plain Python."""
    return settings(max_examples=count if COMPILED else max(4, count // 12), deadline=None)


def untyped(value: object) -> Any:
    """Hide a type from the checkers: for the tests that a wrong one is refused."""
    return value


def demean(x: Numbers) -> Real:
    """Subtract the mean: x - mean(x), each channel."""
    wide = x.astype(np.float64)
    return np.asarray(wide - wide.mean(axis=1, keepdims=True))


def detrend(x: Numbers) -> Real:
    """Subtract the least-squares line: scipy.signal.detrend."""
    return np.asarray(signal.detrend(x.astype(np.float64), axis=1, type="linear"))


def cosine_taper(npts: int, fraction: float) -> Real:
    """Whole window of ObsPy's "cosine" taper, sample by sample (obspy.signal.invsim.cosine_taper, p=1)."""
    count = min(int(fraction * npts), npts // 2)
    taper = np.ones(npts)
    for i in range(count):
        value = 0.0 if count == 1 else 0.5 * (1.0 - math.cos(math.pi * i / (count - 1)))
        taper[i] = value
        taper[npts - 1 - i] = value
    return taper


def sosfilt(x: Numbers, sos: Real, state: Real) -> tuple[Real, Real]:
    """Filter one channel: scipy.signal.sosfilt."""
    filtered, final = signal.sosfilt(sos, x.astype(np.float64), zi=state)
    return np.asarray(filtered), np.asarray(final)


def resampler_taps(up: int, down: int, half: int, attenuation_db: float) -> Real:
    """Table (up, 2 half + 1) from one long low-pass of SciPy, cut into phases; each phase sums to 1."""
    nyquist = 0.5 * min(1.0, up / down)
    prototype = signal.firwin(
        2 * half * up + 1,
        0.9 * nyquist,
        window=("kaiser", 0.1102 * (attenuation_db - 8.7)),
        fs=float(up),
    )
    taps = np.zeros((up, 2 * half + 1))
    for phase in range(up):
        column = prototype[phase::up]
        taps[phase, : column.size] = column / column.sum()
    return taps[:, ::-1]


def resample(x: Numbers, taps: Real, down: int) -> Real:
    """y_k = sum over inputs of the filter centred at k down / up, the past equal to x[0]."""
    up, count = taps.shape
    half = count // 2
    padded = np.concatenate((np.full(count, float(x[0])), x.astype(np.float64)))
    outputs = []
    k = 0
    while (place := k * down // up) + half < x.size:
        window = padded[count + place - half : count + place + half + 1]
        outputs.append(float(taps[k * down % up] @ window))
        k += 1
    return np.array(outputs)


def normalise(x: Numbers, *, joint: bool, ddof: int | None, eps: float) -> Real:
    """Divide: x / (std + eps), or x / (max|x| + eps) where `ddof` is None; a std or a maximum of 0 gives zeros."""
    wide = x.astype(np.float64)
    axis = None if joint else 1
    if ddof is None:
        spread = np.abs(wide).max(axis=axis, keepdims=True)
    else:
        spread = wide.std(axis=axis, ddof=ddof, keepdims=True)
    divisor = np.broadcast_to(np.where(spread == 0.0, 0.0, spread + eps), wide.shape)
    return np.asarray(np.divide(wide, divisor, out=np.zeros_like(wide), where=divisor != 0.0))


def quantise(x: Numbers, scale: float, offset: float, bits: int = 16) -> tuple[Numbers, int]:
    """clip(rint((x - offset) / scale)) to that many bits, and how many were clipped or NaN."""
    lowest, highest = -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1.0
    nearest = np.rint((x.astype(np.float64) - offset) / scale)
    outside = ~((nearest >= lowest) & (nearest <= highest))
    clipped = np.nan_to_num(np.clip(nearest, lowest, highest), nan=0.0)
    return clipped.astype(np.int16 if bits == 16 else np.int32), int(outside.sum())


def truncate(x: Numbers) -> Real:
    """trunc(32767 x / max|x|), zeros for a window of zeros."""
    wide = x.astype(np.float64)
    largest = np.abs(wide).max()
    return np.asarray(np.trunc(wide * 32767.0 / largest) if largest > 0 else np.zeros_like(wide))


def signed_normalise(x: Numbers) -> Real:
    """Divide: x / max(x), the divisor 1 where that is 0."""
    wide = x.astype(np.float64)
    return np.asarray(wide / (wide.max() or 1.0))


def amplitudes(x: Numbers, first: int, step: int, n: int, count: int) -> Real:
    """|DFT(hann * frame)| (frame, frequency, channel): numpy.fft.rfft with SciPy's periodic Hann window."""
    hann = signal.get_window("hann", n, fftbins=True)
    frames = [x[:, first + m * step : first + m * step + n].astype(np.float64) * hann for m in range(count)]
    return np.stack([np.abs(np.fft.rfft(frame, axis=1)).T for frame in frames])


def spectrogram_window(window: Numbers, n: int, hop: int, floor_db: float) -> Real:
    """max(10 log10 |STFT(window / max|window|)|, floor_db) (frame, frequency, channel), dB."""
    peak = np.abs(window.astype(np.float64)).max()
    scaled = window / peak if peak > 0 else np.zeros(window.shape)
    count = (window.shape[1] - n) // hop + 1
    linear = amplitudes(scaled, 0, hop, n, count)
    return np.asarray(10.0 * np.log10(np.maximum(linear, 10.0 ** (floor_db / 10.0))))


def spectrogram_image(x: Numbers, size: tuple[int, int], range_db: float) -> Real:
    """10 log10 of scipy.signal.spectrogram (its defaults, 256 / 128), scaled, turned, resized; pixel by pixel."""
    panels = []
    for channel in x.astype(np.float64):
        _, _, density = signal.spectrogram(channel, 100.0, nperseg=256, noverlap=128)
        levels = 10.0 * np.log10(np.maximum(density, 1e-300))
        levels = np.maximum(levels, levels.max() - range_db)
        grey = ((levels - levels.min()) / np.ptp(levels) * 255.0)[::-1]
        panel = np.zeros(size)
        for r in range(size[0]):
            for t in range(size[1]):
                y = min(max((r + 0.5) * grey.shape[0] / size[0] - 0.5, 0.0), grey.shape[0] - 1.0)
                z = min(max((t + 0.5) * grey.shape[1] / size[1] - 0.5, 0.0), grey.shape[1] - 1.0)
                a, b = int(y), int(z)
                c, d = min(a + 1, grey.shape[0] - 1), min(b + 1, grey.shape[1] - 1)
                upper = grey[a, b] * (1 - (z - b)) + grey[a, d] * (z - b)
                lower = grey[c, b] * (1 - (z - b)) + grey[c, d] * (z - b)
                panel[r, t] = upper * (1 - (y - a)) + lower * (y - a)
        panels.append(panel)
    return np.stack(panels)
