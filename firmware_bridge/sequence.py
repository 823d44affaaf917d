"""Sequence numbers → what is missing, came twice or came late."""

from __future__ import annotations

from .packet import PacketFlag

_REMEMBERED = 64


class SequenceTracker:
    """Follows a counter of `bits` bits that wraps.

    A number up to 64 behind the newest is late or a duplicate; one further behind is a device that started anew,
    and counts as a gap.

    Attributes
    ----------
    missing, duplicates, reordered, restarts
        Counts so far; a late packet is taken off `missing`.
    """

    def __init__(self, bits: int = 32) -> None:
        self._mask = (1 << bits) - 1
        self._newest: int | None = None
        self._seen = 0  # bit k: newest - k has come
        self.missing = self.duplicates = self.reordered = self.restarts = 0

    def next(self, number: int) -> PacketFlag:
        """Say how this packet stands to those before it."""
        if self._newest is None:
            self._newest, self._seen = number, 1
            return PacketFlag.NONE
        ahead = (number - self._newest) & self._mask
        behind = (self._newest - number) & self._mask
        if behind < _REMEMBERED:
            return self._old(behind)
        self._newest = number
        if ahead > self._mask >> 1:
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
