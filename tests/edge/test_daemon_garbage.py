"""Garbage on every port for a stated time: memory stays bounded, the daemon goes on, good data are picked then."""

from __future__ import annotations

import asyncio
import os
import socket
import time
import tracemalloc
import tty
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import daemon_rig as rig
import numpy as np
import pytest
from datalink_server import DataLinkServer
from mosquitto_broker import broker_in
from seedlink_server import SeedLinkServer
from sensor_packets import palert_4

from seisedge.edge import OrtSession
from seisedge.edge.daemon.service import Service
from seisedge.edge.sources.connection import Backoff
from seisedge.firmware_bridge import encode_records
from seisedge.firmware_bridge.frame import encode_frame
from seisedge.firmware_bridge.frame_decoder import stuffed_frame

MEGABYTE = 1 << 20
SECONDS = [0.5, pytest.param(60.0, marks=pytest.mark.long)]
Send = Callable[[bytes], Awaitable[None]]


def sent_packets() -> list[Any]:
    return rig.stream(samples=100)


def garbage(seconds: float, most: int = 1400) -> Generator[bytes, None, None]:
    """Noise, beginnings of frames that never end, and zeros, in units of many sizes."""
    rng = np.random.default_rng(0)
    whole = encode_frame(rig.frame_of(sent_packets()[0], 0))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        noise = rng.bytes(int(rng.integers(1, most)))
        yield (noise, whole[: int(rng.integers(1, len(whole)))] + noise[:20], bytes(len(noise)))[int(rng.integers(3))]


class Watch:
    """What the process holds while it is attacked."""

    def __enter__(self) -> Watch:  # noqa: PYI034 - Self is not in Python 3.10
        tracemalloc.start()
        self._begin = tracemalloc.get_traced_memory()[0]
        return self

    def __exit__(self, *_: object) -> None:
        tracemalloc.stop()

    def check(self, most: int = 8 * MEGABYTE) -> None:
        assert tracemalloc.get_traced_memory()[0] - self._begin < most


async def attacked(service: Service, send: Send, seconds: float) -> None:
    """Send garbage, and look at what the daemon holds meanwhile."""
    with Watch() as watch:
        for number, unit in enumerate(garbage(seconds)):
            await send(unit)
            if number % 50 == 0:
                await asyncio.sleep(0)
                watch.check()
        await rig.idle(service)
        watch.check(4 * MEGABYTE)  # the queue of datagrams is the largest
    assert service.intakes[0].source.counts.damaged > 10


async def fed(service: Service, send: Send, units: Iterable[bytes]) -> None:
    """Send good data, until all of them have been taken; once more what a full buffer swallowed."""
    before = service.intakes[0].taken
    for number, unit in enumerate(units):
        await send(unit)
        await rig.until(lambda count=before + number + 1: service.intakes[0].taken >= count)  # type: ignore[misc]
    await rig.idle(service)


def assert_picked(folder: Path, session: OrtSession) -> None:
    found = {each[1:3] for each in rig.published_picks(rig.rows_of(folder))}
    assert found <= {each[1:3] for each in rig.wanted_picks(session, sent_packets())}
    assert len(found) >= 3


def numbered(first: int = 0) -> Generator[Any, None, None]:
    for number, packet in enumerate(sent_packets()):
        yield rig.frame_of(packet, first + number)


@pytest.mark.parametrize("seconds", SECONDS)
def test_datagrams(tmp_path: Path, tiny_path: Path, tiny_session: OrtSession, seconds: float) -> None:
    async def run() -> None:
        url = "udp://127.0.0.1:0?format=native&station=XX.AAA"
        async with rig.live(rig.text_for(tmp_path, tiny_path, url)) as service:
            source: Any = service.intakes[0].source
            await source.bound.wait()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.connect(("127.0.0.1", source.port))
                sent, counts = 0, source.counts

                async def send(unit: bytes) -> None:
                    nonlocal sent
                    sent += sender.send(unit) > 0
                    await asyncio.sleep(0)

                await attacked(service, send, seconds)
                # The port's buffer is empty when all that was sent is accounted for: no good frame meets a full one.
                first = encode_frame(rig.frame_of(sent_packets()[0], 0))
                before = counts.packets
                await rig.until(lambda: sender.send(first) > 0 and counts.packets > before)
                await rig.idle(service)
                rest = [encode_frame(each) for each in numbered()][1:]
                await fed(service, send, rest)

    asyncio.run(run())
    assert_picked(tmp_path, tiny_session)


@pytest.mark.parametrize("seconds", SECONDS)
def test_a_serial_line(tmp_path: Path, tiny_path: Path, tiny_session: OrtSession, seconds: float) -> None:
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
        async with rig.live(rig.text_for(tmp_path, tiny_path, url)) as service:
            await rig.until(lambda: service.intakes[0].source.counts.connects > 0)
            await attacked(service, write, seconds)
            await write(b"\0")
            before = service.intakes[0].taken
            first = stuffed_frame(rig.frame_of(sent_packets()[0], 0))
            while service.intakes[0].taken == before:  # one may be swallowed by what was open
                await write(first)
            await fed(service, write, [stuffed_frame(each) for each in numbered()][1:])

    with ExitStack() as ends:
        ends.callback(os.close, ours)
        ends.callback(os.close, theirs)
        asyncio.run(run())
    assert_picked(tmp_path, tiny_session)


@pytest.mark.parametrize("seconds", SECONDS)
def test_messages_of_a_broker(tmp_path: Path, tiny_path: Path, tiny_session: OrtSession, seconds: float) -> None:
    from paho.mqtt.publish import multiple  # noqa: PLC0415 - an extra's package

    async def run(port: int) -> None:
        url = f"mqtt://127.0.0.1:{port}/raw?format=native&station=XX.AAA"
        async with rig.live(rig.text_for(tmp_path, tiny_path, url)) as service:
            await rig.until(lambda: service.intakes[0].source.counts.connects > 0)

            async def publish(units: list[bytes]) -> None:
                await asyncio.to_thread(multiple, [("raw", each, 1, False) for each in units], port=port)

            with Watch() as watch:
                end = time.monotonic() + seconds
                while time.monotonic() < end:
                    units = [unit for unit, _ in zip(garbage(60.0), range(200), strict=False)]
                    await publish(units)
                    watch.check()
            assert service.intakes[0].source.counts.damaged > 100
            good = [encode_frame(each) for each in numbered()]
            before = service.intakes[0].taken
            for at in range(0, len(good), 50):
                await publish(good[at : at + 50])
            await rig.until(lambda: service.intakes[0].taken >= before + len(good))
            await rig.idle(service)

    with broker_in(tmp_path) as broker:
        asyncio.run(run(broker.port))
    assert_picked(tmp_path, tiny_session)


class Hostile:
    """A server that speaks garbage for a time: at once, or behind the beginning of what the real one says.

    Later clients are handed to the real one.
    """

    def __init__(self, real_port: int, seconds: float) -> None:
        self._real_port, self._seconds = real_port, seconds
        self._end: float | None = None
        self.connections = 0
        self.sent = 0
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_over(self) -> bool:
        return self._end is not None and time.monotonic() >= self._end

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[Hostile, None]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for each in self._tasks:
                each.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        if self._end is None:
            self._end = time.monotonic() + self._seconds
        try:
            if self.is_over:
                await self._relay(reader, writer, None)
            else:
                if self.connections % 2:
                    await self._relay(reader, writer, 200 * (self.connections % 16))
                await self._flood(writer)
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    async def _flood(self, writer: asyncio.StreamWriter) -> None:
        for unit in garbage(max(0.0, (self._end or 0.0) - time.monotonic())):
            writer.write(unit)
            await writer.drain()
            await asyncio.sleep(0)  # drain lets no one else run while the system takes all
            self.sent += len(unit)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int | None) -> None:
        theirs, ours = await asyncio.open_connection("localhost", self._real_port)

        async def up() -> None:
            while data := await reader.read(4096):
                ours.write(data)
                await ours.drain()

        asking = asyncio.ensure_future(up())
        passed = 0
        try:
            while most is None or passed < most:
                data = await theirs.read(4096)
                if not data:
                    return
                kept = data if most is None else data[: most - passed]
                passed += len(kept)
                writer.write(kept)
                await writer.drain()
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            ours.transport.abort()


@asynccontextmanager
async def lines_of(units: list[bytes]) -> AsyncGenerator[int, None]:
    """A device that listens, and sends the same to every client."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for unit in units:
                writer.write(unit)
                await writer.drain()
            await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def real(kind: str) -> AsyncGenerator[tuple[int, str], None]:
    """The real peer of a kind of source: its port, and the URL with a place for the port."""
    content = b"".join(record for each in sent_packets() for record in encode_records(each))
    if kind == "seedlink":
        seedlink = SeedLinkServer(content)
        await seedlink.start()
        try:
            yield seedlink.port, "seedlink://127.0.0.1:{port}?streams=XX_AAA"
        finally:
            await seedlink.stop()
    elif kind == "datalink":
        ring = DataLinkServer()
        ring.fill(content)
        await ring.start()
        try:
            yield ring.port, "datalink://127.0.0.1:{port}?match=XX_AAA.*"
        finally:
            await ring.stop()
    elif kind == "tcp":
        units = [b"\0", *(stuffed_frame(each) for each in numbered())]
        async with lines_of(units) as port:
            yield port, "tcp://127.0.0.1:{port}?station=XX.AAA"
    else:
        async with lines_of([palert_4(each) for each in sent_packets()]) as port:
            yield port, "palert://127.0.0.1:{port}?station=XX.AAA"


@pytest.mark.parametrize("seconds", SECONDS)
@pytest.mark.parametrize("kind", ["tcp", "palert", "seedlink", "datalink"])
def test_a_server(
    tmp_path: Path,
    tiny_path: Path,
    tiny_session: OrtSession,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    seconds: float,
) -> None:
    async def no_wait(self: Backoff) -> None:
        del self
        await asyncio.sleep(0.001)

    monkeypatch.setattr(Backoff, "wait", no_wait)

    async def run() -> None:
        async with real(kind) as (real_port, url), Hostile(real_port, seconds).serving() as hostile:
            text = rig.text_for(tmp_path, tiny_path, url.format(port=hostile.port))
            async with rig.live(text) as service:
                with Watch() as watch:
                    while not hostile.is_over:
                        await asyncio.sleep(0.005)
                        watch.check()
                assert hostile.sent > 1000
                counts = service.intakes[0].source.counts
                assert counts.damaged > 0 or counts.connects > 3 or counts.last_problem
                newest = sent_packets()[-1].starttime_ns
                await rig.until(lambda: any(each.newest_ns >= newest for each in stations(service)), seconds=30)
                await rig.idle(service)

    asyncio.run(run())
    assert_picked(tmp_path, tiny_session)


def stations(service: Service) -> list[Any]:
    return [each for worker in service.workers for each in list(worker.stations.values())]
