"""Which records of an archive join on to each other, so that they can be decoded in one call and travel as one packet.

A record joins on where it starts, to the nanosecond, when the one before it ends, stands right behind it in the
file, and has its rate, encoding and flags. What comes of a stretch is what its records one by one would give.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from .times import NANOSECONDS

Int64 = npt.NDArray[np.int64]

MAX_SAMPLES = 1 << 16  # of a stretch: what waits in memory for the other components
MAX_RECORDS = 1 << 9


def in_order(starts: array[int]) -> Int64:
    """Give the records in order of time; of equal ones the first in the file comes first."""
    return np.argsort(np.frombuffer(starts, np.int64), kind="stable")


def joins(columns: Sequence[array[int] | array[float]], order: Int64) -> npt.NDArray[np.bool_]:
    """Say of each record in order but the last whether the next one joins on to it.

    Parameters
    ----------
    columns
        Starts (ns), offsets, lengths (bytes), numbers of samples, rates (Hz), encodings and flags of a trace's records.
    order
        From `in_order`.
    """
    starts, offsets, lengths, npts, rates, encodings, flags = (np.array(each)[order] for each in columns)
    distinct, places = np.unique(rates, return_inverse=True)
    period = np.array([_period_ns(rate) for rate in distinct.tolist()], np.int64)[places]
    same = (rates[1:] == rates[:-1]) & (encodings[1:] == encodings[:-1]) & (flags[1:] == flags[:-1])
    behind = offsets[1:] == offsets[:-1] + lengths[:-1]
    in_time = starts[1:] - starts[:-1] == (npts * period)[:-1]
    joined: npt.NDArray[np.bool_] = same & behind & in_time
    return joined


def _period_ns(rate: float) -> int:
    """Nanoseconds from sample to sample; 0, which joins nothing, where that is no whole number."""
    period = NANOSECONDS / Fraction(rate)
    return int(period) if period.denominator == 1 else 0


def bounds(joined: npt.NDArray[np.bool_], npts: Int64) -> list[int]:
    """Cut records in order into stretches: the place of the first record of each, and behind them the end."""
    places, samples = [0], 0
    joins_on, counts = joined.tolist(), npts.tolist()
    for place in range(1, len(counts)):
        samples += counts[place - 1]
        full = samples + counts[place] > MAX_SAMPLES or place - places[-1] >= MAX_RECORDS
        if full or not joins_on[place - 1]:
            places.append(place)
            samples = 0
    return [*places, len(counts)]


def overlapping(spans: list[tuple[int, int, int]]) -> set[int]:
    """Of (component, first start, last start) the numbers of those that share time with another of their component."""
    found: set[int] = set()
    order = sorted(range(len(spans)), key=lambda number: spans[number])
    open_: dict[int, int] = {}
    for number in order:
        component, start, _ = spans[number]
        before = open_.get(component)
        if before is not None and start <= spans[before][2]:
            found |= {before, number}
        if before is None or spans[number][2] > spans[before][2]:
            open_[component] = number
    return found
