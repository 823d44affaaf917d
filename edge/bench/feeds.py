"""What brings packets to the chain, each with the time of its arrival, all in the data's own time."""

from __future__ import annotations

import time
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from .link import Arrival, Delivery
from .run import Clock


class Feed(Protocol):
    """Packets as they come."""

    def now(self) -> int:
        """Nanoseconds of the data's time."""
        ...

    def __iter__(self) -> Iterator[Delivery]:
        """Wait for each."""
        ...


class InProcess:
    """Gives each packet when it is due, by waiting for it.

    Parameters
    ----------
    clock, sleep
        Nanoseconds, and waiting of seconds.
    """

    def __init__(self, schedule: list[Arrival], clock: Clock, sleep: Callable[[float], None] = time.sleep) -> None:
        self._schedule, self._clock, self._sleep = schedule, clock, sleep
        self._offset = clock() - schedule[0].due_ns if schedule else 0

    def now(self) -> int:
        """Nanoseconds of the data's time."""
        return self._clock() - self._offset

    def __iter__(self) -> Iterator[Delivery]:
        """Wait for each."""
        for each in self._schedule:
            early = each.due_ns - self.now()
            if early > 0:
                self._sleep(early / 1e9)
            yield each.delivery()


@dataclass(frozen=True, order=True)
class _Span:
    """First and last sample of a packet that came."""

    end_ns: int
    start_ns: int
    arrived_ns: int


class ArrivalTimes:
    """When each sample of each component arrived."""

    def __init__(self, components: int) -> None:
        self._spans: list[list[_Span]] = [[] for _ in range(components)]

    def add(self, delivery: Delivery) -> None:
        """Note a packet."""
        packet = delivery.packet
        end_ns = packet.time_of(packet.samples.size - 1)
        insort(self._spans[delivery.component], _Span(end_ns, packet.starttime_ns, delivery.arrived_ns))

    def of(self, time_ns: int) -> int:
        """Time at which the last component's sample at this time, or the next one behind it, had arrived."""
        return max(self._each(time_ns), default=time_ns)

    def _each(self, time_ns: int) -> Iterator[int]:
        for spans in self._spans:
            place = bisect_left(spans, time_ns, key=lambda each: each.end_ns)
            if place < len(spans) and spans[place].start_ns <= time_ns:
                yield spans[place].arrived_ns
