"""A growing stream of miniSEED 2 and 3 records, of any length, mixed or damaged → packets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import final

from pymseed import MiniSEEDError, MS3Record
from pymseed.clib import clibmseed

from .errors import WireError
from .miniseed import has_samples, packet_of_record, reason_of
from .packet import Packet

_LEAST_HEADER = 48  # bytes by which libmseed tells a record from anything else
_LONGEST_RECORD = 1 << 20

# What a record may begin with: miniSEED 2's sequence number, quality and reserved byte, or miniSEED 3's magic bytes.
_RECORD = re.compile(rb"[0-9 \0]{6}[DRQM][ \0]|MS\x03")
_LONGEST_MARK = 8


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
        """Nothing more will come: what is not whole now is damage."""
        self._ended = True

    def next_packet(self) -> Packet | None:
        """Give the next packet, or None where more bytes are needed.

        Raises
        ------
        WireError
            Once for each damaged stretch, which is passed over: call again and go on.
        """
        while True:
            records = self._records or self._open()
            if records is None:
                return None
            try:
                record = next(records)
                packet = packet_of_record(record) if has_samples(record) else None
            except StopIteration:
                self._records = None
            except MiniSEEDError as error:
                if self._is_partial(error):
                    self._records = None
                    if not self._fed:
                        return None
                else:
                    self._lose(reason_of(error))
            except ValueError as error:
                self._lose(reason_of(error))
            else:
                self._lost = False
                self._used += record.reclen
                if packet is not None:
                    return packet
                self.passed_over += 1

    def _open(self) -> Iterator[MS3Record] | None:
        """Begin to read what is there behind the last record; None where that is too little."""
        if self._fed:
            self._buffer = b"".join((self._buffer[self._used :], *self._fed))
            self._base += self._used
            self._used, self._fed = 0, []
        left = len(self._buffer) - self._used
        if self._lost:
            left = self._find_record()
        if left < _LEAST_HEADER and not (self._ended and left):
            return None
        self._records = MS3Record.from_buffer(memoryview(self._buffer)[self._used :], unpack_data=True)
        return self._records

    def _is_partial(self, error: MiniSEEDError) -> bool:
        left = len(self._buffer) - self._used
        return error.status_code == clibmseed.MS_ENDOFFILE and not self._ended and left <= self._max_record

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
