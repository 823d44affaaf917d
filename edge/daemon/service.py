"""The daemon put together: what runs, in which thread, and how it starts, reloads and ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from seisedge.edge.errors import SeisedgeError, UsageError

from .clock import Clock, SystemClock
from .config import Config
from .config_checks import read_address
from .delivery import Delivery
from .health import health_of, is_stalled
from .intake import Intake, Stations
from .notify import Notifier
from .outbox import OUTBOX_NAME, Outbox
from .pipeline import Model
from .possible import require_sinks, require_sources
from .publisher import Publisher
from .server import StatusServer
from .sessions import load_sessions, with_history
from .sink_config import Sink, WaveformSink
from .sinks import open_sink
from .store import Subscription
from .worker import Past, Worker

_LOG = logging.getLogger("seisedge.daemon")
_TICK_S = 1.0
_DRAIN_S = 60.0  # at the end of a replay
_POSITIONS_EVERY = 5  # ticks
_GIVE_UP_EVERY = 60  # ticks
_PATIENCE_NS = 3_600_000_000_000  # for the last sample of a triggered waveform; then what there is must do


class Service:
    """One daemon.

    Parameters
    ----------
    config
        What it does.
    clock
        Injected by tests.
    until_end
        Stop when all sources have ended and all is delivered: for a replay.
    """

    def __init__(self, config: Config, *, clock: Clock | None = None, until_end: bool = False) -> None:
        self.clock = clock or SystemClock()
        self.started_ns = self.clock.monotonic_ns()
        self._until_end = until_end
        self.sessions = load_sessions(config)
        self._written = config
        self.config = config = with_history(config, self.sessions)
        self.outbox = Outbox(
            Path(config.daemon.state) / OUTBOX_NAME,
            max_results=config.outbox.max_results,
            max_bytes=config.outbox.max_megabytes << 20,
            clock=self.clock,
        )
        self.publisher = Publisher(self.outbox, self.clock, self._wake_sinks)
        past = Past.of(self.outbox.known(), self.outbox.wishes(), self.started_ns)
        self.workers = [
            Worker(config, self._models(config), past, self.publisher.put, self.clock)
            for _ in range(config.daemon.workers)
        ]
        self.stations = Stations(config, self.workers)
        self.intakes: list[Intake] = []
        self.deliveries: dict[str, Delivery] = {}
        self._parts: dict[str, Sink] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._notifier = Notifier()
        self._stop: asyncio.Event | None = None
        self.server: StatusServer | None = None
        self.reloads = self.refused_reloads = 0
        self.last_reload_problem = ""
        self.on_ready: Callable[[], None] = lambda: None

    def _models(self, config: Config) -> list[Model]:
        return [Model(part, self.sessions[part.name]) for part in config.model]

    async def run(self) -> int:
        """Run until stopped; the exit code: 0, or 1 where a thread failed or a replay had a problem."""
        self._stop = asyncio.Event()
        threads = ThreadPoolExecutor(len(self.workers) + 1, "seisedge")
        loop = asyncio.get_running_loop()
        try:
            self._open_sinks(self.config.sink)
            self._set_space_hooks(loop)
            working = [loop.run_in_executor(threads, each.run) for each in self.workers]
            publishing = loop.run_in_executor(threads, self.publisher.run)
            await self._open_server()
            positions = self.outbox.positions()
            self._start_sources(self.config, positions)
            self._notifier.send("READY=1", f"STATUS={len(self.intakes)} sources, {len(self.config.model)} models")
            self.on_ready()
            await self._until_stopped([*working, publishing])
            self._notifier.send("STOPPING=1")
            await self._stop_sources(list(self.tasks))
            return await self._wind_up(working, publishing)
        finally:
            if self.server is not None:
                await self.server.close()
            for each in self.workers:
                each.inbox.close()
            self.publisher.close()
            threads.shutdown(wait=True)
            for delivery in self.deliveries.values():
                await asyncio.to_thread(delivery.stop)
            self.outbox.close()

    def stop(self) -> None:
        """Ask for the end; in the loop's thread."""
        if self._stop is not None:
            self._stop.set()

    async def reload(self, read: Callable[[], Config]) -> bool:
        """Take a new configuration; whatever is wrong with it, the old one stays in force.

        Models are loaded and checked with their golden inputs first. Sources, sinks and pipelines that did not change
        go on undisturbed.
        """
        try:
            written = read()
            _require_same(self._written, written)
            sessions = await asyncio.to_thread(load_sessions, written)
            config = with_history(written, sessions, least_s=self.config.daemon.history_s)
            _require_same(self.config, config)
            require_sources(config)
            require_sinks(config, self._parts.values())
        except SeisedgeError as error:
            self.refused_reloads += 1
            self.last_reload_problem = str(error)
            _LOG.error("reload: %s: the old configuration stays", error)
            return False
        self._notifier.send("RELOADING=1", f"MONOTONIC_USEC={self.clock.monotonic_ns() // 1000}")
        self.sessions, self._written = sessions, written
        await self._swap(config)
        self.reloads += 1
        self.last_reload_problem = ""
        self._notifier.send("READY=1")
        _LOG.info("reloaded: %d sources, %d models, %d sinks", len(config.source), len(config.model), len(config.sink))
        return True

    async def _swap(self, config: Config) -> None:
        kept = {each.label: each for each in self.intakes if each.part in config.source}
        await self._stop_sources([label for label in self.tasks if label not in kept])
        self.intakes = list(kept.values())
        self.config = config
        self.stations.reconfigure(config)
        for worker in self.workers:
            prepared = self._models(config)
            worker.errand(lambda worker=worker, prepared=prepared: worker.reconfigure(config, prepared))  # type: ignore[misc]
        gone = [label for label, part in self._parts.items() if part not in config.sink]
        for label in gone:
            await asyncio.to_thread(self.deliveries.pop(label).stop)
            del self._parts[label]
        self._open_sinks(config.sink)
        self._start_sources(config, self.outbox.positions())

    def _open_sinks(self, parts: tuple[Sink, ...]) -> None:
        self.outbox.subscribe(
            [Subscription(each.label, each.provisional, isinstance(each, WaveformSink)) for each in parts]
        )
        for part in parts:
            if part.label not in self.deliveries:
                self._parts[part.label] = part
                delivery = Delivery(part.label, open_sink(part), self.outbox, self.clock)
                self.deliveries[part.label] = delivery
                delivery.start()

    def _wake_sinks(self) -> None:
        for delivery in list(self.deliveries.values()):
            delivery.wake()

    def _set_space_hooks(self, loop: asyncio.AbstractEventLoop) -> None:
        def on_space() -> None:
            if any(each.part.waits for each in self.intakes):
                with contextlib.suppress(RuntimeError):  # the loop is closed: the end
                    loop.call_soon_threadsafe(self._tell_space)

        for worker in self.workers:
            worker.inbox.on_space = on_space

    def _tell_space(self) -> None:
        for intake in self.intakes:
            intake.on_space()

    def _start_sources(self, config: Config, positions: dict[str, str]) -> None:
        running = {each.label for each in self.intakes}
        for part in config.source:
            if part.label not in running:
                intake = Intake(part, self.stations, self.clock, positions.get(part.label))
                self.intakes.append(intake)
                self.tasks[part.label] = asyncio.create_task(intake.run(), name=f"source {part.label}")

    async def _stop_sources(self, labels: list[str]) -> None:
        for label in labels:
            task = self.tasks.pop(label)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _open_server(self) -> None:
        address = read_address(self.config.http.listen)
        if address is None:
            return
        self.server = StatusServer(self)
        try:
            await self.server.open(*address)
        except OSError as error:
            raise UsageError(f"http.listen: {self.config.http.listen}: {error.strerror or error}") from error

    async def _until_stopped(self, threads: list[asyncio.Future[None]]) -> None:
        """Wait for the end; feed the watchdog and store the sources' places meanwhile."""
        stop = self._stop
        if stop is None:
            return
        tick = 0
        while not stop.is_set() and not any(each.done() for each in threads):
            if self._until_end and all(task.done() for task in self.tasks.values()):
                return
            waiting = [asyncio.ensure_future(stop.wait()), *(self.tasks.values() if self._until_end else ())]
            await asyncio.wait([*waiting, *threads], timeout=_TICK_S, return_when=asyncio.FIRST_COMPLETED)
            waiting[0].cancel()
            if not is_stalled(self):
                self._notifier.send("WATCHDOG=1", f"STATUS={health_of(self).line}")
            tick += 1
            if tick % _POSITIONS_EVERY == 1:
                self.publisher.put_positions(self._positions())
            if tick % _GIVE_UP_EVERY == 0:
                for each in self.workers:
                    each.errand(partial(each.give_up, self.clock.monotonic_ns() - _PATIENCE_NS))

    def _positions(self) -> dict[str, str]:
        places = {each.label: each.position(self.workers) for each in self.intakes}
        return {label: place for label, place in places.items() if place is not None}

    async def _wind_up(self, working: list[asyncio.Future[None]], publishing: asyncio.Future[None]) -> int:
        """Work off what waits, and with `until_end` close what is open and wait for the sinks."""
        for worker in self.workers:
            worker.inbox.close()
        await asyncio.gather(*working)
        for worker in self.workers:
            await asyncio.to_thread(worker.finish if self._until_end else worker.park)
        self.publisher.put_positions(self._positions())
        self.publisher.close()
        await publishing
        if self._until_end:
            for delivery in self.deliveries.values():
                await asyncio.to_thread(delivery.wait_idle, _DRAIN_S)
        return int(any(each.problem for each in self.intakes) and self._until_end)


def _require_same(old: Config, new: Config) -> None:
    """Refuse what a running daemon cannot change."""
    for part, keys in (("daemon", ("state", "workers", "history_s")), ("http", ("listen",))):
        for key in keys:
            before, after = getattr(getattr(old, part), key), getattr(getattr(new, part), key)
            if before != after:
                place = new.place(f"{part}.{key}")
                raise UsageError(f"{place}: found {after!r}, and it is {before!r} since the start: restart for it")
