"""Noise to lay records into that are shorter than an example: of the same station where there is some."""

from __future__ import annotations

import numpy as np

from .crops import Crop, Float32
from .records import Record

_PARTS = 8
"""Of a record, of which the quietest tells its noise."""


class Beds:
    """Noise of stations, and continuous records.

    Parameters
    ----------
    records
        Of which those without arrivals are noise, and those that are long are beds with arrivals of their own.
    rate
        Samples per second.
    """

    def __init__(self, records: tuple[Record, ...], rate: float) -> None:
        self._rate = rate
        self._continuous = [each for each in records if each.kind == "continuous"]
        self._noise = [each for each in records if each.kind == "noise" and not each.unknown]
        self._of_station: dict[str, list[Record]] = {}
        for each in self._noise:
            self._of_station.setdefault(each.station, []).append(each)

    def lay_around(self, crop: Crop, record: Record, span: tuple[int, int], rng: np.random.Generator) -> None:
        """Fill a crop outside of `span`, which a record fills, with noise as loud as the record's own.

        Arrivals of the bed come with it; a component that the record does not have stays without.
        """
        width = crop.samples.shape[1]
        if span[1] - span[0] >= width:
            return
        chosen = self._choose(record, width, rng)
        if chosen is None:
            return
        bed = self._bed(chosen, width, rng)
        own, other = record.samples, bed.samples
        level, found = _noise_level(own), _noise_level(other)
        factor = np.where(found > 0, level / np.maximum(found, 1e-30), 0).astype(np.float32)
        filled = (other - np.median(other, axis=1, keepdims=True)) * factor + np.median(own, axis=1, keepdims=True)
        low, high = span
        filled[:, low:high] = crop.samples[:, low:high]
        filled[~own.any(axis=1)] = 0
        crop.samples[:] = filled
        inside = low - self._rate, high + self._rate
        crop.arrivals += [each for each in bed.arrivals if not inside[0] < each[1] < inside[1]]
        crop.unknown += [each for each in bed.unknown if not (inside[0] < each[1] and each[2] < inside[1])]

    def _choose(self, record: Record, width: int, rng: np.random.Generator) -> Record | None:
        quiet = [each for each in self._of_station.get(record.station, []) if record.station]
        long = [each for each in self._continuous if each.samples.shape[1] >= width]
        choices = quiet or long or self._noise
        return choices[int(rng.integers(len(choices)))] if choices else None

    @staticmethod
    def _bed(record: Record, width: int, rng: np.random.Generator) -> Crop:
        npts = record.samples.shape[1]
        if npts >= width:
            start = int(rng.integers(0, npts - width + 1))
            arrivals = [(phase, place - start) for phase, place in record.arrivals]
            unknown = [(phase, a - start, b - start) for phase, a, b in record.unknown]
            return Crop(record.samples[:, start : start + width], arrivals, unknown)
        before = int(rng.integers(0, width - npts + 1))  # forth and back: no step where the pieces meet
        pad = ((0, 0), (before, width - npts - before))
        return Crop(np.pad(record.samples, pad, mode="symmetric"), [], [])


def _noise_level(x: Float32) -> Float32:
    """Of each component, (component, 1): the median deviation in the quietest part."""
    parts = [np.abs(each - np.median(each, axis=1, keepdims=True)) for each in np.array_split(x, _PARTS, axis=1)]
    level: Float32 = np.min([np.median(each, axis=1) for each in parts if each.shape[1]], axis=0)[:, np.newaxis]
    return level
