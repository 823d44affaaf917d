"""Probabilities per sample, with time offsets beside them or without: targets about the onsets, and their losses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from seisedge.edge.manifest import Manifest

from .crops import Aim, Crop, Float32
from .records import Record

if TYPE_CHECKING:
    from .train_options import ExampleOptions

Scores = torch.Tensor | tuple[torch.Tensor, ...]

FAR_S = 1.5
"""From an arrival, for a pick to be false."""

_LOSS_SCALE = 50.0  # an onset fills a hundredth of a window
_EDGE = 300
_OFFSETS = 0.4  # of the squared error of the offsets in the loss; upstream sums it over an onset's samples
OUTSIDE = 0.1
"""Weight of the background where there are offsets, as upstream; inside a span it is 1 (upstream 5)."""


class SampleObjective:
    """Values for every sample.

    Where all labels are picked they are independent: a sigmoid each. A label that is not picked, "noise", takes what
    the others leave: a softmax. A target is a Gaussian about the onset. Where the model gives time offsets too, the
    target is 1 as far as these reach on both sides of the onset, and the offset falls from +1 to -1 there, in units
    of the manifest's `time_offset_scale` (PhaseNet of cangyeone; whigg-logs/PhaseNet, utils.py).

    Parameters
    ----------
    manifest
        Labels, rate, length of an example, and whether there are offsets.

    Notes
    -----
    `logits` gives (B, label, sample), or (B, class, label, sample) with the classes absent, present; beside offsets a
    pair of that and (B, label, sample).
    """

    scale = _LOSS_SCALE
    reference = 0

    def __init__(self, manifest: Manifest, options: ExampleOptions) -> None:
        self._labels = manifest.outputs[0].labels
        self._phases = manifest.picked_labels
        self._rate, self._width = manifest.sampling_rate, manifest.window_samples
        self._widths = {phase: options.label_widths_s[phase] * self._rate for phase in self._phases}
        self._is_softmax = len(self._phases) < len(self._labels)
        offsets = next((each for each in manifest.outputs if each.kind == "time_offset"), None)
        self._reach = None if offsets is None else float(offsets.time_offset_scale or 0.0)
        self.aim = Aim(near=(-0.05, 1.0), again=(0.02, 0.98))
        self.margin: int | None = min(_EDGE, self._width // 10)

    def target(self, crop: Crop) -> tuple[Float32, Float32]:
        """Give target and weight, (row, sample): the labels, and behind them the offsets where there are any."""
        weight = self._weight(crop)
        if self._reach is not None:
            offset, inside = self._offsets(crop, self._reach)
            known = weight * np.maximum(inside, OUTSIDE)
            return np.concatenate((inside, offset)), np.concatenate((known, inside * weight))
        target = self._target(crop)
        if self._is_softmax:
            return self._with_rest(target), weight.min(axis=0, keepdims=True)
        return target, weight

    def _target(self, crop: Crop) -> Float32:
        target = np.zeros((len(self._phases), self._width), np.float32)
        for phase, place in crop.arrivals:
            if phase not in self._phases:
                continue
            sigma = self._widths[phase]
            low, high = max(0, round(place - 4 * sigma)), min(self._width, round(place + 4 * sigma) + 1)
            if low < high:
                bump = np.exp(-(((np.arange(low, high) - place) / sigma) ** 2) / 2)
                row = target[self._phases.index(phase), low:high]
                np.maximum(row, bump, out=row)
        return target

    def _weight(self, crop: Crop) -> Float32:
        weight = np.ones((len(self._phases), self._width), np.float32)
        for phase, start, stop in crop.unknown:
            if phase is None or phase in self._phases:
                rows = slice(None) if phase is None else self._phases.index(phase)
                weight[rows, max(0, round(start)) : max(0, round(stop))] = 0
        for phase, place in crop.arrivals:  # what is known is known
            if phase in self._phases:
                reach = 4 * self._widths[phase] if self._reach is None else self._reach
                weight[self._phases.index(phase), max(0, round(place - reach)) : max(0, round(place + reach))] = 1
        return weight

    def _with_rest(self, target: Float32) -> Float32:
        """The phases and what they leave, in the order of the labels; they sum to one."""
        target = target / np.maximum(target.sum(axis=0), 1)
        rest = 1 - target.sum(axis=0)
        rows = [target[self._phases.index(each)] if each in self._phases else rest for each in self._labels]
        return np.stack(rows)

    def _offsets(self, crop: Crop, reach: float) -> tuple[Float32, Float32]:
        """How far the nearest onset is, in units of the manifest, and where it is within reach."""
        samples = np.arange(self._width)
        offset = np.zeros((len(self._phases), self._width), np.float32)
        inside = np.zeros_like(offset)
        for row, phase in enumerate(self._phases):
            places = np.array([place for each, place in crop.arrivals if each == phase])
            if places.size:
                away = places[np.abs(places[:, np.newaxis] - samples).argmin(axis=0)] - samples
                inside[row] = np.abs(away) <= reach
                offset[row] = away / reach * inside[row]
        return offset, inside

    def scores(self, module: nn.Module, inputs: torch.Tensor) -> Scores:
        """Give what `logits` gives."""
        return logits(module, inputs)

    def loss(self, scores: Scores, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Cross-entropy with the labels where they are known, and squared error of the offsets within their reach."""
        if isinstance(scores, torch.Tensor):
            return self._of_labels(scores, targets, weights)
        count = len(self._phases)
        found, offsets = scores
        labelled = self._of_labels(_margin(found), targets[:, :count], weights[:, :count])
        inside = weights[:, count:]
        errors = ((offsets - targets[:, count:]) ** 2 * inside).sum() / inside.sum().clamp(min=1)
        return labelled + _OFFSETS * errors

    def _of_labels(self, scores: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        if self._is_softmax:
            return (functional.cross_entropy(scores, targets, reduction="none") * weights[:, 0]).mean()
        errors = functional.binary_cross_entropy_with_logits(scores, targets, reduction="none")
        return (errors * weights).mean()

    def taught(self, scores: Scores, said: list[Scores]) -> torch.Tensor:
        """Cross-entropy with the mean of the teachers' probabilities, everywhere; offsets where these are large."""
        first = _of_labels_alone(scores)
        if self._is_softmax:
            mean = torch.stack([torch.softmax(_of_labels_alone(each), dim=1) for each in said]).mean(dim=0)
            return functional.cross_entropy(first, mean)
        mean = torch.stack([torch.sigmoid(_of_labels_alone(each)) for each in said]).mean(dim=0)
        taught = functional.binary_cross_entropy_with_logits(first, mean)
        if isinstance(scores, torch.Tensor):
            return taught
        offset = torch.stack([each[1] for each in said]).mean(dim=0)
        errors = ((scores[1] - offset) ** 2 * mean).sum() / mean.sum().clamp(min=1)
        return taught + _OFFSETS * errors

    def probability(self, scores: Scores) -> torch.Tensor:
        """(B, phase, sample)."""
        if self._is_softmax:
            rows = [self._labels.index(each) for each in self._phases]
            return torch.softmax(_of_labels_alone(scores), dim=1)[:, rows]
        return torch.sigmoid(_margin(scores if isinstance(scores, torch.Tensor) else scores[0]))

    def is_known(self, record: Record, at: int) -> bool:
        """Whether a sample of a record is near an arrival, or where nothing is known."""
        return is_near(record, at, FAR_S * self._rate)


def logits(module: nn.Module, inputs: torch.Tensor) -> Scores:
    """Give the values before the softmax or the sigmoid."""
    found = getattr(module, "logits", None)
    if found is None:
        raise TypeError(f"{type(module).__name__} has no method logits: it cannot be trained")
    scores: Scores = found(inputs)
    return scores


def only(scores: Scores) -> torch.Tensor:
    """Give the one output of a network that has but one."""
    if not isinstance(scores, torch.Tensor):
        raise TypeError("found several outputs, wanted classes alone")
    return scores


def is_near(record: Record, at: int, far: float) -> bool:
    """Whether a sample is within `far` of an arrival, or where nothing is known."""
    if any(abs(at - place) < far for _, place in record.arrivals):
        return True
    return any(start <= at <= stop for _, start, stop in record.unknown)


def _margin(scores: torch.Tensor) -> torch.Tensor:
    """Two classes, absent and present, are one value: a sigmoid of the difference equals their softmax."""
    return scores[:, 1] - scores[:, 0] if scores.dim() == 4 else scores


def _of_labels_alone(scores: Scores) -> torch.Tensor:
    return _margin(scores if isinstance(scores, torch.Tensor) else scores[0])
