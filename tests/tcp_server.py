"""What the servers of tests share: connections that are counted, cut after so many bytes, and ended with the server."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar

S = TypeVar("S", bound="TcpServer")


@dataclass
class TcpServer:
    """A server that can be stopped and started again on its port.

    Attributes
    ----------
    cut_after
        Bytes of the stream after which each connection is cut, one entry per connection; None never cuts.
    connections
        How many there were.
    commands
        All that clients said, for tests to look at.
    """

    cut_after: list[int | None] = field(default_factory=list[int | None], kw_only=True)
    tls: ssl.SSLContext | None = field(default=None, kw_only=True)
    port: int = field(default=0, kw_only=True)
    commands: list[str] = field(default_factory=list[str], kw_only=True)
    connections: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._sessions: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "localhost", self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        await asyncio.gather(*self._sessions)
        await self._server.wait_closed()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: int | None) -> None:
        """Serve one client; `cut` are the bytes after which its connection breaks."""
        raise NotImplementedError

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._sessions.add(task)
        task.add_done_callback(self._sessions.discard)
        self._open.add(writer)
        cut = self.cut_after.pop(0) if self.cut_after else None
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                await self.talk(reader, writer, cut)
        finally:
            self._open.discard(writer)
            writer.transport.abort()


@asynccontextmanager
async def started(server: S) -> AsyncGenerator[S, None]:
    """A server on a free port of the loopback interface."""
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
