"""DataLink WRITE to a ringserver: a statement is confirmed when the server has acknowledged it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

from seisedge.edge.daemon.sink_config import DataLinkSink, Sink
from seisedge.edge.daemon.store import Item
from seisedge.edge.errors import DataError
from seisedge.edge.sources.datalink_writer import DataLinkWriter
from seisedge.edge.times import parse_time
from seisedge.firmware_bridge import WireError

from .sink import SinkError


class DataLinkSender:
    """Writes JSON packets under `NET_STA_LOC_CH/JSON`, on an event loop of its own."""

    def __init__(self, part: DataLinkSink) -> None:
        self._part = part
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writer = DataLinkWriter(part.host, part.port)

    def deliver(self, items: Sequence[Item]) -> None:
        """Write, each acknowledged; see `Sink`."""
        loop = self._loop = self._loop or asyncio.new_event_loop()
        try:
            loop.run_until_complete(self._write(items))
        except (OSError, DataError, WireError, asyncio.TimeoutError) as error:
            raise SinkError(f"datalink {self._part.host}:{self._part.port}: {error}") from error

    def close(self) -> None:
        """Close the connection."""
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.run_until_complete(self._writer.close())
            loop.close()

    async def _write(self, items: Sequence[Item]) -> None:
        for each in items:
            row = each.row
            stream = "_".join((row["network"], row["station"], row["location"], row["channel"]))
            time_ns = parse_time(row["time"])
            payload = json.dumps(row, ensure_ascii=False).encode()
            await self._writer.write(f"{stream}/JSON", time_ns, time_ns, payload)


def open_sink(part: Sink) -> DataLinkSender:
    """Make the sink; see `sinks.open_sink`."""
    if not isinstance(part, DataLinkSink):
        raise TypeError(f"sink {part.label}: found {type(part).__name__}, wanted DataLinkSink")
    return DataLinkSender(part)
