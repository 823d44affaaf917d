"""One task per source: packets, stamped with the time of their arrival, into the inboxes of the workers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import zlib
from collections.abc import Sequence
from contextlib import aclosing

from seisedge.edge.errors import DataError, UsageError
from seisedge.edge.picks import StationId
from seisedge.edge.sources import Source, open_source
from seisedge.edge.sources.connection import limited
from seisedge.edge.stations import station_of
from seisedge.firmware_bridge import Packet, SourceId, WireError

from .clock import Clock
from .config import Config, SourcePart
from .inbox import Arrival
from .resume import ResumePoints
from .worker import Worker

_LOG = logging.getLogger("seisedge.daemon")
_MAX_ROUTES = 100_000
_MOST_UNMATCHED = 1000
_MOST_TOLD = 50


class Stations:
    """Which stations there are, and which worker has which; bounded, for what comes in on a port may be anything."""

    def __init__(self, config: Config, workers: Sequence[Worker]) -> None:
        self.config, self._workers = config, workers
        self._known: dict[StationId, Worker] = {}
        self._routes: dict[str, tuple[StationId, Worker] | None] = {}
        self.refused = 0
        """Packets of stations that are not wanted, beyond the bound, or without a name."""
        self.unmatched: set[StationId] = set()
        """Stations that match no `[[station]]`; bounded."""

    def route(self, source_id: str) -> tuple[StationId, Worker] | None:
        """Give the station of a channel and its worker; None for one that is not taken."""
        if source_id not in self._routes:
            if len(self._routes) >= _MAX_ROUTES:
                self._routes.clear()
            self._routes[source_id] = self._find(source_id)
        found = self._routes[source_id]
        self.refused += found is None
        return found

    def reconfigure(self, config: Config) -> None:
        """Take a new configuration."""
        self.config = config
        self._routes.clear()
        self.unmatched = set()

    @property
    def are_all_unmatched(self) -> bool:
        """Whether stations came, and none of them matches a `[[station]]`."""
        return bool(self.unmatched) and not self._known

    def _find(self, source_id: str) -> tuple[StationId, Worker] | None:
        try:
            station = station_of(SourceId.parse(source_id))
        except WireError:
            return None
        if self.config.station_part(station) is None:
            self._note_unmatched(station)
            return None
        if station not in self._known:
            if len(self._known) >= self.config.daemon.max_stations:
                _LOG.warning("station %s: refused: there are %d already", station, len(self._known))
                return None
            number = zlib.crc32(str(station).encode()) % len(self._workers)
            self._known[station] = self._workers[number]
            _LOG.info("station %s: first packet", station)
        return station, self._known[station]

    def _note_unmatched(self, station: StationId) -> None:
        """Say it once, and of so many stations that a stream of made-up names fills neither log nor memory."""
        if station in self.unmatched or len(self.unmatched) >= _MOST_UNMATCHED:
            return
        self.unmatched.add(station)
        if len(self.unmatched) <= _MOST_TOLD:
            last = ", as may further ones, which are counted alone" if len(self.unmatched) == _MOST_TOLD else ""
            _LOG.warning("station %s: matches no [[station]] (NET.STA.LOC.CH with * and ?): left out%s", station, last)


def require_possible(part: SourcePart) -> None:
    """Refuse a source that cannot be made; nothing is opened yet.

    Raises
    ------
    SeisedgeError
        See `open_source`.
    """
    open_source(part.url)


def _open(part: SourcePart, resume: str | None) -> Source:
    """Make a source that goes on at its place; a place of another source of that name is worth nothing."""
    if resume is not None:
        try:
            return open_source(part.url, resume=resume)
        except UsageError as error:
            _LOG.warning("source %s: begins anew: %s", part.label, error)
    return open_source(part.url)


class Intake:
    """Reads one source until it ends or is stopped.

    Parameters
    ----------
    part
        Its table.
    stations
        Where its packets go.
    resume
        Where to go on.
    """

    def __init__(self, part: SourcePart, stations: Stations, clock: Clock, resume: str | None) -> None:
        self.part = part
        self.source: Source = _open(part, resume)
        self._stations, self._clock = stations, clock
        self._space = asyncio.Event()
        self.taken = 0
        """Packets that went into an inbox."""
        self._resume = ResumePoints(stations.config.daemon.history_s)
        self.arrived_ns: int | None = None
        self.ended = False
        self.problem = ""

    @property
    def label(self) -> str:
        """Its name."""
        return self.part.label

    def on_space(self) -> None:
        """Say that an inbox has room again; in the loop's thread."""
        self._space.set()

    async def run(self) -> None:
        """Read to the end. What can never work is noted in `problem`, and the other sources go on."""
        try:
            async with aclosing(self.source.packets()) as packets:  # type: ignore[type-var]  # it is a generator
                async for packet in packets:
                    await self._take(packet)
        except DataError as error:
            self.problem = str(error)
            _LOG.error("source %s: %s", self.label, error)
        finally:
            self.ended = True

    def position(self, workers: Sequence[Worker]) -> str | None:
        """Give the place to go on at after a restart; None where there is none yet."""
        waiting = [each for worker in workers if (each := worker.inbox.oldest(self.label)) is not None]
        return self._resume.safe(min(waiting, default=None))

    async def _take(self, packet: Packet) -> None:
        self.arrived_ns = self._clock.monotonic_ns()
        route = self._stations.route(packet.source_id)
        if route is None or not packet.samples.size:
            return
        station, worker = route
        self.taken += 1
        arrival = Arrival(self.label, self.taken, station, packet, self._clock.now_ns(), self.arrived_ns)
        self._resume.add(self.taken, packet.time_of(packet.samples.size - 1), self.source)
        while not worker.inbox.put(arrival, bound=self.part.queue_packets, waits=self.part.waits):
            self._space.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await limited(self._space.wait(), 0.05)
