"""A real record through SeedLink, datagrams and a serial line: the picks are those of `edge-scan`, bit for bit."""

from __future__ import annotations

import asyncio
import os
import socket
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any

import daemon_rig as rig
import pytest
from mosquitto_broker import free_port
from replays import CX, frames, records_by_end, scanned
from seedlink_server import SeedLinkServer
from shared_data import needs_shared

from seisedge.edge.daemon.config import parse_config
from seisedge.edge.daemon.service import Service
from seisedge.firmware_bridge import read_headers
from seisedge.firmware_bridge.frame import Frame, encode_frame
from seisedge.firmware_bridge.frame_decoder import stuffed_frame

BYTES = 300_000  # of each file: about 20 minutes


def cut(folder: Path, size: int = BYTES) -> list[Path]:
    """The first whole records of each of PB01's files."""
    found: list[Path] = []
    for path in sorted(CX.glob("*PB01*")):
        content = path.read_bytes()[: size // 512 * 512]
        target = folder / path.name
        target.write_bytes(content)
        found.append(target)
    return found


def contents(paths: list[Path]) -> list[bytes]:
    return [path.read_bytes() for path in paths]


async def played(folder: Path, url: str, sent: list[Frame], send: Callable[[Frame], None], every: int = 50) -> None:
    """Run a daemon on a source, and give it the frames as fast as it takes them."""
    service = Service(parse_config(config(folder, url), "x"), until_end=True)
    task = asyncio.ensure_future(service.run())
    await rig.until(lambda: bool(service.intakes))
    source: Any = service.intakes[0].source
    await rig.until(lambda: source.bound.is_set() if hasattr(source, "bound") else source.counts.connects > 0)
    for number, frame in enumerate(sent):
        send(frame)
        if number % every == every - 1 or number == len(sent) - 1:
            await rig.until(lambda wanted=number + 1: source.counts.packets >= wanted)  # type: ignore[misc]
    await rig.until(lambda: service.intakes[0].taken == len(sent))
    for each in service.tasks.values():
        each.cancel()
    assert await task == 0
    assert source.counts.damaged == 0


def config(folder: Path, url: str) -> str:
    return f"""
[daemon]
state = "{folder}/state"
[http]
listen = ""
[[source]]
url = "{url}"
when_full = "wait"  # a loaded machine must not drop what the test sends
[[sink]]
type = "jsonl"
path = "{folder}/picks.jsonl"
fsync = false
"""


@needs_shared
@pytest.mark.parametrize("interrupted", [False, True])
def test_seedlink(tmp_path: Path, *, interrupted: bool) -> None:
    paths = cut(tmp_path)
    content = b"".join(record for _, record in records_by_end(contents(paths)))
    records = len(list(read_headers(content)))

    async def run() -> None:
        server = SeedLinkServer(content)
        if interrupted:
            server.cut_after = [100_000, 333_333, None]
        await server.start()
        service = Service(parse_config(config(tmp_path, f"{server.url}?streams=CX_PB01"), "x"), until_end=True)
        task = asyncio.ensure_future(service.run())
        await rig.until(lambda: bool(service.intakes) and service.intakes[0].taken >= records)
        for each in service.tasks.values():
            each.cancel()
        assert await task == 0
        await server.stop()
        assert server.connections == (3 if interrupted else 1)

    asyncio.run(run())
    wanted = scanned(paths)
    assert rig.published_picks(rig.rows_of(tmp_path)) == wanted
    assert len(wanted) > 10


@needs_shared
def test_datagrams(tmp_path: Path) -> None:
    paths = cut(tmp_path)
    port = free_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", port))
        url = f"udp://127.0.0.1:{port}?format=native&station=CX.PB01"
        asyncio.run(played(tmp_path, url, list(frames(contents(paths))), lambda frame: _all_sent(sender, frame)))
    assert rig.published_picks(rig.rows_of(tmp_path)) == scanned(paths)


def _all_sent(sender: socket.socket, frame: Frame) -> None:
    sender.send(encode_frame(frame))


@needs_shared
def test_a_serial_line(tmp_path: Path) -> None:
    paths = cut(tmp_path, 80_000)  # a line takes a frame at a time
    ours, theirs = os.openpty()
    tty.setraw(theirs)

    def send(frame: Frame) -> None:
        rest = memoryview(stuffed_frame(frame))
        while rest:
            rest = rest[os.write(ours, rest[:1024]) :]

    try:
        url = f"serial:{os.ttyname(theirs)}?baud=921600&station=CX.PB01"
        asyncio.run(played(tmp_path, url, list(frames(contents(paths))), send, 2))
    finally:
        os.close(ours)
        os.close(theirs)
    assert rig.published_picks(rig.rows_of(tmp_path)) == scanned(paths)
