"""Each kernel beside its rival: `make bench`, or `pytest benchmarks/test_kernels.py --benchmark-only`.

Windows are 3 channels of 3000 samples (30 s), packets 100 samples, spectrograms Seismo-Performer's.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import reference
from pytest_benchmark.fixture import BenchmarkFixture
from scipy import signal

from seisedge import kernels

Call = Callable[[], Any]
rng = np.random.default_rng(0)
X = (rng.standard_normal((3, 3000)) * 1e4).astype(np.int32)
F = X.astype(np.float32)
OUT = np.zeros(X.shape, np.float32)
Q = np.zeros(X.shape, np.int16)
PACKET = np.ascontiguousarray(X[0, :100])
PACKET_OUT = np.zeros(400, np.float32)
SOS = kernels.butterworth_sos(4, "bandpass", (1.0, 20.0), 100.0)
REST = kernels.steady_state(SOS)
STATE = kernels.SosState(SOS, REST.copy())
RAMP = kernels.cosine_ramp(3000, 0.05)
WINDOW = reference.cosine_taper(3000, 0.05)
RESAMPLER = kernels.design_resampler(Fraction(250), Fraction(100))
RESAMPLE_STATE = kernels.resample_state(RESAMPLER)
PROTOTYPE = np.ascontiguousarray(RESAMPLER.taps[:, ::-1].T).reshape(-1)
TRANSFORM = kernels.frame_transform(64)
STREAM = rng.standard_normal((3, 1670)).astype(np.float32)
LEVELS = np.zeros((128, 22, 33, 3), np.float32)
SCRATCH = kernels.spectrogram_scratch(
    3, stride=10, width=400, hop=16, transform=TRANSFORM, floor_db=-50.0, divisor=50.0
)
HANN = signal.get_window("hann", 64).astype(np.float32)


def spectrogram_ours(count: int) -> None:
    kernels.spectrogram_windows_into(STREAM, SCRATCH, LEVELS[:count])


def spectrogram_numpy(count: int) -> reference.Numbers:
    """All windows in one stack of frames: how one would write it with NumPy."""
    views = np.lib.stride_tricks.sliding_window_view(STREAM, 400, axis=1)[:, : count * 10 : 10]
    scaled = views / np.abs(views).max(axis=(0, 2), keepdims=True)
    frames = np.lib.stride_tricks.sliding_window_view(scaled, 64, axis=2)[:, :, ::16] * HANN
    magnitude = np.abs(np.fft.rfft(frames, axis=3))
    return np.maximum(10.0 * np.log10(np.maximum(magnitude, 1e-5)), -50.0).transpose(1, 2, 3, 0) / 50.0


def normalise_numpy() -> reference.Numbers:
    return np.asarray(X / (X.std() + 1e-6), dtype=np.float32)


def detrend_scipy() -> reference.Numbers:
    return np.asarray(signal.detrend(X), dtype=np.float32)


def demean_numpy() -> reference.Numbers:
    return np.asarray(X - X.mean(axis=1, keepdims=True), dtype=np.float32)


def upfirdn(x: reference.Numbers) -> reference.Numbers:
    return np.asarray(signal.upfirdn(PROTOTYPE, x, RESAMPLER.up, RESAMPLER.down))


def taper_numpy() -> reference.Numbers:
    return np.asarray(X * WINDOW, dtype=np.float32)


def dequantise_numpy() -> reference.Numbers:
    return np.asarray(Q * 3.0 + 0.0, dtype=np.float32)


def normalise_max_numpy() -> reference.Numbers:
    return np.asarray(X / (np.abs(X).max() + 1e-6), dtype=np.float32)


CALLS: dict[str, Call] = {
    "demean-ours": lambda: kernels.demean_into(X, OUT),
    "demean-numpy": demean_numpy,
    "detrend-ours": lambda: kernels.detrend_into(X, OUT),
    "detrend-scipy": detrend_scipy,
    "taper-ours": lambda: kernels.taper_into(X, RAMP, OUT),
    "taper-numpy": taper_numpy,
    "normalise_std-ours": lambda: kernels.normalise_std_into(X, OUT, joint=True, ddof=0, eps=1e-6),
    "normalise_std-numpy": normalise_numpy,
    "normalise_max-ours": lambda: kernels.normalise_max_abs_into(X, OUT, joint=True, eps=1e-6),
    "normalise_max-numpy": normalise_max_numpy,
    "quantise-ours": lambda: kernels.quantise_into(F, 3.0, 0.0, Q),
    "quantise-numpy": lambda: reference.quantise(F, 3.0, 0.0),
    "dequantise-ours": lambda: kernels.dequantise_into(Q, 3.0, 0.0, OUT),
    "dequantise-numpy": dequantise_numpy,
    "sos_packet-ours": lambda: kernels.sos_step_into(PACKET, STATE, PACKET_OUT[:100]),
    "sos_packet-scipy": lambda: reference.sosfilt(PACKET, SOS, REST),
    "sos_window-ours": lambda: kernels.sos_step_into(X[0], STATE, OUT[0]),
    "sos_window-scipy": lambda: reference.sosfilt(X[0], SOS, REST),
    "resample_packet-ours": lambda: kernels.resample_step_into(PACKET, RESAMPLER, RESAMPLE_STATE, PACKET_OUT),
    "resample_packet-scipy": lambda: upfirdn(PACKET),
    "resample_window-ours": lambda: kernels.resample_step_into(X[0], RESAMPLER, RESAMPLE_STATE, OUT[1]),
    "resample_window-scipy": lambda: upfirdn(X[0]),
    "spectrogram_1-ours": lambda: spectrogram_ours(1),
    "spectrogram_1-numpy": lambda: spectrogram_numpy(1),
    "spectrogram_128-ours": lambda: spectrogram_ours(128),
    "spectrogram_128-numpy": lambda: spectrogram_numpy(128),
}


@pytest.mark.parametrize("name", list(CALLS))
def test_kernel_beside_its_rival(benchmark: BenchmarkFixture, name: str) -> None:
    benchmark.group = name.rpartition("-")[0]
    CALLS[name]()
    benchmark(CALLS[name])
