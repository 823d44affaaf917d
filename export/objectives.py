"""What a model is to learn: its targets, their loss, and the probabilities by which it picks, by kind of output.

The kind is read from the manifest, never from the model's name. Targets are made where examples are drawn, by NumPy;
losses are torch's. A network's method `logits` gives what the losses want: see each objective.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import nn

from seisedge.edge.manifest import Manifest

from .crops import Aim, Crop, Float32
from .objective_samples import SampleObjective, Scores
from .objective_windows import EventObjective, ReferenceObjective
from .records import Record
from .train_options import ExampleOptions


class Loss(Protocol):
    """How far a network is from its targets."""

    @property
    def scale(self) -> float:
        """By what the loss is multiplied, so that one learning rate suits all."""
        ...

    def scores(self, module: nn.Module, inputs: torch.Tensor) -> Scores:
        """Run a network for its loss."""
        ...

    def loss(self, scores: Scores, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Give the loss of a batch, averaged over what has a weight."""
        ...

    def taught(self, scores: Scores, said: list[Scores]) -> torch.Tensor:
        """Give the loss against the mean of what teachers say."""
        ...


class Objective(Loss, Protocol):
    """Targets and loss of what is picked or detected.

    Attributes
    ----------
    aim
        Where crops are cut.
    margin
        Samples at a window's ends in which no pick is called false; None where a window says one thing as a whole.
    reference
        The sample that it says it of.
    """

    aim: Aim
    margin: int | None
    reference: int

    def target(self, crop: Crop) -> tuple[Float32, Float32]:
        """Give the target of a crop and its weight, with axes to multiply them; 0 where nothing is known."""
        ...

    def probability(self, scores: Scores) -> torch.Tensor:
        """Give (window, what is picked, sample), or (window, what is picked, 1) of the reference sample."""
        ...

    def is_known(self, record: Record, at: int) -> bool:
        """Whether something is there to be picked, or may be."""
        ...


def objective_of(manifest: Manifest, options: ExampleOptions) -> Objective:
    """Choose by the first output: values per sample, classes at a reference sample, classes of the whole window."""
    output = manifest.outputs[0]
    if output.kind == "sample_probability":
        return SampleObjective(manifest, options)
    if output.reference_sample is not None:
        return ReferenceObjective(manifest, options)
    return EventObjective(manifest, options)
