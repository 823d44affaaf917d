"""`streams=CX_PB01:HH?,GE_APE` in a URL: stations with the channels that are wanted of them."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass

from seisedge.edge.errors import UsageError
from seisedge.firmware_bridge import SourceId, WireError

from .urls import SourceUrl


@dataclass(frozen=True, slots=True)
class StreamPattern:
    """One station, or a pattern with `*` and `?`, and its channels; none for all.

    Attributes
    ----------
    station
        `NET_STA`.
    channels
        `CCC`, `LLCCC` (`--` for an empty location), with `*` and `?`; a leading `!` leaves them out.
    """

    station: str
    channels: tuple[str, ...] = ()

    def takes(self, name: SourceId) -> bool:
        """Whether it wants a channel."""
        if not fnmatch.fnmatchcase(f"{name.network}_{name.station}", self.station):
            return False
        wanted = [each for each in self.channels if not each.startswith("!")]
        if any(_fits(name, each[1:]) for each in self.channels if each.startswith("!")):
            return False
        return not wanted or any(_fits(name, each) for each in wanted)

    def takes_id(self, source_id: str) -> bool:
        """Whether it wants a channel, named by its FDSN source identifier; names of other forms are not wanted."""
        try:
            return self.takes(SourceId.parse(source_id))
        except WireError:
            return False


def _fits(name: SourceId, pattern: str) -> bool:
    if len(pattern) > 3 and not pattern.startswith("*"):
        location = pattern[:-3].replace("--", "")
        return fnmatch.fnmatchcase(name.location, location) and fnmatch.fnmatchcase(name.channel, pattern[-3:])
    return fnmatch.fnmatchcase(name.channel, pattern)


def patterns_of(url: SourceUrl) -> tuple[StreamPattern, ...]:
    """Read the option `streams`; empty without it. Several channels of a station stand with `+` between them.

    Raises
    ------
    UsageError
        A part has no network and station.
    """
    found: list[StreamPattern] = []
    for part in filter(None, (each.strip() for each in url.options.get("streams", "").split(","))):
        station, colon, channels = part.partition(":")
        chosen = tuple(channels.replace("+", " ").split())  # a URL's `+` has become a space
        if station.count("_") != 1 or (colon and not chosen):
            raise UsageError(f"source {url.text}: streams: found {part!r}, wanted NET_STA or NET_STA:CHANNELS")
        found.append(StreamPattern(station, chosen))
    return tuple(found)
