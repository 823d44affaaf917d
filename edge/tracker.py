"""Probabilities per window or sample → onsets: a small state machine per label with an on and an off threshold."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace

from .manifest import Threshold


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


@dataclass
class _Run:
    """A run of windows since the probability came to `on`: its peak, and the moments for its centroid."""

    starttime_ns: int
    peak_ns: int
    peak: float
    weight: float = 0.0
    moment: float = 0.0  # of (time - starttime), ns
    refined: Refined | None = None

    def add(self, time_ns: int, probability: float, on: float, refined: Refined | None) -> None:
        if probability > self.peak:
            self.peak, self.peak_ns, self.refined = probability, time_ns, refined
        if probability >= on:
            self.weight += probability
            self.moment += probability * (time_ns - self.starttime_ns)


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
        other = copy.copy(self)
        other._run = copy.copy(self._run)  # noqa: SLF001 - one of our own kind
        return other

    def would_peak(self, probability: float) -> bool:
        """Whether this would be the highest probability of its run: `push` wants its refined time then."""
        return probability >= self._threshold.on if self._run is None else probability > self._run.peak

    def push(self, time_ns: int, probability: float, refined: Refined | None = None) -> Onset | None:
        """Take the next window's or sample's probability; give an onset when one became certain.

        With `refined` the onset stands there if this is the run's peak.
        """
        run = self._run
        if run is not None and probability >= self._threshold.off:
            run.add(time_ns, probability, self._threshold.on, refined)
            return self._release(run.starttime_ns)
        released = self._close()
        if probability >= self._threshold.on:
            self._run = _Run(time_ns, time_ns, probability, refined=refined)
            self._run.add(time_ns, probability, self._threshold.on, refined)
        return released or self._release(time_ns)

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

    def _release(self, earliest_ns: int) -> Onset | None:
        """Give out the waiting onset once every later one will stand far enough from it."""
        held = self._held
        if held is None or earliest_ns - self._held_ns < self._separation_ns:
            return None
        self._held = None
        return held
