"""Source inversion: the waveforms at ten sources from those at ten stations, by a transformer encoder.

Input float32 (batch, sample, station) = (B, 1500, 10), output float32 (batch, sample, source) of the same
shape. It is the pure transformer called EQ-Transformer (xxhxw/modelzoo, BSD-3-Clause), which has nothing to
do with the picker of that name. Rebuilt from its layer table.

The layers are those of `torch.nn.TransformerEncoderLayer` with its defaults: attention and feed-forward part,
each added to its input and then normalised. They are written out here because torch's own takes, in
evaluation mode, a fused path that cannot be exported, and that only a switch of the whole process turns off.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seisedge.export.errors import NetworkError

# Of the sinusoidal positions; Vaswani et al., "Attention is all you need" (2017), section 3.5.
POSITION_BASE = 10_000.0


@dataclass(frozen=True, kw_only=True)
class InversionOptions:
    """Sizes of a `SourceInversion`; the defaults are the published network of 563,658 parameters."""

    samples: int = 1500
    channels: int = 10
    width: int = 64
    heads: int = 4
    depth: int = 2
    feed_forward: int = 2048
    dropout: float = 0.1

    def __post_init__(self) -> None:
        """Raise `NetworkError` where a size is missing or does not divide another."""
        for name, size in dataclasses.asdict(self).items():
            if name != "dropout" and size < 1:
                raise NetworkError(f"SourceInversion, {name}: found {size}, wanted at least 1")
        for name, whole, part in (
            ("width into heads", self.width, self.heads),
            ("width into sine and cosine", self.width, 2),
        ):
            if whole % part:
                raise NetworkError(f"SourceInversion, {name}: found {whole} / {part}, wanted no remainder")

    @property
    def input_shape(self) -> tuple[int, int]:
        """Shape of one window."""
        return self.samples, self.channels


def sinusoidal_positions(samples: int, width: int) -> Tensor:
    """Give every sample its position, float32 (samples, width).

    Column 2i holds sin(sample / 10000^(2i / width)), column 2i + 1 the cosine. Computed in float64: in
    float32 the sine of sample 1499 is wrong in the fourth digit.
    """
    exponents = torch.arange(0, width, 2, dtype=torch.float64) / width
    angles = torch.arange(samples, dtype=torch.float64)[:, None] / POSITION_BASE**exponents
    return torch.stack([torch.sin(angles), torch.cos(angles)], dim=-1).flatten(1).float()


class SelfAttention(nn.Module):
    """Multi-head attention of every sample to every sample, with biases: (B, sample, width) to the same.

    Per head, with Q, K, V of shape (sample, size): softmax(Q K^T / sqrt(size)) V. `project` gives Q, K and V
    in this order, in each the heads one after another.
    """

    def __init__(self, options: InversionOptions) -> None:
        super().__init__()
        self.heads = options.heads
        self.scale = (options.width // options.heads) ** -0.5
        self.project = nn.Linear(options.width, 3 * options.width)
        self.output = nn.Linear(options.width, options.width)
        self.dropout = nn.Dropout(options.dropout)
        # As torch.nn.MultiheadAttention begins.
        nn.init.xavier_uniform_(self.project.weight)
        nn.init.zeros_(self.project.bias)
        nn.init.zeros_(self.output.bias)

    def _by_head(self, x: Tensor) -> Tensor:
        """(B, sample, width) to (B, head, sample, size)."""
        return torch.unflatten(x, -1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Attend over the samples of `x`."""
        query, key, value = (self._by_head(part) for part in self.project(x).chunk(3, dim=-1))
        shares = torch.softmax((query * self.scale) @ key.transpose(-2, -1), dim=-1)
        attended: Tensor = self.output((self.dropout(shares) @ value).transpose(1, 2).flatten(2))
        return attended


class EncoderLayer(nn.Module):
    """Attention and a feed-forward part with ReLU, each added to its input and then normalised.

    (B, sample, width) to the same.
    """

    def __init__(self, options: InversionOptions) -> None:
        super().__init__()
        self.attention = SelfAttention(options)
        self.attention_norm = nn.LayerNorm(options.width)
        self.expand = nn.Linear(options.width, options.feed_forward)
        self.contract = nn.Linear(options.feed_forward, options.width)
        self.feed_forward_norm = nn.LayerNorm(options.width)
        self.dropout = nn.Dropout(options.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Give `x` with what the attention and the feed-forward part add to it."""
        attended: Tensor = self.attention_norm(x + self.dropout(self.attention(x)))
        added = self.contract(self.dropout(torch.relu(self.expand(attended))))
        result: Tensor = self.feed_forward_norm(attended + self.dropout(added))
        return result


class SourceInversion(nn.Module):
    """Embedding, positions, two encoder layers and a linear output; 563,658 parameters.

    Input and output (B, samples, channels). The positions are added as they are: the embedding is not
    multiplied by sqrt(width). They follow from the sizes, so that they are no part of the saved weights.
    Raises `NetworkError` for a window of another length.
    """

    positions: Tensor

    def __init__(self, *, options: InversionOptions | None = None) -> None:
        super().__init__()
        self.options = options = InversionOptions() if options is None else options
        self.embed = nn.Linear(options.channels, options.width)
        positions = sinusoidal_positions(options.samples, options.width)
        self.register_buffer("positions", positions, persistent=False)
        self.layers = nn.Sequential(*(EncoderLayer(options) for _ in range(options.depth)))
        self.output = nn.Linear(options.width, options.channels)

    def forward(self, x: Tensor) -> Tensor:
        """Give the waveforms at the sources, (B, samples, channels)."""
        if x.shape[1:] != self.options.input_shape:
            found, wanted = tuple(x.shape), self.options.input_shape
            raise NetworkError(f"SourceInversion, input: found shape {found}, wanted {wanted} after the batch")
        embedded = torch.relu(self.embed(x)) + self.positions
        waveforms: Tensor = self.output(self.layers(embedded))
        return waveforms
