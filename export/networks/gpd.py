"""GPD: P, S or noise from the waveforms of a four-second window, by one-dimensional convolutions.

Input float32 (batch, sample, channel) = (B, 400, 3): 100 Hz, channels in the order N, E, Z, normalised.
Output probabilities (B, 3) in the order of `seismo_performer.LABELS`; `logits` gives the values before the
softmax.

The network exists in two orders of the same layers, with the same number of parameters. Weights trained in
one order give nonsense in the other, so the order is chosen when the network is built, kept as `original`:

- GPD-fixed (jamm1985/seismo-performer, MIT), the default: convolution, pool, ReLU, batch normalisation; in
  the dense part ReLU, batch normalisation.
- GPD as published (Ross et al., "Generalized seismic phase detection with deep learning", 2018; MIT):
  convolution, batch normalisation, ReLU, pool; in the dense part batch normalisation, ReLU.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from seisedge.export.errors import NetworkError
from seisedge.export.networks.seismo_performer import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM, LABELS

# Filters and kernel length of the convolutions; SAME padding, and every length is odd.
CONVOLUTIONS = ((32, 21), (64, 15), (128, 11), (256, 9))
DENSE = (200, 200)
POOL = 2


class ConvBlock(nn.Module):
    """Convolution, maximum over two samples, ReLU and batch normalisation, in either order.

    (B, inputs, sample) to (B, outputs, sample // 2).
    """

    def __init__(self, inputs: int, outputs: int, length: int, *, original: bool) -> None:
        super().__init__()
        self.original = original
        self.conv = nn.Conv1d(inputs, outputs, length, padding=length // 2)
        self.norm = nn.BatchNorm1d(outputs, eps=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM)

    def forward(self, x: Tensor) -> Tensor:
        """Filter `x` and halve its length."""
        y: Tensor = self.conv(x)
        halved: Tensor
        if self.original:
            halved = functional.max_pool1d(torch.relu(self.norm(y)), POOL)
        else:
            halved = self.norm(torch.relu(functional.max_pool1d(y, POOL)))
        return halved


class DenseBlock(nn.Module):
    """Dense layer, ReLU and batch normalisation, in either order: (B, inputs) to (B, outputs)."""

    def __init__(self, inputs: int, outputs: int, *, original: bool) -> None:
        super().__init__()
        self.original = original
        self.dense = nn.Linear(inputs, outputs)
        self.norm = nn.BatchNorm1d(outputs, eps=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM)

    def forward(self, x: Tensor) -> Tensor:
        """Give the normalised features of `x`."""
        y: Tensor = self.dense(x)
        features: Tensor = torch.relu(self.norm(y)) if self.original else self.norm(torch.relu(y))
        return features


class Gpd(nn.Module):
    """Four convolutions and three dense layers over the waveforms; 1,742,763 parameters in both orders.

    Input (B, samples, channels), output probabilities (B, classes). The features are flattened sample first,
    then filter (fastest). No dropout. Raises `NetworkError` unless `samples` is a multiple of 16.
    """

    def __init__(
        self, *, channels: int = 3, samples: int = 400, classes: int = len(LABELS), original: bool = False
    ) -> None:
        super().__init__()
        shrink = POOL ** len(CONVOLUTIONS)
        if samples < shrink or samples % shrink:
            raise NetworkError(f"Gpd, samples: found {samples}, wanted a multiple of {shrink}")
        self.original = original
        filters = (channels, *(outputs for outputs, _ in CONVOLUTIONS))
        self.blocks = nn.Sequential(
            *(
                ConvBlock(inputs, outputs, length, original=original)
                for inputs, (outputs, length) in zip(filters, CONVOLUTIONS, strict=False)
            )
        )
        widths = (samples // shrink * filters[-1], *DENSE)
        self.dense = nn.Sequential(
            *(DenseBlock(widths[i], widths[i + 1], original=original) for i in range(len(DENSE)))
        )
        self.classify = nn.Linear(widths[-1], classes)

    def logits(self, x: Tensor) -> Tensor:
        """Give the values before the softmax, (B, classes)."""
        features: Tensor = self.blocks(x.transpose(1, 2))
        scores: Tensor = self.classify(self.dense(features.transpose(1, 2).flatten(1)))
        return scores

    def forward(self, x: Tensor) -> Tensor:
        """Give the probabilities of the classes, (B, classes)."""
        return torch.softmax(self.logits(x), dim=-1)
