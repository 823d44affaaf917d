"""What the four PhaseNet backbones share: SAME convolutions and the two batch normalisations of TensorFlow 1.

Inside the networks tensors are float32 (batch, channel, sample). Every backbone keeps the length and has
an attribute `width`, the number of its output channels.

Source of all layers: the networks of cangyeone's PhaseNet (whigg-logs/PhaseNet, 2019, no licence), rebuilt
from their layer tables; nothing of its code is here.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from seisedge.export.networks.seismo_performer import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM

# tf.nn.leaky_relu gives negative values a fifth; torch's default is a hundredth.
LEAKY_SLOPE = 0.2


class Backbone(nn.Module):
    """From (B, channels, sample) to features (B, width, sample)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width


class ScaleShiftNorm(nn.BatchNorm1d):
    """Batch normalisation with gamma and beta, and TensorFlow 1's epsilon and momentum."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM)


class ShiftNorm(nn.BatchNorm1d):
    """Batch normalisation with beta only, as TensorFlow's with scale=False: there is no gamma to train.

    torch has both or none, so this one has none and is given a beta.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM, affine=False)
        self.bias = nn.Parameter(torch.zeros(channels))


class ConvActNorm(nn.Module):
    """Convolution, then activation, then batch normalisation: (B, inputs, sample) to (B, outputs, sample').

    The order in WaveNet, CNN+BRNN and UNet. No normalisation of this order can be folded into its own
    convolution, nor exactly into the next one, whose zero padding is not normalised.
    """

    def __init__(self, conv: nn.Module, activation: Callable[[Tensor], Tensor], norm: nn.Module) -> None:
        super().__init__()
        self.conv = conv
        self.activation = activation
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        """Filter `x`."""
        features: Tensor = self.norm(self.activation(self.conv(x)))
        return features


def same_conv(inputs: int, outputs: int, taps: int, *, dilation: int = 1, bias: bool = True) -> nn.Conv1d:
    """Make a convolution with TensorFlow's SAME padding at stride 1, for an odd number of taps.

    SAME pads dilation * (taps - 1) zeros in all, the odd one on the right; here the number is even, so both
    sides get half of it, for dilated convolutions as well.
    """
    return nn.Conv1d(inputs, outputs, taps, dilation=dilation, padding=dilation * (taps // 2), bias=bias)


def leaky_relu(x: Tensor) -> Tensor:
    """Give negative values a fifth, as TensorFlow does by default."""
    return functional.leaky_relu(x, LEAKY_SLOPE)
