"""ConvNetQuake and DeepQuake: is there an event in the window, and of which region, by strided convolutions.

Input float32 (batch, sample, channel) at 100 Hz, each channel without its mean and over its own largest
absolute value: (B, 1001, 3) for ConvNetQuake, whose channels stand in the order of its files (HH1, HH2,
HHZ); (B, 5001, 3) in the order Z, N, E, or (B, 5001, 1) with Z alone, for DeepQuake. Output probabilities
(B, classes); `logits` gives the values before the softmax. Class 0 is "no event" in both, and `classes`
always counts it.

Both are TensorFlow networks, of which three things are easily lost. SAME padding is asymmetric where the
length is even: three taps at stride 2 get (0, 1) there, (1, 1) elsewhere. Features are flattened sample
first, then filter. The further dense layers of DeepQuake have no activation.

Layers: tperol/ConvNetQuake and rtous/deepquake, rebuilt from their layer tables; Perol et al., "Convolutional
neural network for earthquake detection and location" (2018).
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from seisedge.export.errors import NetworkError

LABELS = ("no event", "region 1", "region 2", "region 3", "region 4", "region 5", "region 6")
"""The classes of ConvNetQuake with its default options, in the order of the outputs."""

DEEPQUAKE_LABELS = ("no event", "event")
"""The classes of DeepQuake, in the order of the outputs."""

# Of every convolution. DeepQuake's configuration files name a `conv_stride` of 5 or 10, which its code never
# reads: the lengths in its logs, and the numbers of parameters, are those of stride 2.
STRIDE = 2


@dataclass(frozen=True, kw_only=True)
class ConvNetQuakeOptions:
    """Sizes of a `ConvNetQuake`; the defaults are ConvNetQuake for six regions, 22,951 parameters.

    Attributes
    ----------
    samples, channels
        Size of the input window.
    classes
        Number of outputs, "no event" being one of them: regions + 1.
    convolutions, taps, filters
        Number of convolutions, and the kernel length and number of filters that each has.
    pool
        Window and stride of the maximum (SAME) after each convolution; None where there is none.
    dense, hidden
        Number of dense layers, the classifier being one of them, and the width of the others.
    """

    samples: int = 1001
    channels: int = 3
    classes: int = len(LABELS)
    convolutions: int = 8
    taps: int = 3
    filters: int = 32
    pool: tuple[int, int] | None = None
    dense: int = 1
    hidden: int = 10

    def __post_init__(self) -> None:
        """Raise `NetworkError` for a size that no network has."""
        sizes = dataclasses.asdict(self)
        pool = sizes.pop("pool") or (1, 1)
        sizes |= {"pool's window": pool[0], "pool's stride": pool[1]}
        for name, size in sizes.items():
            least = 2 if name == "classes" else 1
            if size < least:
                raise NetworkError(f"ConvNetQuake, {name}: found {size}, wanted at least {least}")

    @property
    def input_shape(self) -> tuple[int, int]:
        """Shape of one window."""
        return self.samples, self.channels


DEEPQUAKE = ConvNetQuakeOptions(samples=5001, classes=len(DEEPQUAKE_LABELS), convolutions=9, taps=5)
"""Model 12 of DeepQuake, the best of its sweep: 42,370 parameters."""


WENCHUAN = ConvNetQuakeOptions(samples=3001, classes=3, convolutions=9)
"""The fork whose weights are published, trained on aftershocks of Wenchuan: 25,731 parameters."""


def same_padding(length: int, window: int, stride: int) -> tuple[int, int]:
    """Samples that TensorFlow's SAME puts before and after `length` others; an odd one goes after.

    They are as few as give ceil(length / stride) windows.
    """
    outputs = math.ceil(length / stride)
    total = max((outputs - 1) * stride + window - length, 0)
    return total // 2, total - total // 2


class ConvBlock(nn.Module):
    """Convolution at stride 2, ReLU and, where there is a pool, the maximum; SAME padding in both.

    (B, inputs, sample) to (B, filters, sample'), whose length is `samples`. torch pads both sides alike, so
    that what SAME has more on the right is put there beforehand.
    """

    def __init__(self, inputs: int, length: int, options: ConvNetQuakeOptions) -> None:
        super().__init__()
        left, right = same_padding(length, options.taps, STRIDE)
        self.conv_right = right - left
        self.conv = nn.Conv1d(inputs, options.filters, options.taps, stride=STRIDE, padding=left)
        self.samples = math.ceil(length / STRIDE)
        self.pool: nn.MaxPool1d | None = None
        self.pool_right = 0
        if options.pool is not None:
            window, stride = options.pool
            left, right = same_padding(self.samples, window, stride)
            self.pool_right = right - left
            self.pool = nn.MaxPool1d(window, stride, left)
            self.samples = math.ceil(self.samples / stride)

    def forward(self, x: Tensor) -> Tensor:
        """Filter `x`."""
        y: Tensor = torch.relu(self.conv(_zeros_after(x, self.conv_right)))
        if self.pool is not None:
            # SAME leaves the padding out of the maximum. Zeros do the same: nothing here is below them.
            y = self.pool(_zeros_after(y, self.pool_right))
        return y


class ConvNetQuake(nn.Module):
    """Strided convolutions and one dense layer or more; ConvNetQuake or DeepQuake, as `options` say.

    Input (B, samples, channels), output probabilities (B, classes). Raises `NetworkError` for a window of
    another size, which the padding would not fit, though the number of features might.
    """

    def __init__(self, *, options: ConvNetQuakeOptions | None = None) -> None:
        super().__init__()
        self.options = options = ConvNetQuakeOptions() if options is None else options
        blocks: list[ConvBlock] = []
        inputs, samples = options.channels, options.samples
        for _ in range(options.convolutions):
            blocks.append(ConvBlock(inputs, samples, options))
            inputs, samples = options.filters, blocks[-1].samples
        self.blocks = nn.Sequential(*blocks)
        widths = (samples * options.filters, *(options.hidden for _ in range(options.dense - 1)))
        self.dense = nn.Sequential(*(nn.Linear(widths[i], widths[i + 1]) for i in range(options.dense - 1)))
        self.classify = nn.Linear(widths[-1], options.classes)
        for layer in self.modules():
            if isinstance(layer, (nn.Conv1d, nn.Linear)):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def logits(self, x: Tensor) -> Tensor:
        """Give the values before the softmax, (B, classes)."""
        if x.shape[1:] != self.options.input_shape:
            found, wanted = tuple(x.shape), self.options.input_shape
            raise NetworkError(f"ConvNetQuake, input: found shape {found}, wanted {wanted} after the batch")
        features: Tensor = self.blocks(x.transpose(1, 2))
        scores: Tensor = self.classify(self.dense(features.transpose(1, 2).flatten(1)))
        return scores

    def forward(self, x: Tensor) -> Tensor:
        """Give the probabilities of the classes, (B, classes)."""
        return torch.softmax(self.logits(x), dim=-1)


def deepquake(*, channels: int = 3) -> ConvNetQuake:
    """Build DeepQuake, model 12, for Z, N, E or (`channels=1`) for Z alone."""
    return ConvNetQuake(options=dataclasses.replace(DEEPQUAKE, channels=channels))


def _zeros_after(x: Tensor, samples: int) -> Tensor:
    return functional.pad(x, (0, samples)) if samples else x
