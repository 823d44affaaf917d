"""Datagrams: Raspberry Shake's datacast and bare native frames.

udp://:8888?station=AM.R24FA.00                     from this machine only
udp://0.0.0.0:8888?station=AM.R24FA.00              from anywhere
udp://0.0.0.0:7700?format=native&sender=192.168.1.7 from one sender only
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import final

from seisedge.edge.errors import DataError, UsageError
from seisedge.firmware_bridge import Packet

from .formats import FORMAT_OPTIONS, decoder_of
from .inbox import Inbox, decoded
from .source import Source, SourceCounts
from .urls import SourceUrl

PORT = 8888
_FORMATS = ("datacast", "native")
_BUFFER_BYTES = 4 << 20  # wanted of the system, which gives what it allows: a busy moment must not lose datagrams
_LOOK_S = 1.0
_TABLES = (Path("/proc/net/udp"), Path("/proc/net/udp6"))


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
            opened: socket.socket = transport.get_extra_info("socket")
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            inode, before = os.fstat(opened.fileno()).st_ino, self.counts.overruns
            self.port = transport.get_extra_info("sockname")[1]
            self.bound.set()
            looked = loop.time()
            while True:
                for packet in decoded(self._decoder, await inbox.get(), self.counts):
                    yield packet
                if loop.time() - looked > _LOOK_S:
                    looked = loop.time()
                    self._note_overruns(before + dropped_by_system(inode))
        finally:
            transport.close()

    def _note_overruns(self, overruns: int) -> None:
        if overruns > self.counts.overruns:
            lost, self.counts.overruns = overruns - self.counts.overruns, overruns
            self.counts.last_problem = f"the system dropped {lost} datagrams: its buffer for the port was full"


def dropped_by_system(inode: int) -> int:
    """Give the datagrams that Linux dropped at a socket, known by its inode; 0 where it does not tell (proc(5))."""
    for table in _TABLES:
        try:
            lines = table.read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[9] == str(inode):
                return int(fields[12])
    return 0


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
