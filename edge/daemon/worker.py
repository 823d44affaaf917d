"""A worker: one thread that aligns packets, runs the networks and makes statements for its share of the stations."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from seisedge.edge.picks import StationId
from seisedge.edge.session import RUN_ERRORS

from .clock import Clock
from .config import Config
from .config_checks import SETTLING_S
from .figures import Quantiles
from .inbox import Arrival, Inbox
from .pipeline import Block, Model, Pipeline
from .results import Stamps, Statement, stream_name
from .sink_config import WaveformSink
from .snippets import Snippet
from .station import Station
from .store import Entry, Wish
from .traces import Traces

Float32 = npt.NDArray[np.float32]
_CALL_S = 0.01
"""A call of the network takes about so long, or a window's time: longer batches gain little, and all wait for them."""

Publish = Callable[["list[Entry]"], None]


@dataclass(frozen=True)
class Past:
    """What a restart knows: the last statements of each stream, and the waveforms that are still to be cut."""

    known: dict[str, list[Statement]] = field(default_factory=dict[str, "list[Statement]"])
    snippets: dict[StationId, list[Snippet]] = field(default_factory=dict[StationId, "list[Snippet]"])

    @classmethod
    def of(cls, known: dict[str, list[Statement]], wishes: Sequence[Wish], since_ns: int) -> Past:
        """Put together what the outbox has."""
        snippets: dict[StationId, list[Snippet]] = {}
        for wish in wishes:
            snippets.setdefault(wish.pick.station, []).append(Snippet.restored(wish, since_ns))
        return cls(known, snippets)


class Worker:
    """Everything of some stations, in one thread.

    Parameters
    ----------
    config, models
        What picks whom.
    past
        What is known from before a restart; the workers share it, and each takes out what concerns its stations.
    publish
        Takes what is to be stored; never blocks for long.
    clock
        The daemon's.
    """

    def __init__(self, config: Config, models: Sequence[Model], past: Past, publish: Publish, clock: Clock) -> None:
        self._config, self._past, self._publish, self._clock = config, past, publish, clock
        self._models = {each.part.name: each for each in models}
        self._errands: deque[Callable[[], None]] = deque()
        self._snippet_s = _snippet_of(config)
        self.inbox = Inbox()
        self.stations: dict[StationId, Station] = {}
        self.windows = 0
        self.failed_windows = 0
        self.inference_s = Quantiles()
        self._window_s: dict[str, float] = {}
        """Model → what one window costs in its calls, about."""

    def run(self) -> None:
        """Work until the inbox is closed."""
        while (arrivals := self.inbox.take()) is not None:
            while self._errands:
                self._errands.popleft()()
            touched: dict[StationId, Station] = {}
            for arrival in arrivals:
                station = self._station(arrival)
                station.push(arrival.packet, arrival.arrived_ns)
                touched[arrival.station] = station
            self._infer(touched.values())
            self._cut(touched.values())

    def finish(self) -> None:
        """End of all streams, in the caller's thread once `run` is over: close what is open."""
        for station in self.stations.values():
            for pipeline in station.pipelines.values():
                pipeline.flush()
        self._infer(self.stations.values())
        now = self._clock.now_ns()
        for station in self.stations.values():
            stamps = Stamps(station.newest_ns, station.arrived_ns, now, now)
            for pipeline in station.pipelines.values():
                self._state(pipeline.finish(stamps))
            self._publish(station.cut(since_ns=self._clock.monotonic_ns()))

    def park(self) -> None:
        """Store how far the triggered waveforms have come, in the caller's thread once `run` is over."""
        for station in self.stations.values():
            self._publish(station.wishes())

    def errand(self, task: Callable[[], None]) -> None:
        """Do something in the worker's thread, between two packets."""
        self._errands.append(task)
        self.inbox.wake()

    def reconfigure(self, config: Config, models: Sequence[Model]) -> None:
        """Take a new configuration; pipelines that it does not change go on. Only in the worker's thread.

        A model that is new on a station is given the packets that are kept, so that it does not start cold.
        """
        self._config = config
        self._models = {each.part.name: each for each in models}
        self._snippet_s = _snippet_of(config)
        for station in list(self.stations.values()):
            old, station.pipelines, station.routes = station.pipelines, {}, {}
            self._equip(station, old)
            for name, pipeline in old.items():
                if station.pipelines.get(name) is not pipeline:
                    self._state(pipeline.revisions.close())

    def _station(self, arrival: Arrival) -> Station:
        station = self.stations.get(arrival.station)
        if station is None:
            station = Station(arrival.station, Traces(self._config.daemon.history_s), source=arrival.source)
            station.snippets += self._past.snippets.pop(arrival.station, [])
            self.stations[arrival.station] = station
            self._equip(station, {})
        return station

    def _equip(self, station: Station, old: dict[str, Pipeline]) -> None:
        """Give a station the pipelines that the configuration wants for it."""
        part = self._config.station_part(station.id)
        if part is None:
            return
        station.wait_ns = round(min(part.reorder_wait_s, SETTLING_S) * 1e9)  # history_s leaves room for no more
        for each in self._config.models_of(part):
            model, kept = self._models[each.name], old.get(each.name)
            if kept is not None and kept.fits(model, part):
                station.pipelines[each.name] = kept
                continue
            pipeline = Pipeline(
                station.id,
                model,
                station.traces,
                part=part,
                warm_up_s=self._config.daemon.warm_up_s,
                known=self._past.known.pop(stream_name(station.id, model.session.digest), ()),
            )
            pipeline.warm(station.traces.packets())
            station.pipelines[each.name] = pipeline

    def _infer(self, stations: Iterable[Station]) -> None:
        """Run all windows that are ready, those of several stations in one call per model."""
        waiting = [pipeline for station in stations for pipeline in station.pipelines.values()]
        while waiting:
            batches: dict[str, list[Block]] = {}
            counts: dict[str, int] = {}
            unfinished: list[Pipeline] = []
            for pipeline in waiting:
                name, most = pipeline.model.part.name, self._most(pipeline.model)
                room = most - counts.get(name, 0)
                block = pipeline.take(room, self._clock.now_ns()) if room > 0 else None
                if block is not None:
                    batches.setdefault(name, []).append(block)
                    counts[name] = counts.get(name, 0) + block.windows.count
                if block is not None or room <= 0:
                    unfinished.append(pipeline)
            for blocks in batches.values():
                self._run(blocks)
            waiting = unfinished

    def _most(self, model: Model) -> int:
        """Windows of one call: what a call takes is what the first of them waits for the last."""
        return max(1, min(model.part.batch, int(_CALL_S / self._window_s.get(model.part.name, _CALL_S))))

    def _note_speed(self, model: Model, windows: int, seconds: float) -> None:
        """Follow what a window costs: a processor that grows hot gets smaller batches."""
        name, cost = model.part.name, seconds / windows
        self._window_s[name] = max(1e-6, 0.8 * self._window_s.get(name, cost) + 0.2 * cost)

    def _run(self, blocks: list[Block]) -> None:
        model = blocks[0].pipeline.model
        inputs = blocks[0].inputs if len(blocks) == 1 else np.concatenate([each.inputs for each in blocks])
        began = self._clock.monotonic_ns()
        try:
            outputs = model.session.run(inputs)
        except RUN_ERRORS:
            self._run_apart(blocks)
            return
        seconds = (self._clock.monotonic_ns() - began) / 1e9
        self.inference_s.add(seconds)
        self._note_speed(model, len(inputs), seconds)
        self.windows += len(inputs)
        now = self._clock.now_ns()
        first, statements = 0, list[Statement]()
        for block in blocks:
            stop = first + block.windows.count
            statements += block.pipeline.give(block, [each[first:stop] for each in outputs], now)
            first = stop
        self._state(statements)  # of one call together: an earthquake has many, and each time is a commit

    def _run_apart(self, blocks: list[Block]) -> None:
        """After a failure, such as one for want of memory: smaller batches, down to single windows."""
        if len(blocks) > 1:
            for block in blocks:
                self._run([block])
        elif blocks[0].windows.count > 1:
            for block in _halves(blocks[0]):
                self._run([block])
        else:
            self.failed_windows += 1  # as a gap: the next window does not follow the last one

    def _state(self, statements: list[Statement]) -> None:
        """Publish statements; with final picks, the wish for their waveforms."""
        if not statements:
            return
        for each in statements:
            if each.station in self.stations and each.kind != "waveform" and each.status != "retracted":
                self.stations[each.station].last_pick = each
        self._publish(
            [
                Entry(each.kind, each.as_row(), not each.is_last, statement=each, wish=self._wish_for(each))
                for each in statements
            ]
        )

    def _wish_for(self, statement: Statement) -> Wish | None:
        """Trigger the waveform of a final pick, where a sink wants it."""
        station = self.stations.get(statement.station)
        if self._snippet_s is None or station is None or (statement.kind, statement.status) != ("pick", "final"):
            return None
        return station.trigger(Snippet.around(statement, *self._snippet_s, self._clock.monotonic_ns()))

    def give_up(self, since_ns: int) -> None:
        """Publish as much as there is of waveforms that were wished for by then. Only in the worker's thread."""
        for name in list(self._past.snippets):
            silent = Station(name, Traces(0.0), snippets=self._past.snippets.pop(name, []))
            self._publish(silent.cut(since_ns=since_ns))
            if silent.snippets:
                self._past.snippets[name] = silent.snippets
        for station in self.stations.values():
            self._publish(station.cut(since_ns=since_ns))

    def _cut(self, stations: Iterable[Station]) -> None:
        for station in stations:
            if station.snippets and (entries := station.cut()):
                self._publish(entries)


def _halves(block: Block) -> list[Block]:
    windows, stride = block.windows, block.pipeline.model.stride
    middle = windows.count // 2
    first = replace(windows, count=middle)
    second = replace(
        windows,
        number=windows.number + middle,
        count=windows.count - middle,
        samples=windows.samples[:, middle * stride :],
    )
    return [
        replace(block, windows=first, inputs=block.inputs[:middle]),
        replace(block, windows=second, inputs=block.inputs[middle:]),
    ]


def _snippet_of(config: Config) -> tuple[float, float] | None:
    """Seconds before and behind a pick that some sink wants; the longest of all."""
    wanted = [each for each in config.sink if isinstance(each, WaveformSink)]
    if not wanted:
        return None
    return max(each.before_s for each in wanted), max(each.after_s for each in wanted)
