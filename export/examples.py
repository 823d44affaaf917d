"""Training examples of a picker: crops of records, changed as other sensors, sites and distances would change them.

What is drawn keeps to physics: two events may overlap, horizontals may be turned, a sensor may be deaf on a component,
clip, count coarsely or have a narrow band; a polarity or a gain says nothing. Nothing is tapered, since a stream is
not. The labels of an example are Gaussians about its onsets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import signal

from .records import Record

Float32 = npt.NDArray[np.float32]
Rng = np.random.Generator


@dataclass(frozen=True)
class ExampleOptions:
    """How examples are drawn; probabilities unless said otherwise.

    Attributes
    ----------
    label_widths_s
        Standard deviation of the target about an onset, by phase: an S is seldom known as well as a P.
    shares
        Of the examples: crops at arrivals of labelled windows; of noise windows; of continuous data at an arrival;
        of continuous data anywhere; at false picks of an earlier state of the network.
    """

    label_widths_s: dict[str, float] = field(default_factory=lambda: {"P": 0.1, "S": 0.1})
    shares: tuple[float, float, float, float, float] = (0.5, 0.12, 0.13, 0.15, 0.1)
    stretch: float = 0.3
    superpose_event: float = 0.25
    superpose_noise: float = 0.35
    white_noise: float = 0.25
    turn: float = 0.5
    drop_horizontals: float = 0.12
    drop_one: float = 0.05
    swap: float = 0.05
    clip: float = 0.03
    coarse_counts: float = 0.08
    narrow_band: float = 0.15
    glitch: float = 0.12
    burst: float = 0.0
    starts_late: float = 0.04


@dataclass
class _Crop:
    """An example on its way: samples (component, width), arrivals and spans of which nothing is known."""

    samples: Float32
    arrivals: list[tuple[str, float]]
    unknown: list[tuple[str | None, float, float]]


class ExampleMaker:
    """Draws examples.

    Parameters
    ----------
    records
        What to draw from.
    width, rate
        Samples of an example, and per second.
    labels
        Phases, in the order of the targets.
    vertical
        Place of the vertical component.
    """

    def __init__(
        self,
        records: tuple[Record, ...],
        options: ExampleOptions,
        *,
        width: int,
        rate: float,
        labels: tuple[str, ...],
        vertical: int,
    ) -> None:
        self._options, self._width, self._rate, self._labels = options, width, rate, labels
        self._vertical = vertical
        self._events = [each for each in records if each.kind == "event"]
        self._noise = [each for each in records if each.kind == "noise"]
        self._continuous = [each for each in records if each.kind == "continuous"]
        self._busy = [each for each in self._continuous if each.arrivals]
        self.false_picks: list[tuple[Record, int]] = []
        """Where the network picked what is nothing: (record, sample)."""

    def batch(self, count: int, rng: Rng) -> tuple[Float32, Float32, Float32]:
        """Give samples (example, component, sample), targets and weights (example, phase, sample)."""
        crops = [self._draw(rng) for _ in range(count)]
        targets = np.stack([self._target(each) for each in crops])
        weights = np.stack([self._weight(each) for each in crops])
        return np.stack([each.samples for each in crops]), targets, weights

    def _draw(self, rng: Rng) -> _Crop:
        sources: tuple[Callable[[Rng], _Crop], ...] = (
            lambda rng: self._at_arrival(_one(self._events, rng), rng),
            lambda rng: self._anywhere(_one(self._noise, rng), rng),
            lambda rng: self._at_arrival(_one(self._busy or self._events, rng), rng),
            lambda rng: self._anywhere(_one(self._continuous or self._noise, rng), rng),
            self._at_false_pick,
        )
        crop = sources[int(rng.choice(len(sources), p=self._options.shares))](rng)
        return self._changed(crop, rng)

    def _at_arrival(self, record: Record, rng: Rng) -> _Crop:
        place = record.arrivals[int(rng.integers(len(record.arrivals)))][1]
        return self._cut(record, round(place - rng.uniform(-0.05, 1.0) * self._width), rng)

    def _anywhere(self, record: Record, rng: Rng) -> _Crop:
        return self._cut(record, int(rng.integers(0, max(1, record.samples.shape[1] - self._width + 1))), rng)

    def _at_false_pick(self, rng: Rng) -> _Crop:
        if not self.false_picks:
            return self._anywhere(_one(self._noise, rng), rng)
        record, place = self.false_picks[int(rng.integers(len(self.false_picks)))]
        return self._cut(record, round(place - rng.uniform(0.02, 0.98) * self._width), rng)

    def _cut(self, record: Record, start: int, rng: Rng) -> _Crop:
        """Cut a crop, within the record as far as that goes, perhaps at another pace; what is missing is silence."""
        pace = float(np.exp(rng.uniform(-0.35, 0.35))) if rng.random() < self._options.stretch else 1.0
        taken = round(self._width * pace)
        npts = record.samples.shape[1]
        start = int(np.clip(start, 0, npts - taken)) if npts >= taken else -int(rng.integers(0, taken - npts + 1))
        piece = np.zeros((len(record.samples), taken), np.float32)
        low, high = max(start, 0), min(start + taken, npts)
        piece[:, low - start : high - start] = record.samples[:, low:high]
        if taken != self._width:
            old, new = np.arange(taken), np.linspace(0, taken - 1, self._width)
            piece = np.stack([np.interp(new, old, row) for row in piece]).astype(np.float32)
        scale = (self._width - 1) / (taken - 1)
        arrivals = [(phase, (place - start) * scale) for phase, place in record.arrivals]
        unknown = [(phase, (a - start) * scale, (b - start) * scale) for phase, a, b in record.unknown]
        return _Crop(piece, arrivals, unknown)

    def _changed(self, crop: _Crop, rng: Rng) -> _Crop:
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
            sos = signal.butter(4, rng.uniform(5.0, 20.0), "lowpass", fs=self._rate, output="sos")
            x[:] = signal.sosfilt(sos, x, axis=1)
        if dice[4] < chance.glitch:
            self._add_glitch(x, rng)
        if dice[12] < chance.burst:
            self._add_burst(crop, rng)
        self._change_components(x, dice, rng)
        if dice[5] < chance.clip:
            limit = np.abs(x).max() * rng.uniform(0.1, 0.7)
            np.clip(x, -limit, limit, out=x)
        if dice[6] < chance.coarse_counts:
            count = max(float(np.abs(x).max()) / rng.uniform(3.0, 100.0), 1e-12)
            x[:] = np.round(x / count)
        if dice[7] < chance.starts_late:
            x[:, : int(rng.integers(1, self._width // 2))] = 0
        return crop

    def _add(self, crop: _Crop, other: _Crop, ratio: float) -> None:
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
        elif dice[10] < chance.drop_one:
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
            shape = envelope * np.sin(2 * np.pi * rng.uniform(1.0, 20.0) * rest / self._rate)
        which = rng.random(len(x)) < 0.6
        x[which, place:] += np.float32(level) * shape.astype(np.float32)

    def _add_burst(self, crop: _Crop, rng: Rng) -> None:
        """Traffic, steps, wind: noise of a band that swells and fades, and is no arrival; where there is none."""
        x, at, t = crop.samples, rng.uniform(0, self._width), np.arange(self._width)
        rise, fall = (rng.uniform(*each) * self._rate for each in ((0.7, 5.0), (0.7, 8.0)))
        if any(-3 * rise < place - at < 2 * fall for _, place in crop.arrivals):
            return
        low = 10 ** rng.uniform(0.0, 1.2)
        band = signal.butter(2, (low, low * rng.uniform(1.5, 2.5)), "bandpass", fs=self._rate, output="sos")
        noise = signal.sosfilt(band, rng.standard_normal(x.shape), axis=1)
        envelope = np.exp(-(((t - at) / np.where(t < at, rise, fall)) ** 2))
        strength = _level(x) * 10 ** rng.uniform(-0.5, 0.7) * rng.uniform(0.3, 1.0, (len(x), 1)) / noise.std()
        x += (strength * envelope * noise).astype(np.float32)

    def _target(self, crop: _Crop) -> Float32:
        target = np.zeros((len(self._labels), self._width), np.float32)
        for phase, place in crop.arrivals:
            sigma = self._sigma(phase)
            low, high = max(0, round(place - 4 * sigma)), min(self._width, round(place + 4 * sigma) + 1)
            if low < high and phase in self._labels:
                bump = np.exp(-(((np.arange(low, high) - place) / sigma) ** 2) / 2)
                row = target[self._labels.index(phase), low:high]
                np.maximum(row, bump, out=row)
        return target

    def _sigma(self, phase: str) -> float:
        """Width of a target, samples."""
        return self._options.label_widths_s[phase] * self._rate

    def _weight(self, crop: _Crop) -> Float32:
        weight = np.ones((len(self._labels), self._width), np.float32)
        for phase, start, stop in crop.unknown:
            rows = slice(None) if phase is None else self._labels.index(phase)
            weight[rows, max(0, round(start)) : max(0, round(stop))] = 0
        for phase, place in crop.arrivals:  # what is known is known
            if phase in self._labels:
                reach = 4 * self._sigma(phase)
                weight[self._labels.index(phase), max(0, round(place - reach)) : max(0, round(place + reach))] = 1
        return weight


def _one(records: list[Record], rng: Rng) -> Record:
    return records[int(rng.integers(len(records)))]


def _level(x: Float32) -> float:
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))
