"""A growing stream of miniSEED 2 and 3 records, of any length, mixed or damaged → packets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import final

from pymseed import MiniSEEDError, MS3Record

from .errors import WireError
from .miniseed import packet_of_record, reason_of
from .packet import Packet
from .record_length import record_length

_LEAST_HEADER = 48  # bytes by which libmseed tells a record from anything else
_LONGEST_HEAD = 4096
_BLOCKETTE_1000_FIRST = b"\0\x30\x03\xe8"  # where the first blockette stands: right behind the header; its number
_LONGEST_RECORD = 1 << 20

# What a record may begin with: miniSEED 2's sequence number, quality and reserved byte, or miniSEED 3's magic bytes.
_RECORD = re.compile(rb"[0-9 \0]{6}[DRQM][ \0]|MS\x03")
_LONGEST_MARK = 8


def _dated(start: bytes) -> bool:
    """Whether a start time, year first, makes sense in big-endian order, as `record_length` wants it."""
    return 1900 <= start[0] << 8 | start[1] <= 2100 and 1 <= start[2] << 8 | start[3] <= 366


@final
class MiniSeedDecoder:
    """Bytes of a file, a pipe or a socket, in any portions → packets; text records are passed over.

    After damage it goes on with the next bytes that are a record. It holds what has been fed and not yet given, so
    take the packets after each portion, as `packets_of` does.

    Parameters
    ----------
    max_record
        Bytes; a header that claims more is damage.
    """

    def __init__(self, *, max_record: int = _LONGEST_RECORD) -> None:
        self._max_record = max_record
        self._buffer, self._used, self._base = b"", 0, 0
        self._fed: list[bytes] = []
        self._wanted = 0  # bytes without which the record that has begun cannot be whole
        self._records: Iterator[MS3Record] | None = None
        self._lost = self._ended = False
        self.passed_over = 0

    @property
    def consumed(self) -> int:
        """Bytes of the stream up to the end of the packet that was given last."""
        return self._base + self._used

    def feed(self, data: bytes | memoryview) -> None:
        """Take bytes; nothing is decoded and nothing is raised."""
        if len(data):
            self._fed.append(bytes(data))

    def end(self) -> None:
        """Nothing more will come: a record that is not whole is damage."""
        self._ended = True

    def next_packet(self) -> Packet | None:
        """Give the next packet, or None where more bytes are needed.

        Raises
        ------
        WireError
            Once for each damaged stretch, which is passed over: call again and go on.
        """
        while records := self._records or self._open():
            found = self._read(records)
            if isinstance(found, Packet):
                return found
            if found:
                self._lose(found)
        return None

    def _read(self, records: Iterator[MS3Record]) -> Packet | str:
        """Read one record: its packet, what is wrong with it, or nothing."""
        try:
            record = next(records)
            packet = packet_of_record(record)
        except StopIteration:
            self._records = None
        except (MiniSEEDError, ValueError) as error:
            self._records = None
            return "" if self._waits() else reason_of(error)
        else:
            length = record.reclen
            if self._said() != length:
                self._records = None
                return "" if self._waits() else "a record that does not say its length in blockette 1000"
            self._lost = False
            self._used += length
            self.passed_over += packet is None
            return packet or ""
        return ""

    def _waits(self) -> bool:
        """Whether more bytes may make it a record; how many are wanted is noted then.

        libmseed ends a record without blockette 1000 where the next one begins, or where the buffer happens to end, so
        that other portions would give other packets; by SEED 2.4 it is no miniSEED.
        """
        left, length = len(self._buffer) - self._used, self._said()
        if self._ended or (length is not None and left >= length):
            return False
        self._wanted = max(length or 0, left + 1)
        return True

    def _said(self) -> int | None:
        """Bytes of the record by itself: 0: it does not say, -1: it is broken, None: more bytes are needed to tell."""
        quick = self._buffer[self._used + 20 : self._used + 55]  # from the year to the place of most blockettes 1000
        if quick[26:].startswith(_BLOCKETTE_1000_FIRST) and len(quick) == 35 and 7 <= quick[34] <= 20 and _dated(quick):
            length = 1 << quick[34]
            return length if length <= self._max_record else -1
        head = self._buffer[self._used : self._used + _LONGEST_HEAD]
        try:
            return record_length(head, max_record=self._max_record, unsaid=0)
        except WireError:
            return -1

    def _open(self) -> Iterator[MS3Record] | None:
        """Begin to read what is there behind the last record; None where that is too little."""
        left = len(self._buffer) - self._used
        if left + sum(map(len, self._fed)) < self._wanted and not self._ended:
            return None
        if self._fed:
            self._buffer = b"".join((self._buffer[self._used :], *self._fed))
            self._base += self._used
            self._used, self._fed = 0, []
        self._wanted = 0
        left = self._find_record() if self._lost else len(self._buffer) - self._used
        if left < _LEAST_HEADER and not (self._ended and left):
            return None
        self._records = MS3Record.from_buffer(memoryview(self._buffer)[self._used :], unpack_data=True)
        return self._records

    def _lose(self, why: str) -> None:
        """Pass over one byte at least; tell of it where the damage begins."""
        self._records = None
        self._used += 1
        known, self._lost = self._lost, True
        if not known:
            raise WireError(f"miniSEED stream: found {why}, wanted a record", self._base + self._used - 1)

    def _find_record(self) -> int:
        """Go to the next bytes that may begin a record; give how many there are from there on."""
        found = _RECORD.search(self._buffer, self._used)
        end = len(self._buffer)
        self._used = found.start() if found else max(self._used, end if self._ended else end - _LONGEST_MARK + 1)
        return end - self._used
