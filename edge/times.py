"""Time is `int` nanoseconds since 1970-01-01T00:00:00 UTC; this file is where it meets text and samples."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from fractions import Fraction
from functools import lru_cache

from .errors import UsageError

NANOSECONDS = 1_000_000_000
_MICROSECOND = 1_000

# A sample time that falls on the middle between two indices, up to the nanosecond in which times are kept,
# always goes to the upper one; without the slack a rounded nanosecond would decide.
_HALF, _WHOLE = 500_001, 1_000_000


def index_at(time_ns: int, rate: Fraction) -> int:
    """Give the index of the sample nearest to a time, from the epoch on at `rate` samples per second."""
    divisor = NANOSECONDS * rate.denominator
    return (_WHOLE * time_ns * rate.numerator + _HALF * divisor) // (_WHOLE * divisor)


def time_at(index: int, rate: Fraction) -> int:
    """Give the time in ns of a sample index counted from the epoch, rounded to the nearest ns."""
    return (2 * index * NANOSECONDS * rate.denominator + rate.numerator) // (2 * rate.numerator)


def format_time(time_ns: int) -> str:
    """ISO 8601 UTC with microseconds and `Z`, rounded to the nearest microsecond."""
    microseconds = (time_ns + _MICROSECOND // 2) // _MICROSECOND
    seconds, fraction = divmod(microseconds, 1_000_000)
    return f"{_second(seconds)}.{fraction:06d}Z"


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    """Times that are written at once are mostly of the same few seconds."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat()[:19]


_ISO = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?Z?", flags=re.ASCII)


def parse_time(text: str) -> int:
    """Read an ISO 8601 UTC time such as `2021-04-01`, `2021-04-01T12:35` or `2021-04-01T12:35:40.25Z`.

    Raises
    ------
    UsageError
        The text is no such time.
    """
    unreadable = UsageError(f"time: found {text!r}, wanted ISO 8601 UTC such as 2021-04-01T12:35:40")
    match = _ISO.fullmatch(text.strip())
    if match is None:
        raise unreadable
    date, minute, second, fraction = match.groups()
    try:
        moment = datetime.fromisoformat(f"{date}T{minute or '00:00'}:{second or '00'}+00:00")
    except ValueError:
        raise unreadable from None
    return int(moment.timestamp()) * NANOSECONDS + int((fraction or "0").ljust(9, "0"))
