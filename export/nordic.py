"""Catalogues in Nordic format, the s-files of SEISAN: events and their picks, from complete files and from bare ones.

Columns are those of the SEISAN manual (appendix A). The reader is tolerant where real files are careless: the header of
the picks (` STAT SP IPHASW`), the names of waveform files and the blank line behind an event may be missing, lines may
be cut at their last character, and many events may stand in one file. What cannot be read is told, line by line, and
loses nothing else.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from seisedge.edge.times import NANOSECONDS

from .errors import TrainingDataError

_LINE = 80
_DAY_S = 86_400
_MEASURED = ("A", "IA", "IV", "END", "BAZ", "T")  # beginnings of "phases" that are amplitudes, durations, azimuths

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


def read_events(path: Path, on_problem: Problem = lambda _: None) -> Iterator[NordicEvent]:
    """Events of one file, in its order."""
    origin: tuple[int, str] | None = None
    picks: list[NordicPick] = []
    with path.open(encoding="latin-1") as text:
        for number, raw in enumerate(text, 1):
            line = raw.rstrip("\r\n").ljust(_LINE)
            kind = line[_LINE - 1]
            if origin is not None and (not line.strip() or (kind == "1" and picks)):
                yield _event(*origin, picks)
                origin, picks = None, []
            try:
                if kind == "1" and origin is None:
                    origin = _start_of_day(line), line
                elif kind == " " and line.strip() and origin is not None:
                    pick = _pick(line, *origin)
                    picks += [pick] if pick is not None else []
            except ValueError as error:
                on_problem(f"{path}, line {number}: {error}")
    if origin is not None:
        yield _event(*origin, picks)


def _event(day_s: int, line: str, picks: list[NordicPick]) -> NordicEvent:
    latitude, longitude, depth, magnitude = (
        _number_or_none(line[low:high]) for low, high in ((23, 30), (30, 38), (38, 43), (55, 59))
    )
    return NordicEvent(_origin_ns(day_s, line), latitude, longitude, depth, magnitude, tuple(picks))


def _start_of_day(line: str) -> int:
    """Seconds from the epoch to the day of an origin, which is checked as a whole."""
    year, month, day = (_whole(line[low:high], "date", line) for low, high in ((1, 5), (6, 8), (8, 10)))
    if not (1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]):
        raise ValueError(f"found the date {line[1:10]!r}, wanted a day of the calendar")
    start = calendar.timegm((year, month, day, 0, 0, 0))
    _origin_ns(start, line)
    return start


def _origin_ns(day_s: int, line: str) -> int:
    hour, minute = (_whole(line[low:high] or "0", "time", line) for low, high in ((11, 13), (13, 15)))
    return _nanoseconds(day_s + hour * 3600 + minute * 60, line[16:20])


def _pick(line: str, day_s: int, origin_line: str) -> NordicPick | None:
    """A pick; None for an amplitude, a coda or another measurement."""
    station, phase = line[1:5].strip(), line[10:14].strip()
    if not phase or phase.startswith(_MEASURED):
        return None
    hour, minute = (_whole(line[low:high], "time", line) for low, high in ((18, 20), (20, 22)))
    time_ns = _nanoseconds(day_s + hour * 3600 + minute * 60, line[22:28])
    if time_ns < _origin_ns(day_s, origin_line) - _DAY_S * NANOSECONDS // 2:
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
