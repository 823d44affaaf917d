"""One component's preprocessed samples without a hole: a growing array that knows its place in time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property

import numpy as np
import numpy.typing as npt

from .times import NANOSECONDS, index_at, time_at

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Clock:
    """Time of the samples of a run.

    Sample positions are counted from the epoch at the model's rate, so that windows stand at the same
    places wherever a stream was joined; the samples themselves stand up to half an interval off that grid.
    The clock remembers by how much.
    """

    start: int
    starttime_ns: int
    rate: Fraction
    drifts: tuple[tuple[int, int], ...] = ()
    """(first position, ns to add from there on), where the sensor's clock left its nominal rate."""

    def time_ns(self, position: float) -> int:
        """Time of a position, which may lie between samples."""
        drift = 0
        if self.drifts:
            drift = next((ns for first, ns in reversed(self.drifts) if position >= first), 0)
        whole = int(position // 1)
        double_interval, numerator = self._interval
        span = ((whole - self.start) * double_interval + numerator) // (2 * numerator)
        if position == whole:
            return self.starttime_ns + span + drift
        fraction = round((position - whole) * NANOSECONDS * self.rate.denominator / numerator)
        return self.starttime_ns + span + fraction + drift

    @cached_property
    def _interval(self) -> tuple[int, int]:
        """Twice a sample interval in ns, as an exact ratio."""
        return 2 * NANOSECONDS * self.rate.denominator, self.rate.numerator


@dataclass
class Run:
    """Samples from position `clock.start` on; the front is dropped when no window needs it any more."""

    clock: Clock
    first: int = field(init=False)
    """Position of the first sample that is still kept."""
    size: int = field(init=False, default=0)
    _data: Float32 = field(init=False)

    def __post_init__(self) -> None:
        self.first = self.clock.start
        self._data = np.empty(2048, np.float32)

    @property
    def start(self) -> int:
        """Position of the run's first sample."""
        return self.clock.start

    @property
    def end(self) -> int:
        """Position behind the last sample."""
        return self.first + self.size

    @property
    def end_ns(self) -> int:
        """Time behind the last sample."""
        return self.clock.time_ns(self.end)

    def lag(self, rate: Fraction) -> int:
        """Samples by which positions at the end have fallen behind times that are counted from the epoch at `rate`.

        A sensor whose clock drifts, or whose rate is not quite the model's, gives fewer or more samples than there are
        places: after a day of 20 ppm, 173 at 100 Hz.
        """
        start_ns = self.clock.starttime_ns
        phase_ns = start_ns - time_at(index_at(start_ns, rate), rate)
        return round((self.end_ns - time_at(self.end, rate) - phase_ns) * float(rate) / NANOSECONDS)

    def append(self, samples: Float32) -> None:
        """Add samples behind the last one."""
        needed = self.size + samples.size
        if needed > self._data.size:
            grown = np.empty(max(2 * self._data.size, needed), np.float32)
            grown[: self.size] = self._data[: self.size]
            self._data = grown
        self._data[self.size : needed] = samples
        self.size = needed

    def drift(self, ns: int) -> None:
        """From the next sample on, times are `ns` off those counted from the start."""
        last = self.clock.drifts[-1][1] if self.clock.drifts else 0
        if ns != last:
            self.clock = replace(self.clock, drifts=(*self.clock.drifts, (self.end, ns)))

    def read_into(self, start: int, stop: int, out: Float32) -> None:
        """Copy what the run has of the positions `start` … `stop - 1` to its place in `out`."""
        low, high = max(start, self.first), min(stop, self.end)
        if low < high:
            out[low - start : high - start] = self._data[low - self.first : high - self.first]

    def forget_before(self, position: int) -> None:
        """Drop samples that no window needs; moves memory only when half of it is waste."""
        waste = min(position - self.first, self.size)
        if waste > 1024 and 2 * waste >= self.size:
            kept = self.size - waste
            self._data[:kept] = self._data[waste : self.size].copy()
            if self._data.size > 8 * max(kept, 2048):
                self._data = self._data[: 4 * max(kept, 2048)].copy()
            self.first += waste
            self.size = kept
            self._forget_drifts()

    def _forget_drifts(self) -> None:
        drifts = self.clock.drifts
        while len(drifts) > 1 and drifts[1][0] <= self.first:
            drifts = drifts[1:]
        self.clock = replace(self.clock, drifts=drifts)
