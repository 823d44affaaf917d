"""Native frames from a device, a serial server or a bridge that listens on TCP: COBS-stuffed, zeros between.

tcp://192.168.1.20:4000
tcp://192.168.1.20:4000?station=CH.HOME&channels=HNZ,HNN,HNE&timeout=30
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import final

from seisedge.edge.errors import UsageError
from seisedge.firmware_bridge import Decoder, Packet

from .connection import PORTION, Backoff, connected, limited, reconnecting, seconds_of
from .formats import NAMING_OPTIONS, decoder_of
from .inbox import decoded
from .source import Source, SourceCounts
from .urls import SourceUrl

_TIMEOUT_S = 60.0


def open_url(url: SourceUrl, resume: str | None) -> Source:
    """Make the source; see the module's examples.

    Raises
    ------
    UsageError
        The URL says what a TCP line does not have; or `resume`, for a line does not repeat.
    """
    url.require_options(("format", *NAMING_OPTIONS, "timeout"))
    return TcpSource(url, resume, decoder_of(url, ("native",), is_message=False))


@final
class TcpSource:
    """Connects, reads, and connects again when the line breaks or is silent for too long.

    Parameters
    ----------
    decoder
        Of the line's bytes; it lives on from connection to connection, with its clock and its sequence numbers.
    port
        Where the URL names none; None: it must.
    backoff
        How long to wait before connecting again.
    """

    def __init__(
        self,
        url: SourceUrl,
        resume: str | None,
        decoder: Decoder,
        *,
        port: int | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        if resume is not None:
            raise UsageError(f"source {url.text}: cannot resume: the line does not repeat what it sent")
        found = port if url.port is None else url.port
        if not url.host or not found:
            raise UsageError(f"source {url.text}: found no host and port, wanted {url.scheme}://HOST:PORT")
        self.url, self.counts = url.text, SourceCounts()
        self._host, self._port = url.host, found
        self._decoder = decoder
        self._timeout_s = seconds_of(url, "timeout", _TIMEOUT_S)
        self.backoff = backoff or Backoff()

    @property
    def position(self) -> str | None:
        """None: the line does not repeat."""
        return None

    def packets(self) -> AsyncGenerator[Packet, None]:
        """Yield packets for ever; lost connections are counted and made again."""
        return reconnecting(self._connection, self.counts, self.backoff, peer=f"{self._host}:{self._port}")

    async def _connection(self) -> AsyncGenerator[Packet, None]:
        async with connected(self._host, self._port, None) as (reader, _):
            self.counts.connects += 1
            while data := await self._read(reader):
                for packet in decoded(self._decoder, data, self.counts):
                    yield packet
            raise ConnectionError("the other side closed the connection")

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        try:
            return await limited(reader.read(PORTION), self._timeout_s)
        except asyncio.TimeoutError:
            raise ConnectionError(f"nothing came for {self._timeout_s:g} s") from None
