"""A DataLink client without a socket: packets of a ringserver in, and results out to it.

Protocol: DataLink 1.0 (docs of `EarthScope/ringserver`; checked against `ringserver:src/dlclient.c` and
`crotwell/simpledali`). A frame is `DL`, one byte with the header's length, the header in ASCII, and data of the size
that the header's last word says. Times on the wire are whole microseconds since the epoch.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import TypeAlias, final

from .errors import WireError

_MICROSECOND = 1_000
_MAX_DATA = {"INFO": 32 << 20, "PACKET": 1 << 20}  # others: a line of words
_MAX_WORDS = 1 << 14
_PREFIX = 3
_HEADER = re.compile(r"[ -~]{1,255}")
_WORDS = {"OK", "ERROR", "PACKET", "INFO", "ID", "ENDSTREAM"}
_MAX_SIZE_DIGITS = 20


@dataclass(frozen=True, slots=True)
class ServerId:
    """What the server says of itself, such as `DataLink 1.0 :: DLPROTO:1.0 PACKETSIZE:512 WRITE`."""

    text: str


@dataclass(frozen=True, slots=True)
class Reply:
    """OK or ERROR to a command.

    Attributes
    ----------
    command
        The first word of the command that it answers; empty where none was waiting.
    value
        Such as the number of streams that match, or the number of the packet that was written.
    message
        The server's own words.
    """

    command: str
    is_ok: bool
    value: int
    message: str


@dataclass(frozen=True, slots=True)
class DataLinkPacket:
    """One packet of the ring; times in ns since the epoch.

    Attributes
    ----------
    stream_id
        Such as `NET_STA_LOC_CHA/MSEED` or `FDSN:NET_STA_LOC_B_S_SS/MSEED3`.
    packet_id
        Its place in the ring.
    packettime_ns
        When the ring got it.
    starttime_ns, endtime_ns
        Of the data.
    """

    stream_id: str
    packet_id: int
    packettime_ns: int
    starttime_ns: int
    endtime_ns: int
    payload: bytes

    @property
    def kind(self) -> str:
        """What the payload is: MSEED, MSEED3 or JSON."""
        return self.stream_id.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Info:
    """An answer to INFO: XML."""

    item: str
    content: bytes


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The server has stopped the stream, as it was asked to."""


Event: TypeAlias = ServerId | Reply | DataLinkPacket | Info | StreamEnded


@final
class DataLinkClient:
    """One connection's state: call the commands, send `bytes_to_send()`, feed `receive`, take `next_event()`."""

    def __init__(self) -> None:
        self._buffer, self._out = bytearray(), bytearray()
        self._waiting: deque[str] = deque()
        self._is_damaged = False

    def bytes_to_send(self) -> bytes:
        """Take what must be sent now."""
        data = bytes(self._out)
        self._out.clear()
        return data

    def receive(self, data: bytes | memoryview) -> None:
        """Take bytes of the server; nothing is decoded and nothing is raised."""
        self._buffer += data

    def identify(self, program: str = "seisedge", user: str = "seisedge", pid: int = 0, machine: str = "linux") -> None:
        """Say who is there: ID; the server answers with its own."""
        self._send(f"ID {program}:{user}:{pid}:{machine}")

    def authorize(self, token: str) -> None:
        """AUTHORIZATION with a token."""
        self._command("AUTHORIZATION", token.encode())

    def match(self, pattern: str) -> None:
        """MATCH: only streams that the regular expression finds."""
        self._command("MATCH", pattern.encode())

    def reject(self, pattern: str) -> None:
        """REJECT: no streams that the regular expression finds."""
        self._command("REJECT", pattern.encode())

    def position_set(self, packet_id: int | str, packettime_ns: int | None = None) -> None:
        """POSITION SET to a packet, or to `EARLIEST` or `LATEST`: what follows is the packet behind it."""
        time = "" if packettime_ns is None else f" {packettime_ns // _MICROSECOND}"
        self._command(f"POSITION SET {packet_id}{time}")

    def position_after(self, time_ns: int) -> None:
        """POSITION AFTER a time of data."""
        self._command(f"POSITION AFTER {time_ns // _MICROSECOND}")

    def read(self, packet_id: int) -> None:
        """READ one packet."""
        self._send(f"READ {packet_id}")

    def stream(self) -> None:
        """STREAM: packets come until `end_stream`."""
        self._send("STREAM")

    def end_stream(self) -> None:
        """ENDSTREAM."""
        self._send("ENDSTREAM")

    def info(self, item: str, pattern: str = "") -> None:
        """INFO of an item such as STATUS, STREAMS or CONNECTIONS."""
        self._send(f"INFO {item} {pattern}".rstrip())

    def write(
        self, stream_id: str, starttime_ns: int, endtime_ns: int, payload: bytes, *, acknowledge: bool = True
    ) -> None:
        """WRITE a packet into the ring.

        Raises
        ------
        WireError
            The stream identifier has spaces or is too long.
        """
        if not re.fullmatch(r"[!-~]{1,60}", stream_id):
            raise WireError(f"DataLink: found stream {stream_id!r}, wanted 1 to 60 characters without spaces")
        times = f"{starttime_ns // _MICROSECOND} {endtime_ns // _MICROSECOND}"
        self._send(f"WRITE {stream_id} {times} {'A' if acknowledge else 'N'} {len(payload)}", payload)
        if acknowledge:
            self._waiting.append("WRITE")

    def next_event(self) -> Event | None:
        """Give the next event, or None where more bytes are needed.

        Raises
        ------
        WireError
            Once for each damaged stretch, which has been passed over: call again and go on.
        """
        while True:
            try:
                event = self._take()
            except WireError:  # noqa: PERF203 - damage is rare
                following = self._buffer.find(b"DL", 1)
                del self._buffer[: following if following > 0 else max(1, len(self._buffer) - 1)]
                known, self._is_damaged = self._is_damaged, True
                if not known:
                    raise
            else:
                self._is_damaged = self._is_damaged and event is None
                return event

    def _command(self, header: str, data: bytes = b"") -> None:
        """Send a command that is answered with OK or ERROR."""
        self._send(f"{header} {len(data)}" if data else header, data)
        self._waiting.append(header.split(" ", 1)[0])

    def _send(self, header: str, data: bytes = b"") -> None:
        if _HEADER.fullmatch(header) is None:
            raise WireError(f"DataLink: found command {header[:80]!r}, wanted 1 to 255 printable characters")
        self._out += b"DL" + bytes([len(header)]) + header.encode("ascii") + data

    def _take(self) -> Event | None:
        if len(self._buffer) < _PREFIX:
            if not b"DL".startswith(self._buffer[:2]):
                raise WireError(f"DataLink: found {bytes(self._buffer)!r}, wanted DL")
            return None
        if self._buffer[:2] != b"DL":
            raise WireError(f"DataLink: found {bytes(self._buffer[:3])!r}, wanted DL")
        begin = _PREFIX + self._buffer[2]
        if len(self._buffer) < begin:
            return None
        header = self._buffer[_PREFIX:begin].decode("ascii", "replace")
        words = header.split()
        if not words or words[0] not in _WORDS:
            raise WireError(f"DataLink: found header {header[:60]!r}, wanted one of {', '.join(sorted(_WORDS))}")
        has_data = words[0] not in {"ID", "ENDSTREAM"}
        size = _whole(words[-1], header) if has_data else 0
        most = _MAX_DATA.get(words[0], _MAX_WORDS)
        if not 0 <= size <= most:
            raise WireError(f"DataLink: found {words[0]} with {size} bytes, wanted at most {most}")
        if len(self._buffer) < begin + size:
            return None
        event = self._event(words, header, bytes(self._buffer[begin : begin + size]))
        del self._buffer[: begin + size]
        return event

    def _event(self, words: list[str], header: str, data: bytes) -> Event:
        if words[0] == "PACKET":
            if len(words) != 7:
                raise WireError(f"DataLink: found {header[:80]!r}, wanted PACKET and six values")
            packet_id, *times = (_whole(each, header) for each in words[2:6])
            packettime, start, end = (each * _MICROSECOND for each in times)
            return DataLinkPacket(words[1], packet_id, packettime, start, end, data)
        if words[0] in {"OK", "ERROR"}:
            value = _whole(words[1], header) if len(words) == 3 else 0
            command = self._waiting.popleft() if self._waiting else ""
            return Reply(command, words[0] == "OK", value, " ".join(data.decode("utf-8", "replace").split()))
        if words[0] == "INFO":
            return Info(words[1] if len(words) > 2 else "", data)
        return StreamEnded() if words[0] == "ENDSTREAM" else ServerId(header[3:].strip())


def _whole(text: str, header: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < _MAX_SIZE_DIGITS):
        raise WireError(f"DataLink: found {text[:20]!r} in {header[:60]!r}, wanted a whole number")
    return int(text)
