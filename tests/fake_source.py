"""A source in the test's own process: it yields packets that it was given, in the order and at the pace of the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

from seisedge.edge.sources import SourceCounts
from seisedge.firmware_bridge import Packet


class FakeSource:
    """Yields its packets; then ends, or with `live` waits for more until it is cancelled.

    Its position is the number of packets so far, so it can resume.
    """

    def __init__(self, packets: Iterable[Packet], *, resume: str | None = None, live: bool = False) -> None:
        self.url = "fake"
        self.counts = SourceCounts()
        self._packets = list(packets)
        self._done = int(resume or 0)
        self._live = live
        self._more = asyncio.Event()

    @property
    def position(self) -> str | None:
        return str(self._done)

    def add(self, packets: Iterable[Packet]) -> None:
        self._packets += packets
        self._more.set()

    async def packets(self) -> AsyncIterator[Packet]:
        self.counts.connects += 1
        while True:
            while self._done < len(self._packets):
                packet = self._packets[self._done]
                self._done += 1
                self.counts.packets += 1
                yield packet
                await asyncio.sleep(0)
            if not self._live:
                return
            self._more.clear()
            await self._more.wait()
