"""Memory of a daemon with one station: resident size over simulated days, as fast as they go.

    python benchmarks/daemon_memory.py [--days 30] [--model edge-picker]

The daemon runs in this process with an in-process source of noise, 100 samples of three components a packet, and
earthquakes that make picks. The kernels come from the library that was compiled ahead of time.
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

import click
from daemon_load import LETTERS, NANOSECONDS, daemon_on, processor, shaken

from seisedge.edge.sources import SourceCounts
from seisedge.firmware_bridge import Packet

START_NS = 1_700_000_000 * NANOSECONDS
SAMPLES = 100


def rss_mb() -> float:
    """Resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class FastSource:
    """Days of one station; tells the memory now and then."""

    def __init__(self, days: float) -> None:
        self.url, self.counts = "fast", SourceCounts()
        self._seconds = round(days * 86_400)
        self._wave = shaken(600, 300.0)
        self.found: list[float] = []

    @property
    def position(self) -> str | None:
        """None: it cannot resume."""
        return None

    async def packets(self) -> AsyncGenerator[Packet, None]:
        """Give one second after the other, no faster than the daemon takes them."""
        began, report = time.monotonic(), max(1, self._seconds // 60)
        for second in range(self._seconds):
            first = second * SAMPLES % 59_000
            for number, letter in enumerate(LETTERS):
                samples = self._wave[first + 100 * number : first + 100 * number + SAMPLES].copy()
                yield Packet(f"FDSN:XX_ONE__H_H_{letter}", START_NS + second * NANOSECONDS, 100.0, samples)
            if second % 64 == 0:
                await asyncio.sleep(0)
            if second % report == report - 1:
                gc.collect()
                self.found.append(rss_mb())
                sys.stdout.write(
                    f"| {(second + 1) / 86_400:.2f} | {self.found[-1]:.1f} | {time.monotonic() - began:.0f} |\n"
                )
                sys.stdout.flush()


@click.command()
@click.option("--days", default=30.0)
@click.option("--stride", default=0, help="Samples from window to window; 0: the model's own.")
@click.option("--model", default="edge-picker")
def main(days: float, stride: int, model: str) -> None:
    """Print the memory after each sixtieth of the time, and how flat it is behind the first tenth."""
    sys.stdout.write(f"{processor()}, {model}\n\n| days of data | resident MB | seconds |\n|---|---|---|\n")
    source = FastSource(days)
    with (
        tempfile.TemporaryDirectory() as folder,
        daemon_on(source, Path(folder), model=model, stride=stride, when_full="wait") as daemon,
    ):
        asyncio.run(daemon.run())
    settled = source.found[len(source.found) // 10 :]
    sys.stdout.write(f"\nfrom {min(settled):.1f} to {max(settled):.1f} MB: {max(settled) / min(settled) - 1:.1%}\n")


if __name__ == "__main__":
    main()
