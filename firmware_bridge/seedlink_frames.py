"""The bytes of a SeedLink stream, versions 3 and 4 → packets, answers to INFO, and the server's lines.

Sources: FDSN SeedLink 4.0 (docs.fdsn.org/projects/seedlink), for version 3 the SeisComP documentation and
`EarthScope/libslink:slutils.c`.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TypeAlias

from .errors import WireError
from .record_length import record_length

MAX_RECORD = 1 << 20
MAX_INFO = 32 << 20
_MAX_LINE = 4096
_HEADER_3, _HEADER_4 = 8, 17
_PACKET_3 = re.compile(rb"SL[0-9A-F]{6}|SLINFO [ *]")
_PACKET_4 = re.compile(rb"SE[23JX]")
_LEAST_RECORD_HEAD, _RECORD_HEAD = 48, 4096  # bytes that tell a record's length: at least, at most


@dataclass(frozen=True, slots=True)
class SeedLinkPacket:
    """One packet of data.

    Attributes
    ----------
    sequence
        24 bits in version 3, 64 bits in version 4.
    station_id
        `NET_STA`.
    format, subformat
        `2` or `3` for miniSEED, `J` for JSON, `X` for XML; what the payload is within that, such as `D` for data.
    payload
        The record.
    """

    sequence: int
    station_id: str
    format: str
    subformat: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class InfoPart:
    """A piece of an answer to INFO: XML in version 3, JSON in version 4."""

    content: bytes
    is_last: bool
    is_error: bool


@dataclass(frozen=True, slots=True)
class ServerLine:
    """`END`, or `ERROR` with the server's words."""

    text: str


Frame: TypeAlias = SeedLinkPacket | InfoPart | ServerLine


def take_line(buffer: bytearray) -> str | None:
    """Take a line that ends with a line feed off the buffer, or None where it is not whole.

    Raises
    ------
    WireError
        No line ends within 4096 bytes: what is there is thrown away.
    """
    end = buffer.find(b"\n", 0, _MAX_LINE)
    if end < 0:
        if len(buffer) >= _MAX_LINE:
            buffer.clear()
            raise WireError(f"SeedLink: found {_MAX_LINE} bytes without an end of line, wanted an answer")
        return None
    line = bytes(buffer[:end]).decode("utf-8", "replace")
    del buffer[: end + 1]
    return line.removesuffix("\r")


def take_frame(buffer: bytearray, version: int) -> Frame | None:
    """Take the next frame off the buffer, or None where more bytes are needed.

    Raises
    ------
    WireError
        What is there is no frame; it is thrown away up to what may be one.
    """
    while buffer and buffer[0] in b"\r\n":
        del buffer[:1]
    if not buffer:
        return None
    for word in (b"END", b"ERROR"):
        if buffer.startswith(word[: len(buffer)]):
            return _server_line(buffer, word)
    try:
        return _packet_3(buffer) if version == 3 else _packet_4(buffer)
    except WireError:
        _resynchronise(buffer, _PACKET_3 if version == 3 else _PACKET_4)
        raise


def _server_line(buffer: bytearray, word: bytes) -> ServerLine | None:
    if len(buffer) < len(word):
        return None
    if word == b"END":  # not every server ends this line
        del buffer[:3]
        return ServerLine("END")
    text = take_line(buffer)
    return None if text is None else ServerLine(" ".join(text.split()))


def _resynchronise(buffer: bytearray, mark: re.Pattern[bytes]) -> None:
    found = mark.search(buffer, 1)
    del buffer[: found.start() if found else max(1, len(buffer) - _HEADER_3 + 1)]


def _packet_3(buffer: bytearray) -> Frame | None:
    if len(buffer) < _HEADER_3:
        if not b"SL".startswith(buffer[:2]):
            raise WireError(f"SeedLink 3: found {bytes(buffer)!r}, wanted a packet")
        return None
    if _PACKET_3.match(buffer) is None:
        raise WireError(f"SeedLink 3: found {bytes(buffer[:8])!r}, wanted SL and six hexadecimal digits")
    if len(buffer) < _HEADER_3 + _LEAST_RECORD_HEAD:
        return None
    length = record_length(buffer[_HEADER_3 : _HEADER_3 + _RECORD_HEAD], max_record=MAX_RECORD)
    if length is None or len(buffer) < _HEADER_3 + length:
        return None
    head, payload = bytes(buffer[:_HEADER_3]), bytes(buffer[_HEADER_3 : _HEADER_3 + length])
    frame = _info_3(payload, is_last=head[7:8] == b" ") if head.startswith(b"SLINFO") else _data_3(head, payload)
    del buffer[: _HEADER_3 + length]
    return frame


def _data_3(head: bytes, payload: bytes) -> SeedLinkPacket:
    if payload[:2] == b"MS":
        name = payload[40 : 40 + payload[33]].removeprefix(b"FDSN:").split(b"_")
        network, station = (name[0], name[1]) if len(name) > 1 else (b"", b"")
    else:
        network, station = payload[18:20].strip(), payload[8:13].strip()
    station_id = b"_".join((network, station)).decode("ascii", "replace")
    sequence = int.from_bytes(bytes.fromhex(head[2:].decode("ascii")), "big")
    return SeedLinkPacket(sequence, station_id, "3" if payload[:2] == b"MS" else "2", "D", payload)


def _info_3(payload: bytes, *, is_last: bool) -> InfoPart:
    """Take the text of a miniSEED 2 record whose channel is INF, or ERR where the server refuses."""
    if payload[:2] == b"MS":
        raise WireError("SeedLink 3: found an INFO answer in miniSEED 3, wanted miniSEED 2")
    (samples,), (begin,) = struct.unpack_from(">H", payload, 30), struct.unpack_from(">H", payload, 44)
    content = payload[begin : begin + samples].rstrip(b"\0")
    return InfoPart(content, is_last, payload[15:18] == b"ERR")


def _require_length(head: bytes, size: int) -> None:
    """A payload of miniSEED is one record: a size that is not its length is damage."""
    length = record_length(head, max_record=MAX_RECORD)
    if length not in (None, size):
        raise WireError(f"SeedLink 4: found a payload of {size} bytes, wanted the record's {length}")


def _packet_4(buffer: bytearray) -> Frame | None:
    if _PACKET_4.match(buffer) is None and not (len(buffer) < 3 and b"SE".startswith(buffer[:2])):
        raise WireError(f"SeedLink 4: found {bytes(buffer[:4])!r}, wanted SE and a format out of 2, 3, J, X")
    if len(buffer) < _HEADER_4:
        return None
    letter, subformat = chr(buffer[2]), chr(buffer[3])
    size, sequence, id_length = struct.unpack_from("<IQB", buffer, 4)
    most = MAX_RECORD if letter in "23" else MAX_INFO
    if size > most:
        raise WireError(f"SeedLink 4: found a payload of {size} bytes, wanted at most {most}")
    begin = _HEADER_4 + id_length
    if letter in "23" and len(buffer) >= begin + _LEAST_RECORD_HEAD:  # before a wrong size is waited for
        _require_length(bytes(buffer[begin : begin + min(size, _RECORD_HEAD)]), size)
    if len(buffer) < begin + size:
        return None
    station_id = bytes(buffer[_HEADER_4:begin]).decode("ascii", "replace")
    payload = bytes(buffer[begin : begin + size])
    del buffer[: begin + size]
    if letter in "JX" and subformat in "IE":
        return InfoPart(payload, is_last=True, is_error=subformat == "E")
    return SeedLinkPacket(sequence, station_id, letter, subformat, payload)
