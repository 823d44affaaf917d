"""Looks at what is held out: the best state is kept, and a training that gets no better ends."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from .objectives import Loss
from .train_options import TrainOptions

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
Best = tuple[dict[str, torch.Tensor] | None, float, int]


class Looks:
    """What the looks at held-out examples have found.

    Parameters
    ----------
    draw
        Gives the examples that are looked at, the same at every look; None where nothing is held out.

    Attributes
    ----------
    best
        Weights, loss and step of the best look so far; None, infinity and 0 before the first.
    """

    def __init__(
        self, loss: Loss, draw: Callable[[], list[Batch]] | None, options: TrainOptions, device: torch.device
    ) -> None:
        self._loss, self._draw, self._options, self._device = loss, draw, options, device
        self._batches: list[Batch] = []
        self.best: Best = (None, float("inf"), 0)

    @torch.inference_mode()
    def look(self, module: nn.Module, step: int) -> dict[str, float]:
        """Give the loss of a network on what is held out, every `check_every` steps and at the last; else nothing."""
        every = self._options.check_every
        if self._draw is None or not every or (step % every and step != self._options.steps):
            return {}
        self._batches = self._batches or self._draw()
        loss = float(np.mean([self._of(module.eval(), *batch) for batch in self._batches])) * self._loss.scale
        if loss < self.best[1]:
            self.best = {name: each.detach().clone() for name, each in module.state_dict().items()}, loss, step
        return {"validation_loss": loss}

    def _of(self, module: nn.Module, inputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> float:
        scores = self._loss.scores(module, inputs)
        return float(self._loss.loss(scores, targets.to(self._device), weights.to(self._device)))

    def is_done(self, step: int) -> bool:
        """Whether nothing better was found for `patience` looks since half of the steps; never where there are none.

        Before that the learning rate is high: it is its fall that brings the best state, and it falls with the steps.
        """
        options = self._options
        if self._draw is None or not options.check_every or not options.patience:
            return False
        return step - max(self.best[2], options.steps // 2) >= options.patience * options.check_every
