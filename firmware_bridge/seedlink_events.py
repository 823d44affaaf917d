"""What a SeedLink client tells of a connection, versions 3 and 4: greetings, answers, refusals, packets, the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from .seedlink_frames import SeedLinkPacket

Version: TypeAlias = Literal[3, 4]


@dataclass(frozen=True, slots=True)
class Hello:
    """What the server says of itself.

    Attributes
    ----------
    version
        The version that is spoken from here on.
    """

    software: str
    organisation: str
    capabilities: tuple[str, ...]
    version: Version


@dataclass(frozen=True, slots=True)
class Refused:
    """The server answered ERROR to a command, or broke the stream off with it.

    Attributes
    ----------
    command
        Without secrets.
    message
        The server's own words.
    is_final
        Whether nothing can come after it on this connection.
    """

    command: str
    message: str
    is_final: bool


@dataclass(frozen=True, slots=True)
class InfoReply:
    """A whole answer to INFO: XML in version 3, JSON in version 4."""

    item: str
    content: bytes
    is_error: bool


@dataclass(frozen=True, slots=True)
class Streaming:
    """Everything was asked for: from here on packets come."""

    stations: int


@dataclass(frozen=True, slots=True)
class EndOfStream:
    """The server has sent all that was asked for."""


Event: TypeAlias = Hello | Refused | InfoReply | Streaming | SeedLinkPacket | EndOfStream
