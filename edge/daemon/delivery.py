"""One thread per sink: oldest results first, confirmed when the sink has them, ever longer pauses while it is down."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from seisedge.edge.times import format_time

from .clock import Clock
from .outbox import Outbox
from .sinks import Sink, SinkError
from .store import Item

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_AT_ONCE = 100


@dataclass
class DeliveryCounts:
    """What became of a sink's results."""

    delivered: int = 0
    failures: int = 0
    last_problem: str = ""
    is_up: bool = True


class Delivery:
    """Delivers to one sink until stopped."""

    def __init__(self, label: str, sink: Sink, outbox: Outbox, clock: Clock) -> None:
        self.label = label
        self.counts = DeliveryCounts()
        self._sink, self._outbox, self._clock = sink, outbox, clock
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._idle = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"sink {label}", daemon=True)

    def start(self) -> None:
        """Begin with what waits from before."""
        self._wake.set()
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something new."""
        self._idle.clear()
        self._wake.set()

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until all is delivered; False where that takes too long."""
        self.wake()
        return self._idle.wait(timeout_s)

    def stop(self, timeout_s: float = 15.0) -> None:
        """Stop behind the delivery that is under way."""
        self._stopped.set()
        self._wake.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        try:
            while not self._stopped.is_set():
                self._wake.wait()
                self._wake.clear()
                while not self._stopped.is_set() and (items := self._outbox.pending(self.label, _AT_ONCE)):
                    if self._deliver(items):
                        pause_s = _FIRST_PAUSE_S
                    else:
                        self._stopped.wait(pause_s)
                        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                if not self._wake.is_set():
                    self._idle.set()
        finally:
            self._sink.close()

    def _deliver(self, items: list[Item]) -> bool:
        published = format_time(self._clock.now_ns())
        given = [Item(each.seq, each.kind, _published(each, published), each.content) for each in items]
        try:
            self._sink.deliver(given)
        except SinkError as error:
            self.counts.failures += 1
            self.counts.last_problem = str(error)
            self.counts.is_up = False
            return False
        self._outbox.confirm(self.label, items)
        self.counts.delivered += len(items)
        self.counts.is_up = True
        return True


def _published(item: Item, published: str) -> dict[str, Any]:
    return item.row if item.kind == "record" else {**item.row, "published": published}
