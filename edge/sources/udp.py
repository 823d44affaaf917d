"""Datagrams: Raspberry Shake's datacast and bare native frames.

udp://:8888?station=AM.R24FA.00                     from this machine only
udp://0.0.0.0:8888?station=AM.R24FA.00              from anywhere
udp://0.0.0.0:7700?format=native&sender=192.168.1.7 from one sender only
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncGenerator
from typing import final

from seisedge.edge.errors import DataError, UsageError
from seisedge.firmware_bridge import Packet

from .formats import FORMAT_OPTIONS, decoder_of
from .inbox import Inbox, decoded
from .source import Source, SourceCounts
from .urls import SourceUrl

PORT = 8888
_FORMATS = ("datacast", "native")


def open_url(url: SourceUrl, resume: str | None) -> Source:
    """Make the source; see the module's examples.

    Raises
    ------
    UsageError
        The URL says what UDP does not have; or `resume`, for datagrams do not come again.
    """
    if resume is not None:
        raise UsageError(f"source {url.text}: cannot resume: datagrams do not come again")
    return UdpSource(url)


@final
class UdpSource:
    """Listens for datagrams: on 127.0.0.1 where the URL names no address.

    Attributes
    ----------
    address
        Host and port to listen at.
    bound
        Is set when the port is open; `port` is its number then.
    """

    def __init__(self, url: SourceUrl) -> None:
        url.require_options((*FORMAT_OPTIONS, "sender"))
        self.url, self.counts = url.text, SourceCounts()
        self.address = (url.host or "127.0.0.1", PORT if url.port is None else url.port)
        self._decoder = decoder_of(url, _FORMATS, is_message=True)
        self._sender = _address_of(url)
        self.bound = asyncio.Event()
        self.port = self.address[1]

    @property
    def position(self) -> str | None:
        """None: datagrams do not come again."""
        return None

    async def packets(self) -> AsyncGenerator[Packet, None]:
        """Yield packets for ever.

        Raises
        ------
        DataError
            The port is taken or may not be opened.
        """
        inbox = Inbox(self.counts)
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _Receiver(inbox, self._sender), local_addr=self.address
            )
        except OSError as error:
            raise DataError(f"source {self.url}: cannot listen: {error.strerror or error}") from error
        try:
            self.counts.connects += 1
            self.port = transport.get_extra_info("sockname")[1]
            self.bound.set()
            while True:
                for packet in decoded(self._decoder, await inbox.get(), self.counts):
                    yield packet
        finally:
            transport.close()


def _address_of(url: SourceUrl) -> str | None:
    text = url.options.get("sender")
    try:
        return None if text is None else str(ipaddress.ip_address(text))
    except ValueError:
        raise UsageError(f"source {url.text}: sender: found {text!r}, wanted an IP address") from None


class _Receiver(asyncio.DatagramProtocol):
    def __init__(self, inbox: Inbox, sender: str | None) -> None:
        self._inbox, self._sender = inbox, sender

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._sender is None or addr[0] == self._sender:
            self._inbox.put(data)
