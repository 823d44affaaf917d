"""Classes per window: of the phase at its reference sample, or of whether it holds an event."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from seisedge.edge.manifest import Manifest

from .crops import Aim, Crop, Float32
from .objective_samples import FAR_S, is_near, logits, only
from .records import Record

if TYPE_CHECKING:
    from .train_options import ExampleOptions

Scores = torch.Tensor | tuple[torch.Tensor, ...]

_FAR_SHARE = 1 / 3


def _averaged(errors: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Mean over the windows of which something is known; errors (B,), weights (B, 1)."""
    return (errors * weights[:, 0]).sum() / weights.sum().clamp(min=1)


class ReferenceObjective:
    """The phase whose onset is at the reference sample.

    The target is soft: the probability of a phase falls off with the distance of its onset as a Gaussian, so that
    the trained curve peaks at the onset; "noise" takes the rest. Crops are cut so that most have an arrival near
    their reference sample, and a third lies anywhere about it.
    """

    scale = 1.0
    margin: int | None = None

    def __init__(self, manifest: Manifest, options: ExampleOptions) -> None:
        output, self._phases = manifest.outputs[0], manifest.picked_labels
        self._labels, self._rate = output.labels, manifest.sampling_rate
        self.reference = output.reference_sample or 0
        self._widths = {phase: options.label_widths_s[phase] * self._rate for phase in self._phases}
        width, near = manifest.window_samples, options.near_s * self._rate
        about = ((self.reference - near) / width, (self.reference + near) / width)
        self.aim = Aim(near=about, again=about, far=(-3.0, 3.0), far_share=_FAR_SHARE)

    def target(self, crop: Crop) -> tuple[Float32, Float32]:
        """Give target (label,) and weight (1,)."""
        target = np.zeros(len(self._labels), np.float32)
        is_known = not any(start <= self.reference <= stop for _, start, stop in crop.unknown)
        for phase, place in crop.arrivals:
            if phase in self._phases:
                away = (place - self.reference) / self._widths[phase]
                is_known |= abs(away) < 4
                row = self._labels.index(phase)
                target[row] = max(target[row], np.exp(-(away**2) / 2))
        target /= max(1.0, float(target.sum()))
        (rest,) = (each for each in range(len(self._labels)) if self._labels[each] not in self._phases)
        target[rest] = 1 - target.sum()
        return target, np.array([is_known], np.float32)

    def scores(self, module: nn.Module, inputs: torch.Tensor) -> Scores:
        """Give what `logits` gives, (B, label)."""
        return logits(module, inputs)

    def loss(self, scores: Scores, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Cross-entropy."""
        return _averaged(functional.cross_entropy(only(scores), targets, reduction="none"), weights)

    def taught(self, scores: Scores, said: list[Scores]) -> torch.Tensor:
        """Cross-entropy with the mean of the teachers' probabilities."""
        mean = torch.stack([torch.softmax(only(each), dim=1) for each in said]).mean(dim=0)
        return functional.cross_entropy(only(scores), mean)

    def probability(self, scores: Scores) -> torch.Tensor:
        """(B, phase, 1)."""
        rows = [self._labels.index(each) for each in self._phases]
        return torch.softmax(only(scores), dim=1)[:, rows, None]

    def is_known(self, record: Record, at: int) -> bool:
        """Whether a sample of a record is near an arrival, or where nothing is known."""
        return is_near(record, at, FAR_S * self._rate)


class EventObjective:
    """Whether the window holds an event, by DeepQuake's rules: see `ExampleOptions`.

    Only this is learnt: the classes that are events (regions) share its probability as they like, since no catalogue
    says here which region an event is of. The runtime adds them up.
    """

    scale = 1.0
    margin: int | None = None

    def __init__(self, manifest: Manifest, options: ExampleOptions) -> None:
        labels, events = manifest.outputs[0].labels, manifest.picked_labels
        self._events = [labels.index(each) for each in events]
        self._others = [row for row in range(len(labels)) if row not in self._events]
        rate, self._width = manifest.sampling_rate, manifest.window_samples
        self._half = min(options.pwave_window_s * rate / 2, self._width / 4)
        self._before, self._after = options.avoid_before_s * rate, options.avoid_after_s * rate
        share = self._half / self._width
        self.aim = Aim(near=(share, 1 - share), again=(0.02, 0.98), phases=("P",))
        self.reference = self._width // 2

    def target(self, crop: Crop) -> tuple[Float32, Float32]:
        """Give target (1,), 1 for an event, and weight (1,)."""
        places = [place for phase, place in crop.arrivals if phase == "P"]
        is_event = any(self._half <= place <= self._width - self._half for place in places)
        return np.array([is_event], np.float32), np.array([is_event or self._is_quiet(crop)], np.float32)

    def _is_quiet(self, crop: Crop) -> bool:
        """Whether the window surely holds nothing of an event."""
        if any(start < self._width and stop > 0 for _, start, stop in crop.unknown):
            return False
        return not any(-self._after < place < self._width + self._before for _, place in crop.arrivals)

    def scores(self, module: nn.Module, inputs: torch.Tensor) -> Scores:
        """Give what `logits` gives, (B, class)."""
        return logits(module, inputs)

    def loss(self, scores: Scores, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of event and no event."""
        errors = functional.binary_cross_entropy_with_logits(self._margin(scores), targets[:, 0], reduction="none")
        return _averaged(errors, weights)

    def taught(self, scores: Scores, said: list[Scores]) -> torch.Tensor:
        """Cross-entropy with the mean of the teachers' probabilities of an event."""
        mean = torch.stack([torch.sigmoid(self._margin(each)) for each in said]).mean(dim=0)
        return functional.binary_cross_entropy_with_logits(self._margin(scores), mean)

    def probability(self, scores: Scores) -> torch.Tensor:
        """(B, 1, 1)."""
        return torch.sigmoid(self._margin(scores))[:, None, None]

    def _margin(self, scores: Scores) -> torch.Tensor:
        """Logarithm of the odds of an event, (B,)."""
        found = only(scores)
        return found[:, self._events].logsumexp(dim=1) - found[:, self._others].logsumexp(dim=1)

    def is_known(self, record: Record, at: int) -> bool:
        """Whether a window about `at` holds an event, or may."""
        start = at - self.reference
        arrivals = [(phase, place - start) for phase, place in record.arrivals]
        unknown = [(phase, low - start, high - start) for phase, low, high in record.unknown]
        target, weight = self.target(Crop(record.samples, arrivals, unknown))
        return bool(target[0]) or not weight[0]
