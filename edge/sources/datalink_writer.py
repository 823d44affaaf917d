"""DataLink over TCP, the other way: packets into the ring of a ringserver."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from types import TracebackType
from typing import final

from seisedge.edge.errors import DataError
from seisedge.firmware_bridge import WireError

from .connection import connected
from .datalink_link import PORT, Link


@final
class DataLinkWriter:
    """Writes packets into a ring, each one acknowledged; connects when the first one is written.

    Use it as `async with DataLinkWriter("localhost") as ring: await ring.write(...)`. After a failure the next `write`
    connects again.
    """

    def __init__(self, host: str, port: int = PORT, *, token: str | None = None, timeout_s: float = 30.0) -> None:
        self._host, self._port, self._token, self._timeout_s = host, port, token, timeout_s
        self._stack = AsyncExitStack()
        self._link: Link | None = None

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
            link = self._link or await self._connect()
            link.client.write(stream_id, starttime_ns, endtime_ns, payload)
            reply = await link.reply()
        except asyncio.TimeoutError:
            await self.close()
            raise ConnectionError(f"{self._host}:{self._port}: the server does not answer") from None
        except (OSError, WireError, asyncio.CancelledError):
            await self.close()  # an answer that is still to come must not be taken for that of the next packet
            raise
        if not reply.is_ok:
            raise DataError(f"datalink://{self._host}:{self._port}: WRITE: the server refuses: {reply.message}")
        return reply.value

    async def _connect(self) -> Link:
        ends = await self._stack.enter_async_context(connected(self._host, self._port, None))
        link = Link(*ends, self._timeout_s)
        await link.greet()
        if self._token is not None:
            link.client.authorize(self._token)
            reply = await link.reply()
            if not reply.is_ok:
                raise DataError(f"datalink://{self._host}:{self._port}: AUTHORIZATION: refused: {reply.message}")
        self._link = link
        return link
