"""What can be judged: artefacts through the runtime's own stream, STA/LTA, and picks that others made.

Each gives the picks of a record at every threshold of its grid. They are not one list that is filtered: a run of
probabilities that opens at 0.05 may hold two that open at 0.5. An artefact's network runs once, and a postprocess of
the runtime for each threshold takes what it gives, so the picks at a threshold are those of the station bit for bit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from seisedge.edge import Pick, Session, StationId, StationStream
from seisedge.edge.classify import thresholds_with
from seisedge.edge.errors import UsageError
from seisedge.edge.postprocess import Postprocess, Result, postprocess_of
from seisedge.edge.preprocess import Preprocess
from seisedge.edge.time_window import within
from seisedge.edge.times import NANOSECONDS
from seisedge.edge.windows import WindowBlock

from .cases import Case, places
from .scores import Onset

Found = dict[str, list[list[Onset]]]
"""Phase → for each threshold of the grid, the onsets in order of time."""

PHASES = ("P", "S")
GRID = (0.02, 0.05, *(round(0.05 * step, 2) for step in range(2, 20)), 0.975, 0.99, 0.995, 0.999)
"""Thresholds of probabilities; a run closes at half of each, as for `edge-scan --threshold`."""
_BATCH = 128
_AROUND_S = 10.0
"""About what is judged picks may be open, or be too near to others."""


Check = Callable[[], None]


def go_on() -> None:
    """Nothing wants to stop."""


class Picker(Protocol):
    """Something that picks records.

    `digest` names it for the cache: whatever changes its picks changes that.
    """

    @property
    def name(self) -> str:
        """For people."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256, hexadecimal."""
        ...

    @property
    def source(self) -> str:
        """SHA-256 of the artefact or the file that it is; of its settings where there is none."""
        ...

    @property
    def family(self) -> str:
        """Pickers of one family err alike: the system that an artefact comes from."""
        ...

    @property
    def phases(self) -> tuple[str, ...]:
        """Those of P and S that it picks."""
        ...

    @property
    def grid(self) -> tuple[float, ...]:
        """Rising thresholds."""
        ...

    @property
    def is_probability(self) -> bool:
        """Whether its thresholds are probabilities, which can be right or wrong by themselves."""
        ...

    def own_threshold(self, phase: str) -> int:
        """Give the place in the grid of the threshold to use where none is chosen."""
        ...

    def pick(self, case: Case, check: Check = go_on) -> Found:
        """Give a record's picks at every threshold; what `check` raises from time to time ends it."""
        ...


class StreamedPicker:
    """An artefact on the runtime's stream, windows, session and postprocess: what all tasks share.

    Parameters
    ----------
    name
        For people.
    session
        The artefact.
    stride
        Samples from window to window; None for the manifest's.
    labels
        Of its output, those that are found.
    phases
        What `pick` gives of them.
    """

    is_probability = True

    def __init__(
        self, name: str, session: Session, *, stride: int | None, labels: tuple[str, ...], phases: tuple[str, ...]
    ) -> None:
        self.name, self._session, self._labels, self.phases = name, session, labels, phases
        manifest = session.manifest
        self.family = manifest.system or name
        own = [manifest.postprocess.thresholds[label].on for label in labels]
        self.grid = tuple(sorted({*GRID, *own}))
        self._stride = stride or manifest.stride_samples
        self._preprocess = Preprocess(manifest)
        self._margin_s = (manifest.window_samples + self._stride) / manifest.sampling_rate + 1.0
        blind = manifest.postprocess.blinding_samples[0]
        behind_s = (manifest.window_samples - blind + self._stride) / manifest.sampling_rate + _AROUND_S
        self._behind_ns = round(min(self._margin_s, behind_s) * NANOSECONDS)
        self.source = session.digest
        self.digest = hashlib.sha256(f"{session.digest} {self._stride} {self.grid}".encode()).hexdigest()

    def pick(self, case: Case, check: Check = go_on) -> Found:
        """Give a record's picks at every threshold; none where the station refuses its components or its rate."""
        where = places(case.traces.codes, self._session.manifest.components)
        found: Found = {key: [[] for _ in self.grid] for key in self.phases}
        if where is None:
            return found
        makers = [self._postprocess(case.station, on) for on in self.grid]
        stream = StationStream(self._preprocess, stride=self._stride)
        for place, packet in case.traces.packets(where, self._margin_s):
            needed = within(packet, packet.starttime_ns, case.end_ns + self._behind_ns)
            if needed is None:
                continue
            stream.push(place, needed)
            while stream.cutter.ready >= _BATCH and (block := stream.cutter.take(_BATCH)):
                check()
                self._infer(self._seen(block, case), makers, found)
        stream.flush()
        while block := stream.cutter.take(_BATCH):
            self._infer(self._seen(block, case), makers, found)
        for number, maker in enumerate(makers):
            self._keep(maker.finish(), number, found)
        return found

    def own_threshold(self, phase: str) -> int:
        """Give the place in the grid of the threshold that the artefact brings along."""
        return self.grid.index(self._session.manifest.postprocess.thresholds[phase].on)

    def _postprocess(self, station: StationId, on: float) -> Postprocess:
        manifest = self._session.manifest
        own = manifest.postprocess.thresholds
        chosen = thresholds_with(manifest, {label: on for label in self._labels if own[label].on != on})
        return postprocess_of(
            manifest,
            station,
            model_digest=self._session.digest,
            thresholds={label: chosen[label] for label in self._labels},
            stride=self._stride,
        )

    def _seen(self, block: WindowBlock, case: Case) -> WindowBlock:
        """Leave out windows that say something of samples before the record alone, and not of those right before it."""
        manifest = self._session.manifest
        width = manifest.window_samples - manifest.postprocess.blinding_samples[1]
        judged_ns = case.start_ns - round(_AROUND_S * NANOSECONDS)
        first = 0
        while first < block.count and block.clock.time_ns((block.number + first) * self._stride + width) < judged_ns:
            first += 1
        if not first:
            return block
        samples = np.ascontiguousarray(block.samples[:, first * self._stride :])
        return WindowBlock(block.number + first, block.count - first, samples, block.clock)

    def _infer(self, block: WindowBlock, makers: list[Postprocess], found: Found) -> None:
        if not block.count:
            return
        outputs = self._session.run(self._preprocess.windows(block.samples, count=block.count, stride=self._stride))
        for number, maker in enumerate(makers):
            self._keep(maker.push(block.number, block.clock, outputs), number, found)

    def _keep(self, results: Sequence[Result], number: int, found: Found) -> None:
        """Add what became certain at a threshold of the grid."""
        for each in results:
            if isinstance(each, Pick) and each.phase_hint in found:
                found[each.phase_hint][number].append((each.time_ns, each.probability))


class ArtefactPicker(StreamedPicker):
    """An artefact that picks phases.

    Raises
    ------
    UsageError
        The artefact picks neither P nor S.
    """

    def __init__(self, name: str, session: Session, *, stride: int | None = None) -> None:
        manifest = session.manifest
        phases = tuple(each for each in PHASES if each in manifest.picked_labels)
        if not phases or manifest.task == "event_detection":
            raise UsageError(f"{name}: found a model of {manifest.task}, wanted one that picks P or S")
        super().__init__(name, session, stride=stride, labels=phases, phases=phases)
