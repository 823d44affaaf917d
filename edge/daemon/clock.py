"""The one clock of the daemon: injected, so that a test can step it."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks: what the world calls the time, which may step, and one that only goes on."""

    def now_ns(self) -> int:
        """UTC, nanoseconds since the epoch; may step. Only for what people and other machines read."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds since some moment; never steps. For every decision and every duration."""
        ...


class SystemClock:
    """The computer's."""

    def now_ns(self) -> int:
        """UTC, nanoseconds since the epoch."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Nanoseconds since boot or so."""
        return time.monotonic_ns()
