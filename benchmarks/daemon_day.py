"""A day of two stations through SeedLink, datagrams and serial lines: the picks are those of `edge-scan`, bit for bit.

The record is that of CX.PB01 and CX.PB02, 12 hours, twice behind each other. Each way is a daemon of its own, in this
process, with a server on loopback, datagrams, or two pseudo-terminals; samples come paced at `--speed` times real time.

PYTHONPATH=tests python benchmarks/daemon_day.py [--hours 24] [--speed 60] [--ways seedlink,udp,serial]
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
import tempfile
import time
import tty
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import click
import daemon_rig as rig
from daemon_load import NANOSECONDS, processor
from mosquitto_broker import free_port
from replays import CX, frames, records_by_end, scanned
from seedlink_server import SeedLinkServer, Stored

from seisedge.edge.daemon.config import parse_config
from seisedge.edge.daemon.service import Service
from seisedge.firmware_bridge import read_headers
from seisedge.firmware_bridge.frame import Frame, encode_frame
from seisedge.firmware_bridge.frame_decoder import stuffed_frame

STATIONS = ("PB01", "PB02")
HALF_S = 43_200
_BTIME = struct.Struct(">HHBBB")  # year, day of year, hour, minute, second of a miniSEED 2 header

Contents = dict[str, list[bytes]]
Pace = Callable[[int], Awaitable[None]]


def shifted(content: bytes, seconds: int) -> bytes:
    """The same records, later."""
    changed = bytearray(content)
    for header in read_headers(content):
        year, day, hour, minute, second = _BTIME.unpack_from(changed, header.offset + 20)
        moment = datetime(year, 1, 1, hour, minute, second, tzinfo=timezone.utc) + timedelta(day - 1, seconds)
        day = moment.timetuple().tm_yday
        _BTIME.pack_into(changed, header.offset + 20, moment.year, day, moment.hour, moment.minute, moment.second)
    return bytes(changed)


def day_of(folder: Path, hours: float) -> Contents:
    """Write the day's files; give their contents, by station."""
    found: Contents = {}
    for station in STATIONS:
        for path in sorted(CX.glob(f"*{station}*")):
            content = path.read_bytes()
            whole = content + shifted(content, HALF_S)
            begin_ns = next(iter(read_headers(content))).starttime_ns
            kept = [
                each.offset + each.length
                for each in read_headers(whole)
                if each.endtime_ns <= begin_ns + hours * 3600 * NANOSECONDS
            ]
            found.setdefault(station, []).append(whole[: kept[-1]])
            (folder / path.name).write_bytes(found[station][-1])
    return found


def paced(contents: Contents, speed: float) -> Pace:
    """Give a function that waits until data of a time are due."""
    start_ns = next(iter(read_headers(contents[STATIONS[0]][0]))).starttime_ns
    begin = time.monotonic()

    async def wait(time_ns: int) -> None:
        early = begin + (time_ns - start_ns) / NANOSECONDS / speed - time.monotonic()
        await asyncio.sleep(early if early > 0.002 else 0)

    return wait


async def by_seedlink(folder: Path, contents: Contents, pace: Pace, ends: ExitStack) -> Service:
    """A server that gives each record when it has ended."""
    del ends
    records = records_by_end(each for files in contents.values() for each in files)
    due = iter([header.endtime_ns for header, _ in records])

    async def before(stored: Stored) -> None:
        del stored
        await pace(next(due))

    server = SeedLinkServer(b"".join(record for _, record in records), before=before)
    await server.start()
    service = await ended(
        folder,
        [f"{server.url}?streams=CX_PB01,CX_PB02"],
        lambda service: sum(each.taken for each in service.intakes) >= len(records),
    )
    await server.stop()
    return service


async def by_frames(
    folder: Path, contents: Contents, pace: Pace, urls: list[str], send: Callable[[int, Frame], Awaitable[None]]
) -> Service:
    """A digitizer of each station sends its frames when they have ended."""
    sent = [0 for _ in STATIONS]

    async def feed(number: int, station: str) -> None:
        for frame in frames(contents[station]):
            await pace(frame.starttime_ns + len(frame.samples) * NANOSECONDS // 100)
            await send(number, frame)
            sent[number] += 1

    feeding: list[asyncio.Task[None]] = []

    def is_done(service: Service) -> bool:
        ready = all(each.source.counts.connects for each in service.intakes) and len(service.intakes) == len(urls)
        if not feeding and ready:
            feeding.extend(asyncio.ensure_future(feed(*each)) for each in enumerate(STATIONS))
        done = bool(feeding) and all(each.done() for each in feeding)
        return done and [each.taken for each in service.intakes] == sent

    service = await ended(folder, urls, is_done)
    await asyncio.gather(*feeding)
    return service


async def by_udp(folder: Path, contents: Contents, pace: Pace, ends: ExitStack) -> Service:
    """A datagram for each frame."""
    ports = [free_port() for _ in STATIONS]
    senders = [ends.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in ports]
    for sender, port in zip(senders, ports, strict=True):
        sender.connect(("127.0.0.1", port))

    async def send(number: int, frame: Frame) -> None:
        senders[number].send(encode_frame(frame))

    urls = [
        f"udp://127.0.0.1:{port}?format=native&station=CX.{name}" for port, name in zip(ports, STATIONS, strict=True)
    ]
    return await by_frames(folder, contents, pace, urls, send)


async def by_serial(folder: Path, contents: Contents, pace: Pace, ends: ExitStack) -> Service:
    """A serial line for each station."""
    lines = [os.openpty() for _ in STATIONS]
    for ours, theirs in lines:
        ends.callback(os.close, ours)
        ends.callback(os.close, theirs)
        tty.setraw(theirs)
        os.set_blocking(ours, False)

    async def send(number: int, frame: Frame) -> None:
        rest = memoryview(stuffed_frame(frame))
        while rest:
            try:
                rest = rest[os.write(lines[number][0], rest) :]
            except BlockingIOError:  # noqa: PERF203 - the line is full
                await asyncio.sleep(0.001)

    urls = [
        f"serial:{os.ttyname(theirs)}?baud=921600&station=CX.{name}"
        for (_, theirs), name in zip(lines, STATIONS, strict=True)
    ]
    return await by_frames(folder, contents, pace, urls, send)


async def ended(folder: Path, urls: list[str], is_done: Callable[[Service], bool]) -> Service:
    """Run a daemon until its sources have given all; close what is open then."""
    sources = "".join(f'[[source]]\nurl = "{url}"\n' for url in urls)
    text = f"""
[daemon]
state = "{folder}/state"
[http]
listen = ""
{sources}
[[sink]]
type = "jsonl"
path = "{folder}/picks.jsonl"
rotate_megabytes = 1024
fsync = false
"""
    service = Service(parse_config(text, "benchmark"), until_end=True)
    task = asyncio.ensure_future(service.run())
    while not (task.done() or is_done(service)):  # noqa: ASYNC110 - the condition is many counters
        await asyncio.sleep(0.05)
    for each in service.tasks.values():
        each.cancel()
    await task
    return service


WAYS: dict[str, Callable[[Path, Contents, Pace, ExitStack], Awaitable[Service]]] = {
    "seedlink": by_seedlink,
    "udp": by_udp,
    "serial": by_serial,
}


async def play(way: str, folder: Path, contents: Contents, speed: float, wanted: list[tuple[Any, ...]]) -> bool:
    """Play the day one way, and say whether its picks are the wanted ones."""
    (folder / way).mkdir()
    begin = time.monotonic()
    with ExitStack() as ends:
        service = await WAYS[way](folder / way, contents, paced(contents, speed), ends)
    found = rig.published_picks(rig.rows_of(folder / way))
    damaged = sum(each.source.counts.damaged for each in service.intakes)
    dropped = sum(sum(each.inbox.dropped.values()) for each in service.workers)
    taken = sum(each.taken for each in service.intakes)
    lacking, strange = len(set(wanted) - set(found)), len(set(found) - set(wanted))
    verdict = "the same" if found == wanted else f"{lacking} lack, {strange} are others"
    sys.stdout.write(
        f"| {way} | {time.monotonic() - begin:.0f} | {taken} | {damaged} | {dropped} | "
        f"{len(found)} | {len(wanted)} | {verdict} |\n"
    )
    sys.stdout.flush()
    return found == wanted


@click.command()
@click.option("--hours", default=24.0)
@click.option("--speed", default=60.0, help="Times real time.")
@click.option("--ways", default="seedlink,udp,serial", help="All at once.")
def main(hours: float, speed: float, ways: str) -> None:
    """Play the day each way, and compare."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        contents = day_of(folder, hours)
        wanted = scanned(sorted(folder.glob("*.mseed")))
        sys.stdout.write(
            f"{processor()}; {hours:g} h of {len(STATIONS)} stations at {speed:g} times real time\n\n"
            "| way | seconds | packets | damaged | dropped | picks | wanted | verdict |\n"
            f"{'|---' * 8}|\n"
        )
        sys.stdout.flush()

        async def run() -> list[bool]:
            return await asyncio.gather(*(play(way, folder, contents, speed, wanted) for way in ways.split(",")))

        same = asyncio.run(run())
    sys.exit(0 if all(same) else 1)


if __name__ == "__main__":
    main()
