"""What may go wrong around a live daemon, with real sockets, servers and disks: it goes on, bounded and counted."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import threading
import tracemalloc
import tty
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import daemon_rig as rig
import numpy as np
import pytest
from mosquitto_broker import Broker, broker_in
from seedlink_server import SeedLinkServer

from seisedge.edge import OrtSession
from seisedge.edge.daemon.config import parse_config
from seisedge.edge.daemon.health import is_stalled
from seisedge.edge.daemon.service import Service
from seisedge.firmware_bridge import encode_records
from seisedge.firmware_bridge.frame import encode_frame
from seisedge.firmware_bridge.frame_decoder import stuffed_frame

MEGABYTE = 1 << 20


def config_text(folder: Path, model: Path, url: str, more: str = "") -> str:
    return rig.config_text(folder, model, more).replace("fake.mseed", url)


@asynccontextmanager
async def live(text: str, clock: rig.SteppedClock | None = None) -> AsyncGenerator[Service, None]:
    """A daemon that is stopped when the test has seen enough."""
    service = Service(parse_config(text, "x"), clock=clock)
    task = asyncio.ensure_future(service.run())
    try:
        await rig.until(lambda: bool(service.intakes) or task.done())
        yield service
    finally:
        service.stop()
        assert await task == 0


async def idle(service: Service) -> None:
    await rig.until(lambda: all(each.inbox.waiting_since() is None for each in service.workers))


@pytest.mark.parametrize("fault", ["none", "lost", "out of order", "twice"])
def test_datagrams_that_are_lost_late_or_doubled(
    tmp_path: Path, tiny_path: Path, tiny_session: OrtSession, fault: str
) -> None:
    sent = rig.stream(seconds=70, samples=100)
    rng = np.random.default_rng(3)
    if fault == "lost":
        given = [each for each in sent if rng.random() > 0.05]
    elif fault == "out of order":
        order = np.argsort(np.arange(len(sent)) + rng.uniform(0, 7, len(sent)))  # by up to two seconds
        given = [sent[index] for index in order]
    else:
        given = [each for each in sent for _ in range(2 if fault == "twice" else 1)]

    async def run() -> Service:
        async with live(config_text(tmp_path, tiny_path, "udp://127.0.0.1:0?format=native&station=XX.AAA")) as service:
            source: Any = service.intakes[0].source
            await source.bound.wait()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.connect(("127.0.0.1", source.port))
                for number, packet in enumerate(given):
                    sender.send(encode_frame(rig.frame_of(packet, number)))
                    await rig.until(lambda count=number + 1: source.counts.packets >= count)  # type: ignore[misc]
            await idle(service)
            return service

    service = asyncio.run(run())
    found = rig.published_picks(rig.rows_of(tmp_path))
    counts = next(iter(service.workers[0].stations.values())).pipelines["tiny"].stream.aligner.counts
    if fault == "lost":
        assert counts.gap_count > 0
        assert found  # what lies between the gaps is still picked
    else:
        assert set(found) <= set(rig.wanted_picks(tiny_session, sent))
        assert len(found) >= 3
        assert (counts.duplicate_samples > 0) == (fault == "twice")


@contextmanager
def udp_port(service: Service) -> Generator[Callable[[bytes], object], None, None]:
    source: Any = service.intakes[0].source
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", source.port))
        yield sender.send


GARBAGE_BYTES = 4 * MEGABYTE
"""Of each port; a fraction of a second of work, and far more than any buffer holds."""


def garbage(most: int = 1400) -> Generator[bytes, None, None]:
    """Noise, beginnings of frames that never end, and zeros, in units of many sizes."""
    rng = np.random.default_rng(0)
    whole = encode_frame(rig.frame_of(rig.stream(seconds=2)[0], 0))
    total = 0
    while total < GARBAGE_BYTES:
        noise = rng.bytes(int(rng.integers(1, most)))
        unit = (noise, whole[: int(rng.integers(1, len(whole)))] + noise[:20], bytes(len(noise)))[int(rng.integers(3))]
        total += len(unit)
        yield unit


def held_bytes() -> int:
    return tracemalloc.get_traced_memory()[0]


async def attacked(service: Service, send: Callable[[bytes], object], *, most: int = 1400) -> None:
    """Send garbage, and look at what the daemon holds meanwhile."""
    tracemalloc.start()
    try:
        begin = held_bytes()
        for number, unit in enumerate(garbage(most)):
            send(unit)
            if number % 50 == 0:
                await asyncio.sleep(0)
                assert held_bytes() - begin < 8 * MEGABYTE
        await idle(service)
        assert held_bytes() - begin < 2 * MEGABYTE + 1024 * 1500  # the queue of datagrams is the largest
    finally:
        tracemalloc.stop()


def test_garbage_on_a_datagram_port(tmp_path: Path, tiny_path: Path) -> None:
    async def run() -> None:
        async with live(config_text(tmp_path, tiny_path, "udp://127.0.0.1:0?format=native&station=XX.AAA")) as service:
            source: Any = service.intakes[0].source
            await source.bound.wait()
            with udp_port(service) as send:
                await attacked(service, send)
                assert source.counts.damaged > 100
                before = source.counts.packets
                good = encode_frame(rig.frame_of(rig.stream(seconds=2)[0], 1))
                # again and again: while the system's buffer is still full of garbage it takes nothing
                await rig.until(lambda: send(good) == len(good) and source.counts.packets > before)

    asyncio.run(run())


def test_garbage_on_a_serial_line(tmp_path: Path, tiny_path: Path) -> None:
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    os.set_blocking(ours, False)

    async def write(data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(ours, rest) :]
            except BlockingIOError:  # noqa: PERF203 - the line is full
                await asyncio.sleep(0.001)

    async def run() -> None:
        url = f"serial:{os.ttyname(theirs)}?baud=921600&station=XX.AAA"
        async with live(config_text(tmp_path, tiny_path, url)) as service:
            source: Any = service.intakes[0].source
            await rig.until(lambda: source.counts.connects > 0)
            tracemalloc.start()
            begin = held_bytes()
            for number, unit in enumerate(garbage()):
                await write(unit)
                if number % 100 == 0:
                    assert held_bytes() - begin < 4 * MEGABYTE
                if number * 700 > MEGABYTE:  # a line is slow
                    break
            tracemalloc.stop()
            await write(b"\0")
            packet = rig.stream(seconds=2)[0]
            before = source.counts.packets
            for number in range(3):  # the first may be swallowed by what was open
                await write(stuffed_frame(rig.frame_of(packet, number)))
            await rig.until(lambda: source.counts.packets >= before + 2)
            assert source.counts.damaged > 0

    try:
        asyncio.run(run())
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_seedlink_server_that_restarts(tmp_path: Path, tiny_path: Path, tiny_session: OrtSession) -> None:
    sent = rig.stream(seconds=70, samples=400)
    content = b"".join(record for each in sent for record in encode_records(each))

    async def run() -> None:
        server = SeedLinkServer(content[: len(content) // 2 // 512 * 512])
        await server.start()
        text = config_text(tmp_path, tiny_path, f"{server.url}?streams=XX_AAA")
        async with live(text) as service:
            half = len(server.stored)
            await rig.until(lambda: service.intakes[0].taken >= half)
            await server.stop()
            back = SeedLinkServer(content, port=server.port)  # a new process: no session, the same sequence numbers
            await back.start()
            await rig.until(lambda: service.intakes[0].taken >= len(back.stored), seconds=30)
            await idle(service)
            assert service.intakes[0].taken == len(back.stored)  # none lost, none twice
            assert service.intakes[0].source.counts.connects == 2
            await back.stop()

    asyncio.run(run())
    found = rig.published_picks(rig.rows_of(tmp_path))
    assert set(found) <= set(rig.wanted_picks(tiny_session, sent))
    assert len(found) >= 3


def test_an_outbox_that_is_full_loses_the_oldest_and_counts_them(
    tmp_path: Path, tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.feed(monkeypatch, rig.stream(), live=True)
    (tmp_path / "picks.jsonl").mkdir()  # the sink is down
    text = rig.config_text(tmp_path, tiny_path, "[outbox]\nmax_results = 5\n")

    async def run() -> None:
        async with live(text) as service:
            await rig.until(lambda: service.intakes[0].taken == len(rig.stream()))
            await idle(service)
            await rig.until(lambda: service.publisher.waiting_since() is None)
            stated = sum(service.publisher.counts.values())
            kept = service.outbox.pending("jsonl")
            assert stated > 5
            assert len(kept) == 5
            assert service.outbox.counts.lost_deliveries == stated - 5
            newest = [each.row["id"] for each in list(service.publisher.recent)[-5:]]
            assert [each.row["id"] for each in kept] == newest

    asyncio.run(run())


def test_the_watchdog_starves_when_inference_stalls_and_not_without_data(
    tmp_path: Path, tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, entered = threading.Event(), threading.Event()
    clock = rig.SteppedClock()
    opened = rig.feed(monkeypatch, [], live=True)
    run_it = OrtSession.run

    def stuck(self: OrtSession, windows: Any) -> Any:
        entered.set()
        release.wait(30)
        return run_it(self, windows)

    async def run() -> None:
        async with live(rig.config_text(tmp_path, tiny_path), clock) as service:
            try:
                clock.skip_ns += 3_600_000_000_000  # an hour without data
                assert not is_stalled(service)
                monkeypatch.setattr(OrtSession, "run", stuck)
                opened[0].add(rig.stream(seconds=30))
                await rig.until(entered.is_set)
                assert not is_stalled(service)  # it has only begun
                clock.skip_ns += 31_000_000_000
                assert is_stalled(service)
                clock.step_ns -= 3_600_000_000_000  # the world's time has no say
                assert is_stalled(service)
            finally:
                release.set()
            await idle(service)
            assert not is_stalled(service)

    asyncio.run(run())


@contextmanager
def small_disk(folder: Path) -> Generator[Path, None, None]:
    """A real file system of 1 MB."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.decode(errors='replace').strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_really_full(
    tmp_path: Path, tiny_path: Path, tiny_session: OrtSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = rig.stream()
    rig.feed(monkeypatch, sent)
    with small_disk(tmp_path / "state"):

        def fill(service: Service) -> None:
            assert service.outbox.is_durable
            filling = tmp_path / "state" / "filling"
            with filling.open("wb", buffering=0) as file:
                try:
                    while file.write(bytes(4096)):
                        pass
                except OSError:
                    return

        service = rig.replay(rig.config_of(tmp_path, tiny_path), fill)
        assert not service.outbox.is_durable
        assert "full" in service.outbox.counts.last_problem
    assert rig.published_picks(rig.rows_of(tmp_path)) == rig.wanted_picks(tiny_session, sent)


def test_garbage_from_a_broker(tmp_path: Path, tiny_path: Path) -> None:
    with broker_in(tmp_path) as broker:
        asyncio.run(_flooded(broker, tmp_path, tiny_path))


async def _flooded(broker: Broker, folder: Path, model: Path) -> None:
    from paho.mqtt.publish import multiple  # noqa: PLC0415 - an extra's package

    url = f"mqtt://127.0.0.1:{broker.port}/raw?format=native&station=XX.AAA"
    async with live(config_text(folder, model, url)) as service:
        source: Any = service.intakes[0].source
        await rig.until(lambda: source.counts.connects > 0)
        units = [unit for unit, _ in zip(garbage(), range(300), strict=False)]
        good = encode_frame(rig.frame_of(rig.stream(seconds=2)[0], 1))
        await asyncio.to_thread(multiple, [("raw", each, 1, False) for each in [*units, good]], port=broker.port)
        await rig.until(lambda: source.counts.packets >= 1)
        assert source.counts.damaged > 100
