"""Records and pickers for tests of the evaluation, whose figures can be told by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from seisedge.edge import Packet, StationId
from seisedge.edge.times import NANOSECONDS
from seisedge.export.evaluation.cases import Case, CaseSet, Kind, Label, Unknown
from seisedge.export.evaluation.pickers import Check, Found, go_on


class NoTraces:
    """A record whose samples nobody looks at."""

    codes = ("Z",)

    def packets(self, places: dict[str, int], margin_s: float) -> Iterator[tuple[int, Packet]]:
        del places, margin_s
        yield from ()


def case(
    name: str = "a",
    *labels: tuple[str, float],
    seconds: float = 60.0,
    origin: str = "manual",
    unknown: tuple[tuple[str | None, float, float], ...] = (),
    group: str = "",
) -> Case:
    """Give a record of `seconds` with labels (phase, second)."""
    return Case(
        id=name,
        group=group or name,
        source="made",
        sensor="broadband",
        station=StationId("XX", name, "", "HH"),
        start_ns=0,
        end_ns=ns(seconds),
        labels=tuple(Label(phase, ns(at), origin) for phase, at in labels),
        unknown=tuple(Unknown(phase, ns(start), ns(end)) for phase, start, end in unknown),
        traces=NoTraces(),
    )


def ns(seconds: float) -> int:
    return round(seconds * NANOSECONDS)


def cases(*found: Case, kind: Kind = "labelled", name: str = "made") -> CaseSet:
    return CaseSet(name, kind, found, f"digest of {name}")


@dataclass
class Fixed:
    """A picker whose picks are given: record → (phase, second, probability)."""

    picks: dict[str, list[tuple[str, float, float]]]
    name: str = "fixed"
    digest: str = "fixed"
    source: str = "fixed"
    phases: tuple[str, ...] = ("P", "S")
    grid: tuple[float, ...] = (0.1, 0.5, 0.9)
    is_probability: bool = True
    family: str = ""
    asked: list[str] = field(default_factory=list[str])

    def own_threshold(self, phase: str) -> int:
        del phase
        return 1

    def pick(self, case: Case, check: Check = go_on) -> Found:
        check()
        self.asked.append(case.id)
        mine = self.picks.get(case.id, [])
        return {
            phase: [[(ns(at), value) for what, at, value in mine if what == phase and value >= on] for on in self.grid]
            for phase in self.phases
        }


def perfect(found: CaseSet) -> Fixed:
    """A picker that picks every label with probability 1."""
    return Fixed(
        {each.id: [(label.phase, label.time_ns / NANOSECONDS, 1.0) for label in each.labels] for each in found.cases}
    )
