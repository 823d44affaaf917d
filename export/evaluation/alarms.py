"""Events and false alarms of long records: what a network of alarms sees of a picker.

Picks of all phases that follow each other within `APART_S` are one alarm, at its first pick. An event is a P label;
it is detected by an alarm, or by a pick that belongs to one, from 1 s before it to 10 s after. Alarms in the minute
behind an event are its coda and are not judged, nor are those where pickers do not agree.
"""

from __future__ import annotations

from dataclasses import dataclass

from seisedge.edge.times import NANOSECONDS

from .cases import Case, CaseSet
from .pickers import Found, Picker
from .scores import Onset

APART_S = 10.0
BEFORE_S, BEHIND_S, CODA_S = 1.0, 10.0, 60.0


@dataclass(frozen=True)
class AlarmScore:
    """Events and alarms over a set, at one threshold."""

    events: int
    detected: int
    false_alarms: int
    days: float

    @property
    def recall(self) -> float:
        """Share of the events that are detected."""
        return self.detected / max(1, self.events)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 where there is nothing."""
        return 2 * self.detected / max(1, self.events + self.detected + self.false_alarms)

    @property
    def per_day(self) -> float:
        """False alarms per station-day."""
        return self.false_alarms / self.days


def alarm_scores(picker: Picker, cases: CaseSet, found: list[Found]) -> list[AlarmScore]:
    """Count events and alarms at every threshold."""
    scores: list[AlarmScore] = []
    for number in range(len(picker.grid)):
        counts = [
            count_alarms(case, sorted(onset for phase in picker.phases for onset in each[phase][number]))
            for case, each in zip(cases.cases, found, strict=True)
        ]
        events, detected, false = (sum(column) for column in zip(*counts, strict=True))
        scores.append(AlarmScore(events, detected, false, cases.days))
    return scores


def count_alarms(case: Case, onsets: list[Onset]) -> tuple[int, int, int]:
    """Give a record's events, how many of them are detected, and its false alarms; `onsets` in order of time."""
    events = [each.time_ns for each in case.labels if each.phase == "P"]
    times = [time for time, _ in onsets if case.start_ns <= time <= case.end_ns]
    detected = sum(any(_is_at(time, event, BEHIND_S) for time in times) for event in events)
    arrivals = [each.time_ns for each in case.labels]
    false = 0
    for alarm in _alarms(times):
        if not any(_is_at(alarm, arrival, CODA_S) for arrival in arrivals):
            false += case.is_known("P", alarm)
    return len(events), detected, false


def _is_at(time_ns: int, arrival_ns: int, behind_s: float) -> bool:
    return -BEFORE_S * NANOSECONDS <= time_ns - arrival_ns <= behind_s * NANOSECONDS


def _alarms(times: list[int]) -> list[int]:
    """First times of the groups."""
    return [time for place, time in enumerate(times) if place == 0 or time - times[place - 1] > APART_S * NANOSECONDS]


def recall_at_rate(scores: list[AlarmScore], per_day: float) -> float:
    """Give the largest recall with at most so many false alarms per day; 0 where there is none."""
    return max((each.recall for each in scores if each.per_day <= per_day), default=0.0)
