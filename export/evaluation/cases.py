"""Records that pickers are judged on: their streams, what is known of them, and where nothing is known."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from seisedge.edge import Packet, StationId
from seisedge.edge.errors import UsageError
from seisedge.edge.manifest import Components
from seisedge.edge.times import NANOSECONDS

MASK_S = 1.0
"""Around an arrival that is not to be judged: a pick there is neither right nor false."""

Kind = Literal["labelled", "continuous", "mems"]


@dataclass(frozen=True)
class Label:
    """An arrival: its phase, its time, and who says so (`manual`, or some automatic origin)."""

    phase: str
    time_ns: int
    origin: str


@dataclass(frozen=True)
class Unknown:
    """A span in which picks of a phase (None: of any) are not judged."""

    phase: str | None
    start_ns: int
    end_ns: int


class Traces(Protocol):
    """The samples of a record."""

    @property
    def codes(self) -> tuple[str, ...]:
        """Component codes that are there, such as Z, N, E or 1, 2."""
        ...

    def packets(self, places: dict[str, int], margin_s: float) -> Iterator[tuple[int, Packet]]:
        """Give (place in the model's order, packet) of the components in `places`, by code.

        A record that is a cut-out stands in a longer stream, by at least `margin_s` to both sides.
        """
        ...


@dataclass(frozen=True)
class Case:
    """One record.

    Attributes
    ----------
    group
        Records that are alike (one station, one event); never to be parted.
    source
        Data set that it comes from.
    sensor
        See `sensor_of`.
    start_ns, end_ns
        Only picks within are judged.
    """

    id: str
    group: str
    source: str
    sensor: str
    station: StationId
    start_ns: int
    end_ns: int
    labels: tuple[Label, ...]
    unknown: tuple[Unknown, ...]
    traces: Traces

    @property
    def days(self) -> float:
        """Its length in days."""
        return (self.end_ns - self.start_ns) / NANOSECONDS / 86400

    def is_known(self, phase: str, time_ns: int) -> bool:
        """Whether a pick there that has no label is false."""
        if not self.start_ns <= time_ns <= self.end_ns:
            return False
        return not any(each.phase in (None, phase) and each.start_ns <= time_ns <= each.end_ns for each in self.unknown)


@dataclass(frozen=True)
class CaseSet:
    """Records of one set.

    Attributes
    ----------
    digest
        SHA-256 of the data.
    told
        What of the data is not judged, and why: lines for a person.
    """

    name: str
    kind: Kind
    cases: tuple[Case, ...]
    digest: str
    told: tuple[str, ...] = ()

    @property
    def days(self) -> float:
        """Station-days."""
        return sum(case.days for case in self.cases)


@dataclass(frozen=True)
class FewerTraces:
    """Traces of a station that lacks the other components."""

    whole: Traces
    wanted: frozenset[str]

    @property
    def codes(self) -> tuple[str, ...]:
        """Those that are left."""
        return tuple(code for code in self.whole.codes if code in self.wanted)

    def packets(self, places: dict[str, int], margin_s: float) -> Iterator[tuple[int, Packet]]:
        """Give packets of the components that are left."""
        return self.whole.packets({code: places[code] for code in places if code in self.wanted}, margin_s)


def with_components(found: CaseSet, codes: tuple[str, ...]) -> CaseSet:
    """Take away all components but these, as if the stations had no others.

    Raises
    ------
    UsageError
        No record has any of them.
    """
    there = sorted({code for case in found.cases for code in case.traces.codes})
    if not set(codes) & set(there):
        raise UsageError(f"--components: found {', '.join(codes)}, {found.name} has {', '.join(there)}")
    wanted, said = frozenset(codes), " ".join(codes)
    cases = tuple(replace(case, traces=FewerTraces(case.traces, wanted)) for case in found.cases)
    digest = hashlib.sha256(f"{found.digest} {said}".encode()).hexdigest()
    return replace(found, name=f"{found.name}, {said} alone", cases=cases, digest=digest)


def only(found: CaseSet, origin: str | None) -> CaseSet:
    """Keep labels of one origin, the records that have some, and noise; other labels are not judged.

    None keeps all.
    """
    if origin is None:
        return found
    kept = (_only(case, origin) for case in found.cases)
    return replace(found, cases=tuple(case for case in kept if case is not None))


def _only(case: Case, origin: str) -> Case | None:
    labels = tuple(each for each in case.labels if each.origin == origin)
    if case.labels and not labels:
        return None
    masks = tuple(around(each.phase, each.time_ns) for each in case.labels if each.origin != origin)
    return replace(case, labels=labels, unknown=case.unknown + masks)


def around(phase: str | None, time_ns: int, reach_s: float = MASK_S) -> Unknown:
    """Give the span around an arrival that is not to be judged."""
    reach = round(reach_s * NANOSECONDS)
    return Unknown(phase, time_ns - reach, time_ns + reach)


def places(codes: tuple[str, ...], components: Components) -> dict[str, int] | None:
    """Give the place of each code in a model's order; None where the runtime would refuse the station."""
    found: dict[str, int] = {}
    for code in codes:
        letter = components.letter_of(code)
        if letter is not None and (letter == code or letter not in codes):
            found[code] = components.order.index(letter)
    present = {components.order[place] for place in found.values()}
    return found if present and present.issuperset(components.needed) else None


def sensor_of(channel: str) -> str:
    """Name the kind of sensor of a SEED channel code, by its band and instrument codes (SEED manual, appendix A)."""
    if len(channel) < 2:  # bare axes: x, y, z
        return "MEMS"
    band, instrument = channel[0].upper(), channel[1].upper()
    if instrument == "N":
        return "accelerometer"
    if instrument == "H" and band in "BHLMV":
        return "broadband"
    return "short-period"
