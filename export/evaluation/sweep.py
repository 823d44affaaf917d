"""One picker on one set, at every threshold: scores, the best threshold, and what it gives elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from .cases import Case, CaseSet
from .pickers import Found, Picker
from .scores import Score, Verdict, judge, total

TOLERANCES_S = (0.1, 0.5)
CHOSEN_AT_S = 0.5
"""The tolerance at which thresholds are chosen."""


@dataclass(frozen=True)
class Sweep:
    """A picker's verdicts on a set.

    Attributes
    ----------
    verdicts
        (phase, tolerance in s) → for each threshold, for each record.
    """

    picker: Picker
    cases: CaseSet
    verdicts: dict[tuple[str, float], list[list[Verdict]]]

    def score(self, phase: str, number: int, tolerance_s: float = CHOSEN_AT_S) -> Score:
        """Score at the threshold with this place in the grid."""
        return total(self.verdicts[phase, tolerance_s][number])

    def scores(self, phase: str, tolerance_s: float = CHOSEN_AT_S) -> list[Score]:
        """Scores at all thresholds."""
        return [total(each) for each in self.verdicts[phase, tolerance_s]]

    def grouped(self, phase: str, number: int, tolerance_s: float = CHOSEN_AT_S) -> list[tuple[Case, Verdict]]:
        """Records with their verdicts."""
        return list(zip(self.cases.cases, self.verdicts[phase, tolerance_s][number], strict=True))


def sweep(picker: Picker, cases: CaseSet, found: list[Found]) -> Sweep:
    """Judge a picker's picks at every threshold and tolerance."""
    verdicts = {
        (phase, tolerance): [
            [judge(case, phase, each[phase][number], tolerance) for case, each in zip(cases.cases, found, strict=True)]
            for number in range(len(picker.grid))
        ]
        for phase in picker.phases
        for tolerance in TOLERANCES_S
    }
    return Sweep(picker, cases, verdicts)


class HasF1(Protocol):
    """A score at one threshold."""

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        ...


def best_threshold(scores: Sequence[HasF1]) -> int:
    """Give the place of the largest F1; of several, the middle one of the first run of them."""
    figures = [each.f1 for each in scores]
    best = max(figures)
    first = figures.index(best)
    last = first
    while last + 1 < len(figures) and figures[last + 1] == best:
        last += 1
    return (first + last) // 2


def rate_at_recall(points: list[tuple[float, float]], recall: float) -> float | None:
    """Give the rate of false picks at a recall, between the two thresholds around it; None where it is not reached.

    Parameters
    ----------
    points
        (recall, rate) at rising thresholds.
    """
    above: tuple[float, float] | None = None
    for point in points:  # the last threshold that still has the recall
        if point[0] >= recall:
            above = point
    if above is None:
        return None
    below = next((each for each in points[points.index(above) + 1 :] if each[0] < recall), None)
    if below is None or above[0] == recall:
        return above[1]
    share = (above[0] - recall) / (above[0] - below[0])
    return above[1] + share * (below[1] - above[1])
