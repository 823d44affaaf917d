"""What a SeedLink client asks for, and the commands that ask for it in versions 3 and 4."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TypeAlias

from .errors import WireError

_STATION = re.compile(r"[A-Za-z0-9*?\-]{1,8}_[A-Za-z0-9*?\-]{1,8}")
_SELECTOR = re.compile(r"!?[A-Za-z0-9*?_\-]{1,30}(\.[A-Za-z0-9*?]{1,2})?")
_TIME = re.compile(r"(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(\.\d{1,9})?Z?")
_SEQUENCES_3 = 1 << 24
ALL_STATIONS = "*_*"


@dataclass(frozen=True, slots=True)
class StationRequest:
    """Data of one station, or of all that fit a pattern.

    Attributes
    ----------
    station_id
        `NET_STA`; `*` and `?` are wildcards.
    selectors
        Channels, such as `HHZ`, `00HH?`, `00_H_H_Z` or `!LH?`; none for all.
    after
        The sequence number of the last packet that is there already; None to begin with the next one.
    starttime, endtime
        ISO 8601 UTC such as `2024-05-01T12:00:00Z`; empty for none. `after` is stronger than `starttime`.
    """

    station_id: str = ALL_STATIONS
    selectors: tuple[str, ...] = ()
    after: int | None = None
    starttime: str = ""
    endtime: str = ""

    def __post_init__(self) -> None:
        if _STATION.fullmatch(self.station_id) is None:
            raise WireError(f"SeedLink: found station {self.station_id!r}, wanted NET_STA such as GE_APE")
        for selector in self.selectors:
            if _SELECTOR.fullmatch(selector) is None:
                raise WireError(f"SeedLink: found selector {selector!r}, wanted a channel such as HHZ, 00HH? or !LH?")
        for time in filter(None, (self.starttime, self.endtime)):
            if _TIME.fullmatch(time) is None:
                raise WireError(f"SeedLink: found time {time!r}, wanted one such as 2024-05-01T12:00:00Z")


@dataclass(frozen=True, slots=True)
class UserPassword:
    """A name and a password for AUTH USERPASS."""

    user: str
    password: str = field(repr=False)

    @property
    def argument(self) -> str:
        """What follows AUTH."""
        return f"USERPASS {self.user} {self.password}"


@dataclass(frozen=True, slots=True)
class WebToken:
    """A JSON web token for AUTH JWT."""

    token: str = field(repr=False)

    @property
    def argument(self) -> str:
        """What follows AUTH."""
        return f"JWT {self.token}"


Credentials: TypeAlias = UserPassword | WebToken


def commands_3(request: StationRequest, *, fetch: bool, single: bool) -> list[str]:
    """STATION, SELECTs and the request for data, in version 3; `single` leaves STATION out."""
    network, _, station = request.station_id.partition("_")
    commands = [] if single else [f"STATION {station} {network}"]
    commands += [f"SELECT {selector_3(each)}" for each in request.selectors]
    word = "FETCH" if fetch else "DATA"
    if request.after is not None:
        commands.append(f"{word} {(request.after + 1) % _SEQUENCES_3:06X}")
    elif request.starttime:
        end = f" {_time_3(request.endtime)}" if request.endtime else ""
        commands.append(f"TIME {_time_3(request.starttime)}{end}")
    else:
        commands.append(word)
    return commands


def commands_4(request: StationRequest) -> list[str]:
    """STATION, SELECTs and the request for data, in version 4."""
    commands = [f"STATION {request.station_id}"]
    commands += [f"SELECT {selector_4(each)}" for each in request.selectors]
    times = f" {request.starttime}".rstrip() + (f" {request.endtime}" if request.starttime and request.endtime else "")
    if request.after is not None:
        commands.append(f"DATA {request.after + 1}{times}")
    else:
        commands.append(f"DATA ALL{times}" if request.starttime else "DATA")
    return commands


def selector_3(selector: str) -> str:
    """`[!][LL]CCC[.T]`; from `LL_B_S_SS` where it has that form."""
    negation, body = _negation(selector)
    parts = body.split("_")
    if len(parts) != 4:
        return f"{negation}{body.replace('*', '???') if body == '*' else body}"
    location, *channel = parts
    code = "".join(each or "?" for each in channel).replace("*", "?")
    return f"{negation}{'' if location == '*' else (location or '--')}{code}"


def selector_4(selector: str) -> str:
    """`[!]LL_B_S_SS`; from `[LL]CCC` where it has that form."""
    negation, body = _negation(selector)
    pattern, dot, kind = body.partition(".")
    if "_" in pattern or len(pattern) not in (3, 5) or "*" in pattern:
        return selector
    location = {"": "*", "--": "", "??": "*"}.get(pattern[:-3], pattern[:-3])
    return f"{negation}{location}_{'_'.join(pattern[-3:])}{dot}{kind}"


def _negation(selector: str) -> tuple[str, str]:
    return ("!", selector[1:]) if selector.startswith("!") else ("", selector)


def _time_3(time: str) -> str:
    match = _TIME.fullmatch(time)
    if match is None:
        raise WireError(f"SeedLink: found time {time!r}, wanted one such as 2024-05-01T12:00:00Z")
    return ",".join(str(int(each)) for each in match.groups()[:6])
