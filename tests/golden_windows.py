"""The documented event of Seismo-Performer (NYSH, 2021-04-01) as network input, and the answers.

The input is made by SciPy and ObsPy alone. The answers were computed by others from the same facts, with six digits.
Columns P, S, noise; rows the windows that begin at these samples of the cut.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy import signal
from shared_data import SHARED

with warnings.catch_warnings():
    # Importing ObsPy 1.5 asks importlib.metadata in a way that Python 3.10 and 3.11 deprecate.
    warnings.simplefilter("ignore", DeprecationWarning)
    import obspy

F64Array = NDArray[np.float64]
F32Array = NDArray[np.float32]

NYSH = SHARED / "mseed" / "nysh_20210401"
STARTS = (0, 1350, 2230, 3000)

GOLDEN: dict[str, list[list[float]]] = {
    "performer-v1": [
        [0.047724, 0.007946, 0.944330],
        [0.999934, 0.000026, 0.000040],
        [0.000161, 0.999677, 0.000162],
        [0.006590, 0.360560, 0.632850],
    ],
    "performer-v2.1": [
        [0.056827, 0.025666, 0.917507],
        [0.999935, 0.000035, 0.000031],
        [0.000123, 0.999509, 0.000368],
        [0.004658, 0.188325, 0.807017],
    ],
    "spec-cnn-v1": [
        [0.003148, 0.000421, 0.996431],
        [1.0, 0.0, 0.0],
        [0.000001, 0.999995, 0.000004],
        [0.006860, 0.713101, 0.280039],
    ],
    "spec-cnn-v2.1": [
        [0.001101, 0.000187, 0.998712],
        [0.999996, 0.0, 0.000004],
        [0.000001, 0.999972, 0.000027],
        [0.000894, 0.137806, 0.861300],
    ],
    "gpd-original": [
        [0.024742, 0.002902, 0.972356],
        [0.999950, 0.000025, 0.000025],
        [0.000002, 0.999987, 0.000011],
        [0.002115, 0.028627, 0.969257],
    ],
}


def components() -> F64Array:
    """N, E, Z by their headers (two file names are exchanged) behind a 2 Hz high-pass, (3, sample)."""
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


def spectrograms() -> F32Array:
    """What Performer and Spec-CNN see."""
    return np.stack([decibels(start) / 50.0 for start in STARTS]).astype(np.float32)


def waveforms() -> F32Array:
    """What GPD sees."""
    record = components()
    windows = [record[:, start : start + 400].T for start in STARTS]
    return np.array([window / np.abs(window).max() for window in windows], np.float32)


def example_record() -> obspy.Stream:
    """The record that comes with ObsPy: a local event at BW.RJOB, three components, 30 s at 100 Hz."""
    return obspy.read()
