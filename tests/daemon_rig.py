"""A daemon in the test's process: made-up stations, a configuration in a temporary folder, and what it published."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import packets
import pytest
from fake_source import FakeSource

from seisedge.edge import OrtSession, Pick, Result, StationId
from seisedge.edge.daemon import intake
from seisedge.edge.daemon.config import Config, parse_config
from seisedge.edge.daemon.service import Service
from seisedge.firmware_bridge import Packet
from seisedge.firmware_bridge.frame import Channel, Frame

BURSTS_S = (12.0, 31.0, 53.0)
LOW = {"P": 0.3, "S": 0.3}


class SteppedClock:
    """The real clocks, and a step that a test gives to the world's time."""

    def __init__(self) -> None:
        self.step_ns = 0
        self.skip_ns = 0

    def now_ns(self) -> int:
        return packets.START_NS + self.monotonic_ns() + self.step_ns

    def monotonic_ns(self) -> int:
        return time.monotonic_ns() + self.skip_ns


def stream(
    stations: Sequence[str] = ("AAA",), *, seconds: int = 70, samples: int = 25, bursts: Sequence[float] = BURSTS_S
) -> list[Packet]:
    """Noise with bursts on three components of each station, in packets ordered by time."""
    found: list[Packet] = []
    for number, name in enumerate(stations):
        rng = np.random.default_rng(number)
        times = np.arange(seconds * 100) / 100.0
        loud = 1.0 + 60.0 * sum((times >= start) & (times < start + 3) for start in bursts)
        for letter in "NEZ":
            x = (20 * loud * rng.standard_normal(times.size)).round().astype(np.int32)
            whole = Packet(f"FDSN:XX_{name}__H_H_{letter}", packets.START_NS, 100.0, x)
            found += [whole.cut(at, min(at + samples, x.size)) for at in range(0, x.size, samples)]
    return sorted(found, key=lambda each: each.starttime_ns)


def wanted_picks(session: OrtSession, sent: Iterable[Packet]) -> list[tuple[Any, ...]]:
    """What the offline pipeline makes of the same packets."""
    feeds: dict[str, list[tuple[int, Packet]]] = {}
    for each in sent:
        station, letter = each.source_id.split("_")[1], each.source_id[-1]
        feeds.setdefault(station, []).append((session.manifest.components.order.index(letter), each))
    found: list[Result] = []
    for station, feed in feeds.items():
        identity = StationId("XX", station, "", "HH")
        found += packets.pick_feed(session, feed, thresholds=LOW, station=identity).picks
    return sorted(_key(each.as_row(), each.probability) for each in found if isinstance(each, Pick))


def published_picks(rows: Iterable[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """The final picks among published rows, as `wanted_picks` gives them."""
    return sorted(_key(each, each["probability"]) for each in rows if each["status"] == "final")


def _key(row: dict[str, Any], probability: float) -> tuple[Any, ...]:
    return row["station"], row["phase_hint"], row["time"], round(probability, 6)


def config_of(folder: Path, model: Path, more: str = "", *, sink: bool = True) -> Config:
    """A configuration with one fake source, one model and a JSON-lines sink."""
    return parse_config(config_text(folder, model, more, sink=sink), "test.toml")


def config_text(folder: Path, model: Path, more: str = "", *, sink: bool = True) -> str:
    lines = f'[[sink]]\ntype = "jsonl"\npath = "{folder}/picks.jsonl"\nfsync = false\n' if sink else ""
    return f"""
[daemon]
state = "{folder}/state"
[http]
listen = "127.0.0.1:0"
[[source]]
url = "fake.mseed"
[[model]]
name = "tiny"
artefact = "{model}"
threshold = {{ P = 0.3, S = 0.3 }}
{lines}{more}
"""


def rows_of(folder: Path) -> list[dict[str, Any]]:
    path = folder / "picks.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def feed(monkeypatch: pytest.MonkeyPatch, sent: Sequence[Packet], *, live: bool = False) -> list[FakeSource]:
    """Let every source be a fake one that yields these packets; give those that were opened."""
    opened: list[FakeSource] = []

    def open_fake(url: str, *, resume: str | None = None) -> FakeSource:
        del url
        opened.append(FakeSource(sent, resume=resume, live=live))
        return opened[-1]

    monkeypatch.setattr(intake, "open_source", open_fake)
    return opened


def replay(config: Config, prepare: Callable[[Service], None] = lambda _: None) -> Service:
    """Run a daemon until its sources have ended."""
    service = Service(config, until_end=True)
    prepare(service)
    assert asyncio.run(asyncio.wait_for(service.run(), 60)) == 0
    return service


def frame_of(packet: Packet, number: int) -> Frame:
    """A packet as a digitizer's own frame."""
    column = np.ascontiguousarray(packet.samples.astype(np.int32)[:, np.newaxis])
    return Frame(7, number, packet.starttime_ns, (100, 1), column, (Channel(packet.source_id[-1]),), sample_bytes=4)


async def until(what: Callable[[], bool], *, seconds: float = 20.0) -> None:
    """Wait for something that other threads bring about."""
    for _ in range(round(seconds / 0.005)):
        if what():
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"not within {seconds} s")


def text_for(folder: Path, model: Path, url: str, more: str = "") -> str:
    """A configuration with a real source."""
    return config_text(folder, model, more).replace("fake.mseed", url)


@asynccontextmanager
async def live(text: str, clock: SteppedClock | None = None) -> AsyncGenerator[Service, None]:
    """A daemon that is stopped when the test has seen enough."""
    service = Service(parse_config(text, "x"), clock=clock)
    task = asyncio.ensure_future(service.run())
    try:
        await until(lambda: bool(service.intakes) or task.done())
        yield service
    finally:
        service.stop()
        assert await task == 0


async def idle(service: Service) -> None:
    """Until nothing waits for the workers, errands neither."""
    done = [threading.Event() for _ in service.workers]
    for worker, event in zip(service.workers, done, strict=True):
        worker.errand(event.set)
    await until(lambda: all(each.is_set() for each in done))
    await until(lambda: all(each.inbox.waiting_since() is None for each in service.workers))
