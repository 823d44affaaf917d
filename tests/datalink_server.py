"""A real DataLink server (a small ringserver) for tests: a ring of packets, MATCH, POSITION, STREAM and WRITE."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tcp_server import TcpServer, started

from seisedge.firmware_bridge import SourceId, read_headers


@dataclass(frozen=True)
class Ringed:
    packet_id: int
    stream_id: str
    start_us: int
    end_us: int
    payload: bytes


@dataclass
class DataLinkServer(TcpServer):
    """A ring and its clients.

    Attributes
    ----------
    token
        If there is one, AUTHORIZATION must give it first.
    repeats_last
        POSITION SET to a packet makes it the next one, instead of the one behind it.
    says_its_name
        Whether ID is answered while packets are streamed.
    """

    ring: list[Ringed] = field(default_factory=list[Ringed])
    token: str = ""
    accepts_writes: bool = True
    says_its_name: bool = True
    repeats_last: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.grown = asyncio.Event()

    def fill(self, content: bytes) -> None:
        """Put the records of a miniSEED file into the ring."""
        for header in read_headers(content):
            name = SourceId.parse(header.source_id)
            stream = f"{name.network}_{name.station}_{name.location}_{name.channel}/MSEED"
            record = content[header.offset : header.offset + header.length]
            self.add(stream, header.starttime_ns // 1000, header.endtime_ns // 1000, record)

    def add(self, stream_id: str, start_us: int, end_us: int, payload: bytes) -> int:
        packet_id = self.ring[-1].packet_id + 1 if self.ring else 1
        self.ring.append(Ringed(packet_id, stream_id, start_us, end_us, payload))
        self.grown.set()
        return packet_id

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: int | None) -> None:
        session = _Session(self, reader, writer, cut)
        try:
            await session.run()
        finally:
            if session.streaming is not None:
                session.streaming.cancel()
                await asyncio.gather(session.streaming, return_exceptions=True)


class _Session:
    def __init__(
        self, server: DataLinkServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: int | None
    ) -> None:
        self.server, self.reader, self.writer, self.cut = server, reader, writer, cut
        self.match, self.reject = re.compile(""), re.compile(r"(?!)")
        self.at = 0
        self.streaming: asyncio.Task[None] | None = None
        self.authorised = not server.token

    async def run(self) -> None:
        while True:
            prefix = await self.reader.readexactly(3)
            assert prefix[:2] == b"DL"
            header = (await self.reader.readexactly(prefix[2])).decode()
            self.server.commands.append(header)
            word, *rest = header.split()
            with_data = word in {"MATCH", "REJECT", "WRITE", "AUTHORIZATION"} and bool(rest)
            data = await self.reader.readexactly(int(rest[-1])) if with_data else b""
            await self._answer(word, rest, data)

    async def _answer(self, word: str, rest: list[str], data: bytes) -> None:
        if word == "ID" and self.streaming is not None and not self.server.says_its_name:
            pass
        elif word == "ID":
            write = " WRITE" if self.server.accepts_writes else ""
            self._send(f"ID DataLink 2024.001 :: DLPROTO:1.0 PACKETSIZE:512{write}")
        elif word == "AUTHORIZATION":
            self.authorised = data.decode() == self.server.token
            self._reply(None if self.authorised else "token refused")
        elif not self.authorised:
            self._reply("not authorized")
        else:
            self._obey(word, rest, data)
        await self.writer.drain()

    def _obey(self, word: str, rest: list[str], data: bytes) -> None:
        if word in {"MATCH", "REJECT"}:
            self._select(word, data.decode())
        elif word == "POSITION":
            self._position(rest)
        elif word == "READ":
            self._read(int(rest[0]))
        elif word == "STREAM":
            self.streaming = asyncio.ensure_future(self._stream())
        elif word == "ENDSTREAM":
            if self.streaming is not None:
                self.streaming.cancel()
            self._send("ENDSTREAM")
        elif word == "INFO":
            names = sorted({each.stream_id for each in self.server.ring})
            streams = "".join(f'<Stream Name="{each}"/>' for each in names)
            content = f"<DataLink><StreamList>{streams}</StreamList></DataLink>".encode()
            self._send(f"INFO {rest[0]} {len(content)}", content)
        elif word == "WRITE":
            self._write(rest, data)

    def _select(self, word: str, pattern: str) -> None:
        try:
            compiled = re.compile(pattern)
        except re.error:
            self._reply("Error with match expression")
            return
        if word == "MATCH":
            self.match = compiled
        else:
            self.reject = compiled
        chosen = {each.stream_id for each in self.server.ring if self._takes(each)}
        self._reply(None, len(chosen), f"{len(chosen)} streams selected after match")

    def _takes(self, packet: Ringed) -> bool:
        return bool(self.match.search(packet.stream_id)) and not self.reject.search(packet.stream_id)

    def _position(self, rest: list[str]) -> None:
        if rest[0] == "AFTER":
            self.at = max((each.packet_id for each in self.server.ring if each.end_us < int(rest[1])), default=0)
        else:
            last = self.server.ring[-1].packet_id if self.server.ring else 0
            if rest[1].isdigit() and self.server.repeats_last:
                rest = [rest[0], str(int(rest[1]) - 1)]
            elif rest[1].isdigit() and all(each.packet_id != int(rest[1]) for each in self.server.ring):
                self._reply("Packet not found")
                return
            self.at = {"EARLIEST": 0, "LATEST": last}.get(rest[1], int(rest[1]) if rest[1].isdigit() else 0)
        self._reply(None, self.at, "positioned")

    def _read(self, packet_id: int) -> None:
        found = next((each for each in self.server.ring if each.packet_id == packet_id), None)
        if found is None:
            self._reply(f"Packet {packet_id} not found in ring")
        else:
            self._packet(found)

    async def _stream(self) -> None:
        while True:
            for packet in [each for each in self.server.ring if each.packet_id > self.at]:
                self.at = packet.packet_id
                if self._takes(packet):
                    self._packet(packet)
                    await self.writer.drain()
            self.server.grown.clear()
            await self.server.grown.wait()

    def _packet(self, each: Ringed) -> None:
        header = f"PACKET {each.stream_id} {each.packet_id} {each.end_us} {each.start_us} {each.end_us} "
        self._send(f"{header}{len(each.payload)}", each.payload)

    def _write(self, rest: list[str], data: bytes) -> None:
        if not self.server.accepts_writes:
            self._reply("Write permission denied")
            return
        packet_id = self.server.add(rest[0], int(rest[1]), int(rest[2]), data)
        if "A" in rest[3]:
            self._reply(None, packet_id)

    def _reply(self, error: str | None, value: int = 0, message: str = "") -> None:
        text = (message if error is None else error).encode()
        self._send(f"{'OK' if error is None else 'ERROR'} {value} {len(text)}", text)

    def _send(self, header: str, data: bytes = b"") -> None:
        frame = b"DL" + bytes([len(header)]) + header.encode() + data
        if self.cut is not None and self.streaming is not None:
            if self.cut < len(frame):
                self.writer.write(frame[: self.cut])
                self.writer.close()
                raise ConnectionResetError
            self.cut -= len(frame)
        self.writer.write(frame)


@asynccontextmanager
async def ring_of(content: bytes = b"") -> AsyncGenerator[DataLinkServer, None]:
    """A server on a free port of the loopback interface, with the records of a file in its ring."""
    server = DataLinkServer()
    server.fill(content)
    async with started(server):
        yield server
