"""The one table of wire formats: how their files begin, what decodes them, and what writes them where we can."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from seisedge.edge.errors import DataError, UsageError
from seisedge.edge.strict import suggestion
from seisedge.firmware_bridge import Decoder, MiniSeedDecoder, Packet
from seisedge.firmware_bridge.datacast import DatacastDecoder, encode_datacast
from seisedge.firmware_bridge.frame_decoder import FrameDecoder
from seisedge.firmware_bridge.frame_encoder import FrameEncoder
from seisedge.firmware_bridge.naming import Naming
from seisedge.firmware_bridge.openeew import OpenEewDecoder

from .urls import SourceUrl

NAMING_OPTIONS = ("station", "channels")
FORMAT_OPTIONS = ("format", *NAMING_OPTIONS, "vertical", "rate")
HEAD = 512
"""Bytes that are enough to tell the formats of files apart."""

Encoder = Callable[[Packet], list[bytes]]
_BARE_FRAME = re.compile(rb"(?s:SF\x01.{0,36}\0)")  # stuffed, a frame's first 40 bytes have no zero; bare, its rate has
_DATAGRAM_SAMPLES = 500  # of 12 digits, sign and comma: less than the decoder's 8192 bytes


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes
    ----------
    begins
        Matches the first bytes of a file.
    make
        Gives a decoder; the flag says whether whole datagrams or messages come, else a stream.
    options
        Options of the URL that say what the bytes themselves do not.
    suffixes
        Of files that we write.
    encoder
        Gives what writes packets, with the same flag; None where the format is only read. miniSEED is written by
        the recorder, which has more to choose for it.
    """

    begins: re.Pattern[bytes]
    make: Callable[[SourceUrl, bool], Decoder]
    options: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    encoder: Callable[[bool], Encoder] | None = None


def naming_of(url: SourceUrl) -> Naming:
    """Read `station=NET.STA` or `NET.STA.LOC`, and `channels=HNZ,HNN,HNE` in the wire's order.

    Raises
    ------
    UsageError
        A code has another form.
    """
    network, station, location = "XX", "", ""
    if "station" in url.options:
        parts = url.options["station"].split(".")
        if len(parts) not in (2, 3) or not parts[0] or any(len(each) > 8 or not _is_code(each) for each in parts):
            raise UsageError(
                f"source {url.text}: station: found {url.options['station']!r}, wanted NET.STA or NET.STA.LOC"
            )
        network, station, location = (*parts, "")[:3]
    channels = tuple(filter(None, url.options.get("channels", "").split(",")))
    for each in channels:
        if len(each) != 3 or not _is_code(each):
            raise UsageError(
                f"source {url.text}: channels: found {each!r}, wanted three letters each, as in HNZ,HNN,HNE"
            )
    return Naming(network, station, location, channels)


def _is_code(text: str) -> bool:
    return text.isascii() and text.replace("-", "A").isalnum() and text.upper() == text if text else True


def _datacast(url: SourceUrl, is_message: bool) -> Decoder:  # noqa: FBT001 - one signature for the table
    naming = naming_of(url)
    try:
        rate = float(url.options.get("rate", "0"))
    except ValueError:
        rate = -1.0
    if rate < 0 or rate > 1e6 or ("rate" in url.options and not rate):
        raise UsageError(f"source {url.text}: rate: found {url.options['rate']!r}, wanted samples per second")
    if "station" not in url.options:
        return DatacastDecoder(sampling_rate=rate, is_message=is_message)
    return DatacastDecoder(naming.network, naming.station, naming.location, sampling_rate=rate, is_message=is_message)


def _datacast_encoder(is_message: bool) -> Encoder:  # noqa: FBT001 - one signature for the table
    end = b"" if is_message else b"\n"

    def encode(packet: Packet) -> list[bytes]:
        starts = range(0, packet.samples.size, _DATAGRAM_SAMPLES)
        pieces = [packet.cut(start, min(start + _DATAGRAM_SAMPLES, packet.samples.size)) for start in starts]
        return [encode_datacast(piece) + end for piece in pieces]

    return encode


def _openeew(url: SourceUrl, is_message: bool) -> Decoder:  # noqa: FBT001 - one signature for the table
    vertical = url.options.get("vertical", "x")
    if vertical not in {"x", "y", "z"}:
        raise UsageError(f"source {url.text}: vertical: found {vertical!r}, wanted x, y or z")
    return OpenEewDecoder(naming_of(url), vertical=vertical, is_message=is_message)


FORMATS: dict[str, Format] = {
    "miniseed": Format(re.compile(rb"[0-9 \0]{6}[DRQM][ \0]|MS\x03"), lambda _, __: MiniSeedDecoder()),
    "native": Format(
        re.compile(rb"(?s:.*?\0)?[\x04-\xff]SF\x01"),  # COBS, a code before the magic; it may begin inside a frame
        lambda url, is_message: FrameDecoder(naming_of(url), is_bare=is_message),
        NAMING_OPTIONS,
        (".frames",),
        lambda is_message: FrameEncoder(is_bare=is_message),
    ),
    "datacast": Format(
        re.compile(rb"\s*\{'[A-Z0-9]{3}',"), _datacast, ("station", "rate"), (".datacast",), _datacast_encoder
    ),
    "grillo": Format(re.compile(rb'[\s\[]*\{[^{}\[]*"traces"\s*:\s*\['), _openeew, (*NAMING_OPTIONS, "vertical")),
    "openeew": Format(re.compile(rb'[\s\[]*\{\s*"'), _openeew, (*NAMING_OPTIONS, "vertical")),
}


def format_of(head: bytes, url: SourceUrl) -> str:
    """Name the format of a file that begins so, or the one that the URL's option `format` names.

    Raises
    ------
    UsageError
        The option names no format.
    DataError
        The bytes begin like none of them, or like a bare native frame.
    """
    forced = url.options.get("format")
    if forced in {None, "native"} and _BARE_FRAME.match(head):
        raise DataError(
            f"{url.path}: found a bare native frame, wanted it COBS-stuffed with a zero before and behind, "
            "as files and lines have it (docs/frame.md)"
        )
    if forced is not None:
        return _known(forced, url, tuple(FORMATS))
    for name, each in FORMATS.items():
        if each.begins.match(head):
            return name
    known = ", ".join(FORMATS)
    raise DataError(f"{url.path}: found {head[:16]!r} at the start, wanted one of {known} (format= forces one)")


def decoder_of(url: SourceUrl, formats: tuple[str, ...], *, is_message: bool) -> Decoder:
    """Make the decoder of the option `format`, or of the first of `formats`.

    Parameters
    ----------
    is_message
        Whole datagrams or messages come; else a stream.

    Raises
    ------
    UsageError
        A format that the source does not have, or an option that the format does not have.
    """
    name = _known(url.options.get("format", formats[0]), url, formats)
    for option in FORMAT_OPTIONS[1:]:
        if option in url.options and option not in FORMATS[name].options:
            raise UsageError(f"source {url.text}: found the option {option!r}, which format={name} does not have")
    return FORMATS[name].make(url, is_message)


def _known(name: str, url: SourceUrl, formats: tuple[str, ...]) -> str:
    if name not in formats:
        raise UsageError(f"source {url.text}: unknown format {name!r}{suggestion(name, formats)}")
    return name
