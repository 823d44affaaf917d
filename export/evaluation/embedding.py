"""A cut-out record as a piece of a stream: its own noise goes on before it, its own coda behind it.

A model's window may be longer than the record, and windows blind their edges; on a station there is always more. What
is there before the first arrival is mirrored, again and again, before the record, and what follows the last arrival
behind it. So the level and the colour are those of this sensor at this time, the signal joins on without a step, and no
other record's events come in. None of it is judged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seisedge.edge import Packet
from seisedge.edge.times import NANOSECONDS

_BEFORE_ARRIVAL_S = 0.5  # labels are good to a few tenths of a second
_SHORTEST_S = 0.5  # of what is mirrored, where an arrival stands at the record's very edge
_CODA_S = 5.0  # what is mirrored behind the record is at least so long, though an arrival be in it

RealSamples = npt.NDArray[np.int16] | npt.NDArray[np.float32]


@dataclass(frozen=True)
class ArrayTraces:
    """A record in an array.

    Attributes
    ----------
    rows
        int16 or float32 (component, npts).
    codes
        Component of each row.
    arrivals
        Samples at which something arrives, labelled or not.
    """

    name: str
    rows: RealSamples
    codes: tuple[str, ...]
    sampling_rate: float
    starttime_ns: int
    arrivals: tuple[float, ...]

    def packets(self, places: dict[str, int], margin_s: float) -> Iterator[tuple[int, Packet]]:
        """Give (place in the model's order, packet) of the components in `places`."""
        margin = int(np.ceil(margin_s * self.sampling_rate))
        starttime_ns = self.starttime_ns - round(margin * NANOSECONDS / self.sampling_rate)
        for code, row in zip(self.codes, self.rows, strict=True):
            if code in places:
                samples = embedded(row, self.sampling_rate, self.arrivals, margin)
                yield places[code], Packet(f"FDSN:{self.name}_H_H_{code}", starttime_ns, self.sampling_rate, samples)


def embedded(row: RealSamples, rate: float, arrivals: tuple[float, ...], margin: int) -> RealSamples:
    """Put `margin` samples of mirrored noise before a component and of mirrored coda behind it."""
    npts = row.size
    shortest = min(npts, max(2, round(_SHORTEST_S * rate)))
    quiet = npts if not arrivals else int(np.clip(min(arrivals) - _BEFORE_ARRIVAL_S * rate, shortest, npts))
    coda = min(npts, max(shortest, round(_CODA_S * rate)))
    behind = 0 if not arrivals else int(np.clip(max(arrivals) + rate, 0, npts - coda))
    before = np.pad(row[:quiet], (margin, 0), mode="reflect")[:margin]
    after = np.pad(row[behind:], (0, margin), mode="reflect")[npts - behind :]
    return np.concatenate((before, row, after))
