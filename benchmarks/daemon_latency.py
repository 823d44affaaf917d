"""Paced real time: from a packet's arrival to its picks being published, and how many stations one core holds.

The daemon runs in this process on one core, with an in-process source that gives packets of 25 samples of three
components at their own time. All stations are shaken at the same moments, every 18 s, so what
is measured is the worst moment: an earthquake that all of them see. Every station begins with half a minute of the
past, and what is stated in the first seconds is not counted. Load of the core: CPU time of all threads over wall time,
the source's own work among it. The stages are p50/p99 of the statements' own time stamps: the packet waits in the inbox
and is aligned; the network; the statement is stored and read by the sink's thread.
`--search` halves the interval of the numbers of stations until the largest is known for which p99 stays in the limit.

    python benchmarks/daemon_latency.py [--stations 1,50,100,200,300] [--seconds 30] [--stride 50]
    python benchmarks/daemon_latency.py --search --limit-ms 100 --stations 25,600 --model seismo-performer
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import click
import numpy as np
from daemon_load import LETTERS, NANOSECONDS, daemon_on, processor, shaken

from seisedge.edge.daemon.service import Service
from seisedge.edge.daemon_cli import prepare_process
from seisedge.edge.sources import SourceCounts
from seisedge.firmware_bridge import Packet

RATE, SAMPLES = 100.0, 25
PERIOD_S = SAMPLES / RATE
PAST_S = 30
SETTLING_S = 5.0
CHAIN = ("packet_arrival", "window_ready", "inference_done", "published")
RESOLUTION = 10  # stations


@dataclass(frozen=True)
class Load:
    """What one load gave."""

    line: str
    p99_ms: float
    dropped: int


class PacedSource:
    """Stations whose packets fall due one after the other, spread evenly over the packets' length."""

    def __init__(self, stations: int, seconds: float) -> None:
        self.url, self.counts = "paced", SourceCounts()
        self.seconds, self.stations = seconds, stations
        self._waves = [shaken(90, 18.0, seed=number) for number in range(8)]
        self.late_s: list[float] = []
        self.begun = asyncio.Event()

    @property
    def position(self) -> str | None:
        """None: it cannot resume."""
        return None

    async def packets(self) -> AsyncGenerator[Packet, None]:
        """Give each packet when it is due; first, at once, the past."""
        start_ns = time.time_ns()
        for station in range(self.stations):
            for packet in self._cut(station, start_ns, 0, PAST_S * 100):
                yield packet
            await asyncio.sleep(0.02)  # no burst: the past is no part of what is measured
        begin = time.monotonic()
        self.begun.set()
        for step in range(round((self.seconds + SETTLING_S) / PERIOD_S)):
            for station in range(self.stations):
                due = begin + (step + 1 + station / self.stations) * PERIOD_S
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                self.late_s.append(max(0.0, time.monotonic() - due))
                for packet in self._cut(station, start_ns, PAST_S * 100 + step * SAMPLES, SAMPLES):
                    yield packet

    def _cut(self, station: int, start_ns: int, first: int, npts: int) -> list[Packet]:
        begin_ns = start_ns + round((first / RATE - PAST_S + PERIOD_S * station / self.stations) * NANOSECONDS)
        place = first % 9000 if npts == SAMPLES else first
        waves = (self._waves[(station + number) % 8] for number in range(len(LETTERS)))
        return [
            Packet(f"FDSN:XX_S{station:04d}__H_H_{letter}", begin_ns, RATE, wave[place : place + npts].copy())
            for letter, wave in zip(LETTERS, waves, strict=True)
        ]


def cpu_s() -> float:
    """CPU time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def load_of(service: Service, source: PacedSource, stride: int, rows: Path) -> Load:
    """Run a service over its source."""
    task = asyncio.ensure_future(service.run())
    await source.begun.wait()
    await asyncio.sleep(SETTLING_S)
    cpu, wall, begin_s = cpu_s(), time.monotonic(), time.time()
    inbox, windows = service.workers[0].inbox, service.workers[0].windows
    dropped = sum(inbox.dropped.values())
    await asyncio.sleep(source.seconds - 1.0)
    passed = time.monotonic() - wall
    load, windows = (cpu_s() - cpu) / passed, service.workers[0].windows - windows
    dropped = sum(inbox.dropped.values()) - dropped
    inference = service.workers[0].inference_s.at(0.5)[0]
    late = sorted(source.late_s)[int(0.99 * len(source.late_s))]
    with contextlib.suppress(asyncio.CancelledError):
        await task
    steps = steps_of(rows, begin_s, begin_s + passed)
    p50, p99 = np.percentile(steps.sum(axis=1), (50, 99)) if len(steps) else (0.0, 0.0)
    quantiles = np.percentile(steps, (50, 99), axis=0).T if len(steps) else ()
    stages = ", ".join(f"{low:.1f}/{high:.1f}" for low, high in quantiles)
    line = (
        f"| {source.stations} | {stride / 100:g} | {p50:.2f} | {p99:.2f} | {len(steps)} | {100 * load:.1f} % | "
        f"{windows / passed:.0f} | {1000 * (inference or 0):.2f} | {dropped} | {1000 * late:.1f} | {stages} |"
    )
    return Load(line, float(p99), dropped)


def steps_of(rows: Path, begin_s: float, end_s: float) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Give the milliseconds of each step of the chain (statement, step), of statements on packets of this time."""
    steps: list[list[float]] = []
    for path in (rows.with_name(f"{rows.name}.1"), rows):
        for row in map(json.loads, path.read_text(encoding="utf-8").splitlines() if path.exists() else ()):
            if row["status"] != "retracted":
                times = [datetime.fromisoformat(row[key]).timestamp() for key in CHAIN]
                if begin_s <= times[0] < end_s:
                    steps.append([1000 * (after - before) for before, after in itertools.pairwise(times)])
    return np.array(steps).reshape(-1, len(CHAIN) - 1)


def measured(stations: int, seconds: float, stride: int, model: str) -> Load:
    """Measure one number of stations, and print its line."""
    stride = stride or (10 if stations == 1 else 50)

    async def run(folder: Path) -> Load:
        source = PacedSource(stations, seconds)
        with daemon_on(source, folder, model=model, stride=stride, when_full="drop-oldest") as service:
            return await load_of(service, source, stride, folder / "picks.jsonl")

    with tempfile.TemporaryDirectory() as folder:
        load = asyncio.run(run(Path(folder)))
    sys.stdout.write(load.line + "\n")
    sys.stdout.flush()
    return load


def largest(low: int, high: int, limit_ms: float, seconds: float, stride: int, model: str) -> int:
    """Give the largest number of stations, to within 10, that is held with p99 in the limit; 0 where `low` is not."""
    held, refused = 0, high + RESOLUTION
    tried = low
    while tried > held:
        load = measured(tried, seconds, stride, model)
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
@click.option("--model", default="edge-picker")
@click.option("--search", is_flag=True, help="Search between the first and the last of the numbers.")
@click.option("--limit-ms", default=100.0, help="Of p99, for the search.")
def main(stations: str, seconds: float, stride: int, model: str, *, search: bool, limit_ms: float) -> None:
    """Measure each number of stations in turn, and print a table."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    prepare_process()  # as `edge-daemon run` does
    sys.stdout.write(
        f"{processor()}, one core; load average {os.getloadavg()[0]:.1f}; {model}\n\n"
        "| stations | stride (s) | p50 (ms) | p99 (ms) | statements | CPU of one core | windows/s | "
        "inference call (ms) | packets dropped | source late p99 (ms) | wait, network, store: p50/p99 (ms) |\n"
        f"{'|---' * 11}|\n"
    )
    numbers = [int(each) for each in stations.split(",")]
    if search:
        found = largest(numbers[0], numbers[-1], limit_ms, seconds, stride, model)
        sys.stdout.write(f"\nheld with p99 <= {limit_ms:g} ms: {found} stations\n")
        return
    for number in numbers:
        measured(number, seconds, stride, model)


if __name__ == "__main__":
    main()
