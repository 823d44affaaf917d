"""JSON lines and CSV: appended, rotated by size, on the disk when confirmed."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from seisedge.edge.daemon.sink_config import FileSink, Sink
from seisedge.edge.daemon.store import Item
from seisedge.edge.picks import PICK_FIELDS

from .sink import SinkError

COLUMNS = (
    *PICK_FIELDS,
    "kind",
    "status",
    "label",
    "endtime",
    "warm_up",
    "sample_time",
    "packet_arrival",
    "window_ready",
    "inference_done",
    "published",
)
"""Of the CSV form: picks first, then what detections have more, then the daemon's own."""


class RotatedFile:
    """Lines in `path`; when it is full it becomes `path.1`, that one `path.2`, and so on."""

    def __init__(self, part: FileSink) -> None:
        self._path = Path(part.path)
        self._is_csv = part.type == "csv"
        self._most_bytes, self._keep, self._fsync = part.rotate_megabytes << 20, part.keep, part.fsync
        self._file: BinaryIO | None = None

    def deliver(self, items: Sequence[Item]) -> None:
        """Append one line per result; see `Sink`."""
        content = "".join(self._line(each.row) for each in items).encode()
        try:
            file = self._open()
            if file.tell() > 0 and file.tell() + len(content) > self._most_bytes:
                self._rotate()
                file = self._open()
            before = file.tell()
            try:
                _write_all(file, content)
                if self._fsync:
                    os.fsync(file.fileno())
            except OSError:
                self._undo(before)
                raise
        except OSError as error:
            raise SinkError(f"{self._path}: cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Close the file."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _undo(self, size: int) -> None:
        """Take back the half of a line that a full disk left."""
        self.close()
        os.truncate(self._path, size)

    def _open(self) -> BinaryIO:
        if self._file is not None and _is_same(self._file, self._path):
            return self._file
        self.close()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._file = self._path.open("ab", buffering=0)
        if file.tell() == 0 and self._is_csv:
            file.write((",".join(COLUMNS) + "\n").encode())
        elif file.tell() > 0:
            with self._path.open("rb") as reader:
                reader.seek(-1, os.SEEK_END)
                if reader.read(1) != b"\n":  # a power cut in the middle of a line
                    file.write(b"\n")
        return file

    def _rotate(self) -> None:
        self.close()
        if self._keep == 0:
            self._path.unlink()
            return
        for number in range(self._keep - 1, 0, -1):
            older = self._path.with_name(f"{self._path.name}.{number}")
            if older.exists():
                older.replace(self._path.with_name(f"{self._path.name}.{number + 1}"))
        self._path.replace(self._path.with_name(f"{self._path.name}.1"))

    def _line(self, row: dict[str, Any]) -> str:
        if not self._is_csv:
            return json.dumps(row, ensure_ascii=False) + "\n"
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow([row.get(column) for column in COLUMNS])
        return text.getvalue()


def _write_all(file: BinaryIO, content: bytes) -> None:
    """Write until all is written: on a disk that fills up, the first part goes in without an error."""
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]


def _is_same(file: BinaryIO, path: Path) -> bool:
    """Whether the open file is still the one of that name: logrotate may have moved it."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def open_sink(part: Sink) -> RotatedFile:
    """Make the sink; see `sinks.open_sink`."""
    if not isinstance(part, FileSink):
        raise TypeError(f"sink {part.label}: found {type(part).__name__}, wanted FileSink")
    return RotatedFile(part)
