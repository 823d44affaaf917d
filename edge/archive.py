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
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np

from seisedge.firmware_bridge import (
    HeaderRun,
    Packet,
    PacketFlag,
    RecordHeader,
    SourceId,
    TruncatedError,
    WireError,
    decode_record,
    decode_run,
    read_headers,
    uniform_run,
)

from . import stretches
from .errors import UsageError

_BLOCK = 1 << 20
_FIXED_HEADER = 48  # bytes of a miniSEED 2 record that are always there
_MAX_RECORD = 16 << 20  # a record larger than this is taken for damage
_SUFFIXES = {".mseed", ".miniseed", ".ms", ".msd", ".mseed2", ".mseed3", ".ms3"}


@dataclass
class Trace:
    """The records of one channel in one file: where they start in time and where they stand in the file.

    `npts`, `rates`, `encodings` and `flags` are what tells whether one record joins on to the next.
    """

    path: Path
    source_id: SourceId
    starts: array[int] = field(default_factory=lambda: array("q"))
    offsets: array[int] = field(default_factory=lambda: array("q"))
    lengths: array[int] = field(default_factory=lambda: array("l"))
    npts: array[int] = field(default_factory=lambda: array("l"))
    rates: array[float] = field(default_factory=lambda: array("d"))
    encodings: array[int] = field(default_factory=lambda: array("h"))
    flags: array[int] = field(default_factory=lambda: array("h"))

    def add(self, header: RecordHeader, offset: int) -> None:
        """Add a record's header; `offset` is counted from the start of the file."""
        self.starts.append(header.starttime_ns)
        self.offsets.append(offset)
        self.lengths.append(header.length)
        self.npts.append(header.npts)
        self.rates.append(header.sampling_rate)
        self.encodings.append(header.encoding)
        self.flags.append(header.flags)

    def add_run(self, run: HeaderRun, offset: int) -> None:
        """Add records that stand one behind the other from `offset` on."""
        count, length = run.starts_ns.size, run.first.length
        self.starts.frombytes(run.starts_ns.tobytes())
        self.offsets.extend(range(offset, offset + count * length, length))
        self.lengths.extend(array("l", [length]) * count)
        self.npts.extend(run.npts.tolist())
        self.rates.extend(array("d", [run.first.sampling_rate]) * count)
        self.encodings.extend(array("h", [run.first.encoding]) * count)
        self.flags.extend(array("h", [run.first.flags]) * count)

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
        for part, offset in _headers(path, advance):
            source_id = part.source_id if isinstance(part, RecordHeader) else part.first.source_id
            trace = traces.get(source_id)
            if trace is None:
                trace = traces[source_id] = Trace(path, SourceId.parse(source_id))
            if isinstance(part, RecordHeader):
                trace.add(part, offset)
            else:
                trace.add_run(part, offset)
    except OSError as error:
        index.problems.append(f"{path}: cannot be read: {error.strerror}")
    except WireError as error:
        records = sum(len(trace.starts) for trace in traces.values())
        kept = f"; the {records} records before it are used" if records else ""
        index.problems.append(f"{path}: byte {error.offset or 0}: {error}{kept}")
    if not traces and not (index.problems and index.problems[-1].startswith(f"{path}:")):
        index.problems.append(f"{path}: found no samples, wanted miniSEED records with a sampling rate")
    index.traces += traces.values()


def _headers(path: Path, advance: Callable[[int], None]) -> Iterator[tuple[RecordHeader | HeaderRun, int]]:
    """Headers, alone or many at once, and their offsets in the file, which is read block by block."""
    base, tail = 0, b""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            advance(len(block))
            buffer = tail + block
            used = start = 0
            try:
                while run := uniform_run(memoryview(buffer)[start:]):
                    yield run, base + start
                    used = start = start + run.nbytes
                if start and len(buffer) - start < _FIXED_HEADER:
                    base, tail = base + start, buffer[start:]  # too little to tell what it is
                    continue
                for header in read_headers(memoryview(buffer)[start:]):
                    yield header, base + start + header.offset
                    used = start + header.offset + header.length
                base, tail = base + len(buffer), b""
            except TruncatedError as error:
                used = used if error.offset is None else start + error.offset
                base, tail = base + used, buffer[used:]
                if len(tail) > _MAX_RECORD:
                    raise WireError(f"found a record of more than {_MAX_RECORD} bytes", base) from error
            except WireError as error:
                raise WireError(str(error), base + start + (error.offset or 0)) from error
    if tail:
        raise TruncatedError(f"found the file's end after {len(tail)} bytes of a record, wanted all of it", base)


def read_packets(
    traces: list[tuple[int, Trace]], on_problem: Callable[[str], None], *, joined: bool = False
) -> Iterator[tuple[int, Packet, int]]:
    """Packets of several traces, ordered by start time: (component, packet, bytes of its records).

    A record that cannot be decoded is told to `on_problem`, and leaves a gap; so does a file that is gone.

    Parameters
    ----------
    traces
        (component, trace) pairs; a component may have several traces. A file is open only while its
        records are being read, so a year of day files needs no more than its own three at a time.
    on_problem
        Called with one line: file, byte, what was found, what was wanted.
    joined
        Make one packet of records that join on to each other: what is picked is the same, and much sooner.
        Records of a component's traces that share time are never joined.
    """
    spans = [(component, min(trace.starts), max(trace.starts)) for component, trace in traces]
    alone = set(range(len(traces))) - stretches.overlapping(spans) if joined else set[int]()
    cursors = [_cursor(number, trace, joined=number in alone) for number, (_, trace) in enumerate(traces)]
    heap = [next(cursor) for cursor in cursors]
    heapq.heapify(heap)
    left = [len(trace.starts) for _, trace in traces]
    waiting = [1] * len(traces)  # of each trace, in the heap
    with closing(_OpenFiles()) as files:
        while heap:
            _, number, records = heapq.heappop(heap)
            waiting[number] -= 1
            component, trace = traces[number]
            try:
                content = files.read(trace, records)
                packet = _decode(trace, records, content)
            except OSError as error:
                on_problem(f"{trace.path}: cannot be read: {error.strerror}; {trace.source_id.nslc} ends there")
                heap = [each for each in heap if each[1] != number]
                heapq.heapify(heap)
                continue
            except WireError as error:
                if len(records) > 1:  # each by itself, when its turn comes: the other components must not fall behind
                    for record in records:
                        heapq.heappush(heap, (trace.starts[record], number, [record]))
                    waiting[number] += len(records)
                    continue
                on_problem(f"{trace.path}: byte {trace.offsets[records[0]]}: {error}; the record is a gap")
            else:
                yield component, packet, len(content)
            left[number] -= len(records)
            if left[number] == 0:
                files.close_file(trace)
            if waiting[number] == 0 and (following := next(cursors[number], None)):
                heapq.heappush(heap, following)
                waiting[number] = 1


def _decode(trace: Trace, records: list[int], content: bytes) -> Packet:
    """Decode one record, or some that join on to each other."""
    if len(records) == 1:
        return decode_record(content)
    first, npts = records[0], sum(trace.npts[record] for record in records)
    packet = decode_run(content, trace.encodings[first], PacketFlag(trace.flags[first]), npts)
    if packet is None:
        raise WireError(f"found records that do not decode together, wanted {len(records)} that join on")
    return packet


class _OpenFiles:
    """The files of traces, each open from its first record to its last."""

    def __init__(self) -> None:
        self._files: dict[int, BinaryIO] = {}

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def close_file(self, trace: Trace) -> None:
        """Close the file of a trace that was read to its end."""
        self._files.pop(id(trace)).close()

    def read(self, trace: Trace, records: list[int]) -> bytes:
        """Bytes of records that stand one behind the other."""
        key = id(trace)
        if key not in self._files:
            self._files[key] = trace.path.open("rb")
        file = self._files[key]
        file.seek(trace.offsets[records[0]])
        return file.read(sum(trace.lengths[record] for record in records))


def _cursor(number: int, trace: Trace, *, joined: bool) -> Iterator[tuple[int, int, list[int]]]:
    """Give a trace's records in order of time: (start, number of the trace, records)."""
    order = stretches.in_order(trace.starts)
    places = list(range(order.size + 1))
    if joined:
        columns = (trace.starts, trace.offsets, trace.lengths, trace.npts, trace.rates, trace.encodings, trace.flags)
        places = stretches.bounds(stretches.joins(columns, order), np.array(trace.npts)[order])
    for first, stop in pairwise(places):
        records: list[int] = order[first:stop].tolist()
        yield trace.starts[records[0]], number, records
