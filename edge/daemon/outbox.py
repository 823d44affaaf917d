"""The outbox: a result is stored before any sink sees it, and removed only when the sink has confirmed it.

A disk that is full or read-only does not stop the picks: they go into a second store in memory, bounded like the first,
until the disk takes them again. What is in memory is lost when the process ends, so health says `not durable`.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from .clock import Clock
from .results import Statement
from .store import Entry, Item, Store, Subscription, Wish

T = TypeVar("T")

OUTBOX_NAME = "outbox.sqlite"
_RETRY_NS = 5_000_000_000
_IN_MEMORY = 10_000  # results; of about one kilobyte each
_IN_MEMORY_BYTES = 32 << 20
_MEMORY = 1 << 62  # numbers of the store in memory begin here: behind all of those on the disk


@dataclass
class OutboxCounts:
    """What became of the results."""

    stored: int = 0
    in_memory: int = 0
    lost_deliveries: int = 0
    failures: int = 0
    last_problem: str = ""


class Outbox:
    """Two stores behind one lock, for any thread.

    Parameters
    ----------
    path
        Of the database; its folder is made.
    max_results, max_bytes
        Bounds of the store on the disk.
    clock
        Spaces out the tries to reach a disk that fails.
    """

    def __init__(self, path: Path, *, max_results: int, max_bytes: int, clock: Clock) -> None:
        self._path, self._max_results, self._max_bytes = path, max_results, max_bytes
        self._clock = clock
        self._lock = threading.Lock()
        self._memory = Store(":memory:")
        self._disk: Store | None = None
        self._retry_ns = 0
        self._unconfirmed: dict[str, set[int]] = {}  # confirmed, but the disk did not take it yet
        self.subscriptions: tuple[Subscription, ...] = ()
        self.counts = OutboxCounts()
        self._reach_disk()

    @property
    def is_durable(self) -> bool:
        """Whether results reach the disk."""
        return self._disk is not None and self._retry_ns == 0

    def close(self) -> None:
        """Close both stores."""
        with self._lock:
            if self._disk is not None:
                self._settle_confirmed(self._disk)
                self._disk.close()
            self._memory.close()

    def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Say which sinks there are; what waits for others is dropped."""
        with self._lock:
            self.subscriptions = tuple(subscriptions)
            self._memory.keep_sinks(subscriptions)
            if self._disk is not None:
                try:
                    self._disk.keep_sinks(subscriptions)
                except sqlite3.Error as error:
                    self._fail(error)

    def add(self, entries: Sequence[Entry], positions: dict[str, str] | None = None) -> None:
        """Store entries. When this returns they are durable, or `is_durable` is false."""
        with self._lock:
            if self._clock.monotonic_ns() >= self._retry_ns and self._add_to_disk(entries, positions or {}):
                self.counts.stored += len(entries)
                return
            self._memory.add(entries, self.subscriptions, {})
            self.counts.in_memory += len(entries)
            self.counts.lost_deliveries += self._memory.trim(_IN_MEMORY, _IN_MEMORY_BYTES)

    def _add_to_disk(self, entries: Sequence[Entry], positions: dict[str, str]) -> bool:
        disk = self._disk or self._reach_disk()
        if disk is None:
            return False
        try:
            disk.add(entries, self.subscriptions, positions)
            self.counts.lost_deliveries += disk.trim(self._max_results, self._max_bytes)
            self._settle_confirmed(disk)
        except sqlite3.Error as error:
            self._fail(error)
            return False
        self._retry_ns = 0
        return True

    def pending(self, sink: str, most: int = 100) -> list[Item]:
        """Give the oldest items that a sink has not confirmed: those on the disk, then those in memory."""
        with self._lock:
            items: list[Item] = []
            if self._disk is not None:
                confirmed = self._unconfirmed.get(sink, set())
                try:
                    found = self._disk.pending(sink, most + len(confirmed))
                    items = [each for each in found if each.seq not in confirmed][:most]
                except sqlite3.Error as error:
                    self._fail(error)
            if len(items) < most:
                more = self._memory.pending(sink, most - len(items))
                items += [Item(each.seq + _MEMORY, each.kind, each.row, each.content) for each in more]
            return items

    def waiting(self, sink: str) -> int:
        """Count what a sink has not confirmed."""
        with self._lock:
            count = self._memory.waiting(sink) - len(self._unconfirmed.get(sink, ()))
            try:
                return count + (0 if self._disk is None else self._disk.waiting(sink))
            except sqlite3.Error as error:
                self._fail(error)
                return count

    def confirm(self, sink: str, items: Sequence[Item]) -> None:
        """Note that a sink has these items."""
        with self._lock:
            self._memory.confirm(sink, [each.seq - _MEMORY for each in items if each.seq >= _MEMORY])
            on_disk = {each.seq for each in items if each.seq < _MEMORY}
            if on_disk:
                self._unconfirmed.setdefault(sink, set()).update(on_disk)
                if self._disk is not None:
                    try:
                        self._settle_confirmed(self._disk)
                    except sqlite3.Error as error:
                        self._fail(error)

    def positions(self) -> dict[str, str]:
        """Give the sources' places at the last time they were stored."""
        return self._read(Store.positions, {})

    def known(self) -> dict[str, list[Statement]]:
        """Give the last statements of each stream before the restart."""
        return self._read(Store.known, {})

    def wishes(self) -> list[Wish]:
        """Give the triggered waveforms that were still to be cut before the restart."""
        return self._read(Store.wishes, [])

    def _read(self, what: Callable[[Store], T], nothing: T) -> T:
        """Read from the disk what a restart must know; `nothing` where the disk refuses."""
        with self._lock:
            try:
                return nothing if self._disk is None else what(self._disk)
            except sqlite3.Error as error:
                self._fail(error)
                return nothing

    def _settle_confirmed(self, disk: Store) -> None:
        for sink in list(self._unconfirmed):
            disk.confirm(sink, self._unconfirmed[sink])
            del self._unconfirmed[sink]

    def _reach_disk(self) -> Store | None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._disk = Store(str(self._path))
        except (sqlite3.Error, OSError) as error:
            self._fail(error)
        return self._disk

    def _fail(self, error: sqlite3.Error | OSError) -> None:
        self.counts.failures += 1
        self.counts.last_problem = f"outbox {self._path}: {error}"
        self._retry_ns = self._clock.monotonic_ns() + _RETRY_NS
