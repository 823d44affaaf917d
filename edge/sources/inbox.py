"""Between what receives (a socket, a broker's thread) and what decodes: a bounded queue that drops the oldest."""

from __future__ import annotations

import asyncio
from collections import deque

from seisedge.firmware_bridge import Decoder, Packet, WireError, packets_of

from .source import SourceCounts

_MOST_WAITING = 1024


class Inbox:
    """Datagrams or messages that wait to be decoded.

    A consumer that is too slow loses the oldest ones: counted as damage, for their packets are missing.
    """

    def __init__(self, counts: SourceCounts, most: int = _MOST_WAITING) -> None:
        self._counts, self._most = counts, most
        self._waiting: deque[bytes] = deque()
        self._has_come = asyncio.Event()
        self._failure: Exception | None = None

    def put(self, unit: bytes) -> None:
        """Take what has come; on the event loop's thread."""
        if len(self._waiting) >= self._most:
            self._waiting.popleft()
            self._counts.damaged += 1
            self._counts.last_problem = f"more than {self._most} messages waited: the oldest was dropped"
        self._waiting.append(unit)
        self._has_come.set()

    def fail(self, error: Exception) -> None:
        """Let `get` raise this, behind what has come; the first failure counts."""
        self._failure = self._failure or error
        self._has_come.set()

    async def get(self) -> bytes:
        """Wait for the next one.

        Raises
        ------
        Exception
            What `fail` was told.
        """
        while not self._waiting:
            if self._failure is not None:
                raise self._failure
            self._has_come.clear()
            await self._has_come.wait()
        return self._waiting.popleft()


def decoded(decoder: Decoder, data: bytes, counts: SourceCounts) -> list[Packet]:
    """Feed what has come, and count it, its packets and its damage."""

    def note(error: WireError) -> None:
        counts.damaged += 1
        counts.last_problem = str(error)

    counts.received_bytes += len(data)
    packets = packets_of(decoder, data, note)
    counts.packets += len(packets)
    return packets
