"""A daemon in this process on a source that a benchmark makes up: one configuration for all of them."""

from __future__ import annotations

import platform
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import numpy.typing as npt

from seisedge import kernels
from seisedge.edge.daemon import intake
from seisedge.edge.daemon.config import parse_config
from seisedge.edge.daemon.service import Service
from seisedge.edge.sources import Source

LETTERS = "NEZ"
NANOSECONDS = 1_000_000_000


def shaken(seconds: int, every_s: float, seed: int = 0) -> npt.NDArray[np.int32]:
    """Counts of noise at 100 Hz with a small earthquake now and then: a P of 2 to 12 Hz, 2.5 s later an S of 1 to 6 Hz.

    Bursts of white noise would not do: the default model does not take them for earthquakes.
    """
    rng = np.random.default_rng(seed)
    times = np.arange(seconds * 100) / 100.0
    wave = 20 * rng.standard_normal(times.size)
    for start_s, band, strength, fall_s in ((2.0, (2.0, 12.0), 2000, 1.0), (4.5, (1.0, 6.0), 6000, 2.0)):
        since = (times - start_s) % every_s
        wave += strength * np.exp(-since / fall_s) * _filtered(rng.standard_normal(times.size), band)
    return np.asarray(wave.round(), np.int32)


def _filtered(noise: npt.NDArray[np.float64], band: tuple[float, float]) -> npt.NDArray[np.float32]:
    """By our own kernels: SciPy would be sixty megabytes of a process whose memory is measured."""
    sections = kernels.butterworth_sos(2, "bandpass", band, 100.0)
    out = np.empty(noise.size, np.float32)
    kernels.sos_step_into(noise.astype(np.float32), kernels.SosState(sections, np.zeros((len(sections), 2))), out)
    return out


@contextmanager
def daemon_on(
    source: Source, folder: Path, *, model: str, stride: int, when_full: str
) -> Generator[Service, None, None]:
    """Make a daemon that reads `source`, to be run until its end.

    `stride` is in samples; 0: the model's own. Statements go to `folder/picks.jsonl`, which is kept small.
    """

    def open_it(text: str, *, resume: str | None = None) -> Source:
        del text, resume
        return source

    config = parse_config(
        f"""
[daemon]
state = "{folder}"
max_stations = 10000
[http]
listen = "127.0.0.1:0"
[[source]]
url = "made-up.mseed"
when_full = "{when_full}"
queue_packets = 16384
[[model]]
name = "default"
artefact = "{model}"
stride = {stride}
[[sink]]
type = "jsonl"
path = "{folder}/picks.jsonl"
rotate_megabytes = 64
keep = 1
fsync = false
""",
        "benchmark",
    )
    with mock.patch.object(intake, "open_source", open_it):
        yield Service(config, until_end=True)


def processor() -> str:
    """Name of this machine's processor."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor()
