"""How a new network begins that tells onsets from noise sample by sample: it says that an onset is rare, everywhere.

A head of random weights calls half of all samples an onset, and of a deep network without a last normalisation it does
so with scores of any size: hundreds of steps go by before the loss is that of a network that knows nothing. A bias that
says how many samples are an onset's begins there (Lin et al., "Focal loss for dense object detection", 2017, section
3.3), with weights of zero in front of it, as residual networks are begun (Goyal et al., 2017; Zhang et al., 2019).
"""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

from torch import nn

from seisedge.edge.manifest import Manifest

from .objective_samples import OUTSIDE
from .registry import Model
from .train_options import TrainOptions

_MOST = 1 / 3  # as much as the noise: examples may be as short as an onset


@runtime_checkable
class Expecting(Protocol):
    """A network whose head can be set to one guess."""

    def expect(self, share: float) -> None:
        """Let the head say for every sample that it is an onset's with the probability `share`, by phase."""
        ...


def begin(model: Model, manifest: Manifest, options: TrainOptions) -> nn.Module:
    """Build a network to be trained; one that can expect, expects what its examples hold."""
    network = model.build()
    if isinstance(network, Expecting):
        network.expect(onset_share(manifest, options))
    return network


def onset_share(manifest: Manifest, options: TrainOptions) -> float:
    """Weight of an onset's samples in that of all, on average over the phases and over examples.

    A Gaussian's area, or beside time offsets all samples within their reach, in those examples that are cut at one.
    """
    examples = options.examples
    at_arrival = (examples.shares[0] + examples.shares[2]) / options.width_for(manifest)
    reaches = [each.time_offset_scale for each in manifest.outputs if each.time_offset_scale]
    if reaches:
        inside = min(1.0, at_arrival * (2 * reaches[0] + 1))
        return min(_MOST, inside / (inside + OUTSIDE * (1 - inside)))
    widths = [examples.label_widths_s[phase] * manifest.sampling_rate for phase in manifest.picked_labels]
    return min(_MOST, at_arrival * math.sqrt(2 * math.pi) * sum(widths) / len(widths))
