"""miniSEED files and folders → packets of one station in order of time, in bounded memory.

A file is read twice: once for its headers, to learn which stations it has and where their records stand,
and once record by record. Records may stand in any order and channels may be mixed.
"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from seisedge.firmware_bridge import (
    Packet,
    RecordHeader,
    SourceId,
    TruncatedError,
    WireError,
    decode_record,
    read_headers,
)

from .errors import UsageError

_BLOCK = 1 << 20
_MAX_RECORD = 16 << 20  # a record larger than this is taken for damage
_SUFFIXES = {".mseed", ".miniseed", ".ms", ".msd", ".mseed2", ".mseed3", ".ms3"}


@dataclass
class Trace:
    """The records of one channel in one file: where they start in time and where they stand in the file."""

    path: Path
    source_id: SourceId
    starts: array[int] = field(default_factory=lambda: array("q"))
    offsets: array[int] = field(default_factory=lambda: array("q"))
    lengths: array[int] = field(default_factory=lambda: array("l"))

    def add(self, header: RecordHeader, offset: int) -> None:
        """Add a record's header; `offset` is counted from the start of the file."""
        self.starts.append(header.starttime_ns)
        self.offsets.append(offset)
        self.lengths.append(header.length)

    @property
    def size(self) -> int:
        """Bytes of its records."""
        return sum(self.lengths)


@dataclass
class Index:
    """What was found in the files.

    Attributes
    ----------
    traces
        One per channel and file.
    problems
        One line per file that could not be read, wholly or from some byte on.
    passed_over
        Files of folders that neither are nor claim to be miniSEED.
    """

    traces: list[Trace] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    passed_over: int = 0


def index_paths(paths: tuple[Path, ...], advance: Callable[[int], None] = lambda _: None) -> Index:
    """Read the headers of files, and of all files below folders.

    Parameters
    ----------
    paths
        Files and folders.
    advance
        Called with the number of bytes looked at.

    Raises
    ------
    UsageError
        A path does not exist.
    """
    require_paths(paths)
    index = Index()
    for path in paths:
        if path.is_dir():
            for each in sorted(file for file in path.rglob("*") if file.is_file()):
                _index_member(each, index, advance)
        else:
            _index_file(path, index, advance)
    return index


def require_paths(paths: tuple[Path, ...]) -> None:
    """Refuse paths that do not exist, before anything is read or written.

    Raises
    ------
    UsageError
        Naming the first one.
    """
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path}: no such file or folder")


def total_bytes(paths: tuple[Path, ...]) -> int:
    """Bytes of the files that `index_paths` would look at, for a progress bar."""
    files = [each for path in paths for each in ([path] if path.is_file() else sorted(path.rglob("*")))]
    return sum(file.stat().st_size for file in files if file.is_file())


def _index_member(path: Path, index: Index, advance: Callable[[int], None]) -> None:
    """Index a file of a folder if it is, or claims to be, miniSEED."""
    try:
        candidate = _is_candidate(path)
    except OSError as error:
        index.problems.append(f"{path}: cannot be read: {error.strerror}")
        return
    if candidate:
        _index_file(path, index, advance)
    else:
        index.passed_over += 1


def _is_candidate(path: Path) -> bool:
    """Whether a file in a folder is, or claims to be, miniSEED."""
    if path.suffix.lower() in _SUFFIXES:
        return True
    with path.open("rb") as file:
        head = file.read(8)
    looks_like_2 = len(head) == 8 and head[:6].isdigit() and head[6:7] in b"DRQM" and head[7:8] in b" \0"
    return looks_like_2 or head[:3] == b"MS\x03"


def _index_file(path: Path, index: Index, advance: Callable[[int], None]) -> None:
    traces: dict[str, Trace] = {}
    try:
        for header, offset in _headers(path, advance):
            trace = traces.get(header.source_id)
            if trace is None:
                trace = traces[header.source_id] = Trace(path, SourceId.parse(header.source_id))
            trace.add(header, offset)
    except OSError as error:
        index.problems.append(f"{path}: cannot be read: {error.strerror}")
    except WireError as error:
        records = sum(len(trace.starts) for trace in traces.values())
        kept = f"; the {records} records before it are used" if records else ""
        index.problems.append(f"{path}: byte {error.offset or 0}: {error}{kept}")
    if not traces and not (index.problems and index.problems[-1].startswith(f"{path}:")):
        index.problems.append(f"{path}: found no samples, wanted miniSEED records with a sampling rate")
    index.traces += traces.values()


def _headers(path: Path, advance: Callable[[int], None]) -> Iterator[tuple[RecordHeader, int]]:
    """Headers and their offsets in the file, which is read block by block."""
    base, tail = 0, b""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            advance(len(block))
            buffer = tail + block
            used = 0
            try:
                for header in read_headers(buffer):
                    yield header, base + header.offset
                    used = header.offset + header.length
                base, tail = base + len(buffer), b""
            except TruncatedError as error:
                used = used if error.offset is None else error.offset
                base, tail = base + used, buffer[used:]
                if len(tail) > _MAX_RECORD:
                    raise WireError(f"found a record of more than {_MAX_RECORD} bytes", base) from error
            except WireError as error:
                raise WireError(str(error), base + (error.offset or 0)) from error
    if tail:
        raise TruncatedError(f"found the file's end after {len(tail)} bytes of a record, wanted all of it", base)


def read_packets(
    traces: list[tuple[int, Trace]], on_problem: Callable[[str], None]
) -> Iterator[tuple[int, Packet, int]]:
    """Packets of several traces, ordered by start time: (component, packet, bytes of its record).

    A record that cannot be decoded is told to `on_problem`, and leaves a gap; so does a file that is gone.

    Parameters
    ----------
    traces
        (component, trace) pairs; a component may have several traces. A file is open only while its
        records are being read, so a year of day files needs no more than its own three at a time.
    on_problem
        Called with one line: file, byte, what was found, what was wanted.
    """
    cursors = [_cursor(number, trace) for number, (_, trace) in enumerate(traces)]
    lost: set[int] = set()
    with closing(_OpenFiles()) as files:
        for _, number, record, is_last in heapq.merge(*cursors):
            component, trace = traces[number]
            if number in lost:
                continue
            try:
                content = files.read(trace, record, is_last=is_last)
                packet = decode_record(content)
            except OSError as error:
                lost.add(number)
                on_problem(f"{trace.path}: cannot be read: {error.strerror}; {trace.source_id.nslc} ends there")
            except WireError as error:
                on_problem(f"{trace.path}: byte {trace.offsets[record]}: {error}; the record is a gap")
            else:
                yield component, packet, len(content)


class _OpenFiles:
    """The files of traces, each open from its first record to its last."""

    def __init__(self) -> None:
        self._files: dict[int, BinaryIO] = {}

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def read(self, trace: Trace, record: int, *, is_last: bool) -> bytes:
        key = id(trace)
        if key not in self._files:
            self._files[key] = trace.path.open("rb")
        file = self._files[key]
        file.seek(trace.offsets[record])
        content = file.read(trace.lengths[record])
        if is_last:
            self._files.pop(key).close()
        return content


def _cursor(number: int, trace: Trace) -> Iterator[tuple[int, int, int, bool]]:
    """Give a trace's records in order of time: (start, number of the trace, record, is it the last)."""
    order = sorted(range(len(trace.starts)), key=trace.starts.__getitem__)
    for position, record in enumerate(order, start=1):
        yield trace.starts[record], number, record, position == len(order)
