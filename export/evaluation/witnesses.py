"""Which picks without a consensus pick other pickers have too: those are hardly false alarms.

A consensus of some pickers knows only what they found. A pick that it lacks is noise or an earthquake, and nothing in
the records tells which; but one that another network finds at the same time, at the threshold at which that one would
run at a station, is rather an earthquake.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seisedge.edge.times import NANOSECONDS

from .matching import match
from .pickers import Found
from .sweep import CHOSEN_AT_S, Sweep

AT_RECALL = 0.8


@dataclass(frozen=True)
class Judged:
    """A picker on continuous records: its verdicts, its picks, and phase → place of its threshold in its grid."""

    sweep: Sweep
    found: list[Found]
    chosen: dict[str, int]


@dataclass(frozen=True)
class BorneOut:
    """Unmatched picks of one picker and phase, per station-day, at its highest threshold with a recall of `AT_RECALL`.

    Attributes
    ----------
    by
        Other picker → how many of them that one has too, within 0.5 s, at its own threshold.
    by_none
        How many no picker of another family has.
    """

    picker: str
    set: str
    phase: str
    threshold: float
    unmatched_per_day: float
    by: dict[str, float]
    by_none: float


def borne_out(mine: Judged, others: Sequence[Judged], phase: str) -> BorneOut | None:
    """Count how many of a picker's unmatched picks others have too; None where it does not reach the recall."""
    reached = [place for place, score in enumerate(mine.sweep.scores(phase)) if score.recall >= AT_RECALL]
    if not reached:
        return None
    cases, days = mine.sweep.cases, mine.sweep.cases.days
    witnesses = [each for each in others if phase in each.chosen]
    counts, alone, every = dict.fromkeys((each.sweep.picker.name for each in witnesses), 0), 0, 0
    for record, (_, verdict) in enumerate(mine.sweep.grouped(phase, reached[-1])):
        seen: set[int] = set()
        for each in witnesses:
            times = [time for time, _ in each.found[record][phase][each.chosen[phase]]]
            pairs = match(verdict.false_ns, times, round(CHOSEN_AT_S * NANOSECONDS))
            counts[each.sweep.picker.name] += len(pairs)
            if each.sweep.picker.family != mine.sweep.picker.family:
                seen |= {place for place, _ in pairs}
        every, alone = every + len(verdict.false_ns), alone + len(verdict.false_ns) - len(seen)
    return BorneOut(
        picker=mine.sweep.picker.name,
        set=cases.name,
        phase=phase,
        threshold=mine.sweep.picker.grid[reached[-1]],
        unmatched_per_day=round(every / days, 1),
        by={name: round(count / days, 1) for name, count in counts.items()},
        by_none=round(alone / days, 1),
    )
