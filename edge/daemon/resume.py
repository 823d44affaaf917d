"""Where a source has to go on after a restart: so far back that windows and filters are whole again."""

from __future__ import annotations

from collections import deque

from seisedge.edge.sources import Source

NANOSECONDS = 1_000_000_000
_SPACING_NS = NANOSECONDS
_MAX_POINTS = 10_000


class ResumePoints:
    """The places of one source, about one per second of data.

    Parameters
    ----------
    history_s
        How far back, in seconds of data.
    """

    def __init__(self, history_s: float) -> None:
        self._history_ns = round(history_s * NANOSECONDS)
        self._points: deque[tuple[int, int, str]] = deque(maxlen=_MAX_POINTS)
        self._newest_ns: int | None = None

    def add(self, number: int, time_ns: int, source: Source) -> None:
        """Note where packet `number` of the source, which ends at `time_ns`, stands."""
        if self._newest_ns is not None and time_ns < self._newest_ns + _SPACING_NS:
            return
        position = source.position
        if position is not None:
            self._newest_ns = time_ns
            self._points.append((number, time_ns, position))

    def safe(self, oldest: int | None) -> str | None:
        """Give the place that lies `history_s` behind the newest packet that is wholly dealt with, or the first place.

        Parameters
        ----------
        oldest
            Number of the oldest packet that is not; None where all are.
        """
        done = [each for each in self._points if oldest is None or each[0] < oldest]
        if not done:
            return None
        limit = done[-1][1] - self._history_ns
        while len(self._points) > 1 and self._points[1][1] <= limit and (oldest is None or self._points[1][0] < oldest):
            self._points.popleft()
        return self._points[0][2]
