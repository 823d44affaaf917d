"""A small trainer for models that give one probability per class and window.

Each example is a crop of a labelled window, cut where the epoch's random numbers say and brought through the
runtime's own window steps. Its target is soft: the probability of a phase falls off with the distance of its
onset from the reference sample as a Gaussian, so that the trained curve peaks at the onset.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from seisedge.edge.manifest import Manifest
from seisedge.edge.preprocess import Preprocess

from .dataset import LabelledSet, LabelledWindow

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class TrainOptions:
    """Everything that the result depends on, besides data and versions.

    Attributes
    ----------
    label_width_s
        Standard deviation of the target around an onset.
    guard_s
        Crops called noise keep this far from arrivals that are not labelled as P or S.
    near_s
        Crops at an onset are cut up to this far off it.
    """

    seed: int = 0
    epochs: int = 60
    crops_per_window: int = 12
    batch: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    average: float = 0.999
    label_width_s: float = 0.1
    guard_s: float = 1.0
    near_s: float = 0.6
    superpose: float = 0.25
    drop_horizontals: float = 0.1


class CropMaker:
    """Cuts labelled crops for one epoch after the other.

    Parameters
    ----------
    windows
        What to cut from.
    manifest
        Window length, rate, labels and reference sample.
    """

    def __init__(self, windows: tuple[LabelledWindow, ...], manifest: Manifest, options: TrainOptions) -> None:
        self._width = manifest.window_samples
        self._rate = manifest.sampling_rate
        self._labels = manifest.outputs[0].labels
        self._reference = manifest.outputs[0].reference_sample or 0
        self._vertical = manifest.components.order.index("Z")
        self._options = options
        self._windows = [each for each in windows if each.samples.shape[1] >= self._width]
        self._events = [each for each in self._windows if each.arrivals]

    def epoch(self, rng: np.random.Generator) -> tuple[Float32, Float32]:
        """Crops (crop, component, sample), with augmentation, and their targets (crop, label), in random order."""
        crops: list[Float32] = []
        targets: list[Float32] = []
        for window in self._windows:
            for _ in range(self._options.crops_per_window):
                start = self._draw_start(window, rng)
                target = self.target(window, start)
                if target is None:
                    continue
                crops.append(self._augment(window, start, rng))
                targets.append(target)
        order = rng.permutation(len(crops))
        return np.stack(crops)[order], np.stack(targets)[order]

    def _draw_start(self, window: LabelledWindow, rng: np.random.Generator) -> int:
        """Where to cut: near an onset twice as often as anywhere."""
        last = window.samples.shape[1] - self._width
        if window.arrivals and rng.random() < 2 / 3:
            onset = window.arrivals[str(rng.choice(sorted(window.arrivals)))]
            reach = self._options.near_s * self._rate
            start = round(onset - self._reference + rng.uniform(-reach, reach))
            if 0 <= start <= last:
                return start
        return int(rng.integers(0, last + 1))

    def target(self, window: LabelledWindow, start: int) -> Float32 | None:
        """Soft label of a crop; None where what is at its reference sample is not known."""
        centre = start + self._reference
        guard = self._options.guard_s * self._rate
        if any(abs(other - centre) < guard for other in window.others):
            return None
        if window.unlabelled_from is not None and centre > window.unlabelled_from + guard:
            return None
        sigma = self._options.label_width_s * self._rate
        target = np.zeros(len(self._labels), np.float32)
        for phase, onset in window.arrivals.items():
            target[self._labels.index(phase)] = np.exp(-(((onset - centre) / sigma) ** 2) / 2)
        total = float(target.sum())
        if total > 1:
            target /= total
        target[self._labels.index("noise")] = max(0.0, 1 - total)
        return target

    def _augment(self, window: LabelledWindow, start: int, rng: np.random.Generator) -> Float32:
        """The crop, turned, with another station's noise over it, without its horizontals, as the dice say."""
        crop = window.samples[:, start : start + self._width].copy()
        if rng.random() < self._options.superpose:
            other = self._windows[int(rng.integers(len(self._windows)))]
            if not other.arrivals:
                at = int(rng.integers(0, other.samples.shape[1] - self._width + 1))
                noise = other.samples[:, at : at + self._width]
                level = float(np.abs(crop).max()) / max(float(np.abs(noise).max()), 1e-12)
                crop += noise * np.float32(level * 10 ** rng.uniform(-2, -0.3))
        horizontals = [index for index in range(len(crop)) if index != self._vertical]
        if len(horizontals) == 2 and rng.random() < 0.5:  # the same event from another azimuth
            angle = rng.uniform(0, 2 * np.pi)
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
            crop[horizontals] = turn @ crop[horizontals]
        if rng.random() < self._options.drop_horizontals:
            crop[horizontals] = 0
        return crop * np.float32(rng.choice((-1, 1)))


Progress = Callable[[dict[str, float]], None]


def train(
    module: nn.Module,
    preprocess: Preprocess,
    sets: tuple[LabelledSet, LabelledSet],
    options: TrainOptions,
    *,
    progress: Progress = lambda _: None,
) -> tuple[nn.Module, list[dict[str, float]]]:
    """Fit a network on the first set; the second is only looked at.

    Returns
    -------
    module, curve
        The running average of the weights, which is what is shipped, and one row per epoch. Ctrl-C ends the
        training early and keeps what was learnt.
    """
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    training = CropMaker(sets[0].windows, preprocess.manifest, options)
    validation = CropMaker(sets[1].windows, preprocess.manifest, options).epoch(np.random.default_rng(1))
    checked = _inputs(preprocess, validation[0]), torch.from_numpy(validation[1])
    optimiser = torch.optim.AdamW(module.parameters(), options.learning_rate, weight_decay=options.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, options.learning_rate, total_steps=options.epochs, pct_start=0.1
    )
    average = torch.optim.swa_utils.AveragedModel(
        module,
        multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(options.average),  # type: ignore[no-untyped-call]  # torch
        use_buffers=True,
    )
    curve: list[dict[str, float]] = []
    try:
        for epoch in range(options.epochs):
            began = time.perf_counter()
            loss = _fit_epoch(module, average, optimiser, training.epoch(rng), preprocess, options.batch)
            schedule.step()
            row = {"epoch": epoch + 1.0, "loss": loss, **_check(average.module, *checked)}
            row["seconds"] = round(time.perf_counter() - began, 2)
            curve.append(row)
            progress(row)
    except KeyboardInterrupt:
        if not curve:
            raise
    trained: nn.Module = average.module
    return trained.eval(), curve


def _inputs(preprocess: Preprocess, crops: Float32) -> torch.Tensor:
    """Each crop through the runtime's window steps."""
    built = [preprocess.windows(crop, count=1, stride=1)[0] for crop in crops]
    return torch.from_numpy(np.stack(built))


def _logits(module: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    logits = getattr(module, "logits", None)
    if logits is None:
        raise TypeError(f"{type(module).__name__} has no method logits: it cannot be trained as a classifier")
    scores: torch.Tensor = logits(inputs)
    return scores


def _fit_epoch(
    module: nn.Module,
    average: torch.optim.swa_utils.AveragedModel,
    optimiser: torch.optim.Optimizer,
    examples: tuple[Float32, Float32],
    preprocess: Preprocess,
    batch: int,
) -> float:
    """One pass over an epoch's crops; the mean loss."""
    module.train()
    crops, targets = examples
    total = 0.0
    for at in range(0, len(crops), batch):
        wanted = torch.from_numpy(targets[at : at + batch])
        scores = _logits(module, _inputs(preprocess, crops[at : at + batch]))
        loss = functional.cross_entropy(scores, wanted)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimiser.step()
        average.update_parameters(module)
        total += float(loss.detach()) * len(wanted)
    return total / len(crops)


@torch.inference_mode()
def _check(module: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
    """Loss on crops that were never trained on."""
    module.eval()
    scores = torch.cat([_logits(module, part) for part in torch.split(inputs, 1024)])
    return {"validation_loss": float(functional.cross_entropy(scores, targets))}
