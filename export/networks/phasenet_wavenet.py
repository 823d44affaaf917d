"""The WaveNet backbone of PhaseNet, for three components and for one.

Convolutions without bias, then the activation, then batch normalisation with gamma and beta. At inference
every normalisation uses its moving averages. (The published code leaves sixteen of the 46, behind its 1-tap
convolutions, on the statistics of the batch; their moving averages are trained all the same.) It also adds up
the layers' outputs in the manner of WaveNet and does not use the sum, which is therefore not built.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .phasenet_blocks import Backbone, ConvActNorm, ScaleShiftNorm, same_conv

WIDTH = 128
TAPS = 5
STACKS = 3
# The dilations of one stack; the receptive field of three is 745 samples, 747 with the heads.
DILATIONS = (2, 4, 8, 16, 32)


class GatedLayer(nn.Module):
    """One residual layer: (B, width, sample) to the same, x + mix(filter(x) * gate(x)).

    `filter` (tanh) and `gate` (sigmoid) are dilated, `mix` (tanh) has one tap.
    """

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.filter = ConvActNorm(
            same_conv(width, width, TAPS, dilation=dilation, bias=False), torch.tanh, ScaleShiftNorm(width)
        )
        self.gate = ConvActNorm(
            same_conv(width, width, TAPS, dilation=dilation, bias=False), torch.sigmoid, ScaleShiftNorm(width)
        )
        self.mix = ConvActNorm(same_conv(width, width, 1, bias=False), torch.tanh, ScaleShiftNorm(width))

    def forward(self, x: Tensor) -> Tensor:
        """Add to `x` what its gated filters give."""
        added: Tensor = self.mix(self.filter(x) * self.gate(x))
        return x + added


class WaveNet(Backbone):
    """A 1-tap convolution to 128 channels and three stacks of five gated layers."""

    def __init__(self, channels: int) -> None:
        super().__init__(WIDTH)
        self.lift = ConvActNorm(same_conv(channels, WIDTH, 1, bias=False), torch.tanh, ScaleShiftNorm(WIDTH))
        self.layers = nn.Sequential(*(GatedLayer(WIDTH, d) for _ in range(STACKS) for d in DILATIONS))

    def forward(self, x: Tensor) -> Tensor:
        """Give the features of `x`: the residual sum after the last layer."""
        features: Tensor = self.layers(self.lift(x))
        return features
