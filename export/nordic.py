"""Catalogues in Nordic format, the s-files of SEISAN: events and their picks, from complete files and from bare ones.

Columns are those of the SEISAN manual (appendix A). The reader is tolerant where real files are careless: the header of
the picks (` STAT SP IPHASW`), the names of waveform files and the blank line behind an event may be missing, lines may
be cut at their last character, and many events may stand in one file. Origins within a minute of the first, before the
picks, are other solutions of the same event. What cannot be read is told, line by line, and loses nothing else; picks
in Nordic2, the format of SEISAN 12, are told and left out.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from seisedge.edge.times import NANOSECONDS

from .errors import TrainingDataError

_LINE = 80
_DAY_S = 86_400
_MEASURED = ("A", "IA", "IV", "END", "BAZ", "T")  # beginnings of "phases" that are amplitudes, durations, azimuths
_SOLUTIONS_NS = 60 * NANOSECONDS  # as far apart as agencies have one event
_HALF_MINUTE_NS = 30 * NANOSECONDS
_HEADER, _HEADER_2 = " STAT SP IPHAS", " STAT COM NTLO"  # of picks in Nordic and in Nordic2
_BARE_ORIGIN = re.compile(r" \d{4} [ \d]\d[ \d]\d.[ \d]\d[ \d]\d [ \d]\d\.")
"""An origin by its date and time alone. A pick has its onset, a letter, where this has the day's last digit."""

Problem = Callable[[str], None]


@dataclass(frozen=True)
class NordicPick:
    """One phase at one station.

    Attributes
    ----------
    component
        As written, two characters or more: `HZ`, `BN`.
    onset
        `I` impulsive, `E` emergent, or nothing.
    phase_hint
        `P`, `Pn`, `SG`, … as written.
    weight
        0 is full, 4 is none.
    polarity
        `C` up, `D` down, or nothing.
    """

    station: str
    component: str
    onset: str
    phase_hint: str
    weight: int
    polarity: str
    time_ns: int


@dataclass(frozen=True)
class NordicEvent:
    """An origin and its picks; a figure that the file does not give is None. Degrees, km."""

    origin_ns: int
    latitude: float | None
    longitude: float | None
    depth_km: float | None
    magnitude: float | None
    picks: tuple[NordicPick, ...]


def read_catalogue(paths: Iterable[Path], on_problem: Problem = lambda _: None) -> list[NordicEvent]:
    """Events of s-files and catalogues, and of the files in folders, in order of time.

    Parameters
    ----------
    on_problem
        Gets one line for each line of a file that should be an origin or a pick and is none.

    Raises
    ------
    TrainingDataError
        A path is not there.
    """
    events: list[NordicEvent] = []
    for path in paths:
        if not path.exists():
            raise TrainingDataError(f"{path}: no such file or folder, wanted s-files")
        files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
        for file in files:
            events += read_events(file, on_problem)
    return sorted(events, key=lambda event: event.origin_ns)


@dataclass
class _Open:
    """An event whose lines are still coming."""

    day_s: int
    line: str
    picks: list[NordicPick] = field(default_factory=list[NordicPick])
    headed: bool = False
    nordic2: bool = False

    @property
    def origin_ns(self) -> int:
        return _origin_ns(self.day_s, self.line)


def read_events(path: Path, on_problem: Problem = lambda _: None) -> Iterator[NordicEvent]:
    """Events of one file, in its order."""
    event: _Open | None = None
    with path.open(encoding="latin-1") as text:
        for number, raw in enumerate(text, 1):
            line = raw.rstrip("\r\n").ljust(_LINE)
            if event is not None and _is_behind(event, line):
                yield _closed(event)
                event = None
            try:
                if event is None:
                    event = _opened(line)
                else:
                    _add(event, line)
            except ValueError as error:
                on_problem(f"{path}, line {number}: {error}")
    if event is not None:
        yield _closed(event)


def _is_behind(event: _Open, line: str) -> bool:
    """Whether a line is no more of the event: blank, or an origin that is no other solution of it."""
    if not line.strip():
        return True
    return _is_origin(line) and (bool(event.picks) or event.headed or _is_of_another(event, line))


def _is_of_another(event: _Open, line: str) -> bool:
    """Whether an origin is of another event; one that cannot be dated is, lest picks behind it get a wrong day."""
    if not line[1:20].strip():
        return False
    try:
        day_s = _day(line)
    except ValueError:
        return True
    try:
        apart = abs(_origin_ns(day_s, _with_seconds(line)) - event.origin_ns)
    except ValueError:
        return day_s != event.day_s  # a line of further magnitudes may have no time
    return apart > _SOLUTIONS_NS + (0 if line[16:20].strip() else _HALF_MINUTE_NS)


def _with_seconds(line: str) -> str:
    """An origin that gives no more than its minute, in the middle of that."""
    return line if line[16:20].strip() else f"{line[:16]}30.0{line[20:]}"


def _opened(line: str) -> _Open | None:
    """The event that begins with a line; None where the line is none of an event's."""
    if _is_origin(line):
        return _Open(_start_of_day(line), line)
    if line.startswith(_HEADER_2):
        raise ValueError(_nordic2(line))
    if _is_pick(line):
        raise ValueError(f"found the pick {line.strip()[:27]!r} without an origin, wanted the origin's line before it")
    return None


def _add(event: _Open, line: str) -> None:
    """Take a line behind the origin into its event."""
    if line[_LINE - 1] == "7" or line.startswith((_HEADER, _HEADER_2)):
        event.headed, event.nordic2 = True, line.startswith(_HEADER_2)
        if event.nordic2:
            raise ValueError(_nordic2(line))
    elif _is_origin(line):
        if line[11:20].strip():
            _start_of_day(_with_seconds(line))  # for its message: only the first solution is kept
    elif line[_LINE - 1] in " 4" and not event.nordic2:
        pick = _pick(line, event.day_s, event.origin_ns)
        event.picks += [pick] if pick is not None else []


def _is_origin(line: str) -> bool:
    return line[_LINE - 1] == "1" or (line[_LINE - 1] == " " and _BARE_ORIGIN.match(line) is not None)


def _is_pick(line: str) -> bool:
    try:
        return line[_LINE - 1] in " 4" and _pick(line, 0, 0) is not None
    except ValueError:
        return False


def _nordic2(line: str) -> str:
    return f"found picks in Nordic2 ({line[1:14]}), wanted Nordic (STAT SP IPHASW): the event's picks are left out"


def _closed(event: _Open) -> NordicEvent:
    latitude, longitude, depth, magnitude = (
        _number_or_none(event.line[low:high]) for low, high in ((23, 30), (30, 38), (38, 43), (55, 59))
    )
    return NordicEvent(event.origin_ns, latitude, longitude, depth, magnitude, tuple(event.picks))


def _start_of_day(line: str) -> int:
    """Seconds from the epoch to the day of an origin, which is checked as a whole."""
    start = _day(line)
    _origin_ns(start, line)
    return start


def _day(line: str) -> int:
    year, month, day = (_whole(line[low:high], "date", line) for low, high in ((1, 5), (6, 8), (8, 10)))
    year += 1900 if year < 100 else 0  # as files of the eighties and nineties have it
    if not (1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]):
        raise ValueError(f"found the date {line[1:10]!r}, wanted a day of the calendar")
    return calendar.timegm((year, month, day, 0, 0, 0))


def _origin_ns(day_s: int, line: str) -> int:
    hour, minute = (_whole(line[low:high] or "0", "time", line) for low, high in ((11, 13), (13, 15)))
    return _nanoseconds(day_s + hour * 3600 + minute * 60, line[16:20])


def _pick(line: str, day_s: int, origin_ns: int) -> NordicPick | None:
    """A pick; None for an amplitude, a coda or another measurement."""
    station, phase = line[1:5].strip(), line[10:14].strip()
    if not phase or phase.startswith(_MEASURED):
        return None
    hour, minute = (_whole(line[low:high], "time", line) for low, high in ((18, 20), (20, 22)))
    time_ns = _nanoseconds(day_s + hour * 3600 + minute * 60, line[22:28])
    if time_ns < origin_ns - _DAY_S * NANOSECONDS // 2:
        time_ns += _DAY_S * NANOSECONDS  # behind midnight; SEISAN itself counts hours beyond 24
    weight = line[14]
    return NordicPick(
        station=station,
        component=line[6:8].strip(),
        onset=line[9].strip(),
        phase_hint=phase,
        weight=int(weight) if weight.isdigit() else 0,
        polarity=line[16].strip(),
        time_ns=time_ns,
    )


def _nanoseconds(start_s: int, seconds: str) -> int:
    """Seconds as written, exactly: hundredths or thousandths, never a rounded float."""
    whole, _, part = seconds.strip().partition(".")
    if not (whole or part) or not (whole + part).isdigit():
        raise ValueError(f"found the seconds {seconds!r}, wanted a number")
    return (start_s + int(whole or 0)) * NANOSECONDS + int(part.ljust(9, "0")[:9])


def _whole(text: str, what: str, line: str) -> int:
    if not text.strip().isdigit():
        raise ValueError(f"found the {what} {text!r} in {line.strip()[:30]!r}, wanted a number")
    return int(text)


def _number_or_none(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
