"""Where `edge-bridge replay` sends bytes to: UDP, TCP, a serial port, or the ring of a ringserver."""

from __future__ import annotations

import asyncio
import os
import termios
import tty
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from seisedge.firmware_bridge import Packet, SourceId, WireError, encode_records

from .errors import DataError, UsageError
from .sources.connection import in_one_line
from .sources.datalink_link import PORT
from .sources.datalink_writer import DataLinkWriter
from .sources.formats import Encoder
from .sources.urls import SourceUrl

Send = Callable[[Packet], Awaitable[int]]
SCHEMES = ("udp", "tcp", "serial", "datalink")
_MOST_DATAGRAM = 65_507


@asynccontextmanager
async def sender_to(url: SourceUrl, encode: Encoder) -> AsyncGenerator[Send, None]:
    """Open a target and give what sends one packet to it; `datalink` takes miniSEED 2 whatever `encode` is.

    Raises
    ------
    UsageError
        The URL is of no target.
    DataError
        The target cannot be opened, or the format cannot hold a packet.
    """
    opening = {"udp": _udp, "tcp": _tcp, "serial": _serial, "datalink": _datalink}.get(url.scheme)
    if opening is None:
        raise UsageError(f"--to {url.text}: found scheme {url.scheme!r}, wanted one of {', '.join(SCHEMES)}")
    if url.scheme != "serial" and (not url.host or (url.port is None and url.scheme != "datalink")):
        raise UsageError(f"--to {url.text}: wanted {url.scheme}://HOST:PORT")
    try:
        async with opening(url, encode) as send:
            yield send
    except OSError as error:
        raise DataError(f"--to {url.text}: {in_one_line(error)}") from error
    except WireError as error:
        raise DataError(f"--to {url.text}: cannot be sent in this format: {error}") from error


@asynccontextmanager
async def _udp(url: SourceUrl, encode: Encoder) -> AsyncGenerator[Send, None]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(url.host, url.port or 0))

    async def send(packet: Packet) -> int:
        parts = encode(packet)
        for part in parts:
            if len(part) > _MOST_DATAGRAM:
                raise DataError(f"--to {url.text}: found a packet of {len(part)} bytes, wanted --packet-seconds lower")
            transport.sendto(part)
        await asyncio.sleep(0)
        return sum(map(len, parts))

    try:
        yield send
    finally:
        transport.close()
        await asyncio.sleep(0)


@asynccontextmanager
async def _tcp(url: SourceUrl, encode: Encoder) -> AsyncGenerator[Send, None]:
    _, writer = await asyncio.open_connection(url.host, url.port)

    async def send(packet: Packet) -> int:
        data = b"".join(encode(packet))
        writer.write(data)
        await writer.drain()
        return len(data)

    try:
        yield send
    finally:
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def _serial(url: SourceUrl, encode: Encoder) -> AsyncGenerator[Send, None]:
    """Write raw bytes to a terminal device; `?baud=115200`."""
    url.require_options(("baud",))
    baud = url.options.get("baud", "115200")
    speed = getattr(termios, f"B{baud}", None)
    if not isinstance(speed, int):
        raise UsageError(f"--to {url.text}: baud: found {baud!r}, wanted a rate of serial ports such as 115200")
    device = os.open(Path(url.path), os.O_WRONLY | os.O_NOCTTY)
    try:
        if os.isatty(device):
            tty.setraw(device)
            settings = termios.tcgetattr(device)
            settings[4] = settings[5] = speed
            termios.tcsetattr(device, termios.TCSANOW, settings)

        async def send(packet: Packet) -> int:
            data = b"".join(encode(packet))
            view = memoryview(data)
            while view:
                view = view[await asyncio.to_thread(os.write, device, view) :]
            return len(data)

        yield send
    finally:
        os.close(device)


@asynccontextmanager
async def _datalink(url: SourceUrl, encode: Encoder) -> AsyncGenerator[Send, None]:
    del encode  # a ring holds records
    async with DataLinkWriter(url.host, url.port or PORT) as ring:

        async def send(packet: Packet) -> int:
            name = SourceId.parse(packet.source_id)
            stream = f"{name.network}_{name.station}_{name.location}_{name.channel}/MSEED"
            size = 0
            for record in encode_records(packet):
                await ring.write(stream, packet.starttime_ns, packet.time_of(packet.samples.size - 1), record)
                size += len(record)
            return size

        yield send
