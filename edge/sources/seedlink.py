"""SeedLink 3 and 4 over TCP or TLS.

seedlink://geofon.gfz.de:18000?streams=CX_PB01:HH?,GE_APE:BH?+!BHN
seedlinks://user@host:18500?streams=CX_*&password_file=/etc/seisedge/geofon&ca_file=/etc/seisedge/ca.pem
"""

from __future__ import annotations

import asyncio
import fnmatch
import json
import ssl
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from functools import partial
from typing import Literal, final

from seisedge.edge.errors import DataError, UsageError
from seisedge.edge.times import format_time, parse_time
from seisedge.firmware_bridge import (
    Packet,
    SeedLinkClient,
    SeedLinkPacket,
    StationRequest,
    UserPassword,
    WebToken,
    WireError,
    decode_series,
)
from seisedge.firmware_bridge.seedlink_events import EndOfStream, Event, Hello, InfoReply, Refused

from .connection import (
    PORTION,
    Backoff,
    connected,
    in_one_line,
    is_yes,
    limited,
    read_alive,
    reconnecting,
    require_private,
    seconds_of,
    secret_of,
    tls_context,
)
from .source import Source, SourceCounts
from .streams import patterns_of
from .urls import SourceUrl

_PORT, _TLS_PORT = 18000, 18500
_OPTIONS = (
    "streams",
    "version",
    "start",
    "end",
    "fetch",
    "keepalive",
    "password_file",
    "token_file",
    "ca_file",
)
_KEEPALIVE_S = 30.0
_REFUSED_FOR_GOOD = {"AUTH", "HELLO"}


def open_url(url: SourceUrl, resume: str | None) -> Source:
    """Make the source; see the module's examples and `docs/connect-seedlink.md` for the options.

    Raises
    ------
    UsageError
        The URL says what SeedLink does not have, a file of secrets cannot be read, or `resume` is not of this source.
    """
    return SeedLinkSource(url, resume)


@final
class SeedLinkSource:
    """A SeedLink server's packets, from connection to connection without loss or repetition.

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
            raise UsageError(f"source {url.text}: found no host, wanted {url.scheme}://HOST")
        self.url, self.counts = url.text, SourceCounts()
        self._host, self._is_tls = url.host, url.scheme == "seedlinks"
        self._port = url.port or (_TLS_PORT if self._is_tls else _PORT)
        self._requests = _requests(url)
        self._version = _version(url)
        self._fetch, self._keepalive_s = is_yes(url, "fetch"), seconds_of(url, "keepalive", _KEEPALIVE_S)
        self._credentials = _credentials(url, is_tls=self._is_tls)
        self._tls: ssl.SSLContext | None = tls_context(url) if self._is_tls else None
        self._backoff = backoff or Backoff()
        self._spoken, self._after = _read_position(url, resume)
        self._ended = False

    @property
    def position(self) -> str | None:
        """The last sequence number of each stream that was asked for."""
        return json.dumps({"version": self._spoken, "after": self._after}) if self._after else None

    def packets(self) -> AsyncGenerator[Packet, None]:
        """Yield packets; with `fetch=yes` until the server says that there are no more, else for ever.

        Raises
        ------
        DataError
            The server refuses the credentials, or does not speak the version that was asked for.
        """
        peer = f"{self._host}:{self._port}"
        return reconnecting(self._connection, self.counts, self._backoff, peer=peer, is_wanted=lambda: not self._ended)

    async def info(self, item: str) -> bytes:
        """Ask for INFO, such as `ID`, `STATIONS` or `STREAMS`, on a connection of its own: XML or JSON.

        Raises
        ------
        DataError
            The server refuses it, or closes the connection before it is whole.
        """
        client = SeedLinkClient(info=[item], version=self._version, credentials=self._credentials, streams=False)
        async with connected(self._host, self._port, self._tls) as (reader, writer):
            while True:
                event = client.next_event()
                if isinstance(event, Refused) or (isinstance(event, InfoReply) and event.is_error):
                    words = event.message if isinstance(event, Refused) else event.content.decode("utf-8", "replace")
                    raise DataError(f"{self.url}: INFO {item}: the server refuses: {words}")
                if isinstance(event, InfoReply):
                    return event.content
                if event is None:
                    writer.write(client.bytes_to_send())
                    data = await limited(reader.read(PORTION), self._keepalive_s)
                    if not data:
                        raise DataError(f"{self.url}: INFO {item}: the server closed the connection, wanted an answer")
                    client.receive(data)

    async def _connection(self) -> AsyncGenerator[Packet, None]:
        """One connection: negotiate, then yield packets until it ends."""
        async with connected(self._host, self._port, self._tls) as (reader, writer):
            self.counts.connects += 1
            version = self._version
            if version is None and self._after and self._spoken == 3:
                version = 3  # sequence numbers of one version mean nothing in the other
            client = SeedLinkClient(
                self._continued(),
                version=version,
                counted=self._spoken,
                credentials=self._credentials,
                fetch=self._fetch,
            )
            while True:
                writer.write(client.bytes_to_send())
                await writer.drain()
                data = await read_alive(reader, self._keepalive_s, partial(_ask_for_life, client, writer))
                self.counts.received_bytes += len(data)
                client.receive(data)
                for packet in self._take(client):
                    yield packet
                if self._ended:
                    return

    def _take(self, client: SeedLinkClient) -> Iterator[Packet]:
        """Give the packets that have become whole; `position` moves with each one, whether it has samples or not."""
        while True:
            try:
                event = client.next_event()
                if event is None:
                    return
                packet = None
                if isinstance(event, SeedLinkPacket):
                    packet = self._packet(event)
                else:
                    self._note(event)
            except WireError as error:
                self.counts.damaged += 1
                self.counts.last_problem = in_one_line(error)
                continue
            if packet is not None:
                self.counts.packets += 1
                yield packet

    def _packet(self, received: SeedLinkPacket) -> Packet | None:
        if received.format not in "23":
            return None
        key = next(
            (each.station_id for each in self._requests if fnmatch.fnmatchcase(received.station_id, each.station_id)),
            received.station_id,
        )
        if self._after.get(key) == received.sequence:
            return None  # a server that counts from the last packet instead of from the next
        self._after[key] = received.sequence
        return decode_series(received.payload)

    def _note(self, event: Event) -> None:
        if isinstance(event, Hello):
            if self._spoken not in (None, event.version):
                self._after.clear()
                self.counts.last_problem = "the server speaks another version now: resumed with the next packet"
            self._spoken = event.version
        elif isinstance(event, EndOfStream):
            self._ended = True
        elif isinstance(event, Refused):
            words = f"{event.command}: the server refuses: {event.message}"
            if event.is_final and event.command in _REFUSED_FOR_GOOD:
                raise DataError(f"{self.url}: {words}")
            if not (event.is_final and event.command == "END"):  # why none was accepted has been said
                self.counts.last_problem = f"{self._host}:{self._port}: {words}"
            if event.is_final:
                raise ConnectionError(self.counts.last_problem.partition(": ")[2])

    def _continued(self) -> list[StationRequest]:
        return [
            replace(each, after=self._after[each.station_id]) if each.station_id in self._after else each
            for each in self._requests
        ]


def _ask_for_life(client: SeedLinkClient, writer: asyncio.StreamWriter) -> None:
    if not client.is_streaming:
        raise ConnectionError("the server does not answer")
    client.ask("ID")
    writer.write(client.bytes_to_send())


def _requests(url: SourceUrl) -> list[StationRequest]:
    start, end = (_time(url.options[name]) if name in url.options else "" for name in ("start", "end"))
    if end and not start:
        raise UsageError(f"source {url.text}: found end without start, wanted both")
    try:
        return [
            StationRequest(each.station, each.channels, starttime=start, endtime=end) for each in patterns_of(url)
        ] or [StationRequest(starttime=start, endtime=end)]
    except WireError as error:
        raise UsageError(f"source {url.text}: {error}") from None


def _time(text: str) -> str:
    return format_time(parse_time(text))


def _version(url: SourceUrl) -> Literal[3, 4] | None:
    text = url.options.get("version")
    if text not in (None, "3", "4"):
        raise UsageError(f"source {url.text}: version: found {text!r}, wanted 3 or 4")
    return None if text is None else (3 if text == "3" else 4)


def _credentials(url: SourceUrl, *, is_tls: bool) -> UserPassword | WebToken | None:
    password, token = secret_of(url, "password_file"), secret_of(url, "token_file")
    if password is not None and token is not None:
        raise UsageError(f"source {url.text}: found password_file and token_file, wanted one of them")
    if bool(url.user) != (password is not None):
        raise UsageError(f"source {url.text}: found one of user and password_file, wanted both: USER@HOST")
    if password is None and token is None:
        return None
    require_private(url, encrypted=is_tls)
    return WebToken(token) if token is not None else UserPassword(url.user, password or "")


def _read_position(url: SourceUrl, resume: str | None) -> tuple[Literal[3, 4] | None, dict[str, int]]:
    if resume is None:
        return None, {}
    unreadable = UsageError(f"source {url.text}: found position {resume[:60]!r}, wanted one of this source")
    try:
        position = json.loads(resume)
        version, after = position["version"], position["after"]
    except (ValueError, KeyError, TypeError):
        raise unreadable from None
    if version not in (3, 4) or not isinstance(after, dict) or not all(type(each) is int for each in after.values()):
        raise unreadable
    return version, after
