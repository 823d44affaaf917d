"""Packets → files of miniSEED or another format that the bridge can write, joined, rotated by size."""

from __future__ import annotations

import re
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, final

import numpy as np

from seisedge.firmware_bridge import Packet, WireError, encode_records
from seisedge.firmware_bridge.miniseed_encode import ENCODINGS, Encoding

from .aligner import DRIFT_TOLERANCE
from .errors import DataError, UsageError
from .sources.formats import FORMATS, Encoder
from .strict import suggestion
from .times import NANOSECONDS

_MINISEED_2, _MINISEED_3 = (".mseed", ".miniseed", ".ms", ".msd"), (".mseed3", ".ms3")
_SAMPLES = 4096  # of one channel that wait to be written together
_LENGTH_2, _LENGTH_3 = 512, 4096


def encoder_of(path: Path, encoding: str | None) -> tuple[Encoder, bool]:
    """Give what makes bytes of a packet for a file with this suffix, and whether packets should be joined before.

    Raises
    ------
    UsageError
        The suffix or the encoding is none that we write.
    """
    suffix = path.suffix.lower()
    if encoding is not None and encoding not in ENCODINGS:
        raise UsageError(f"encoding: unknown {encoding!r}{suggestion(encoding, tuple(ENCODINGS))}")
    chosen: Encoding | None = next((each for each in ENCODINGS if each == encoding), None)
    if suffix in _MINISEED_2:
        return lambda packet: encode_records(packet, chosen, _LENGTH_2, version=2), True
    if suffix in _MINISEED_3:
        return lambda packet: encode_records(packet, chosen, _LENGTH_3, version=3), True
    for each in FORMATS.values():
        if each.encoder is not None and suffix in each.suffixes:
            if encoding is not None:
                raise UsageError(f"{path}: found an encoding, wanted none: it is for miniSEED")
            return each.encoder(False), False
    others = [suffix for each in FORMATS.values() for suffix in each.suffixes]
    known = ", ".join((*_MINISEED_2, *_MINISEED_3, *others))
    raise UsageError(f"{path}: found suffix {suffix!r}, wanted one of {known}")


@final
class Recorder:
    """Writes packets to a file, which it continues where there is one already.

    Packets of a channel that follow each other are joined before they are encoded, up to 4096 samples; `close` writes
    what still waits.

    Parameters
    ----------
    encoding
        For miniSEED: steim2, steim1, int16, int32 or float32; None for the sensor's own type.
    rotate_bytes
        Begin another file (`name.1.mseed`, `name.2.mseed`, …) where one would become longer; None never does.

    Raises
    ------
    UsageError
        The suffix is of no format that can be written, or the file cannot be.
    """

    def __init__(self, path: Path, *, encoding: str | None = None, rotate_bytes: int | None = None) -> None:
        self._encode, self._joins = encoder_of(path, encoding)
        self._path, self._rotate_bytes = path, rotate_bytes
        self._number, self._size = 0, 0
        self._waiting: dict[str, list[Packet]] = {}
        self.packets, self.bytes = 0, 0
        self._file: BinaryIO = self._open(path)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, packet: Packet) -> None:
        """Take a packet.

        Raises
        ------
        DataError
            It cannot be encoded so, or the disk is full.
        """
        self.packets += 1
        if not self._joins:
            self._put(packet)
            return
        waiting = self._waiting.setdefault(packet.source_id, [])
        if waiting and not _follows(waiting, packet):
            self._flush(waiting)
        waiting.append(packet)
        if sum(each.samples.size for each in waiting) >= _SAMPLES:
            self._flush(waiting)

    def close(self) -> None:
        """Write what waits and close the file; one that is empty goes."""
        try:
            for waiting in self._waiting.values():
                self._flush(waiting)
        finally:
            self._file.close()
            if not self._size and not self._number:
                self._path.unlink(missing_ok=True)

    def _flush(self, waiting: list[Packet]) -> None:
        if not waiting:
            return
        first, samples = waiting[0], np.concatenate([each.samples for each in waiting])
        waiting.clear()
        self._put(Packet(first.source_id, first.starttime_ns, first.sampling_rate, samples, first.flags))

    def _put(self, packet: Packet) -> None:
        try:
            parts = self._encode(packet)
            for part in parts:
                if self._rotate_bytes is not None and self._size and self._size + len(part) > self._rotate_bytes:
                    self._rotate()
                self._file.write(part)
                self._size += len(part)
                self.bytes += len(part)
            self._file.flush()
        except WireError as error:
            raise DataError(f"{self._path}: {packet.source_id}: {error}") from error
        except OSError as error:
            raise DataError(f"{self._path}: cannot be written: {error.strerror}") from error

    def _rotate(self) -> None:
        self._file.close()
        self._number += 1
        self._file = self._open(_rotation(self._path, self._number))

    def _open(self, path: Path) -> BinaryIO:
        try:
            file = path.open("ab")
        except OSError as error:
            raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
        self._size = file.tell()
        return file


def _rotation(path: Path, number: int) -> Path:
    return path.with_name(f"{path.stem}.{number}{path.suffix}")


def rotations(path: Path) -> list[Path]:
    """Give the files there are that a rotation of `path` would go on with, as `_rotation` names them; in no order."""
    name = re.compile(rf"{re.escape(path.stem)}\.[1-9][0-9]*{re.escape(path.suffix)}")
    return [each for each in path.parent.glob("*") if name.fullmatch(each.name)]


def _follows(waiting: list[Packet], packet: Packet) -> bool:
    """Whether a packet goes on where others end, with the same rate, type and flags.

    To a quarter of a sample, as the aligner does: beyond half of one, readers see a gap. The steps of a clock that is a
    little faster than the rate says are smaller so.
    """
    before = waiting[0]  # counted from the first one, so that small steps cannot add up
    if (before.sampling_rate, before.flags, before.samples.dtype) != (
        packet.sampling_rate,
        packet.flags,
        packet.samples.dtype,
    ):
        return False
    off_ns = packet.starttime_ns - before.time_of(sum(each.samples.size for each in waiting))
    return abs(off_ns) * packet.sampling_rate * DRIFT_TOLERANCE <= NANOSECONDS
