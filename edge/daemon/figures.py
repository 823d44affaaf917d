"""Running figures: the quantiles of what was measured last."""

from __future__ import annotations

import threading
from collections import deque


class Quantiles:
    """Quantiles of the last 2048 values, and the number of all of them."""

    def __init__(self) -> None:
        self._values: deque[float] = deque(maxlen=2048)
        self._lock = threading.Lock()
        self.count = 0
        self.total = 0.0

    def add(self, value: float) -> None:
        """Note a value."""
        with self._lock:
            self._values.append(value)
            self.count += 1
            self.total += value

    def at(self, *fractions: float) -> list[float | None]:
        """Give the quantiles; None where nothing was measured."""
        with self._lock:
            values = sorted(self._values)
        if not values:
            return [None] * len(fractions)
        return [values[min(len(values) - 1, int(fraction * len(values)))] for fraction in fractions]
