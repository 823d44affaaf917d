"""Packets on their way from the sources to one worker: a bounded queue per source that prefers fresh data."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from seisedge.edge.picks import StationId
from seisedge.firmware_bridge import Packet

_PER_TURN = 64  # packets of a source that are taken before the next source has its turn


@dataclass(frozen=True, slots=True)
class Arrival:
    """A packet, where it came from and when.

    Attributes
    ----------
    source
        Label of the source.
    number
        Counted per source.
    arrived_ns, monotonic_ns
        By the daemon's two clocks.
    """

    source: str
    number: int
    station: StationId
    packet: Packet
    arrived_ns: int
    monotonic_ns: int


class Inbox:
    """The packets that wait for one worker."""

    def __init__(self) -> None:
        self._ready = threading.Condition()
        self._queues: dict[str, deque[Arrival]] = {}
        self._in_hand: list[Arrival] = []
        self._closed = False
        self._wake = False
        self.dropped: dict[str, int] = {}
        self.on_space: Callable[[], None] = lambda: None
        """Called, in the worker's thread, when packets were taken out."""

    def put(self, arrival: Arrival, *, bound: int, waits: bool) -> bool:
        """Queue a packet. Where the queue is full, the oldest one goes, or with `waits` nothing is done: False."""
        with self._ready:
            queue = self._queues.setdefault(arrival.source, deque())
            if len(queue) >= bound:
                if waits:
                    return False
                queue.popleft()
                self.dropped[arrival.source] = self.dropped.get(arrival.source, 0) + 1
            queue.append(arrival)
            self._ready.notify()
        return True

    def take(self) -> list[Arrival] | None:
        """Wait for packets and give some of each source; an empty list after `wake`; None once closed and empty."""
        with self._ready:
            self._in_hand = []
            self._ready.wait_for(lambda: self._closed or self._wake or any(self._queues.values()))
            self._wake = False
            for queue in self._queues.values():
                self._in_hand += [queue.popleft() for _ in range(min(len(queue), _PER_TURN))]
            taken = self._in_hand
            if not taken and self._closed:
                return None
        self.on_space()
        return taken

    def wake(self) -> None:
        """Let `take` return, without a packet: the worker has something else to do."""
        with self._ready:
            self._wake = True
            self._ready.notify()

    def close(self) -> None:
        """Nothing more will come; what waits is still given."""
        with self._ready:
            self._closed = True
            self._ready.notify()

    def oldest(self, source: str) -> int | None:
        """Give the number of the oldest packet of a source that is not wholly dealt with; None where there is none."""
        with self._ready:
            in_hand = next((each.number for each in self._in_hand if each.source == source), None)
            if in_hand is not None:
                return in_hand
            queue = self._queues.get(source)
            return queue[0].number if queue else None

    def depth(self, source: str | None = None) -> int:
        """Count what waits."""
        with self._ready:
            if source is not None:
                return len(self._queues.get(source, ()))
            return sum(len(queue) for queue in self._queues.values())

    def waiting_since(self) -> int | None:
        """Give the monotonic time at which the oldest packet that waits or is in hand came; None without one."""
        with self._ready:
            heads = [queue[0].monotonic_ns for queue in self._queues.values() if queue]
            heads += [each.monotonic_ns for each in self._in_hand[:1]]
            return min(heads, default=None)
