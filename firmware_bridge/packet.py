"""`Packet`: what every decoder yields, whatever the wire's own conventions are."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from fractions import Fraction
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .errors import WireError

Samples = npt.NDArray[np.int16] | npt.NDArray[np.int32] | npt.NDArray[np.float32]
"""One component's samples in the sensor's own type, 1-D and C-contiguous."""

NANOSECONDS = 1_000_000_000

_EARLIEST_NS, _LATEST_NS = -2_208_988_800 * NANOSECONDS, 4_133_980_800 * NANOSECONDS  # the years 1900 to 2100


class PacketFlag(IntFlag):
    """What the sender said of the data, and what the decoder saw of their order and their clock.

    SEQUENCE_GAP: packets before this one are missing. DUPLICATE: it came before. REORDERED: later ones came
    before it. CLOCK_STEP: the clock jumped. HOLDOVER: the clock has lost its reference, or its stamp was not followed.
    """

    NONE = 0
    SATURATED = 1
    OVERRUN = 2
    CLOCK_QUESTIONABLE = 4
    SEQUENCE_GAP = 8
    DUPLICATE = 16
    REORDERED = 32
    CLOCK_STEP = 64
    HOLDOVER = 128


@dataclass(frozen=True, slots=True)
class Packet:
    """A run of evenly spaced samples of one component.

    Attributes
    ----------
    source_id
        FDSN source identifier, `FDSN:NET_STA_LOC_B_S_SS`.
    starttime_ns
        Time of the first sample, nanoseconds since 1970-01-01T00:00:00 UTC.
    sampling_rate
        Samples per second.
    samples
        int16, int32 or float32; shape (npts,).
    flags
        What the sender said of the data, and what the decoder saw.
    """

    source_id: str
    starttime_ns: int
    sampling_rate: float
    samples: Samples
    flags: PacketFlag = PacketFlag.NONE

    def time_of(self, sample: int) -> int:
        """Time of a sample in ns, counted from the first one and never step by step (errors would add up)."""
        return self.starttime_ns + span_ns(sample, self.sampling_rate)

    def cut(self, start: int, stop: int) -> Packet:
        """Give the samples `start` … `stop - 1` as a packet of its own; they are a view, not a copy."""
        return Packet(self.source_id, self.time_of(start), self.sampling_rate, self.samples[start:stop], self.flags)


def require_time(starttime_ns: int, what: str) -> None:
    """Refuse a time that only damage or a clock gone wrong can give: one record of it makes a file unreadable.

    Raises
    ------
    WireError
        Before 1900 or behind 2100, where readers of miniSEED take a header for damage.
    """
    if not _EARLIEST_NS <= starttime_ns < _LATEST_NS:
        seconds = starttime_ns // NANOSECONDS
        raise WireError(f"{what}: found a time {seconds} s from 1970, wanted one of the years 1900 to 2100")


def span_ns(samples: int, sampling_rate: float) -> int:
    """Length of a number of sample intervals in ns, rounded to the nearest."""
    double_interval, numerator = _interval(sampling_rate)
    return (samples * double_interval + numerator) // (2 * numerator)


@lru_cache(maxsize=256)
def _interval(sampling_rate: float) -> tuple[int, int]:
    """Twice a sample interval in ns, as an exact ratio: making the fraction costs more than all else of a packet."""
    ratio = Fraction(sampling_rate)
    return 2 * NANOSECONDS * ratio.denominator, ratio.numerator
