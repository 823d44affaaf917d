"""One station by one model: packets in, blocks of windows out, outputs in, statements out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from seisedge.edge.errors import UsageError
from seisedge.edge.manifest import Components
from seisedge.edge.picks import StationId
from seisedge.edge.pipeline import LoadedModel, StationStream
from seisedge.edge.postprocess import Result, postprocess_of
from seisedge.edge.session import Session
from seisedge.edge.windows import WindowBlock
from seisedge.firmware_bridge import Packet, SourceId

from .config import ModelPart, StationPart
from .results import Found, Stamps, Statement
from .revisions import Revisions
from .traces import Traces

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

    def require_components(self, part: StationPart, where: str) -> None:
        """Refuse a station that is said to lack what the model needs.

        Raises
        ------
        UsageError
            One line, with the place in the configuration.
        """
        components = self.manifest.components
        lacking = {components.order[place] for place in _absent(components, part.components)}
        if lacking & set(components.needed):
            found = f"{where}.components: found {part.components!r}"
            raise UsageError(
                f"{found}, wanted {', '.join(components.needed)} at least: model {self.part.name} needs them"
            )


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
        self.revisions = Revisions(self._measure, known)
        self._open()

    def _open(self) -> None:
        model = self.model
        self.stream = StationStream(
            model.preprocess, stride=model.stride, reorder_wait_s=self._reorder_wait_s, absent=self._absent
        )
        self._postprocess = postprocess_of(
            model.session.manifest,
            self.station,
            model_digest=model.session.digest,
            thresholds=model.thresholds,
            stride=model.stride,
        )

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
        self.arrived_ns = arrived_ns

    def warm(self, packets: Sequence[Packet]) -> None:
        """Take packets of the past, of which nothing is stated: a model that is new on a station that is not."""
        for packet in packets:
            component = self.component_of(SourceId.parse(packet.source_id))
            if component is not None:
                self.stream.push(component, packet)
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


def _place(code: str, components: Components) -> int | None:
    """Give the place of a component's code in a model's order."""
    letter = components.letter_of(code)
    return None if letter is None else components.order.index(letter)
