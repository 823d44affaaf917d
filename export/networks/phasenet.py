"""PhaseNet (cangyeone): when P and S arrive, for every sample of a window; four networks in two forms each.

Input float32 (B, channels, 3000): 10 Hz, E, N, Z or Z alone, each divided by its standard deviation. Any length
will do in torch (for UNet a multiple of 8); an exported graph has a fixed one.

- Three components, `PhaseNet`: two binary classifiers and two regressors per sample. Outputs, in this order,
  probability (B, sample, 2) and offset (B, sample, 2), both P, S. The offset's target falls from +1 to -1 over the
  400 raw samples (100 Hz) around the onset, so that onset = sample + 20 offset at 10 Hz.
- One component, `PhaseNetZ`: probability (B, sample, 3), a softmax over noise, P, S.

Moving averages serve every batch normalisation at inference, so a window does not depend on its batch.

`inception`, `brnn`, `wavenet` and `unet` build them. Sources: the layer tables of whigg-logs/PhaseNet for
three components; for one component, where no code was published, the networks that its README's numbers of
parameters describe (229,283; 476,195; 2,715,651), and for UNet, whose number there is WaveNet's, the same
backbone with one channel. What those numbers leave open is said where it is chosen: `PlainCnn`, `ONE_COMPONENT`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from seisedge.export.errors import NetworkError

from .phasenet_blocks import Backbone, same_conv
from .phasenet_brnn import ONE_COMPONENT, THREE_COMPONENTS, Brnn
from .phasenet_inception import Inception, PlainCnn
from .phasenet_unet import UNet
from .phasenet_wavenet import WaveNet

PHASES = ("P", "S")
"""The last axis of both outputs of `PhaseNet`."""
LABELS_Z = ("noise", "P", "S")
"""The last axis of the output of `PhaseNetZ`."""
OUTPUTS = ("probability", "offset")
"""The outputs of `PhaseNet`, in order; `PhaseNetZ` has the first alone."""

HEAD_TAPS = 3


class PhaseNet(nn.Module):
    """A backbone and four heads: (B, 3, sample) to probability and offset, each (B, sample, 2) in order P, S.

    Upstream's four convolutions (not P, P; not S, S; offset of P; offset of S) are one of six filters here, the
    same arithmetic in one pass: `HEADS` names its filters.
    """

    HEADS = ("not P", "not S", "P", "S", "offset P", "offset S")

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.heads = same_conv(backbone.width, len(self.HEADS), HEAD_TAPS)

    def expect(self, share: float) -> None:
        """Let the heads say everywhere, with this probability, that an onset is within reach; offsets are zero."""
        half = math.log(share / (1 - share)) / 2
        nn.init.zeros_(self.heads.weight)
        self.heads.bias = nn.Parameter(torch.tensor([-half, -half, half, half, 0.0, 0.0]))

    def logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Give what a loss wants.

        Returns
        -------
        The values before the softmaxes, (B, class, phase, sample) with classes absent, present: the axes of
        `torch.nn.functional.cross_entropy` for targets (B, phase, sample). And the offset, (B, phase, sample).
        """
        scores, offset = self.heads(self.backbone(x)).split((2 * len(PHASES), len(PHASES)), dim=1)
        return torch.unflatten(scores, 1, (2, len(PHASES))), offset

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Give probability and offset, each (B, sample, phase).

        The probability of the second of two classes: a sigmoid of the difference equals the softmax.
        """
        absent, present, offset = self.heads(self.backbone(x)).split(len(PHASES), dim=1)
        return torch.sigmoid(present - absent).transpose(1, 2), offset.transpose(1, 2)


class PhaseNetZ(nn.Module):
    """A backbone and a 1-tap head: (B, 1, sample) to the probabilities of noise, P, S, (B, sample, 3)."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.classify = same_conv(backbone.width, len(LABELS_Z), 1)

    def expect(self, share: float) -> None:
        """Let the head say everywhere that a sample is an onset's with this probability, by phase."""
        nn.init.zeros_(self.classify.weight)
        self.classify.bias = nn.Parameter(torch.tensor([1 - 2 * share, share, share]).log())

    def logits(self, x: Tensor) -> Tensor:
        """Give the values before the softmax, (B, class, sample): the axes of `cross_entropy`."""
        scores: Tensor = self.classify(self.backbone(x))
        return scores

    def forward(self, x: Tensor) -> Tensor:
        """Give the probabilities, (B, sample, class)."""
        return torch.softmax(self.logits(x).transpose(1, 2), dim=-1)


def _build(channels: int, three: Callable[[int], Backbone], one: Callable[[int], Backbone]) -> PhaseNet | PhaseNetZ:
    """Put the heads of three components or of one behind the backbone that belongs to them."""
    if channels == 3:
        return PhaseNet(three(channels))
    if channels == 1:
        return PhaseNetZ(one(channels))
    raise NetworkError(f"PhaseNet, channels: found {channels}, wanted 3 or 1")


def inception(*, channels: int = 3) -> PhaseNet | PhaseNetZ:
    """Build `inception` (5,639,784 trained numbers) or, from seven plain convolutions, `inception-z` (229,283).

    Raises
    ------
    NetworkError
        `channels` is neither 3 nor 1; so do the other three.
    """
    return _build(channels, Inception, PlainCnn)


def brnn(*, channels: int = 3) -> PhaseNet | PhaseNetZ:
    """Build `brnn` (1,801,638 trained numbers) or, with smaller convolutions and GRUs, `brnn-z` (476,195).

    Its graph needs `gru_export.gru_translations()` for `torch.onnx.export`. In torch it loops over the samples
    in Python; do not give it to `torch.compile`, which would unroll the loop.
    """
    return _build(channels, lambda c: Brnn(c, THREE_COMPONENTS), lambda c: Brnn(c, ONE_COMPONENT))


def wavenet(*, channels: int = 3) -> PhaseNet | PhaseNetZ:
    """Build `wavenet` (2,717,830 trained numbers) or `wavenet-z` (2,715,651) on the same backbone."""
    return _build(channels, WaveNet, WaveNet)


def unet(*, channels: int = 3) -> PhaseNet | PhaseNetZ:
    """Build `unet` (846,278 trained numbers) or `unet-z` (845,603) on the same backbone."""
    return _build(channels, UNet, UNet)


def trainable_count(module: nn.Module) -> int:
    """Count the numbers that training changes, without moving statistics: as PhaseNet's tables count.

    `networks.parameter_count` counts the statistics too. A parameter that two layers share counts once.
    """
    return sum(parameter.numel() for parameter in module.parameters())
