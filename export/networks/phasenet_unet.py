"""The UNet backbone of PhaseNet, for three components and for one: an encoder and a decoder, no skip connections.

Upstream's decoder is made of two-dimensional transposed convolutions with 3x3 kernels over an image one row
high. With SAME padding only the middle row of a kernel meets that row of the image, so 903,168 of its weights
never act. This is the exact one-dimensional equivalent, without them; `kernel_from_2d` gives its weights.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from seisedge.export.errors import NetworkError

from .phasenet_blocks import Backbone, ConvActNorm, ShiftNorm, same_conv

Real = TypeVar("Real", np.float32, np.float64)

TAPS = 3
ENCODER = (32, 64, 128, 256)
# Filters and stride of the decoder's transposed convolutions.
DECODER = ((256, 2), (128, 1), (128, 1), (128, 2), (64, 1), (64, 1), (64, 2), (32, 1), (32, 1))
SHRINK = 2 ** (len(ENCODER) - 1)


class DoublingConv(nn.Module):
    """Transposed convolution of three taps and stride 2 with TensorFlow's SAME padding: exactly twice as long.

    (B, inputs, sample) to (B, outputs, 2 sample). Input sample i adds tap t to output sample 2i + t: nothing is
    cut at the left, and the one sample too many at the right.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.transposed = nn.ConvTranspose1d(inputs, outputs, TAPS, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Stretch `x`."""
        stretched: Tensor = self.transposed(x)
        return stretched[..., :-1]


def _decoding_conv(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Make a transposed convolution; with stride 1 it is a plain one, its taps reversed, and runs as such."""
    return DoublingConv(inputs, outputs) if stride == 2 else same_conv(inputs, outputs, TAPS)


def kernel_from_2d(kernel: NDArray[Real], stride: int) -> NDArray[Real]:
    """Map a kernel of the published decoder to the weight of our layer.

    Parameters
    ----------
    kernel
        (3, 3, outputs, inputs), as TensorFlow's conv2d_transpose keeps it: row, tap, output, input channel.
    stride
        Of the layer along time: 2 for a `DoublingConv`, whose weight is (inputs, outputs, 3), 1 for the others,
        which are convolutions with a weight (outputs, inputs, 3) in reversed order of the taps.

    Raises
    ------
    NetworkError
        The kernel is not 3x3, or the stride neither 1 nor 2.
    """
    if kernel.ndim != 4 or kernel.shape[:2] != (TAPS, TAPS):
        raise NetworkError(f"UNet, kernel: found shape {kernel.shape}, wanted ({TAPS}, {TAPS}, outputs, inputs)")
    if stride not in {1, 2}:
        raise NetworkError(f"UNet, stride: found {stride}, wanted 1 or 2")
    middle = kernel[TAPS // 2]
    ours = middle.transpose(2, 1, 0) if stride == 2 else middle[::-1].transpose(1, 2, 0)
    return np.ascontiguousarray(ours)


class UNet(Backbone):
    """Four pairs of convolutions with a maximum over two between them; nine transposed ones; 32 channels out.

    Each is followed by ELU and a batch normalisation with beta only, the last one by ELU alone.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(DECODER[-1][0])
        self.encoder = nn.ModuleList()
        inputs = channels
        for outputs in ENCODER:
            pair = (same_conv(inputs, outputs, TAPS), same_conv(outputs, outputs, TAPS))
            self.encoder.append(
                nn.Sequential(*(ConvActNorm(conv, functional.elu, ShiftNorm(outputs)) for conv in pair))
            )
            inputs = outputs
        self.decoder = nn.Sequential()
        for index, (outputs, stride) in enumerate(DECODER):
            norm = nn.Identity() if index == len(DECODER) - 1 else ShiftNorm(outputs)
            self.decoder.append(ConvActNorm(_decoding_conv(inputs, outputs, stride), functional.elu, norm))
            inputs = outputs

    def forward(self, x: Tensor) -> Tensor:
        """Give the features of `x`; raise `NetworkError` unless its length is a multiple of 8."""
        if x.shape[-1] % SHRINK:
            raise NetworkError(f"UNet, samples: found {x.shape[-1]}, wanted a multiple of {SHRINK}")
        for level, pair in enumerate(self.encoder):
            x = pair(functional.max_pool1d(x, 2) if level else x)
        features: Tensor = self.decoder(x)
        return features
