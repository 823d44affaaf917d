"""Training examples: crops of records, changed as other sensors, sites and distances would change them.

What is drawn keeps to physics: two events may overlap, horizontals may be turned, a sensor may be deaf on a component,
clip, count coarsely or have a narrow band; a polarity or a gain says nothing. Nothing is tapered, since a stream is
not. Frequencies of what is added follow the rate: they are given for 100 Hz.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import signal

from .beds import Beds
from .crops import Crop, Float32
from .errors import TrainingDataError
from .objectives import Objective
from .records import Record
from .train_options import ExampleOptions

Rng = np.random.Generator


class ExampleMaker:
    """Draws examples.

    Parameters
    ----------
    records
        What to draw from.
    objective
        What is to be learnt: it says where crops are cut, and makes the targets.
    width, rate
        Samples of an example, and per second.
    vertical
        Place of the vertical component.

    Raises
    ------
    TrainingDataError
        There is no arrival to draw.
    """

    def __init__(
        self,
        records: tuple[Record, ...],
        options: ExampleOptions,
        objective: Objective,
        *,
        width: int,
        rate: float,
        vertical: int,
    ) -> None:
        self._options, self._width, self._rate = options, width, rate
        self._objective, self._vertical = objective, vertical
        aimed = [each for each in records if objective.aim.of(each.arrivals)]
        self._continuous = [each for each in records if each.kind == "continuous"]
        self._busy = [each for each in aimed if each.kind == "continuous"]
        self._events = [each for each in aimed if each.kind == "event"] or self._busy
        self._noise = [each for each in records if each.kind == "noise"] or self._continuous or list(records)
        self._beds = Beds(records, rate)
        if not self._events and (options.shares[0] or options.shares[2] or options.superpose_event):
            raise TrainingDataError(f"records: found no arrival to learn in {len(records)}, wanted some")
        self.false_picks: list[tuple[Record, int]] = []
        """Where the network picked what is nothing: (record, sample)."""

    def batch(self, count: int, rng: Rng) -> tuple[Float32, Float32, Float32]:
        """Give samples (example, component, sample), and targets and weights as the objective makes them."""
        crops = [self._draw(rng) for _ in range(count)]
        targets, weights = zip(*(self._objective.target(each) for each in crops), strict=True)
        return np.stack([each.samples for each in crops]), np.stack(targets), np.stack(weights)

    def _draw(self, rng: Rng) -> Crop:
        sources: tuple[Callable[[Rng], Crop], ...] = (
            lambda rng: self._at_arrival(_one(self._events, rng), rng),
            lambda rng: self._anywhere(_one(self._noise, rng), rng),
            lambda rng: self._at_arrival(_one(self._busy or self._events, rng), rng),
            lambda rng: self._anywhere(_one(self._continuous or self._noise, rng), rng),
            self._at_false_pick,
        )
        crop = sources[int(rng.choice(len(sources), p=self._options.shares))](rng)
        return self._changed(crop, rng)

    def _at_arrival(self, record: Record, rng: Rng) -> Crop:
        aim = self._objective.aim
        places = aim.of(record.arrivals)
        place = places[int(rng.integers(len(places)))]
        return self._cut(record, round(place - aim.before(rng) * self._width), rng)

    def _anywhere(self, record: Record, rng: Rng) -> Crop:
        spare = record.samples.shape[1] - self._width
        first = min(0, spare) if self._options.embed else 0
        return self._cut(record, int(rng.integers(first, max(1, spare + 1))), rng)

    def _at_false_pick(self, rng: Rng) -> Crop:
        if not self.false_picks:
            return self._anywhere(_one(self._noise, rng), rng)
        record, place = self.false_picks[int(rng.integers(len(self.false_picks)))]
        return self._cut(record, round(place - rng.uniform(*self._objective.aim.again) * self._width), rng)

    def _cut(self, record: Record, start: int, rng: Rng) -> Crop:
        """Cut a crop, perhaps at another pace; where it reaches beyond its record it is laid into noise, or moved."""
        pace = float(np.exp(rng.uniform(-0.35, 0.35))) if rng.random() < self._options.stretch else 1.0
        taken = round(self._width * pace)
        npts = record.samples.shape[1]
        is_laid = self._options.embed and record.kind != "continuous" and rng.random() < self._options.embed
        if is_laid:
            start = int(np.clip(start, 1 - taken, npts - 1))
        else:
            start = int(np.clip(start, 0, npts - taken)) if npts >= taken else -int(rng.integers(0, taken - npts + 1))
        crop = self._laid_out(record, start, taken)
        if is_laid:
            self._beds.lay_around(crop, record, (max(-start, 0), min(npts - start, taken)), rng)
        piece = crop.samples
        if taken != self._width:
            old, new = np.arange(taken), np.linspace(0, taken - 1, self._width)
            piece = np.stack([np.interp(new, old, row) for row in piece]).astype(np.float32)
        scale = (self._width - 1) / (taken - 1)
        arrivals = [(phase, place * scale) for phase, place in crop.arrivals]
        return Crop(piece, arrivals, [(phase, a * scale, b * scale) for phase, a, b in crop.unknown])

    @staticmethod
    def _laid_out(record: Record, start: int, width: int) -> Crop:
        """The samples of a record from `start` on, as far as there are any, between silence."""
        low, high = max(start, 0), min(start + width, record.samples.shape[1])
        crop = Crop(
            np.zeros((len(record.samples), width), np.float32),
            [(phase, place - start) for phase, place in record.arrivals],
            [(phase, a - start, b - start) for phase, a, b in record.unknown],
        )
        crop.samples[:, low - start : high - start] = record.samples[:, low:high]
        return crop

    def _changed(self, crop: Crop, rng: Rng) -> Crop:
        chance, dice = self._options, rng.random(13)
        if dice[0] < chance.superpose_event:
            self._add(crop, self._at_arrival(_one(self._events, rng), rng), 10 ** rng.uniform(-1.0, 0.3))
        if dice[1] < chance.superpose_noise and self._noise:
            self._add(crop, self._anywhere(_one(self._noise, rng), rng), 10 ** rng.uniform(-2.0, 0.3))
        x = crop.samples
        if dice[2] < chance.white_noise:
            level = _level(x) * 10 ** rng.uniform(-2.5, 0.0, (len(x), 1))
            x += (level * rng.standard_normal(x.shape)).astype(np.float32)
        if dice[3] < chance.narrow_band:
            corner = rng.uniform(0.05 * self._rate, 0.2 * self._rate)
            sos = signal.butter(4, corner, "lowpass", fs=self._rate, output="sos")
            x[:] = signal.sosfilt(sos, x, axis=1)
        if dice[4] < chance.glitch:
            self._add_glitch(x, rng)
        if dice[12] < chance.burst:
            self._add_burst(crop, rng)
        self._change_components(x, dice, rng)
        self._change_sensor(crop, dice, rng)
        return crop

    def _change_sensor(self, crop: Crop, dice: npt.NDArray[np.float64], rng: Rng) -> None:
        """It clips, counts coarsely, has been on for a few seconds, is not levelled."""
        chance, x = self._options, crop.samples
        if dice[5] < chance.clip:
            limit = np.abs(x).max() * rng.uniform(0.1, 0.7)
            np.clip(x, -limit, limit, out=x)
        if dice[6] < chance.coarse_counts:
            count = max(float(np.abs(x).max()) / rng.uniform(3.0, 100.0), 1e-12)
            x[:] = np.round(x / count)
        if dice[7] < chance.starts_late:
            self._silence(crop, int(rng.integers(1, self._width // 2)))
        if chance.offset and rng.random() < chance.offset:
            x += (_level(x) * rng.normal(size=(len(x), 1)) * 10 ** rng.uniform(-1.0, 2.0)).astype(np.float32)

    def _silence(self, crop: Crop, first: int) -> None:
        """Nothing comes before sample `first`; of an arrival there a coda is left, which is neither that nor noise."""
        crop.samples[:, :first] = 0
        lost = [place for _, place in crop.arrivals if place < first]
        crop.arrivals = [each for each in crop.arrivals if each[1] >= first]
        crop.unknown += [(None, place - self._rate, first + self._rate) for place in lost]

    def _add(self, crop: Crop, other: Crop, ratio: float) -> None:
        """Lay another crop over this one, `ratio` times as strong; its weak arrivals are not to be learnt."""
        factor = ratio * _level(crop.samples) / max(_level(other.samples), 1e-12)
        crop.samples += np.float32(factor) * other.samples
        if ratio >= 0.25:
            crop.arrivals += other.arrivals
        else:
            reach = self._rate
            crop.unknown += [(None, place - reach, place + reach) for _, place in other.arrivals]
        crop.unknown += other.unknown

    def _change_components(self, x: Float32, dice: npt.NDArray[np.float64], rng: Rng) -> None:
        chance = self._options
        flat = [index for index in range(len(x)) if index != self._vertical]
        if len(flat) == 2 and dice[8] < chance.turn:  # the same event from another azimuth
            angle = rng.uniform(0, 2 * np.pi)
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
            x[flat] = turn @ x[flat]
        x *= rng.choice((-1.0, 1.0), (len(x), 1)).astype(np.float32)
        if dice[9] < chance.drop_horizontals:
            x[flat] = 0
        elif dice[10] < chance.drop_one and flat:
            x[int(rng.integers(len(x)))] = 0
        elif dice[11] < chance.swap:
            x[:] = x[rng.permutation(len(x))]

    def _add_glitch(self, x: Float32, rng: Rng) -> None:
        """Add what is no earthquake: a spike, a step that a high-pass lets decay, a burst of one frequency."""
        place, level = int(rng.integers(0, self._width)), _level(x) * 10 ** rng.uniform(0.3, 1.7)
        rest = np.arange(self._width - place)
        kind = int(rng.integers(3))
        if kind == 0:
            shape = (rest < rng.integers(1, 6)).astype(np.float64)
        elif kind == 1:
            shape = np.exp(-rest / (self._rate * rng.uniform(0.05, 0.5)))
        else:
            envelope = np.exp(-(((rest - rest.size / 3) / (0.2 * rest.size + 1)) ** 2))
            frequency = rng.uniform(0.01 * self._rate, 0.2 * self._rate)
            shape = envelope * np.sin(2 * np.pi * frequency * rest / self._rate)
        which = rng.random(len(x)) < 0.6
        x[which, place:] += np.float32(level) * shape.astype(np.float32)

    def _add_burst(self, crop: Crop, rng: Rng) -> None:
        """Traffic, steps, wind: noise of a band that swells and fades, and is no arrival; where there is none."""
        x, at, t = crop.samples, rng.uniform(0, self._width), np.arange(self._width)
        rise, fall = (rng.uniform(*each) * self._rate for each in ((0.7, 5.0), (0.7, 8.0)))
        if any(-3 * rise < place - at < 2 * fall for _, place in crop.arrivals):
            return
        low = 10 ** rng.uniform(0.0, 1.2) * (self._rate / 100)
        band = signal.butter(2, (low, low * rng.uniform(1.5, 2.5)), "bandpass", fs=self._rate, output="sos")
        noise = signal.sosfilt(band, rng.standard_normal(x.shape), axis=1)
        envelope = np.exp(-(((t - at) / np.where(t < at, rise, fall)) ** 2))
        strength = _level(x) * 10 ** rng.uniform(-0.5, 0.7) * rng.uniform(0.3, 1.0, (len(x), 1)) / noise.std()
        x += (strength * envelope * noise).astype(np.float32)


def _one(records: list[Record], rng: Rng) -> Record:
    return records[int(rng.integers(len(records)))]


def _level(x: Float32) -> float:
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))
