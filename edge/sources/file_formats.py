"""What a file or a pipe holds, told apart by its first bytes, and the decoder for it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from seisedge.edge.errors import DataError, UsageError
from seisedge.edge.strict import suggestion
from seisedge.firmware_bridge import Decoder, MiniSeedDecoder

from .urls import SourceUrl

HEAD = 512
"""Bytes that are enough to tell the formats apart."""


@dataclass(frozen=True)
class FileFormat:
    """One format: how its files begin, and what decodes them.

    Attributes
    ----------
    begins
        Matches the first bytes.
    make
        Gives a decoder; the URL's options say what the bytes themselves do not.
    options
        Those options.
    """

    begins: re.Pattern[bytes]
    make: Callable[[SourceUrl], Decoder]
    options: tuple[str, ...] = ()


FORMATS: dict[str, FileFormat] = {
    "miniseed": FileFormat(re.compile(rb"[0-9 \0]{6}[DRQM][ \0]|MS\x03"), lambda _: MiniSeedDecoder()),
}

OPTIONS = tuple({option for each in FORMATS.values() for option in each.options})


def format_of(head: bytes, url: SourceUrl) -> str:
    """Name the format of bytes that begin so, or the one that the URL's option `format` names.

    Raises
    ------
    UsageError
        The option names no format.
    DataError
        The bytes begin like none of them.
    """
    forced = url.options.get("format")
    if forced is not None:
        if forced not in FORMATS:
            raise UsageError(f"source {url.text}: format: unknown {forced!r}{suggestion(forced, tuple(FORMATS))}")
        return forced
    for name, each in FORMATS.items():
        if each.begins.match(head):
            return name
    known = ", ".join(FORMATS)
    raise DataError(f"{url.path}: found {head[:16]!r} at the start, wanted one of {known} (format= forces one)")
