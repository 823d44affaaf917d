"""Waveforms: the squared error."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from .objective_samples import Scores, only


class WaveformObjective:
    """Mean squared error over all samples; nothing is picked, and there are no labels to cut crops at."""

    scale = 1.0

    def scores(self, module: nn.Module, inputs: torch.Tensor) -> Scores:
        """Give the waveforms, (B, sample, label)."""
        waveforms: torch.Tensor = module(inputs)
        return waveforms

    def loss(self, scores: Scores, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Give the mean of the squared error, of what has a weight."""
        return (functional.mse_loss(only(scores), targets, reduction="none") * weights).mean()

    def taught(self, scores: Scores, said: list[Scores]) -> torch.Tensor:
        """Give the mean squared distance from the mean of the teachers' waveforms."""
        return functional.mse_loss(only(scores), torch.stack([only(each) for each in said]).mean(dim=0))
