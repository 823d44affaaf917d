"""What may go wrong around a live daemon, with real sockets, servers and disks: it goes on, bounded and counted."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import resource
import socket
import subprocess
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import daemon_rig as rig
import numpy as np
import pytest
from seedlink_server import SeedLinkServer

from seisedge.edge import OrtSession
from seisedge.edge.daemon.health import is_stalled
from seisedge.edge.daemon.service import Service
from seisedge.edge.times import parse_time
from seisedge.firmware_bridge import Packet, encode_records
from seisedge.firmware_bridge.frame import encode_frame


async def sent_as_datagrams(
    service: Service, given: list[Packet], before: Callable[[int], None] = lambda _: None
) -> None:
    """Send packets one by one to the daemon's port, each when the one before it has been read."""
    source: Any = service.intakes[0].source
    await source.bound.wait()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", source.port))
        for number, packet in enumerate(given):
            before(number)
            sender.send(encode_frame(rig.frame_of(packet, number)))
            await rig.until(lambda count=number + 1: source.counts.packets >= count)  # type: ignore[misc]
    await rig.idle(service)


@pytest.mark.parametrize("fault", ["none", "lost", "out of order", "twice", "clock +1 h", "clock -1 h"])
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
    clock = rig.SteppedClock()

    def step(clock: rig.SteppedClock) -> None:
        hours = int(fault.split()[1]) if fault.startswith("clock") else 0
        clock.step_ns += hours * 3_600_000_000_000

    async def run() -> Service:
        async with rig.live(
            rig.text_for(tmp_path, tiny_path, "udp://127.0.0.1:0?format=native&station=XX.AAA")
        ) as service:
            await sent_as_datagrams(service, given, lambda at: step(clock) if at == len(given) // 2 else None)
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


def test_a_seedlink_server_that_restarts(tmp_path: Path, tiny_path: Path, tiny_session: OrtSession) -> None:
    sent = rig.stream(seconds=70, samples=400)
    content = b"".join(record for each in sent for record in encode_records(each))

    async def run() -> None:
        server = SeedLinkServer(content[: len(content) // 2 // 512 * 512])
        await server.start()
        text = rig.text_for(tmp_path, tiny_path, f"{server.url}?streams=XX_AAA")
        async with rig.live(text) as service:
            half = len(server.stored)
            await rig.until(lambda: service.intakes[0].taken >= half)
            await server.stop()
            back = SeedLinkServer(content, port=server.port)  # a new process: no session, the same sequence numbers
            await back.start()
            await rig.until(lambda: service.intakes[0].taken >= len(back.stored), seconds=30)
            await rig.idle(service)
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
        async with rig.live(text) as service:
            await rig.until(lambda: service.intakes[0].taken == len(rig.stream()))
            await rig.idle(service)
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
        async with rig.live(rig.config_text(tmp_path, tiny_path), clock) as service:
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
            await rig.idle(service)
            assert not is_stalled(service)

    asyncio.run(run())


Fill = Callable[[], None]


@contextmanager
def small_disk(folder: Path) -> Generator[Fill, None, None]:
    """A real file system of 1 MB, and what fills it."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.decode(errors='replace').strip()}")

    def fill() -> None:
        with (folder / "filling").open("wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                return

    try:
        yield fill
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def limited_files(folder: Path) -> Generator[Fill, None, None]:
    """A limit of the system on the size of files, for which no one needs any right: the outbox cannot grow."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill() -> None:
        largest = max(each.stat().st_size for each in folder.iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, before[1]))

    try:
        yield fill
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("disk", [small_disk, limited_files])
def test_a_disk_that_is_really_full(
    tmp_path: Path,
    tiny_path: Path,
    tiny_session: OrtSession,
    monkeypatch: pytest.MonkeyPatch,
    disk: Callable[[Path], AbstractContextManager[Fill]],
) -> None:
    sent = rig.stream()
    rig.feed(monkeypatch, sent)
    with disk(tmp_path / "state") as fill:

        def prepare(service: Service) -> None:
            assert service.outbox.is_durable
            fill()

        service = rig.replay(rig.config_of(tmp_path, tiny_path), prepare)
        assert not service.outbox.is_durable
        assert "full" in service.outbox.counts.last_problem or "I/O" in service.outbox.counts.last_problem
        assert service.outbox.counts.in_memory > 0
    assert rig.published_picks(rig.rows_of(tmp_path)) == rig.wanted_picks(tiny_session, sent)


class Manager:
    """What systemd is to the daemon: a datagram socket that hears of it."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def __enter__(self) -> Manager:  # noqa: PYI034 - Self is not in Python 3.10
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def fed(self) -> int:
        """How often the watchdog was fed since the last call."""
        times = 0
        try:
            while True:
                times += "WATCHDOG=1" in self._socket.recv(4096).decode().splitlines()
        except BlockingIOError:
            return times


def test_the_watchdog_is_fed_as_long_as_data_and_inference_progress(
    tmp_path: Path, tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the socket: fed with data, fed without any, not fed while the network hangs, fed when it answers."""
    release, entered = threading.Event(), threading.Event()
    run_it, clock, looks = OrtSession.run, rig.SteppedClock(), itertools.count()
    seen = [0]

    def stuck(self: OrtSession, windows: Any) -> Any:
        entered.set()
        release.wait(30)
        return run_it(self, windows)

    def counted(service: Service) -> bool:
        seen[0] = next(looks)
        return is_stalled(service)

    async def ticks(number: int) -> None:
        wanted = seen[0] + number
        await rig.until(lambda: seen[0] >= wanted)

    opened = rig.feed(monkeypatch, rig.stream(seconds=20), live=True)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setattr("seisedge.edge.daemon.service._TICK_S", 0.01)
    monkeypatch.setattr("seisedge.edge.daemon.service.is_stalled", counted)

    async def run(manager: Manager) -> None:
        async with rig.live(rig.config_text(tmp_path, tiny_path), clock) as service:
            await rig.until(lambda: service.workers[0].windows > 10)
            await ticks(3)
            assert manager.fed() > 0  # data come and are worked on
            await rig.idle(service)
            clock.skip_ns += 3_600_000_000_000
            await ticks(3)
            assert manager.fed() > 0  # an hour of silence is no fault of ours
            try:
                monkeypatch.setattr(OrtSession, "run", stuck)
                opened[0].add(rig.stream(seconds=30)[240:])
                await rig.until(entered.is_set)
                clock.skip_ns += 31_000_000_000
                await ticks(2)
                manager.fed()
                await ticks(5)
                assert manager.fed() == 0
            finally:
                release.set()
            await rig.idle(service)
            await ticks(3)
            assert manager.fed() > 0

    with Manager(tmp_path / "notify") as manager:
        asyncio.run(run(manager))


@pytest.mark.parametrize("step_s", [3600, -3600])
def test_a_sensor_whose_clock_steps_by_an_hour(
    tmp_path: Path, tiny_path: Path, tiny_session: OrtSession, step_s: int
) -> None:
    """Forward: a gap, and picks again behind it. Backward: what comes is late, until time catches up."""
    sent = rig.stream(samples=100)
    half = len(sent) // 2
    step_ns = step_s * 1_000_000_000
    stepped = [dataclasses.replace(each, starttime_ns=each.starttime_ns + step_ns) for each in sent[half:]]

    async def run() -> Any:
        url = "udp://127.0.0.1:0?format=native&station=XX.AAA"
        async with rig.live(rig.text_for(tmp_path, tiny_path, url)) as service:
            await sent_as_datagrams(service, [*sent[:half], *stepped])
            return next(iter(service.workers[0].stations.values())).pipelines["tiny"].stream.aligner.counts

    counts = asyncio.run(run())
    found = {each[1:3] for each in rig.published_picks(rig.rows_of(tmp_path))}
    behind = [each for each in found if abs(parse_time(each[1]) - stepped[0].starttime_ns) < 40 * 10**9]
    if step_s > 0:
        assert counts.gap_count == 3  # one of each component
        assert behind
    else:
        assert counts.late_samples + counts.duplicate_samples == sum(each.samples.size for each in stepped)
        assert not behind
        assert found <= {each[1:3] for each in rig.wanted_picks(tiny_session, sent[:half])}
