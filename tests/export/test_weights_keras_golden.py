"""The published Keras weights must give the documented probabilities, from the record to the softmax."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import signal
from shared_data import SHARED, needs_shared
from torch import nn

from seisedge.export.errors import WeightError
from seisedge.export.networks import parameter_count
from seisedge.export.networks.seismo_performer import SeismoPerformer, SpecCnn
from seisedge.export.weights_keras import load_keras_weights

with warnings.catch_warnings():
    # Importing ObsPy 1.5 asks importlib.metadata in a way that Python 3.10 and 3.11 deprecate.
    warnings.simplefilter("ignore", DeprecationWarning)
    import obspy

F64Array = NDArray[np.float64]

WEIGHTS = SHARED / "weights" / "seismo-performer"
NYSH = SHARED / "mseed" / "nysh_20210401"

PERFORMER_V1, PERFORMER_V2 = "w_model_performer_with_spec.hd5", "w_model_performer_v2.0.h5"
CNN_V1, CNN_V2 = "weights_model_cnn_spec.hd5", "w_model_cnn_v2.0.h5"


# The front end, on its own: SciPy and ObsPy only, float64.


def components() -> F64Array:
    """N, E, Z of the documented event by their headers (two file names are exchanged), (3, sample)."""
    traces = {trace.stats.channel[-1]: trace.data for path in NYSH.iterdir() for trace in obspy.read(str(path))}
    sections = signal.butter(4, 2.0, "highpass", fs=100.0, output="sos")
    rows = [signal.sosfilt(sections, signal.detrend(traces[name].astype(np.float64))) for name in "NEZ"]
    return np.array(rows)


def decibels(start: int) -> F64Array:
    """Spectrogram of 400 samples over their own largest value: (frame, frequency, channel), at least -50."""
    window = components()[:, start : start + 400]
    window = window / np.abs(window).max()
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(64) / 64)
    frames = [window[:, 16 * i : 16 * i + 64] * hann for i in range(22)]
    magnitudes = np.abs(np.fft.rfft(np.array(frames), axis=-1))
    levels: F64Array = 10.0 * np.log10(np.maximum(magnitudes, 1e-5)).transpose(0, 2, 1)
    return levels


@needs_shared
def test_front_end_of_these_tests_gives_the_documented_levels() -> None:
    np.testing.assert_allclose(np.abs(components()).max(axis=1), [25154.329, 21595.770, 5939.742], rtol=1e-7)
    levels = {start: decibels(start) for start in (0, 1350, 2230, 3000)}
    highest = {start: float(level.max()) for start, level in levels.items()}
    assert highest == pytest.approx({0: 7.713, 1350: 10.877, 2230: 11.570, 3000: 11.140}, abs=6e-4)
    lowest = [float(level.min()) for level in levels.values()]
    assert lowest == pytest.approx([-27.791, -50.0, -50.0, -50.0], abs=6e-4)


GOLDEN: dict[str, list[list[float]]] = {
    PERFORMER_V1: [
        [0.047724, 0.007946, 0.944330],
        [0.999934, 0.000026, 0.000040],
        [0.000161, 0.999677, 0.000162],
        [0.006590, 0.360560, 0.632850],
    ],
    PERFORMER_V2: [
        [0.056827, 0.025666, 0.917507],
        [0.999935, 0.000035, 0.000031],
        [0.000123, 0.999509, 0.000368],
        [0.004658, 0.188325, 0.807017],
    ],
    CNN_V1: [
        [0.003148, 0.000421, 0.996431],
        [1.0, 0.0, 0.0],
        [0.000001, 0.999995, 0.000004],
        [0.006860, 0.713101, 0.280039],
    ],
    CNN_V2: [
        [0.001101, 0.000187, 0.998712],
        [0.999996, 0.0, 0.000004],
        [0.000001, 0.999972, 0.000027],
        [0.000894, 0.137806, 0.861300],
    ],
}
"""P, S, noise at samples 0, 1350, 2230 and 3000, computed by others from the same facts; six digits."""


@needs_shared
@pytest.mark.parametrize("name", GOLDEN)
def test_published_weights_give_the_documented_probabilities(name: str) -> None:
    module = SpecCnn() if "cnn" in name else SeismoPerformer()
    report = load_keras_weights(WEIGHTS / name, module.eval())
    assert report.is_complete
    assert sum(int(np.prod(match.shape)) for match in report.matched) == parameter_count(module)
    images = np.stack([decibels(start) for start in (0, 1350, 2230, 3000)]) / 50.0
    with torch.no_grad():
        probabilities = module(torch.from_numpy(images.astype(np.float32))).numpy()
    # Six digits in the table; seen: 5e-7. In the last window bins lie beside the floor of -50 dB, so that the
    # rounding of a float32 front end alone moves the answer by 6e-5; seen: 3e-5.
    differences = np.abs(probabilities - np.array(GOLDEN[name])).max(axis=1)
    assert (differences < [5e-6, 5e-6, 5e-6, 2e-4]).all(), differences


@needs_shared
def test_blocks_of_the_published_file_keep_their_order() -> None:
    report = load_keras_weights(WEIGHTS / PERFORMER_V1, SeismoPerformer())
    places = {match.module_path: match.file_path for match in report.matched}
    assert places["blocks.0.expand.weight"] == "/performer_block_8/performer_block_8/dense_33/kernel:0"
    assert places["blocks.1.expand.weight"] == "/performer_block_9/performer_block_9/dense_35/kernel:0"
    assert places["expand.weight"] == "/dense_37/dense_37/kernel:0"


@needs_shared
@pytest.mark.parametrize(
    ("name", "build", "found"),
    [
        (CNN_V1, SeismoPerformer, r"found kernel \(3, 3, 3, 32\)"),
        (CNN_V2, SeismoPerformer, r"found kernel \(3, 3, 3, 32\)"),
        (PERFORMER_V1, SpecCnn, r"found kernel \(198, 48\)"),
        (PERFORMER_V2, SpecCnn, r"found kernel \(198, 48\)"),
    ],
)
def test_weights_of_the_other_network_are_refused(name: str, build: Callable[[], nn.Module], found: str) -> None:
    with pytest.raises(WeightError, match=f"{name}: not the weights of") as caught:
        load_keras_weights(WEIGHTS / name, build())
    assert caught.match(found)
    assert "\n" not in str(caught.value)
