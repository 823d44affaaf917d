"""DataLink over TCP: the packets of a ringserver, and results into it.

datalink://localhost:16000?match=CX_.*/MSEED
datalink://ring.example.org?match=.*&reject=.*/JSON&start=2024-05-01T12:00
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import final

from seisedge.edge.errors import DataError, UsageError
from seisedge.edge.times import parse_time
from seisedge.firmware_bridge import DataLinkClient, DataLinkPacket, Packet, WireError, decode_series
from seisedge.firmware_bridge.datalink import Event, Info, Reply, ServerId

from .connection import (
    PORTION,
    Backoff,
    connected,
    in_one_line,
    limited,
    read_alive,
    reconnecting,
    require_private,
    seconds_of,
    secret_of,
)
from .source import Source, SourceCounts
from .urls import SourceUrl

PORT = 16000
_OPTIONS = ("match", "reject", "start", "token_file", "keepalive")
_KEEPALIVE_S = 60.0
_RECORDS = ("MSEED", "MSEED2", "MSEED3")


def open_url(url: SourceUrl, resume: str | None) -> Source:
    """Make the source; see the module's examples.

    Raises
    ------
    UsageError
        The URL says what DataLink does not have, or `resume` is not of this source.
    """
    return DataLinkSource(url, resume)


@final
class DataLinkSource:
    """The miniSEED packets of a ring, from connection to connection without loss or repetition.

    Parameters
    ----------
    resume
        An earlier `position`.
    backoff
        How long to wait before connecting again.
    """

    def __init__(self, url: SourceUrl, resume: str | None = None, *, backoff: Backoff | None = None) -> None:
        url.require_options(_OPTIONS)
        if not url.host:
            raise UsageError(f"source {url.text}: found no host, wanted datalink://HOST")
        self.url, self.counts = url.text, SourceCounts()
        self._host, self._port = url.host, url.port or PORT
        self._match, self._reject = (_pattern(url, name) for name in ("match", "reject"))
        self._start_ns = parse_time(url.options["start"]) if "start" in url.options else None
        self._token = secret_of(url, "token_file")
        if self._token is not None:
            require_private(url, encrypted=False)
        self._keepalive_s = seconds_of(url, "keepalive", _KEEPALIVE_S)
        self._backoff = backoff or Backoff()
        self._last_id, self._last_ns = _read_position(url, resume)

    @property
    def position(self) -> str | None:
        """The packet that was given last."""
        if self._last_id is None:
            return None
        return json.dumps({"packet_id": self._last_id, "packettime_ns": self._last_ns})

    def packets(self) -> AsyncGenerator[Packet, None]:
        """Yield packets for ever.

        Raises
        ------
        DataError
            The server refuses the token or the patterns.
        """
        return reconnecting(self._connection, self.counts, self._backoff, peer=f"{self._host}:{self._port}")

    async def info(self, item: str) -> bytes:
        """Ask for INFO, such as `STATUS` or `STREAMS`, on a connection of its own: XML."""
        client = DataLinkClient()
        async with connected(self._host, self._port, None) as (reader, writer):
            await _ask(client, reader, writer, self._keepalive_s)
            client.info(item)
            while not isinstance(event := await _next(client, reader, writer, self._keepalive_s), Info):
                if isinstance(event, Reply):
                    raise DataError(f"{self.url}: INFO {item}: the server answers: {event.message}")
            return event.content

    async def _connection(self) -> AsyncGenerator[Packet, None]:
        client = DataLinkClient()
        async with connected(self._host, self._port, None) as (reader, writer):
            self.counts.connects += 1
            await _ask(client, reader, writer, self._keepalive_s)
            await self._select(client, reader, writer)
            client.stream()
            while True:
                writer.write(client.bytes_to_send())
                await writer.drain()
                data = await read_alive(reader, self._keepalive_s, partial(_ask_for_life, client, writer))
                self.counts.received_bytes += len(data)
                client.receive(data)
                for packet in self._take(client):
                    yield packet

    async def _select(self, client: DataLinkClient, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Log in, choose streams and the place in the ring."""
        if self._token is not None:
            client.authorize(self._token)
            await self._expect_ok(client, reader, writer)
        if self._match:
            client.match(self._match)
            await self._expect_ok(client, reader, writer)
        if self._reject:
            client.reject(self._reject)
            await self._expect_ok(client, reader, writer)
        if self._last_id is not None:
            client.position_set(self._last_id, self._last_ns)
            reply = await _reply(client, reader, writer, self._keepalive_s)
            if not reply.is_ok:
                self.counts.last_problem = f"packet {self._last_id} has left the ring: went on with the earliest one"
                client.position_set("EARLIEST")
                await self._expect_ok(client, reader, writer)
        elif self._start_ns is not None:
            client.position_after(self._start_ns)
            await self._expect_ok(client, reader, writer)

    async def _expect_ok(
        self, client: DataLinkClient, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        reply = await _reply(client, reader, writer, self._keepalive_s)
        if not reply.is_ok:
            raise DataError(f"{self.url}: {reply.command}: the server refuses: {reply.message}")

    def _take(self, client: DataLinkClient) -> Iterator[Packet]:
        while True:
            try:
                event = client.next_event()
                if event is None:
                    return
                packet = self._packet(event)
            except WireError as error:
                self.counts.damaged += 1
                self.counts.last_problem = in_one_line(error)
                continue
            if packet is not None:
                self.counts.packets += 1
                yield packet

    def _packet(self, event: Event) -> Packet | None:
        if isinstance(event, Reply) and not event.is_ok:
            raise ConnectionError(f"the server says: {event.message}")
        if not isinstance(event, DataLinkPacket) or event.packet_id == self._last_id:
            return None
        self._last_id, self._last_ns = event.packet_id, event.packettime_ns
        return decode_series(event.payload) if event.kind in _RECORDS else None


@final
class DataLinkWriter:
    """Writes packets into a ring, each one acknowledged; connects when the first one is written.

    Use it as `async with DataLinkWriter("localhost") as ring: await ring.write(...)`. After a failure the next `write`
    connects again.
    """

    def __init__(self, host: str, port: int = PORT, *, token: str | None = None, timeout_s: float = 30.0) -> None:
        self._host, self._port, self._token, self._timeout_s = host, port, token, timeout_s
        self._stack = AsyncExitStack()
        self._link: tuple[DataLinkClient, asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> DataLinkWriter:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection."""
        self._link = None
        await self._stack.aclose()

    async def write(self, stream_id: str, starttime_ns: int, endtime_ns: int, payload: bytes) -> int:
        """Write a packet; give its number in the ring once the server has it.

        Parameters
        ----------
        stream_id
            Such as `XX_STA_00_HHZ/MSEED`, `FDSN:XX_STA_00_H_H_Z/MSEED3` or `XX_STA/JSON`.

        Raises
        ------
        DataError
            The server refuses it, in its own words.
        OSError
            There is no connection: try again later.
        """
        try:
            client, reader, writer = self._link or await self._connect()
            client.write(stream_id, starttime_ns, endtime_ns, payload)
            reply = await _reply(client, reader, writer, self._timeout_s)
        except asyncio.TimeoutError:
            await self.close()
            raise ConnectionError(f"{self._host}:{self._port}: the server does not answer") from None
        except (OSError, WireError, asyncio.CancelledError):
            await self.close()  # an answer that is still to come must not be taken for that of the next packet
            raise
        if not reply.is_ok:
            raise DataError(f"datalink://{self._host}:{self._port}: WRITE: the server refuses: {reply.message}")
        return reply.value

    async def _connect(self) -> tuple[DataLinkClient, asyncio.StreamReader, asyncio.StreamWriter]:
        client = DataLinkClient()
        reader, writer = await self._stack.enter_async_context(connected(self._host, self._port, None))
        await _ask(client, reader, writer, self._timeout_s)
        if self._token is not None:
            client.authorize(self._token)
            reply = await _reply(client, reader, writer, self._timeout_s)
            if not reply.is_ok:
                raise DataError(f"datalink://{self._host}:{self._port}: AUTHORIZATION: refused: {reply.message}")
        self._link = client, reader, writer
        return self._link


def _ask_for_life(client: DataLinkClient, writer: asyncio.StreamWriter) -> None:
    client.identify()  # the server answers with its own name
    writer.write(client.bytes_to_send())


async def _next(
    client: DataLinkClient, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, timeout_s: float
) -> Event:
    """Send what is to be sent and wait for the next event."""
    writer.write(client.bytes_to_send())
    await writer.drain()
    while (event := client.next_event()) is None:
        data = await limited(reader.read(PORTION), timeout_s)
        if not data:
            raise ConnectionError("the server closed the connection")
        client.receive(data)
    return event


async def _ask(
    client: DataLinkClient, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, timeout_s: float
) -> None:
    """Exchange names with the server."""
    client.identify()
    while not isinstance(await _next(client, reader, writer, timeout_s), ServerId):
        pass


async def _reply(
    client: DataLinkClient, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, timeout_s: float
) -> Reply:
    while not isinstance(event := await _next(client, reader, writer, timeout_s), Reply):
        pass
    return event


def _pattern(url: SourceUrl, option: str) -> str:
    text = url.options.get(option, "")
    try:
        re.compile(text)
    except re.error as error:
        raise UsageError(f"source {url.text}: {option}: found {text!r}, wanted a regular expression: {error}") from None
    return text


def _read_position(url: SourceUrl, resume: str | None) -> tuple[int | None, int | None]:
    if resume is None:
        return None, None
    unreadable = UsageError(f"source {url.text}: found position {resume[:60]!r}, wanted one of this source")
    try:
        position = json.loads(resume)
        found = position["packet_id"], position["packettime_ns"]
    except (ValueError, KeyError, TypeError):
        raise unreadable from None
    if not all(type(each) is int for each in found):
        raise unreadable
    return found
