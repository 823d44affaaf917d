"""miniSEED files and folders → which channels they have, and where the records of each stand.

Only headers are read, each file once; `archive_packets` then reads the records. They may stand in any order, and
channels may be mixed.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from seisedge.firmware_bridge import (
    HeaderRun,
    RecordHeader,
    SourceId,
    TruncatedError,
    WireError,
    read_headers,
    uniform_run,
)

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
