"""One connection to a DataLink server: what is said, and the wait for its answer; for the source and the writer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import final

from seisedge.firmware_bridge import DataLinkClient
from seisedge.firmware_bridge.datalink import Event, Reply, ServerId

from .connection import PORTION, limited

PORT = 16000
"""Where a server listens if nobody says another one."""


@final
@dataclass(frozen=True)
class Link:
    """The two directions of a connection, and the client that keeps its state.

    Attributes
    ----------
    timeout_s
        How long an answer may take.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    timeout_s: float
    client: DataLinkClient = field(default_factory=DataLinkClient)

    async def send(self) -> None:
        """Send what the client wants to be sent."""
        self.writer.write(self.client.bytes_to_send())
        await self.writer.drain()

    async def next_event(self) -> Event:
        """Send what is to be sent and wait for the next event.

        Raises
        ------
        ConnectionError
            The server closed the connection.
        asyncio.TimeoutError
            It is silent.
        WireError
            It sends what is no DataLink.
        """
        await self.send()
        while (event := self.client.next_event()) is None:
            data = await limited(self.reader.read(PORTION), self.timeout_s)
            if not data:
                raise ConnectionError("the server closed the connection")
            self.client.receive(data)
        return event

    async def reply(self) -> Reply:
        """Wait for the answer to a command; errors as of `next_event`."""
        while not isinstance(event := await self.next_event(), Reply):
            pass
        return event

    async def greet(self) -> None:
        """Exchange names with the server; errors as of `next_event`."""
        self.client.identify()
        while not isinstance(await self.next_event(), ServerId):
            pass

    def ask_for_life(self) -> None:
        """Ask for a sign of life, and wait for nothing."""
        self.client.identify()  # the server answers with its own name
        self.writer.write(self.client.bytes_to_send())
