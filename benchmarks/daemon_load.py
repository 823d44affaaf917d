"""A daemon in this process on a source that a benchmark makes up: one configuration for all of them."""

from __future__ import annotations

import platform
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import numpy.typing as npt

from seisedge.edge.daemon import intake
from seisedge.edge.daemon.config import parse_config
from seisedge.edge.daemon.service import Service
from seisedge.edge.sources import Source

LETTERS = "NEZ"
NANOSECONDS = 1_000_000_000


def bursts(seconds: int, every_s: float, length_s: float, seed: int = 0) -> npt.NDArray[np.int32]:
    """Counts of noise at 100 Hz with a burst now and then, which any picker picks."""
    rng = np.random.default_rng(seed)
    times = np.arange(seconds * 100) / 100.0
    loud = 1 + 60 * ((times % every_s) < length_s)
    return np.asarray((20 * loud * rng.standard_normal(times.size)).round(), np.int32)


@contextmanager
def daemon_on(
    source: Source, folder: Path, *, model: str, stride: int, when_full: str
) -> Generator[Service, None, None]:
    """Make a daemon that reads `source`, to be run until its end; low thresholds make statements.

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
threshold = {{ P = 0.05, S = 0.05 }}
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
