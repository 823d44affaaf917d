"""Paced real time: from a packet's arrival to its picks being stored, and how many stations one core holds.

The daemon runs in this process on one core, with an in-process source that gives packets of 25 samples of three
components at their own time. Low thresholds make statements. Load of the core: CPU time of all
threads over wall time, the source's own work among it. The stages are p50/p99 of the statements' own time stamps:
the packet waits in the inbox and is aligned; the network; the statement is stored and read by the sink's thread.
`--search` halves the interval of the numbers of stations until the largest is known for which p99 stays in the limit.

    python benchmarks/daemon_latency.py [--stations 1,50,100,200,300] [--seconds 30] [--stride 50]
    python benchmarks/daemon_latency.py --search --limit-ms 100 --stations 25,600
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from unittest import mock

import click
import numpy as np

from seisedge.edge.daemon import intake
from seisedge.edge.daemon.config import parse_config
from seisedge.edge.daemon.service import Service
from seisedge.edge.daemon_cli import SWITCH_S
from seisedge.edge.sources import Source, SourceCounts
from seisedge.firmware_bridge import Packet

RATE, SAMPLES = 100.0, 25
PERIOD_S = SAMPLES / RATE
LETTERS = "NEZ"
CHAIN = ("packet_arrival", "window_ready", "inference_done", "published")
RESOLUTION = 25  # stations


@dataclass(frozen=True)
class Load:
    """What one load gave."""

    line: str
    p99_ms: float
    dropped: int


class PacedSource:
    """Stations whose packets fall due one after the other, spread evenly over the packets' length."""

    def __init__(self, stations: int, seconds: float) -> None:
        self.url, self.counts, self.position = "paced", SourceCounts(), None
        self.seconds, self.stations = seconds, stations
        rng = np.random.default_rng(0)
        times = np.arange(60 * 100) / RATE
        loud = 1 + 60 * ((times % 9.0) < 1.5)
        self._waves = [(20 * loud * rng.standard_normal(times.size)).round().astype(np.int32) for _ in range(8)]
        self.late_s: list[float] = []

    async def packets(self) -> AsyncGenerator[Packet, None]:
        """Give each packet when it is due."""
        begin, start_ns = time.monotonic(), time.time_ns()
        for step in range(round(self.seconds / PERIOD_S)):
            first = step * SAMPLES % 5950
            for station in range(self.stations):
                due = begin + (step + 1 + station / self.stations) * PERIOD_S
                wait = due - time.monotonic()
                await asyncio.sleep(max(0.0, wait))
                self.late_s.append(max(0.0, time.monotonic() - due))
                offset_ns = round((step + station / self.stations) * PERIOD_S * 1e9)
                for number, letter in enumerate(LETTERS):
                    wave = self._waves[(station + number) % 8]
                    samples = wave[first : first + SAMPLES].copy()
                    yield Packet(f"FDSN:XX_S{station:04d}__H_H_{letter}", start_ns + offset_ns, RATE, samples)


def cpu_s() -> float:
    """CPU time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def measure(stations: int, seconds: float, stride: int, folder: str) -> Load:
    """Run one load."""
    rows = Path(folder) / f"picks-{stations}-{stride}.jsonl"
    source = PacedSource(stations, seconds)

    def open_paced(text: str, *, resume: str | None = None) -> Source:
        del text, resume
        return source

    config = parse_config(
        f"""
[daemon]
state = "{folder}/{stations}-{stride}"
max_stations = 10000
history_s = 30.0
[http]
listen = ""
[[source]]
url = "paced.mseed"
when_full = "drop-oldest"
[[model]]
name = "default"
artefact = "seismo-performer"
threshold = {{ P = 0.05, S = 0.05 }}
stride = {stride}
[[sink]]
type = "jsonl"
path = "{rows}"
fsync = false
""",
        "benchmark",
    )
    with mock.patch.object(intake, "open_source", open_paced):
        return await load_of(Service(config, until_end=True), source, stride, rows)


def stages_of(rows: Path) -> str:
    """Give p50/p99 in ms of each step of the chain, from the statements that the sink was given."""
    steps: list[list[float]] = []
    with rows.open(encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            if row["status"] != "retracted":
                times = [datetime.fromisoformat(row[key]).timestamp() for key in CHAIN]
                steps.append([1000 * (after - before) for before, after in itertools.pairwise(times)])
    if not steps:
        return "none"
    quantiles = np.percentile(np.array(steps), (50, 99), axis=0).T
    return ", ".join(f"{p50:.1f}/{p99:.1f}" for p50, p99 in quantiles)


async def load_of(service: Service, source: PacedSource, stride: int, rows: Path) -> Load:
    """Run a service over its source."""
    seconds = source.seconds
    task = asyncio.ensure_future(service.run())
    await asyncio.sleep(10.0)  # the first windows are long behind then
    cpu, wall = cpu_s(), time.monotonic()
    await asyncio.sleep(max(1.0, seconds - 12.0))
    load = (cpu_s() - cpu) / (time.monotonic() - wall)
    figures = service.publisher.published_s
    p50, p99 = figures.at(0.5, 0.99)
    windows, dropped = service.workers[0].windows, sum(service.workers[0].inbox.dropped.values())
    inference = service.workers[0].inference_s.at(0.5)[0]
    late = sorted(source.late_s)[int(0.99 * len(source.late_s))]
    with contextlib.suppress(asyncio.CancelledError):
        await task
    figures_of_stations = (
        f"| {source.stations} | {stride / 100:g} | {1000 * (p50 or 0):.2f} | {1000 * (p99 or 0):.2f} |"
    )
    line = (
        f"{figures_of_stations} {figures.count} | {100 * load:.1f} % | {windows / seconds:.0f} | "
        f"{1000 * (inference or 0):.2f} | {dropped} | {1000 * late:.1f} | {stages_of(rows)} |"
    )
    return Load(line, 1000 * (p99 or 0), dropped)


def measured(stations: int, seconds: float, stride: int) -> Load:
    """Measure one number of stations, and print its line."""
    with tempfile.TemporaryDirectory() as folder:
        load = asyncio.run(measure(stations, seconds, stride or (10 if stations == 1 else 50), folder))
    sys.stdout.write(load.line + "\n")
    sys.stdout.flush()
    return load


def largest(low: int, high: int, seconds: float, stride: int, limit_ms: float) -> int:
    """Give the largest number of stations, to within 25, that is held with p99 in the limit; 0 where `low` is not."""
    held, refused = 0, high + RESOLUTION
    tried = low
    while tried > held:
        load = measured(tried, seconds, stride)
        if load.p99_ms <= limit_ms and not load.dropped:
            held = tried
        else:
            refused = tried
        tried = (held + refused) // 2 // RESOLUTION * RESOLUTION if held else 0
    return held


@click.command()
@click.option("--stations", default="1,50,100,200,300")
@click.option("--seconds", default=30.0)
@click.option("--stride", default=0, help="0: 10 samples for one station, 50 for several.")
@click.option("--search", is_flag=True, help="Search between the first and the last of the numbers.")
@click.option("--limit-ms", default=100.0, help="Of p99, for the search.")
def main(stations: str, seconds: float, stride: int, *, search: bool, limit_ms: float) -> None:
    """Measure each number of stations in turn, and print a table."""
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    sys.setswitchinterval(SWITCH_S)  # as `edge-daemon run` does
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    sys.stdout.write(
        f"{names[0] if names else platform.processor()}, one core; load average {os.getloadavg()[0]:.1f}\n\n"
    )
    sys.stdout.write(
        "| stations | stride (s) | p50 (ms) | p99 (ms) | statements | CPU of one core | windows/s | "
        "inference call (ms) | packets dropped | source late p99 (ms) | wait, network, store: p50/p99 (ms) |\n"
        f"{'|---' * 11}|\n"
    )
    numbers = [int(each) for each in stations.split(",")]
    if search:
        found = largest(numbers[0], numbers[-1], seconds, stride, limit_ms)
        sys.stdout.write(f"\nheld with p99 <= {limit_ms:g} ms: {found} stations\n")
        return
    for number in numbers:
        measured(number, seconds, stride)


if __name__ == "__main__":
    main()
