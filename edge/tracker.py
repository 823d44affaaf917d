"""Probabilities per window or sample → onsets: a small state machine per label with an on and an off threshold."""

from __future__ import annotations

import bisect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf

import numpy as np
import numpy.typing as npt

from .manifest import Threshold
from .twin import twin_of

TimeOf = Callable[[int], int]
"""Row → its time, ns; rises from row to row."""


@dataclass(frozen=True, slots=True)
class Onset:
    """One closed run of probabilities.

    Attributes
    ----------
    time_ns
        Peak or centroid of the run, or where the model's offsets put it.
    probability
        Largest probability of the run.
    uncertainty_s
        One standard deviation of the time; None where not known.
    opened_ns
        When the run opened; for one that stands in for a less probable neighbour, when the neighbour's did. It does
        not move while the run goes on, so it names an onset that is not yet certain.
    """

    time_ns: int
    probability: float
    uncertainty_s: float | None = None
    opened_ns: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Refined:
    """A better time for a peak, and its standard deviation."""

    time_ns: int
    uncertainty_s: float


RefineRow = Callable[[int], Refined]
"""Row → where an onset stands whose peak it is."""


@dataclass
class _Run:
    """A run of windows since the probability came to `on`: its peak, and the moments for its centroid."""

    starttime_ns: int
    peak_ns: int
    peak: float = -inf
    weight: float = 0.0
    moment: float = 0.0  # of (time - starttime), ns
    refined: Refined | None = None


class PickTracker:
    """Onsets of one label.

    A run opens at `on` or above and closes below `off`. Of onsets nearer to each other than the minimum
    separation the most probable stays, so one is given out as soon as nothing can replace it any more.

    Parameters
    ----------
    threshold
        On and off.
    minimum_separation_ns
        Least distance of two onsets, of two peaks where their times are refined.
    centroid
        Put the onset at the run's centroid instead of its peak.
    """

    def __init__(self, threshold: Threshold, *, minimum_separation_ns: int, centroid: bool) -> None:
        self._threshold = threshold
        self._separation_ns = minimum_separation_ns
        self._centroid = centroid
        self._run: _Run | None = None
        self._held: Onset | None = None
        self._held_ns = 0  # where it stands for the separation

    @property
    def is_idle(self) -> bool:
        """No run is open and no onset waits: probabilities below `on` change nothing."""
        return self._run is None and self._held is None

    def fork(self) -> PickTracker:
        """Give a tracker of the same past that goes its own way."""
        other = twin_of(self)
        other._run = None if self._run is None else twin_of(self._run)  # noqa: SLF001 - one of our own kind
        return other

    def push(
        self, values: npt.NDArray[np.floating], time_ns: TimeOf, refine: RefineRow | None = None
    ) -> list[tuple[int, Onset]]:
        """Take the probabilities of the next windows or samples, a row each; give onsets, each with its row.

        An onset's row is that by which it became certain. What lies between two changes of the state is passed over in
        one step, for a run goes on over hundreds of samples; onsets do not depend on how many rows come at once.
        With `refine` an onset stands where that puts the row of its peak.
        """
        exact = values.astype(np.float64)  # as thresholds are
        found: list[tuple[int, Onset]] = []
        (high,) = (exact >= self._threshold.on).nonzero()
        if self._run is None and not high.size:
            self._release_in(range(values.size), time_ns, found)
            return found
        (low,) = (~(exact >= self._threshold.off)).nonzero()
        row = 0
        while row < values.size:
            if self._run is None:
                opens = _next_of(high, row, values.size)
                self._release_in(range(row, min(opens + 1, values.size)), time_ns, found)
                if opens == values.size:
                    break
                time = time_ns(opens)
                self._run, row = _Run(time, time), opens
                ends = _next_of(low, row + 1, values.size)
            else:
                ends = _next_of(low, row, values.size)
            self._add(self._run, row, exact[row:ends], time_ns, refine)
            row = ends
            if row < values.size and (released := self._close()):
                found.append((row, released))
        return found

    def _add(
        self, run: _Run, first: int, values: npt.NDArray[np.float64], time_ns: TimeOf, refine: RefineRow | None
    ) -> None:
        """Take the rows of a run from `first` on."""
        if not values.size:
            return
        place = int(values.argmax())
        if values[place] > run.peak:
            row = first + place
            run.peak, run.peak_ns, run.refined = float(values[place]), time_ns(row), refine(row) if refine else None
        if self._centroid:
            for row, value in enumerate(values.tolist(), first):
                if value >= self._threshold.on:
                    run.weight += value
                    run.moment += value * (time_ns(row) - run.starttime_ns)

    def finish(self) -> list[Onset]:
        """Close what is open and give out what waits: a break in the windows."""
        found = [self._close(), self._held]
        self._held = None
        return [onset for onset in found if onset is not None]

    def _close(self) -> Onset | None:
        """Turn the open run into the onset that waits; give out the one that it cannot replace."""
        run, self._run = self._run, None
        if run is None:
            return None
        time_ns = run.peak_ns
        if self._centroid:
            time_ns = run.starttime_ns + round(run.moment / run.weight)
        onset, held = Onset(time_ns, run.peak, opened_ns=run.starttime_ns), self._held
        if run.refined is not None:
            onset = Onset(run.refined.time_ns, run.peak, run.refined.uncertainty_s, run.starttime_ns)
        if held is not None and time_ns - self._held_ns < self._separation_ns:
            if onset.probability > held.probability:  # the first one of equals
                self._held, self._held_ns = replace(onset, opened_ns=held.opened_ns), time_ns
            return None
        self._held, self._held_ns = onset, time_ns
        return held

    def _release_in(self, rows: range, time_ns: TimeOf, found: list[tuple[int, Onset]]) -> None:
        """Give out the waiting onset at the first of these rows that stands far enough behind it."""
        if self._held is not None and rows:
            row = first_at(rows, self._held_ns + self._separation_ns, time_ns)
            if row is not None:
                found.append((row, self._held))
                self._held = None


def _next_of(rows: npt.NDArray[np.intp], row: int, size: int) -> int:
    """Give the first of ascending rows at or behind `row`; `size` where there is none."""
    place = int(rows.searchsorted(row))
    return int(rows[place]) if place < rows.size else size


def first_at(rows: range, earliest_ns: int, time_ns: TimeOf) -> int | None:
    """Give the first of the rows that stands at `earliest_ns` or behind it; None where there is none."""
    first, last = rows[0], rows[-1]
    start_ns, end_ns = time_ns(first), time_ns(last)
    if start_ns >= earliest_ns or end_ns < earliest_ns:
        return first if start_ns >= earliest_ns else None
    guess = first - (start_ns - earliest_ns) * (last - first) // (end_ns - start_ns)  # they are nearly even
    if time_ns(guess - 1) < earliest_ns <= time_ns(guess):
        return guess
    return rows[bisect.bisect_left(rows, earliest_ns, key=time_ns)]
