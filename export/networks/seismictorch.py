"""EarthquakeCNN and SpectrogramCNN of SeismicTorch, for MEMS accelerometers.

Both are three times convolution, batch normalisation, GELU, maximum and dropout (both of the former without
padding: what does not fill a window is dropped), then dense layers with GELU. They give probabilities
(B, classes); `logits` gives the values before the softmax.

- EarthquakeCNN: P, S or noise from two seconds of waveform, float32 (batch, 1, sample, component) =
  (B, 1, 80, 3), 40 Hz, components in the order E, N, Z. Every kernel is one component wide: the components
  meet in the first dense layer only.
- SpectrogramCNN: event or noise from three pictures of a spectrogram, float32 (batch, component, row, column)
  = (B, 3, 100, 150), grey values 0 to 255, components in the order Z, X, Y, highest frequency in row 0.

Layers: Gauss963/SeismicTorch, rebuilt from its layer tables.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from seisedge.export.errors import NetworkError

EARTHQUAKE_LABELS = ("P", "S", "noise")
"""The classes of EarthquakeCNN, in the order of the outputs. Its README names others, which no code has."""

SPECTROGRAM_LABELS = ("event", "noise")
"""The classes of SpectrogramCNN, in the order of the outputs."""


@dataclass(frozen=True, kw_only=True)
class CnnSizes:
    """What sets the two networks apart; a pair counts rows, then columns."""

    input_shape: tuple[int, int, int]
    kernel: tuple[int, int]
    pool: tuple[int, int]
    filters: tuple[int, ...]
    dense: tuple[int, ...]
    classes: int
    dropout: float

    @property
    def features(self) -> int:
        """Numbers that the convolutions leave of one input; none where it is too small."""
        _, rows, columns = self.input_shape
        for _ in self.filters:
            rows = max((rows - self.kernel[0] + 1) // self.pool[0], 0)
            columns = max((columns - self.kernel[1] + 1) // self.pool[1], 0)
        return rows * columns * self.filters[-1]


class ConvBlock(nn.Module):
    """Convolution, batch normalisation, GELU, maximum, dropout: (B, inputs, row, column) to fewer of both."""

    def __init__(self, inputs: int, outputs: int, sizes: CnnSizes) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, sizes.kernel)
        self.norm = nn.BatchNorm2d(outputs)
        self.pool = nn.MaxPool2d(sizes.pool)
        self.dropout = nn.Dropout(sizes.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Filter `x`."""
        features: Tensor = self.dropout(self.pool(functional.gelu(self.norm(self.conv(x)))))
        return features


class GeluCnn(nn.Module):
    """The form of both networks. Features are flattened filter first, then row, then column (fastest).

    Raises `NetworkError` where nothing of the input is left, and for an input of another shape.
    """

    def __init__(self, sizes: CnnSizes) -> None:
        super().__init__()
        self.sizes = sizes
        if not sizes.features:
            raise NetworkError(f"{type(self).__name__}: found input {sizes.input_shape}, wanted a larger one")
        filters = (sizes.input_shape[0], *sizes.filters)
        self.blocks = nn.Sequential(*(ConvBlock(filters[i], filters[i + 1], sizes) for i in range(len(sizes.filters))))
        widths = (sizes.features, *sizes.dense)
        self.dense = nn.ModuleList(nn.Linear(widths[i], widths[i + 1]) for i in range(len(sizes.dense)))
        self.classify = nn.Linear(widths[-1], sizes.classes)

    def logits(self, x: Tensor) -> Tensor:
        """Give the values before the softmax, (B, classes)."""
        if x.shape[1:] != self.sizes.input_shape:
            found, wanted = tuple(x.shape), self.sizes.input_shape
            raise NetworkError(f"{type(self).__name__}, input: found shape {found}, wanted {wanted} after the batch")
        y: Tensor = self.blocks(x).flatten(1)
        for layer in self.dense:
            y = functional.gelu(layer(y))
        scores: Tensor = self.classify(y)
        return scores

    def forward(self, x: Tensor) -> Tensor:
        """Give the probabilities of the classes, (B, classes)."""
        return torch.softmax(self.logits(x), dim=-1)


class EarthquakeCnn(GeluCnn):
    """P, S or noise from the waveform; 33,795 parameters.

    Input (B, 1, samples, channels), output probabilities (B, classes) in the order of `EARTHQUAKE_LABELS`.
    """

    def __init__(
        self, *, samples: int = 80, channels: int = 3, classes: int = len(EARTHQUAKE_LABELS), dropout: float = 0.1
    ) -> None:
        super().__init__(
            CnnSizes(
                input_shape=(1, samples, channels),
                kernel=(3, 1),
                pool=(3, 1),
                filters=(16, 32, 64),
                dense=(64, 16),
                classes=classes,
                dropout=dropout,
            )
        )


class SpectrogramCnn(GeluCnn):
    """Event or noise from pictures of the spectrogram; 42,072,258 parameters, 99.3 % in the first dense layer.

    Input (B, channels, rows, columns), output probabilities (B, classes) in the order of `SPECTROGRAM_LABELS`.
    """

    def __init__(
        self,
        *,
        rows: int = 100,
        columns: int = 150,
        channels: int = 3,
        classes: int = len(SPECTROGRAM_LABELS),
        dropout: float = 0.1,
    ) -> None:
        super().__init__(
            CnnSizes(
                input_shape=(channels, rows, columns),
                kernel=(3, 3),
                pool=(2, 2),
                filters=(48, 96, 192),
                dense=(1280, 64),
                classes=classes,
                dropout=dropout,
            )
        )
