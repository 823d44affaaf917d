"""One thread that stores statements, several in one transaction where they come fast, and wakes the sinks."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from .clock import Clock
from .figures import Quantiles
from .outbox import Outbox
from .store import Entry

_MAX_WAITING = 20_000
_RECENT = 200


class Publisher:
    """Stores what the workers state.

    Parameters
    ----------
    outbox
        Where to.
    clock
        The daemon's.
    on_stored
        Called in this thread behind each transaction.
    """

    def __init__(self, outbox: Outbox, clock: Clock, on_stored: Callable[[], None]) -> None:
        self._outbox, self._clock, self._on_stored = outbox, clock, on_stored
        self._ready = threading.Condition()
        self._entries: deque[Entry] = deque()
        self._positions: dict[str, str] = {}
        self._closed = False
        self._since: int | None = None
        self.recent: deque[Entry] = deque(maxlen=_RECENT)
        """Last statements of what is no waveform, for the page."""
        self.published_s = Quantiles()
        """From the arrival of the packet that completed a window to the statement being stored."""
        self.counts: dict[tuple[str, str], int] = {}
        """(kind, status) → statements."""
        self.lost = 0

    def put(self, entries: list[Entry]) -> None:
        """Take entries, from any thread. Beyond 20,000 that wait, the oldest go and are counted."""
        if not entries:
            return
        with self._ready:
            self._entries.extend(entries)
            while len(self._entries) > _MAX_WAITING:
                self._entries.popleft()
                self.lost += 1
            self._ready.notify()

    def put_positions(self, positions: dict[str, str]) -> None:
        """Store the sources' places, behind all entries that were put before."""
        with self._ready:
            self._positions.update(positions)
            self._ready.notify()

    def close(self) -> None:
        """Nothing more will come; what waits is still stored."""
        with self._ready:
            self._closed = True
            self._ready.notify()

    def waiting_since(self) -> int | None:
        """Give the monotonic time since which something waits or is being stored."""
        return self._since

    def run(self) -> None:
        """Work until closed."""
        while True:
            with self._ready:
                self._since = None
                self._ready.wait_for(lambda: bool(self._entries or self._positions or self._closed))
                if not self._entries and not self._positions:
                    return
                self._since = self._clock.monotonic_ns()
                entries, positions = list(self._entries), self._positions
                self._entries, self._positions = deque(), {}
            self._outbox.add(entries, positions)
            self._note(entries)
            if entries:
                self._on_stored()

    def _note(self, entries: list[Entry]) -> None:
        now = self._clock.now_ns()
        for entry in entries:
            statement = entry.statement
            if statement is None:
                continue
            key = (statement.kind, statement.status)
            self.counts[key] = self.counts.get(key, 0) + 1
            if statement.kind != "waveform":
                self.recent.append(entry)
            if statement.stamps is not None and statement.status != "retracted":
                self.published_s.add((now - statement.stamps.arrived_ns) / 1e9)
