"""A real SeedLink server for tests, versions 3 and 4, plain or TLS: records of miniSEED files, cut off at any byte."""

from __future__ import annotations

import asyncio
import fnmatch
import json
import ssl
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from pymseed import DataEncoding, MS3Record
from tcp_server import TcpServer, started

from seisedge.firmware_bridge import SourceId, read_headers

SOFTWARE = "SeedLink v4.0 (seisedge fixture) ::"


@dataclass(frozen=True)
class Stored:
    sequence: int
    station_id: str
    pattern_name: str
    record: bytes
    starttime_ns: int


@dataclass
class _Selection:
    station: str
    selectors: list[str] = field(default_factory=list[str])
    first: int | None = None
    start_ns: int | None = None

    def takes(self, stored: Stored) -> bool:
        if not fnmatch.fnmatchcase(stored.station_id, self.station):
            return False
        if self.start_ns is not None and stored.starttime_ns < self.start_ns:
            return False
        negative = [each[1:] for each in self.selectors if each.startswith("!")]
        positive = [each for each in self.selectors if not each.startswith("!")]
        if any(fnmatch.fnmatchcase(stored.pattern_name, each) for each in negative):
            return False
        return not positive or any(fnmatch.fnmatchcase(stored.pattern_name, each) for each in positive)


@dataclass
class SeedLinkServer(TcpServer):
    """What it holds and how it behaves; change it between connections as a test needs.

    Attributes
    ----------
    versions
        What HELLO offers.
    repeats_last
        Count from the last packet that the client has, instead of from the next.
    answers_info
        Whether a sign of life comes when it is asked for in the stream.
    live
        After the stored packets the connection stays open, as for data that come in; else it is closed.
    before
        Awaited before each record: paces them.
    """

    content: bytes
    versions: tuple[int, ...] = (3, 4)
    capabilities: str = "CAP EXTREPLY NSWILDCARD BATCH"
    first_sequence: int = 1
    user: str = ""
    password: str = ""
    token: str = ""
    live: bool = True
    answers_info: bool = True
    repeats_last: bool = False
    before: Callable[[Stored], Awaitable[None]] | None = None
    everything_sent: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._noted = asyncio.Event()

    @property
    def stored(self) -> list[Stored]:
        found: list[Stored] = []
        for number, header in enumerate(read_headers(self.content)):
            name = SourceId.parse(header.source_id)
            found.append(
                Stored(
                    self.first_sequence + number,
                    f"{name.network}_{name.station}",
                    f"{name.location}_{name.band}_{name.source}_{name.subsource}",
                    self.content[header.offset : header.offset + header.length],
                    header.starttime_ns,
                )
            )
        return found

    @property
    def url(self) -> str:
        return f"{'seedlinks' if self.tls else 'seedlink'}://localhost:{self.port}"

    def note(self, command: str) -> None:
        self.commands.append(command)
        self._noted.set()

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until clients have said enough."""
        while not is_so():
            self._noted.clear()
            await self._noted.wait()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: int | None) -> None:
        await _Session(self, reader, writer, cut).run()


class _Session:
    def __init__(
        self, server: SeedLinkServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: int | None
    ) -> None:
        self.server, self.reader, self.writer, self.cut = server, reader, writer, cut
        self.version = 3
        self.batch = self.dialup = self.single = False
        self.selections: list[_Selection] = []
        self.authorised = not (server.user or server.token)

    async def run(self) -> None:
        while line := await self.reader.readline():
            command = line.decode().strip()
            self.server.note(command)
            word, *arguments = command.split()
            if word == "BYE":
                return
            if word in {"END", "ENDFETCH"} or (self.single and word in {"DATA", "FETCH"}):
                if word in {"DATA", "FETCH"}:
                    self._data(word, arguments)
                self.dialup = self.dialup or word == "ENDFETCH"
                await self._stream()
                return
            self._answer(word, arguments)
            await self.writer.drain()

    def _answer(self, word: str, arguments: list[str]) -> None:
        if word == "HELLO":
            offers = " ".join(f"SLPROTO:{each}.{0 if each == 4 else 1}" for each in self.server.versions)
            self.writer.write(f"{SOFTWARE} {offers} {self.server.capabilities}\r\nTest organisation\r\n".encode())
        elif word == "INFO":
            self._info(arguments[0])
        elif word == "AUTH":
            wanted = [["USERPASS", self.server.user, self.server.password], ["JWT", self.server.token]]
            self.authorised = arguments in wanted
            self._reply(None if self.authorised else "AUTH wrong name or password")
        elif not self.authorised and word not in {"SLPROTO", "USERAGENT", "CAPABILITIES", "BATCH"}:
            self._reply("UNAUTHORIZED log in first")
        else:
            self._reply(self._configure(word, arguments))

    def _configure(self, word: str, arguments: list[str]) -> str | None:
        if word == "SLPROTO":
            self.version = 4
        elif word == "STATION":
            station = arguments[0] if self.version == 4 else f"{arguments[1]}_{arguments[0]}"
            if not any(fnmatch.fnmatchcase(each.station_id, station) for each in self.server.stored):
                return "ARGUMENTS no such station"
            self.selections.append(_Selection(station))
        elif word == "SELECT":
            self._selections[-1].selectors.append(self._selector(arguments[0]))
        elif word in {"DATA", "FETCH", "TIME"}:
            self._data(word, arguments)
        elif word == "BATCH":
            self._reply(None)
            self.batch = True
        elif word not in {"USERAGENT", "CAPABILITIES"}:
            return "UNSUPPORTED unknown command"
        return None

    @property
    def _selections(self) -> list[_Selection]:
        if not self.selections:
            self.selections.append(_Selection("*"))
        return self.selections

    def _selector(self, text: str) -> str:
        sign, body = ("!", text[1:]) if text.startswith("!") else ("", text)
        if self.version == 4:
            return text
        location = body[:-3].replace("--", "") if len(body) == 5 else "*"
        return f"{sign}{location}_{'_'.join(body[-3:])}"

    def _data(self, word: str, arguments: list[str]) -> None:
        selection = self._selections[-1]
        self.dialup = self.dialup or word == "FETCH"
        if word == "TIME":
            year, month, day, hour, minute, second = map(int, arguments[0].split(","))
            selection.start_ns = _ns(f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
            return
        if arguments and arguments[0] != "ALL":
            selection.first = int(arguments[0], 16 if self.version == 3 else 10)
        if self.version == 4 and len(arguments) > 1:
            selection.start_ns = _ns(arguments[1])

    def _reply(self, error: str | None) -> None:
        if self.batch:
            return
        if error is None:
            self.writer.write(b"OK\r\n")
        else:
            separator = " " if self.version == 4 else "\r"
            self.writer.write(f"ERROR{separator}{error}\r\n".encode())

    def _info(self, item: str) -> None:
        stations = sorted({each.station_id for each in self.server.stored})
        known = item in {"ID", "STATIONS", "STREAMS"}
        if self.version == 4:
            body = {"software": SOFTWARE, "station": [{"id": each} for each in stations] if item != "ID" else []}
            content = json.dumps(
                body if known else {"error": {"code": "ARGUMENTS", "message": "unknown item"}}
            ).encode()
            self.writer.write(b"SEJ" + (b"I" if known else b"E") + struct.pack("<IQB", len(content), 0, 0) + content)
            return
        names = "".join(f'<station network="{each[:2]}" name="{each[3:]}"/>' for each in stations)
        text = f'<?xml version="1.0"?><seedlink software="fixture">{names if item != "ID" else ""}</seedlink>'
        template = MS3Record(reclen=512, encoding=int(DataEncoding.TEXT))
        template.sourceid = "FDSN:XX_INFO__I_N_F" if known else "FDSN:XX_INFO__E_R_R"
        template.starttime, template.samprate, template.formatversion = 0, 0, 2
        parts = [text[at : at + 200] for at in range(0, len(text), 200)]
        for place, part in enumerate(parts, start=1):
            (record,) = template.generate(data_samples=list(part.encode()), sample_type="t")
            self.writer.write(b"SLINFO " + (b" " if place == len(parts) else b"*") + record)

    async def _stream(self) -> None:
        """Send what is stored; then wait, answering INFO, or end."""
        for stored in self.server.stored:
            if self._wanted(stored):
                if self.server.before is not None:
                    await self.server.before(stored)
                await self._send(self._framed(stored))
        if self.dialup:
            await self._send(b"END\r\n" if self.version == 4 else b"END")
        self.server.everything_sent.set()
        while self.server.live and not self.dialup and (line := await self.reader.readline()):
            command = line.decode().strip()
            self.server.note(command)
            if command == "BYE":
                return
            if self.server.answers_info:
                self._info(command.split()[-1])
                await self.writer.drain()

    def _wanted(self, stored: Stored) -> bool:
        chosen = next((each for each in self._selections if each.takes(stored)), None)
        if chosen is None:
            return False
        if chosen.first is None:
            return True
        if self.server.repeats_last:
            return ((stored.sequence - chosen.first + 1) & 0xFFFFFF) < 1 << 23
        if self.version == 4:
            return stored.sequence >= chosen.first
        return ((stored.sequence - chosen.first) & 0xFFFFFF) < 1 << 23  # 24 bits that wrap

    def _framed(self, stored: Stored) -> bytes:
        if self.version == 3:
            return b"SL%06X" % (stored.sequence & 0xFFFFFF) + stored.record
        name = stored.station_id.encode()
        letter = b"3" if stored.record[:2] == b"MS" else b"2"
        head = b"SE" + letter + b"D" + struct.pack("<IQB", len(stored.record), stored.sequence, len(name))
        return head + name + stored.record

    async def _send(self, data: bytes) -> None:
        if self.cut is not None and self.cut < len(data):
            self.writer.write(data[: self.cut])
            await self.writer.drain()
            self.writer.close()
            await self.writer.wait_closed()
            raise ConnectionResetError
        if self.cut is not None:
            self.cut -= len(data)
        self.writer.write(data)
        await self.writer.drain()


def _ns(text: str) -> int:
    record = MS3Record()
    record.set_starttime_str(text)
    return record.starttime


@asynccontextmanager
async def serving(
    content: bytes,
    *,
    versions: tuple[Literal[3, 4], ...] = (3, 4),
    tls: ssl.SSLContext | None = None,
    live: bool = True,
) -> AsyncGenerator[SeedLinkServer, None]:
    """A server on a free port of the loopback interface."""
    async with started(SeedLinkServer(content, versions=versions, tls=tls, live=live)) as server:
        yield server
