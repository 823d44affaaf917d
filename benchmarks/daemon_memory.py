"""Memory of a daemon with one station: resident size over simulated days, as fast as they go.

    python benchmarks/daemon_memory.py [--days 30] [--stride 100]

The daemon runs in this process with an in-process source of noise, 100 samples of three components a packet, and bursts
that make picks. The kernels come from the library that was compiled ahead of time.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from unittest import mock

import click
import numpy as np

from seisedge.edge.daemon import intake
from seisedge.edge.daemon.config import parse_config
from seisedge.edge.daemon.service import Service
from seisedge.edge.sources import Source, SourceCounts
from seisedge.firmware_bridge import Packet

START_NS = 1_700_000_000 * 1_000_000_000
SAMPLES = 100


def rss_mb() -> float:
    """Resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class FastSource:
    """Days of one station; tells the memory now and then."""

    def __init__(self, days: float) -> None:
        self.url, self.counts, self.position = "fast", SourceCounts(), None
        self._seconds = round(days * 86_400)
        rng = np.random.default_rng(0)
        loud = 1 + 60 * ((np.arange(60_000) / 100.0 % 300.0) < 3)
        self._wave = (20 * loud * rng.standard_normal(60_000)).round().astype(np.int32)

    async def packets(self) -> AsyncGenerator[Packet, None]:
        """Give one second after the other."""
        began, report = time.monotonic(), max(1, self._seconds // 20)
        for second in range(self._seconds):
            first = second * SAMPLES % 59_000
            for number, letter in enumerate("NEZ"):
                samples = self._wave[first + 100 * number : first + 100 * number + SAMPLES].copy()
                yield Packet(f"FDSN:XX_ONE__H_H_{letter}", START_NS + second * 1_000_000_000, 100.0, samples)
            if second % 64 == 0:
                await asyncio.sleep(0)
            if second % report == report - 1:
                gc.collect()
                sys.stdout.write(f"| {(second + 1) / 86_400:.2f} | {rss_mb():.1f} | {time.monotonic() - began:.0f} |\n")
                sys.stdout.flush()


@click.command()
@click.option("--days", default=30.0)
@click.option("--stride", default=100, help="Samples from window to window.")
def main(days: float, stride: int) -> None:
    """Print the memory after each twentieth of the time."""

    def open_fast(text: str, *, resume: str | None = None) -> Source:
        del text, resume
        return FastSource(days)

    sys.stdout.write("| days of data | resident MB | seconds |\n|---|---|---|\n")
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(intake, "open_source", open_fast):
        config = parse_config(
            f"""
[daemon]
state = "{folder}"
[[source]]
url = "fast.mseed"
[http]
listen = "127.0.0.1:0"
[[model]]
name = "default"
artefact = "seismo-performer"
threshold = {{ P = 0.05, S = 0.05 }}
stride = {stride}
[[sink]]
type = "jsonl"
path = "{folder}/picks.jsonl"
rotate_megabytes = 1
keep = 1
fsync = false
""",
            "benchmark",
        )
        asyncio.run(Service(config, until_end=True).run())


if __name__ == "__main__":
    main()
