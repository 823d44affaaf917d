"""The Inception backbone of PhaseNet, and the plain convolutions of its one-component form.

Here the convolution is followed by the batch normalisation (gamma and beta) and then by ELU: the other order
than in PhaseNet's other networks, and the one that an exporter folds into the convolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from .phasenet_blocks import Backbone, ScaleShiftNorm, same_conv

STEM_FILTERS = (32, 64, 128)
STEM_TAPS = 5
# The dilations of the seven wide blocks; the receptive field is 1555 samples with the heads.
DILATIONS = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True, kw_only=True)
class BlockSizes:
    """Filters of the four branches of a block.

    Attributes
    ----------
    direct
        Filters of the branch of one 1-tap convolution.
    reduced
        Filters of the 1-tap convolutions that begin the next two branches.
    once, twice
        Filters of the one and of the two long convolutions after them.
    pooled
        Filters of the 1-tap convolution after the average.
    taps, pool
        Lengths of the long convolutions and of the average.
    """

    direct: int
    reduced: int
    once: int
    twice: tuple[int, int]
    pooled: int
    taps: int
    pool: int

    @property
    def outputs(self) -> int:
        """Channels of the block."""
        return self.direct + self.once + self.twice[1] + self.pooled


NARROW = BlockSizes(direct=96, reduced=64, once=96, twice=(96, 96), pooled=96, taps=5, pool=3)
WIDE = BlockSizes(direct=284, reduced=100, once=256, twice=(100, 124), pooled=90, taps=7, pool=7)


class ConvNormElu(nn.Module):
    """Convolution, batch normalisation with gamma and beta, ELU: (B, inputs, sample) to (B, outputs, sample)."""

    def __init__(self, inputs: int, outputs: int, taps: int, *, dilation: int = 1, bias: bool = True) -> None:
        super().__init__()
        self.conv = same_conv(inputs, outputs, taps, dilation=dilation, bias=bias)
        self.norm = ScaleShiftNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Filter `x`."""
        return functional.elu(self.norm(self.conv(x)))


class AverageBranch(nn.Module):
    """Average over `length` neighbours, then a 1-tap unit: (B, inputs, sample) to (B, outputs, sample).

    TensorFlow's SAME average divides by the samples that are there, so it leaves out what lies past an edge;
    ONNX calls that count_include_pad=0. As its weights add up to one everywhere, average and 1-tap convolution
    may change places, bias included. They do here, before training's normalisation too: the same function, and
    the average has 90 channels to go through instead of 754, a quarter of the network's time on a CPU.
    """

    def __init__(self, inputs: int, outputs: int, length: int) -> None:
        super().__init__()
        self.length = length
        self.conv = same_conv(inputs, outputs, 1)
        self.norm = ScaleShiftNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Smooth and mix the channels of `x`."""
        mixed = self.conv(x)
        y = functional.avg_pool1d(mixed, self.length, 1, self.length // 2, count_include_pad=False)
        return functional.elu(self.norm(y))


class InceptionBlock(nn.Module):
    """Four branches beside each other, joined along the channels: (B, inputs, sample) to (B, outputs, sample).

    A 1-tap convolution; a 1-tap and one long; a 1-tap and two long; an average and a 1-tap. Only the long ones
    are dilated.
    """

    def __init__(self, inputs: int, sizes: BlockSizes, *, dilation: int = 1) -> None:
        super().__init__()
        middle, last = sizes.twice
        self.direct = ConvNormElu(inputs, sizes.direct, 1)
        self.once = nn.Sequential(
            ConvNormElu(inputs, sizes.reduced, 1),
            ConvNormElu(sizes.reduced, sizes.once, sizes.taps, dilation=dilation),
        )
        self.twice = nn.Sequential(
            ConvNormElu(inputs, sizes.reduced, 1),
            ConvNormElu(sizes.reduced, middle, sizes.taps, dilation=dilation),
            ConvNormElu(middle, last, sizes.taps, dilation=dilation),
        )
        self.pooled = AverageBranch(inputs, sizes.pooled, sizes.pool)

    def forward(self, x: Tensor) -> Tensor:
        """Give the channels of the four branches, in this order."""
        return torch.cat((self.direct(x), self.once(x), self.twice(x), self.pooled(x)), dim=1)


class Inception(Backbone):
    """Three convolutions, two narrow blocks and seven wide ones with growing dilation; 754 channels out."""

    def __init__(self, channels: int) -> None:
        super().__init__(WIDE.outputs)
        self.stem = nn.Sequential(*(ConvNormElu(i, o, STEM_TAPS) for i, o in pairwise((channels, *STEM_FILTERS))))
        self.narrow = nn.Sequential(*(InceptionBlock(inputs, NARROW) for inputs in (STEM_FILTERS[-1], NARROW.outputs)))
        inputs = (NARROW.outputs, *(WIDE.outputs for _ in DILATIONS))
        self.wide = nn.Sequential(
            *(InceptionBlock(i, WIDE, dilation=d) for i, d in zip(inputs, DILATIONS, strict=False))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Give the features of `x`."""
        features: Tensor = self.wide(self.narrow(self.stem(x)))
        return features


class PlainCnn(Backbone):
    """Seven 3-tap convolutions in a row: what the published table calls Inception, for one component.

    Known is only the table's number of parameters, 229,283, which these widths and a head of three classes
    give exactly. Unknown, and free without touching that number: dilations, activation and the place of the
    normalisation. Chosen: no dilation; and the unit of `Inception`, whose bias the number has no room for
    and the normalisation no use.
    """

    FILTERS = (32, 64, 128, 128, 128, 128, 128)
    TAPS = 3
    DILATIONS = (1, 1, 1, 1, 1, 1, 1)

    def __init__(self, channels: int) -> None:
        super().__init__(self.FILTERS[-1])
        self.layers = nn.Sequential(
            *(
                ConvNormElu(i, o, self.TAPS, dilation=d, bias=False)
                for (i, o), d in zip(pairwise((channels, *self.FILTERS)), self.DILATIONS, strict=True)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """Give the features of `x`."""
        features: Tensor = self.layers(x)
        return features
