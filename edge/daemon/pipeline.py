"""One station by one model: packets in, blocks of windows out, outputs in, statements out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seisedge.edge.archive_index import Trace
from seisedge.edge.errors import UsageError
from seisedge.edge.manifest import Components
from seisedge.edge.picks import StationId
from seisedge.edge.pipeline import LoadedModel, StationStream
from seisedge.edge.postprocess import Result
from seisedge.edge.session import Session
from seisedge.edge.stations import group_stations
from seisedge.edge.windows import WindowBlock
from seisedge.firmware_bridge import Packet, SourceId

from .config import ModelPart, StationPart
from .results import Found, Stamps, Statement
from .revisions import Revisions
from .traces import Traces

_LOG = logging.getLogger("seisedge.daemon")

Float32 = npt.NDArray[np.float32]
NANOSECONDS = 1_000_000_000


class Model(LoadedModel):
    """A loaded artefact with its settings, shared by the stations of one worker."""

    def __init__(self, part: ModelPart, session: Session) -> None:
        super().__init__(session, part.threshold or {}, part.stride)
        self.part = part

    @property
    def identity(self) -> tuple[str, ModelPart]:
        """Equal for two that give the same results."""
        return self.session.digest, replace(self.part, artefact="")


def require_components(models: Sequence[Model], part: StationPart) -> None:
    """Refuse letters that no model of a station knows, and a station that is said to lack what one of them needs.

    Raises
    ------
    UsageError
        One line, without the place in the configuration.
    """
    letters = part.components
    known = {code for each in models for code in (*each.manifest.components.order, *each.manifest.components.aliases)}
    strange = next((each for each in letters if each not in known), None)
    if models and strange is not None:
        wanted = ", ".join(sorted(known))
        raise UsageError(f"found {strange!r} in {letters!r}, wanted letters that its models know: {wanted}")
    for each in models:
        components = each.manifest.components
        lacking = {components.order[place] for place in _absent(components, letters)}
        if lacking & set(components.needed):
            needed = ", ".join(components.needed)
            raise UsageError(f"found {letters!r}, wanted {needed} at least: model {each.part.name} needs them")


@dataclass
class Block:
    """Windows of one pipeline that wait for the network."""

    pipeline: Pipeline
    windows: WindowBlock
    inputs: Float32
    arrived_ns: int
    ready_ns: int


class Pipeline:
    """One station's stream through one model.

    Parameters
    ----------
    station, model
        Who and by what.
    traces
        The station's recent samples.
    part
        What the configuration says of the station: which components it has, and how long it is waited for them.
    warm_up_s
        Results this soon after a stream's start are marked.
    known
        Last statements from before a restart.
    """

    def __init__(
        self,
        station: StationId,
        model: Model,
        traces: Traces,
        *,
        part: StationPart,
        warm_up_s: float,
        known: Sequence[Statement] = (),
    ) -> None:
        self.station, self.model = station, model
        self._traces = traces
        self._reorder_wait_s, self._letters = part.reorder_wait_s, part.components
        self._absent = _absent(model.manifest.components, part.components)
        self._warm_up_ns = round(warm_up_s * NANOSECONDS)
        self._stream_starts_ns = (0, 0)  # of the one before, of this one
        self.arrived_ns = 0
        self._seen: set[int] = set()
        self._judged = -1  # by how many components
        self._is_told = False
        self.lacking = ""
        """Why the model cannot pick the station: which components have not come; empty where it can."""
        self.revisions = Revisions(self._measure, known)
        self._open()

    def _open(self) -> None:
        model = self.model
        self.stream = StationStream(
            model.preprocess, stride=model.stride, reorder_wait_s=self._reorder_wait_s, absent=self._absent
        )
        self._postprocess = model.postprocess(self.station)

    def fits(self, model: Model, part: StationPart) -> bool:
        """Tell whether a new configuration changes nothing here."""
        same = (self._reorder_wait_s, self._letters) == (part.reorder_wait_s, part.components)
        return same and self.model.identity == model.identity

    def component_of(self, source_id: SourceId) -> int | None:
        """Give the place of a channel in the model's order; None for one that is not taken."""
        place = _place(source_id.component.upper(), self.model.manifest.components)
        return None if place in self._absent else place

    def push(self, component: int, packet: Packet, arrived_ns: int) -> None:
        """Take a packet."""
        self.stream.push(component, packet)
        self._seen.add(component)
        self.arrived_ns = arrived_ns

    @property
    def has_data(self) -> bool:
        """Whether anything has come that the model takes."""
        return bool(self._seen)

    def judge(self, span_ns: int) -> None:
        """Look which components have come once so much of the station's data has; say once that some are missing."""
        if len(self._seen) == self._judged or span_ns <= self._reorder_wait_s * NANOSECONDS:
            return
        self._judged = len(self._seen)
        self.lacking = _lacking(self._seen, self.model.manifest.components)
        if self.lacking and not self._is_told:
            self._is_told = True
            _LOG.warning("station %s: model %s: %s", self.station, self.model.part.name, self.lacking)

    def warm(self, packets: Sequence[Packet]) -> None:
        """Take packets of the past, of which nothing is stated: a model that is new on a station that is not."""
        for packet in packets:
            component = self.component_of(SourceId.parse(packet.source_id))
            if component is not None:
                self.stream.push(component, packet)
                self._seen.add(component)
        while self.stream.cutter.take(1 << 16) is not None:
            pass

    def take(self, most: int, now_ns: int) -> Block | None:
        """Give the next windows, preprocessed; None when there are none."""
        windows = self.stream.cutter.take(most)
        if windows is None:
            return None
        inputs = self.model.preprocess.windows(windows.samples, count=windows.count, stride=self.model.stride)
        return Block(self, windows, inputs, self.arrived_ns, now_ns)

    def give(self, block: Block, outputs: list[Float32], inferred_ns: int) -> list[Statement]:
        """Take the network's outputs of a block."""
        windows = block.windows
        if windows.clock.starttime_ns != self._stream_starts_ns[1]:
            self._stream_starts_ns = self._stream_starts_ns[1], windows.clock.starttime_ns
        closed = self._postprocess.push(windows.number, windows.clock, outputs)
        pending = self._postprocess.pending()
        if not closed and not pending and self.revisions.is_idle:
            return []
        last = (windows.number + windows.count - 1) * self.model.stride + self.model.session.manifest.window_samples - 1
        sample_ns = windows.clock.time_ns(last)
        stamps = Stamps(sample_ns, block.arrived_ns, block.ready_ns, inferred_ns)
        return self.revisions.update(closed, pending, until_ns=sample_ns, stamps=stamps)

    def flush(self) -> None:
        """End of the stream: nothing more will come."""
        self.stream.flush()

    def finish(self, stamps: Stamps) -> list[Statement]:
        """Close what is open after the last block."""
        closed: Sequence[Result] = self._postprocess.finish()
        statements = self.revisions.update(closed, [], until_ns=stamps.sample_ns, stamps=stamps)
        return [*statements, *self.revisions.close()]

    def _measure(self, found: Found) -> dict[str, float | bool | None]:
        before_ns, start_ns = self._stream_starts_ns
        began_ns = start_ns if found.time_ns >= start_ns else before_ns  # a gap closes what is older than it
        return {**self._traces.measure(found), "warm_up": found.time_ns - began_ns < self._warm_up_ns}


def _absent(components: Components, letters: str) -> frozenset[int]:
    """Give the components of a model that a station is said not to have; none where nothing is said."""
    there = {_place(letter, components) for letter in letters}
    return frozenset(range(len(components.order))) - there if letters else frozenset()


def _lacking(seen: set[int], components: Components) -> str:
    """Say what `edge-scan` says of the same components in a file; empty where nothing is missing."""
    codes = [components.order[place] for place in sorted(seen)] or [""]
    (found,) = group_stations([Trace(Path(), SourceId("", "", "", "", "", code)) for code in codes], components)
    return found.refused or ""


def _place(code: str, components: Components) -> int | None:
    """Give the place of a component's code in a model's order."""
    letter = components.letter_of(code)
    return None if letter is None else components.order.index(letter)
