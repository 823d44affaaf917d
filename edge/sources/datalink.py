"""DataLink over TCP: the packets of a ringserver.

datalink://localhost:16000?match=CX_.*/MSEED
datalink://ring.example.org?match=.*&reject=.*/JSON&start=2024-05-01T12:00
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Iterator
from typing import final

from seisedge.edge.errors import DataError, UsageError
from seisedge.edge.times import parse_time
from seisedge.firmware_bridge import DataLinkClient, DataLinkPacket, Packet, WireError, decode_series
from seisedge.firmware_bridge.datalink import Event, Info, Reply

from .connection import (
    Backoff,
    connected,
    in_one_line,
    read_alive,
    reconnecting,
    require_private,
    seconds_of,
    secret_of,
)
from .datalink_link import PORT, Link
from .source import Source, SourceCounts
from .urls import SourceUrl

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
        async with connected(self._host, self._port, None) as ends:
            link = Link(*ends, self._keepalive_s)
            await link.greet()
            link.client.info(item)
            while not isinstance(event := await link.next_event(), Info):
                if isinstance(event, Reply):
                    raise DataError(f"{self.url}: INFO {item}: the server answers: {event.message}")
            return event.content

    async def _connection(self) -> AsyncGenerator[Packet, None]:
        async with connected(self._host, self._port, None) as ends:
            self.counts.connects += 1
            link = Link(*ends, self._keepalive_s)
            await link.greet()
            await self._select(link)
            link.client.stream()
            while True:
                await link.send()
                data = await read_alive(link.reader, self._keepalive_s, link.ask_for_life)
                self.counts.received_bytes += len(data)
                link.client.receive(data)
                for packet in self._take(link.client):
                    yield packet

    async def _select(self, link: Link) -> None:
        """Log in, choose streams and the place in the ring."""
        if self._token is not None:
            link.client.authorize(self._token)
            await self._expect_ok(link)
        if self._match:
            link.client.match(self._match)
            await self._expect_ok(link)
        if self._reject:
            link.client.reject(self._reject)
            await self._expect_ok(link)
        if self._last_id is not None:
            link.client.position_set(self._last_id, self._last_ns)
            reply = await link.reply()
            if not reply.is_ok:
                self.counts.last_problem = f"packet {self._last_id} has left the ring: went on with the earliest one"
                link.client.position_set("EARLIEST")
                await self._expect_ok(link)
        elif self._start_ns is not None:
            link.client.position_after(self._start_ns)
            await self._expect_ok(link)

    async def _expect_ok(self, link: Link) -> None:
        reply = await link.reply()
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
