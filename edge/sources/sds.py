"""The SeisComP Data Structure: `YEAR/NET/STA/CHAN.D/NET.STA.LOC.CHAN.D.YEAR.DOY`, one file per channel and day."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path

from seisedge.firmware_bridge import SourceId

from .streams import StreamPattern

_NAME = re.compile(
    r"(?P<net>\w{1,8})\.(?P<sta>[\w-]{1,8})\.(?P<loc>\w{0,8})\.(?P<cha>\w{3})\.D\.(?P<year>\d{4})\.(?P<day>\d{3})"
)
_DAY_NS = 86_400 * 1_000_000_000


def day_files(root: Path, patterns: tuple[StreamPattern, ...], starttime_ns: int, endtime_ns: int) -> tuple[Path, ...]:
    """Give the archive's files that can hold what is wanted, in order of day and name.

    A record that begins before midnight lies in the file of the day before, so that one is looked at as well.
    """
    found: list[tuple[int, str, Path]] = []
    for path in root.glob("[0-9][0-9][0-9][0-9]/*/*/*.D/*"):
        match = _NAME.fullmatch(path.name)
        if match is None or not path.is_file():
            continue
        begin = _day_ns(int(match["year"]), int(match["day"]))
        name = SourceId(match["net"], match["sta"], match["loc"], *match["cha"])
        wanted = not patterns or any(each.takes(name) for each in patterns)
        if wanted and begin < endtime_ns and begin + 2 * _DAY_NS > starttime_ns:
            found.append((begin, path.name, path))
    return tuple(path for _, _, path in sorted(found))


def _day_ns(year: int, day: int) -> int:
    first = datetime(max(year, 1), 1, 1, tzinfo=timezone.utc)
    return round((first + timedelta(days=day - 1)).timestamp()) * 1_000_000_000
