"""Inputs that cannot be read twice, or are no miniSEED → miniSEED files that live as long as they are needed."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import aclosing, contextmanager
from pathlib import Path

from seisedge.firmware_bridge import encode_records

from .errors import DataError
from .sources import SourceCounts, SourceUrl
from .sources.files import FileSource
from .sources.formats import HEAD, format_of

STDIN = Path("-")
_BLOCK = 1 << 20
_RECORD = 1 << 15


@contextmanager
def spooled(paths: tuple[Path, ...], on_problem: Callable[[str], None]) -> Generator[tuple[Path, ...], None, None]:
    """Give paths that `index_paths` can read: of `-` a copy of stdin, of files in other formats miniSEED 3.

    Samples and times stay what they are: int16 stays int16, times keep their nanoseconds. Files that are there
    already and miniSEED, folders, and files that are nothing we know are given back as they are. What is damaged in
    another format is told to `on_problem`, in one line for each file.
    """
    with tempfile.TemporaryDirectory(prefix="seisedge-") as name:
        folder = Path(name)
        yield tuple(_spool(path, folder, number, on_problem) for number, path in enumerate(paths))


def _spool(path: Path, folder: Path, number: int, on_problem: Callable[[str], None]) -> Path:
    name = str(path)
    copy = folder / f"{number}-{'stdin' if path == STDIN else path.name}.mseed"
    if path == STDIN or path.is_fifo():
        with copy.open("wb") as file:
            if path == STDIN:
                shutil.copyfileobj(sys.stdin.buffer, file, _BLOCK)
            else:
                with path.open("rb") as pipe:
                    shutil.copyfileobj(pipe, file, _BLOCK)
        path = copy
    if not path.is_file() or not _is_other_format(path):
        return path
    converted = folder / f"{number}-converted.mseed"
    counts = asyncio.run(_convert(path, converted))
    if counts.damaged:
        on_problem(f"{name}: {counts.damaged} damaged; the last one: {counts.last_problem}")
    return converted


def _is_other_format(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return format_of(file.read(HEAD), SourceUrl(str(path), "file", path=str(path))) != "miniseed"
    except (OSError, DataError):
        return False  # index_paths says what is wrong with it


async def _convert(path: Path, converted: Path) -> SourceCounts:
    source = FileSource(SourceUrl(str(path), "file", path=str(path)))
    with converted.open("wb") as file:
        async with aclosing(source.packets()) as found:
            async for packet in found:
                file.writelines(encode_records(packet, record_length=_RECORD, version=3))
    return source.counts
