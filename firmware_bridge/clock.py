"""One clock model for devices that stamp late, stamp roughly or have a drifting clock: packet stamps → sample times.

A packet brings `npts` samples and one stamp: the time of its first sample, of its last one or of its sending. The
model counts samples; it fits a line through the last 64 packets' stamps over the index of the stamped sample, the slope
by the median of all pairs' slopes and the offset by the median of what is left (P. K. Sen, J. Am. Stat. Assoc. 63,
1968): 29 % of the stamps may be wild. Packets get their times from the line, not from their own stamps.

What comes           What is done
===================  ==================================================================================================
jitter               a stamp within `tolerance_s` of the line moves the line a little
missing packets      a stamp that is late by a whole number of packets (a quarter of one off at most), up to five
                     minutes: the count of samples moves on. SEQUENCE_GAP
earlier packets      early by a whole number of packets: placed by the line. REORDERED, or DUPLICATE where its stamp
                     has come before
any other jump       not followed: times go on by the line with HOLDOVER, until three packets in a row agree on the
                     new one, which starts a line of its own. CLOCK_STEP

The rate given out changes only when the fitted one, over 16 packets or more, is off by more than 0.4 %: whoever
filters starts anew at each change, and a small error does not grow, for every packet is placed by the line. There is no
other clock: the same packets give the same times.

Accuracy, as tested (tests/firmware_bridge/test_clock.py): jitter of ±10 ms and a clock off by 100 ppm give times within
5 ms after 64 packets of 1 s; steps are followed at the third packet.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from .packet import NANOSECONDS, PacketFlag

_WINDOW = 64
_MIN_FOR_SLOPE, _MIN_FOR_RATE = 3, 16
_MIN_CHANGE = 0.004
_AGREEING = 3
_LONGEST_GAP_NS = 300 * NANOSECONDS
_FURTHEST_BACK = 16  # packets
_PHASE = 0.25  # of a packet: how far off a whole number of packets may be


@dataclass(frozen=True, slots=True)
class Stamped:
    """A packet's place: time of its first sample, rate in Hz, and what was seen of its stamp."""

    starttime_ns: int
    sampling_rate: float
    flags: PacketFlag


@dataclass
class ClockCounts:
    """What the stamps did so far: packets of each kind, and samples that did not come."""

    steps: int = 0
    held: int = 0
    gaps: int = 0
    missing_samples: int = 0
    duplicates: int = 0
    reordered: int = 0


class PacketClock:
    """Gives the packets of one device their times; see the module for what it does.

    Parameters
    ----------
    sampling_rate
        What the device says, in Hz; must be positive.
    stamps_last
        The stamp is that of the last sample; else of the first one.
    tolerance_s
        Largest distance of a stamp from the line that is jitter.
    """

    def __init__(self, sampling_rate: float, *, stamps_last: bool, tolerance_s: float = 0.1) -> None:
        self.nominal_rate = sampling_rate
        self._rate = sampling_rate
        self._period_ns = NANOSECONDS / sampling_rate
        self._stamps_last = stamps_last
        self._tolerance_ns = tolerance_s * NANOSECONDS
        self._points: deque[tuple[int, int]] = deque(maxlen=_WINDOW)  # (index of the stamped sample, stamp)
        self._next = 0
        self._suspects: list[tuple[int, int]] = []
        self._origin_index, self._origin_ns = 0, 0
        self.counts = ClockCounts()

    def place(self, npts: int, stamp_ns: int) -> Stamped:
        """Give the time of the next packet's first sample."""
        index = self._next + (npts - 1 if self._stamps_last else 0)
        if not self._points:
            return self._start(index, stamp_ns, npts, PacketFlag.NONE)
        off_ns = stamp_ns - self._time_of(index)
        if abs(off_ns) <= self._tolerance_ns:
            return self._follow(index, stamp_ns, npts, PacketFlag.NONE)
        packet_ns = npts * self._period_ns
        packets = round(off_ns / packet_ns)
        if packets and abs(off_ns - packets * packet_ns) <= max(self._tolerance_ns, _PHASE * packet_ns):
            if 0 < off_ns <= _LONGEST_GAP_NS:
                self.counts.gaps += 1
                self.counts.missing_samples += packets * npts
                self._next += packets * npts
                return self._follow(index + packets * npts, stamp_ns, npts, PacketFlag.SEQUENCE_GAP)
            if -_FURTHEST_BACK <= packets < 0 and not self._suspects:
                return self._earlier(index + packets * npts, stamp_ns, npts)
        return self._doubt(index, stamp_ns, npts)

    def _earlier(self, index: int, stamp_ns: int, npts: int) -> Stamped:
        if any(stamp_ns == each for _, each in self._points):
            self.counts.duplicates += 1
            return self._at(index, npts, PacketFlag.DUPLICATE)
        self._suspects = [(index, stamp_ns)]
        self.counts.reordered += 1
        return self._at(index, npts, PacketFlag.REORDERED)

    def _doubt(self, index: int, stamp_ns: int, npts: int) -> Stamped:
        """Hold the line, until enough stamps agree on another one."""
        if self._suspects:
            before_index, before_ns = self._suspects[-1]
            expected = before_ns + (index - before_index) * self._period_ns
            if not self._agrees(stamp_ns - expected):
                self._suspects = []
        self._suspects.append((index, stamp_ns))
        if len(self._suspects) < _AGREEING:
            self.counts.held += 1
            self._next += npts
            return self._at(index, npts, PacketFlag.HOLDOVER)
        points, self._suspects = self._suspects, []
        self._points.clear()
        self._points.extend(points[:-1])
        self.counts.steps += 1
        return self._start(index, stamp_ns, npts, PacketFlag.CLOCK_STEP)

    def _agrees(self, off_ns: float) -> bool:
        return abs(off_ns) <= 2 * self._tolerance_ns

    def _start(self, index: int, stamp_ns: int, npts: int, flag: PacketFlag) -> Stamped:
        self._origin_index, self._origin_ns = index, stamp_ns
        return self._follow(index, stamp_ns, npts, flag)

    def _follow(self, index: int, stamp_ns: int, npts: int, flag: PacketFlag) -> Stamped:
        self._suspects = []
        self._points.append((index, stamp_ns))
        self._next += npts
        self._fit()
        return self._at(index, npts, flag)

    def _at(self, index: int, npts: int, flag: PacketFlag) -> Stamped:
        first = index - (npts - 1 if self._stamps_last else 0)
        return Stamped(round(self._time_of(first)), self._rate, flag)

    def _time_of(self, index: int) -> float:
        """Time on the line, in ns; exact to 1 µs within months of the origin, which moves with the window."""
        return self._origin_ns + round((index - self._origin_index) * self._period_ns)

    def _fit(self) -> None:
        """Lay the line through the window; its origin is the window's first packet, so numbers stay small."""
        first_index, first_ns = self._points[0]
        x = np.array([index - first_index for index, _ in self._points], np.float64)
        y = np.array([stamp - first_ns for _, stamp in self._points], np.float64)
        if x.size >= _MIN_FOR_SLOPE:
            rows, columns = np.triu_indices(x.size, 1)
            apart = x[columns] - x[rows]
            slopes = (y[columns] - y[rows])[apart > 0] / apart[apart > 0]
            if slopes.size:
                self._set_period(float(np.median(slopes)), publish=x.size >= _MIN_FOR_RATE)
        rest = float(np.median(y - x * self._period_ns))
        self._origin_index, self._origin_ns = first_index, first_ns + round(rest)

    def _set_period(self, period_ns: float, *, publish: bool) -> None:
        if not period_ns > 0:
            return
        self._period_ns = period_ns
        rate = NANOSECONDS / period_ns
        if publish and abs(rate / self._rate - 1) > _MIN_CHANGE:
            self._rate = float(f"{rate:.4g}")
