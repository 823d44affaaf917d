"""Sequence numbers → what is missing, came twice or came late."""

from __future__ import annotations

from .packet import PacketFlag

_REMEMBERED = 64


class SequenceTracker:
    """Follows a counter of `bits` bits that wraps.

    A number up to 64 behind the newest is late or a duplicate; one further behind is a device that started anew, and
    counts as a gap. So is one that came before, where its time is later than all that came.

    Attributes
    ----------
    missing, duplicates, reordered, restarts
        Counts so far; a late packet is taken off `missing`.
    """

    def __init__(self, bits: int = 32) -> None:
        self._mask = (1 << bits) - 1
        self._newest: int | None = None
        self._latest_ns = 0
        self._seen = 0  # bit k: newest - k has come
        self.missing = self.duplicates = self.reordered = self.restarts = 0

    def next(self, number: int, time_ns: int = 0) -> PacketFlag:
        """Say how this packet, of a time where it is known, stands to those before it."""
        if self._newest is None:
            self._newest, self._latest_ns, self._seen = number, time_ns, 1
            return PacketFlag.NONE
        ahead = (number - self._newest) & self._mask
        behind = (self._newest - number) & self._mask
        is_later, self._latest_ns = time_ns > self._latest_ns, max(time_ns, self._latest_ns)
        has_come = behind < _REMEMBERED and bool(self._seen >> behind & 1)
        if behind < _REMEMBERED and not (has_come and is_later):
            return self._old(behind)
        self._newest = number
        if has_come or ahead > self._mask >> 1:
            self._seen = 1
            self.restarts += 1
            return PacketFlag.SEQUENCE_GAP
        self._seen = (self._seen << ahead if ahead < _REMEMBERED else 0) & (1 << _REMEMBERED) - 1 | 1
        self.missing += ahead - 1
        return PacketFlag.SEQUENCE_GAP if ahead > 1 else PacketFlag.NONE

    def _old(self, behind: int) -> PacketFlag:
        if self._seen >> behind & 1:
            self.duplicates += 1
            return PacketFlag.DUPLICATE
        self._seen |= 1 << behind
        self.missing = max(0, self.missing - 1)
        self.reordered += 1
        return PacketFlag.REORDERED
