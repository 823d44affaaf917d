"""Seismo-Performer and Spec-CNN: P, S or noise from the spectrogram of a four-second window.

Both read the same image: float32 (batch, frame, frequency, channel) = (B, 22, 33, 3), decibels divided by
50, so values lie in [-1, 0.301]; channels in the order N, E, Z. The spectrogram itself is a preprocessing
kernel and no part of the graph. Both give float32 probabilities (B, 3) in the order of `LABELS`; `logits`
gives the values before the softmax, which is what a cross-entropy loss wants.

Formulae: jamm1985/seismo-performer (MIT), whose attention is the generalised kernel attention of Choromanski
et al., "Rethinking attention with Performers" (2021), here without random projection.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from seisedge.export.errors import NetworkError

LABELS = ("P", "S", "noise")
"""The classes, in the order of the outputs."""

# Added to relu(x), so that no token can make the attention's denominator zero.
KERNEL_EPSILON = 0.001
# Keras gives layer normalisation 1e-3 by default; this network sets its own.
LAYER_NORM_EPSILON = 1e-6
# Keras' defaults for batch normalisation. Its momentum 0.99 is the share that is kept; torch's is the rest.
BATCH_NORM_EPSILON = 1e-3
BATCH_NORM_MOMENTUM = 0.01


@dataclass(frozen=True, kw_only=True)
class PerformerOptions:
    """Sizes of a `SeismoPerformer`; the defaults are the published network of 57,123 parameters.

    A patch spans all frames, `patch_frequencies` neighbouring frequencies and all channels.
    """

    frames: int = 22
    frequencies: int = 33
    channels: int = 3
    patch_frequencies: int = 3
    width: int = 48
    heads: int = 2
    depth: int = 2
    feed_forward_factor: int = 2
    dropout: float = 0.1
    classes: int = len(LABELS)

    def __post_init__(self) -> None:
        """Raise `NetworkError` where a size does not divide another."""
        for name, whole, part in (
            ("frequencies into patches", self.frequencies, self.patch_frequencies),
            ("width into heads", self.width, self.heads),
        ):
            if part < 1 or whole % part:
                raise NetworkError(f"SeismoPerformer, {name}: found {whole} / {part}, wanted no remainder")

    @property
    def patches(self) -> int:
        """Number of patches, which is one less than the number of tokens."""
        return self.frequencies // self.patch_frequencies

    @property
    def patch_values(self) -> int:
        """Numbers in one patch."""
        return self.frames * self.patch_frequencies * self.channels


class LinearAttention(nn.Module):
    """Non-causal attention whose softmax is replaced by the feature map phi(x) = relu(x) + 0.001.

    Per head, with Q, K, V of shape (token, size):
    out = phi(Q) (phi(K)^T V) / (phi(Q) sum over tokens of phi(K)). No bias, no 1/sqrt(size), no dropout.

    All heads are computed together over the whole width, and what one head would see of another is struck out by a
    mask: more products than head by head, but no transposition, which costs ONNX Runtime more.
    """

    same_head: Tensor

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        head = torch.arange(width) // (width // heads)
        self.register_buffer("same_head", (head[:, None] == head).float(), persistent=False)
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, queries: Tensor) -> Tensor:
        """Attend from `queries` (B, query, width) over the tokens of `x` (B, token, width)."""
        query = torch.relu(self.query(queries)) + KERNEL_EPSILON
        key = torch.relu(self.key(x)) + KERNEL_EPSILON
        numerator = query @ ((key.transpose(-2, -1) @ self.value(x)) * self.same_head)
        denominator = (query * key.sum(dim=-2, keepdim=True)) @ self.same_head
        attended: Tensor = self.output(numerator / denominator)
        return attended


class PerformerBlock(nn.Module):
    """Attention and a two-layer feed-forward part, each behind the normalisation and with a way round it.

    (B, token, width) to the same. One normalisation serves both places, and the second dense layer has an
    activation too: both differ from the textbook block, and trained weights depend on both.
    """

    def __init__(self, options: PerformerOptions) -> None:
        super().__init__()
        hidden = options.width * options.feed_forward_factor
        self.norm = nn.LayerNorm(options.width, eps=LAYER_NORM_EPSILON)
        self.attention = LinearAttention(options.width, options.heads)
        self.expand = nn.Linear(options.width, hidden)
        self.contract = nn.Linear(hidden, options.width)
        self.dropout = nn.Dropout(options.dropout)

    def forward(self, x: Tensor, *, tokens: int | None = None) -> Tensor:
        """Give `x` with what the attention and the feed-forward part add to it.

        With `tokens`, only for the first so many tokens, which attend to all of them.
        """
        normed = self.norm(x)
        attended: Tensor = x[:, :tokens] + self.attention(normed, normed[:, :tokens])
        hidden = self.dropout(functional.gelu(self.expand(self.norm(attended))))
        added: Tensor = self.dropout(functional.gelu(self.contract(hidden)))
        return attended + added


class SeismoPerformer(nn.Module):
    """Transformer with linear attention over eleven patches of the spectrogram and a class token.

    Input (B, 22, 33, 3), output probabilities (B, 3). Inside a patch the values run time first, then
    frequency, then channel (fastest). Dropout stands after both dense layers of a block and before the three
    of the head.
    """

    def __init__(self, *, options: PerformerOptions | None = None) -> None:
        super().__init__()
        self.options = options = PerformerOptions() if options is None else options
        width = options.width
        hidden = width * options.feed_forward_factor
        self.embed = nn.Linear(options.patch_values, width)
        self.class_token = nn.Parameter(torch.empty(1, width))
        self.positions = nn.Parameter(torch.empty(options.patches + 1, width))
        self.blocks = nn.ModuleList(PerformerBlock(options) for _ in range(options.depth))
        self.norm = nn.LayerNorm(width, eps=LAYER_NORM_EPSILON)
        self.dropout = nn.Dropout(options.dropout)
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)
        self.classify = nn.Linear(width, options.classes)
        # Our choice, the usual one for transformers: small against the embedded patches.
        nn.init.normal_(self.class_token, std=0.02)
        nn.init.normal_(self.positions, std=0.02)

    def patches(self, x: Tensor) -> Tensor:
        """Cut (B, frame, frequency, channel) into (B, patch, value); all frames belong to each patch."""
        grid = torch.unflatten(x, 2, (self.options.patches, self.options.patch_frequencies))
        return grid.transpose(1, 2).flatten(2)

    def tokens(self, x: Tensor) -> Tensor:
        """Embed the patches, put the class token before them and add the positions: (B, 12, 48).

        The class token is added to an empty first row instead of being expanded over the batch and
        concatenated: the same sum to the bit, and the exported graph need not compute the batch size.
        """
        embedded = functional.pad(self.embed(self.patches(x)), (0, 0, 1, 0))
        return embedded + (self.positions + functional.pad(self.class_token, (0, 0, 0, self.options.patches)))

    def logits(self, x: Tensor) -> Tensor:
        """Give the values before the softmax, (B, 3)."""
        y = self.tokens(x)
        for block in self.blocks[:-1]:
            y = block(y)
        y = self.blocks[-1](y, tokens=1)  # the head reads the class token alone
        y = self.dropout(self.norm(y[:, 0]))
        y = self.dropout(functional.gelu(self.expand(y)))
        y = self.dropout(functional.gelu(self.contract(y)))
        scores: Tensor = self.classify(y)
        return scores

    def forward(self, x: Tensor) -> Tensor:
        """Give the probabilities of `LABELS`, (B, 3)."""
        return torch.softmax(self.logits(x), dim=-1)


class ConvBlock(nn.Module):
    """Convolution 3x3 (SAME), batch normalisation, ReLU, maximum over 2x2 (VALID: an odd row is dropped)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = nn.BatchNorm2d(outputs, eps=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, frame, frequency) to (B, outputs, frame // 2, frequency // 2)."""
        pooled: Tensor = functional.max_pool2d(torch.relu(self.norm(self.conv(x))), 2)
        return pooled


class SpecCnn(nn.Module):
    """Three convolutions and two dense layers over the same spectrogram; 176,387 parameters.

    Input (B, 22, 33, channels), output probabilities (B, classes). The features are flattened frame first,
    then frequency, then filter (fastest). Dropout stands before both dense layers.
    """

    def __init__(self, *, channels: int = 3, classes: int = len(LABELS), dropout: float = 0.5) -> None:
        super().__init__()
        filters = (channels, 32, 64, 128)
        self.blocks = nn.Sequential(*(ConvBlock(filters[i], filters[i + 1]) for i in range(3)))
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Linear(2 * 4 * filters[-1], 80)  # (22, 33) halved three times is (2, 4)
        self.classify = nn.Linear(80, classes)

    def logits(self, x: Tensor) -> Tensor:
        """Give the values before the softmax, (B, classes)."""
        features: Tensor = self.blocks(x.permute(0, 3, 1, 2))
        flat = features.permute(0, 2, 3, 1).flatten(1)
        hidden = torch.relu(self.hidden(self.dropout(flat)))
        scores: Tensor = self.classify(self.dropout(hidden))
        return scores

    def forward(self, x: Tensor) -> Tensor:
        """Give the probabilities of `LABELS`, (B, classes)."""
        return torch.softmax(self.logits(x), dim=-1)
