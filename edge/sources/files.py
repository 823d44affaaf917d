"""Files, folders, archives and pipes.

day.mseed      archive/      -                             all that is there, then the end
file:day.txt?format=datacast&station=AM.R24FA.00           other formats are told by content, or forced
file:/data/growing.mseed?follow=yes                        and what is written into it from then on
sds:/data/archive?streams=CX_PB01:HH?&start=2014-05-01&end=2014-05-02
"""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import BinaryIO, final

from seisedge.edge.archive_index import Index, index_paths, require_paths
from seisedge.edge.archive_packets import read_packets
from seisedge.edge.errors import DataError, UsageError
from seisedge.edge.time_window import NEVER, within
from seisedge.edge.times import parse_time
from seisedge.firmware_bridge import Decoder, MiniSeedDecoder, Packet, WireError

from .connection import in_one_line, is_yes
from .formats import FORMAT_OPTIONS, HEAD, decoder_of, format_of
from .sds import day_files
from .source import Source, SourceCounts
from .streams import patterns_of
from .urls import SourceUrl

_OPTIONS = ("streams", "start", "end", "follow", *FORMAT_OPTIONS)
_PORTION = 1 << 16
_POLL_S = 0.5
_STEPS = 64  # packets of an archive between two looks at what else there is to do


def open_url(url: SourceUrl, resume: str | None) -> Source:
    """Make the source; see the module's examples.

    Raises
    ------
    UsageError
        There is no such file, the URL says what files do not have, or `resume` is not of this source.
    """
    return FileSource(url, resume)


class _Stopped(Exception):  # noqa: N818 - no error: it ends a thread whose result nobody wants any more
    """The reading of headers is of no use any more."""


@final
class FileSource:
    """Packets of files, in order of time, or as they stand in a pipe, a growing file or any other format.

    Parameters
    ----------
    resume
        An earlier `position`.
    sleep
        What waits for a file to grow.
    """

    def __init__(
        self,
        url: SourceUrl,
        resume: str | None = None,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        url.require_options(_OPTIONS)
        self.url, self.counts = url.text, SourceCounts()
        self._url, self._sleep, self._path = url, sleep, Path(url.path)
        self._patterns = patterns_of(url)
        self._start_ns = parse_time(url.options["start"]) if "start" in url.options else -NEVER
        self._end_ns = parse_time(url.options["end"]) if "end" in url.options else NEVER
        self._follow = is_yes(url, "follow")
        if url.path != "-":
            require_paths((self._path,))
        if self._follow and not self._path.is_file():
            raise UsageError(f"source {url.text}: follow=yes: found no regular file, wanted one")
        self._done, self._offset, self._can_resume = _read_position(url, resume), 0, True

    @property
    def position(self) -> str | None:
        """How much has been given: bytes of a stream, packets of an archive; None for a pipe."""
        return json.dumps({"done": self._done}) if self._can_resume and self._done else None

    async def packets(self) -> AsyncGenerator[Packet, None]:
        """Yield packets until the input ends; with `follow=yes` for ever.

        Raises
        ------
        DataError
            There is nothing in it that can be read, or it cannot be opened.
        """
        chosen = self._archive() if self._is_archive() else self._stream()
        try:
            async with aclosing(chosen) as found:
                async for packet in found:
                    part = within(packet, self._start_ns, self._end_ns)
                    if part is not None:
                        self.counts.packets += 1
                        yield part
        except OSError as error:
            raise DataError(f"{self._url.path}: cannot be read: {error.strerror or error}") from error

    def _is_archive(self) -> bool:
        """Whether the input is miniSEED that can be read in any order."""
        if self._url.scheme == "sds" or self._path.is_dir():
            return True
        if self._url.path == "-" or self._follow or not self._path.is_file():
            return False
        with self._path.open("rb") as file:
            head = file.read(HEAD)
        return not head or format_of(head, self._url) == "miniseed"

    async def _archive(self) -> AsyncGenerator[Packet, None]:
        paths: tuple[Path, ...] = (self._path,)
        if self._url.scheme == "sds":
            paths = await asyncio.to_thread(day_files, self._path, self._patterns, self._start_ns, self._end_ns)
        index = await _index(paths)
        for problem in index.problems:
            self._note(problem)
        traces = [
            (0, each)
            for each in index.traces
            if not self._patterns or any(pattern.takes(each.source_id) for pattern in self._patterns)
        ]
        if not traces:
            why = f": {index.problems[0]}" if index.problems else ""
            raise DataError(f"{self._url.path}: found no miniSEED of the wanted streams and times{why}")
        self.counts.connects = len(paths)
        before = self._done
        for number, (_, packet, size) in enumerate(read_packets(traces, self._note), start=1):
            if number > before:
                self._done = number
                self.counts.received_bytes += size
                yield packet
            if number % _STEPS == 0:
                await asyncio.sleep(0)

    async def _stream(self) -> AsyncGenerator[Packet, None]:
        """Decode bytes as they come."""
        decoder: Decoder | None = None
        head, self._offset = b"", self._done
        async with aclosing(self._portions()) as portions:
            async for portion in portions:
                self.counts.received_bytes += len(portion)
                is_last = not portion
                if decoder is None:
                    head += portion
                    if len(head) < HEAD and not is_last:
                        continue
                    decoder = decoder_of(self._url, (format_of(head, self._url),), is_message=False)
                    portion = head  # noqa: PLW2901
                decoder.feed(portion)
                if is_last:
                    decoder.end()
                async for packet in self._decoded(decoder):
                    if isinstance(decoder, MiniSeedDecoder):
                        self._done = self._offset + decoder.consumed
                    if not self._patterns or any(each.takes_id(packet.source_id) for each in self._patterns):
                        yield packet

    async def _decoded(self, decoder: Decoder) -> AsyncGenerator[Packet, None]:
        while True:
            try:
                packet = decoder.next_packet()
            except WireError as error:
                self._note(in_one_line(error))
                continue
            if packet is None:
                await asyncio.sleep(0)
                return
            yield packet

    async def _portions(self) -> AsyncGenerator[bytes, None]:
        """Yield bytes as they come, and an empty portion at the end."""
        self.counts.connects += 1
        if self._url.path == "-":
            source = sys.stdin.buffer
        else:
            flags = os.O_RDONLY | os.O_NONBLOCK  # a FIFO without a writer must not hold us
            source = os.fdopen(os.open(self._path, flags), "rb", buffering=0)
        with source:
            if stat.S_ISREG(os.fstat(source.fileno()).st_mode):
                async with aclosing(self._growing(source)) as portions:
                    async for portion in portions:
                        yield portion
            else:
                self._can_resume = False
                async with aclosing(_piped(source)) as portions:
                    async for portion in portions:
                        yield portion
        yield b""

    async def _growing(self, file: BinaryIO) -> AsyncGenerator[bytes, None]:
        """Read a regular file; with `follow=yes` go on as it grows, and begin again where it was cut."""
        if self._done:
            file.seek(self._done)
        while True:
            portion = file.read(_PORTION)
            if portion:
                yield portion
            elif not self._follow:
                return
            else:
                if os.fstat(file.fileno()).st_size < file.tell():
                    file.seek(0)
                    self._offset = -self.counts.received_bytes  # what the decoder has consumed counts from our start
                    self._note("the file has become shorter: read from its start")
                await self._sleep(_POLL_S)

    def _note(self, problem: str) -> None:
        self.counts.damaged += 1
        self.counts.last_problem = problem


async def _piped(source: BinaryIO) -> AsyncGenerator[bytes, None]:
    """Read a pipe, a FIFO, a terminal or a socket without holding the event loop."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), source)
    try:
        while portion := await reader.read(_PORTION):
            yield portion
    finally:
        transport.close()


async def _index(paths: tuple[Path, ...]) -> Index:
    """Read headers in a thread, which ends soon after it is not wanted any more."""
    is_wanted = True

    def check(_: int) -> None:
        if not is_wanted:
            raise _Stopped

    try:
        return await asyncio.to_thread(index_paths, paths, check)
    except asyncio.CancelledError:
        is_wanted = False
        raise


def _read_position(url: SourceUrl, resume: str | None) -> int:
    if resume is None:
        return 0
    try:
        done = json.loads(resume)["done"]
    except (ValueError, KeyError, TypeError):
        done = None
    if type(done) is not int or done < 0:
        raise UsageError(f"source {url.text}: found position {resume[:60]!r}, wanted one of this source")
    return done
