"""The CNN+BRNN backbone of PhaseNet, for three components and for one: four convolutions, then GRUs both ways.

The two directions know nothing of each other: the second layer forward sees the first layer forward alone, and
likewise backward, unlike a bidirectional `torch.nn.GRU`, whose second layer sees both. The cell is that of
TensorFlow 1, see `gru_export`. A backward GRU needs the whole window: the network is not causal.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from .gru_export import gru, gru_scan
from .phasenet_blocks import Backbone, ConvActNorm, ShiftNorm, leaky_relu, same_conv

GATES = 3


@dataclass(frozen=True, kw_only=True)
class BrnnSizes:
    """Filters, length and dilations of the convolutions; states and layers of the GRUs of one direction."""

    filters: tuple[int, ...]
    taps: int
    dilations: tuple[int, ...]
    states: int
    layers: int = 2


THREE_COMPONENTS = BrnnSizes(filters=(32, 64, 128, 256), taps=5, dilations=(1, 2, 4, 8), states=256)
# Of the published one-component network only the number of parameters is known, 476,195, which these widths
# and a head of three classes give exactly. Dilations, activation and norm are unknown and free without touching
# that number. Chosen: no dilation, for the GRUs see the whole window anyway; the rest as with three components.
ONE_COMPONENT = BrnnSizes(filters=(32, 64, 128, 128), taps=3, dilations=(1, 1, 1, 1), states=128)


class GruLayer(nn.Module):
    """The weights of one layer in one direction, in the shapes and the order of gates of ONNX's `GRU`.

    weight (1, 3 states, inputs), recurrence (1, 3 states, states), bias (1, 3 states); gates update, reset,
    candidate. TensorFlow 1 keeps [inputs + states, ...] kernels and names the gates reset, update.
    """

    def __init__(self, inputs: int, states: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1, GATES * states, inputs))
        self.recurrence = nn.Parameter(torch.empty(1, GATES * states, states))
        self.bias = nn.Parameter(torch.zeros(1, GATES * states))
        # As TensorFlow 1 begins: Glorot over its joint kernels, and gates that are open.
        for rows in (slice(0, 2 * states), slice(2 * states, None)):
            outputs = self.weight[0, rows].shape[0]
            limit = (6.0 / (inputs + states + outputs)) ** 0.5
            nn.init.uniform_(self.weight.data[:, rows], -limit, limit)
            nn.init.uniform_(self.recurrence.data[:, rows], -limit, limit)
        nn.init.ones_(self.bias.data[:, : 2 * states])

    def forward(self, x: Tensor, *, reverse: bool) -> Tensor:
        """Run this layer alone, (step, B, inputs) to (step, B, states): one node of an exported graph."""
        states: Tensor = gru(x, self.weight, self.recurrence, self.bias, reverse=reverse)
        return states.squeeze(1)


def _layers(inputs: int, sizes: BrnnSizes) -> nn.ModuleList:
    """Make the stack of one direction."""
    widths = (inputs, *(sizes.states for _ in range(sizes.layers)))
    return nn.ModuleList(GruLayer(i, o) for i, o in pairwise(widths))


class BothWays(nn.Module):
    """A stack of GRUs forward and another one backward, side by side: (step, B, inputs) to (step, B, 2 states)."""

    def __init__(self, inputs: int, sizes: BrnnSizes) -> None:
        super().__init__()
        self.ahead = _layers(inputs, sizes)
        self.back = _layers(inputs, sizes)

    def forward(self, x: Tensor) -> Tensor:
        """Give the states of the last forward layer and of the last backward layer at every step."""
        return self.by_operator(x) if torch.compiler.is_exporting() else self.by_loop(x)

    def by_operator(self, x: Tensor) -> Tensor:
        """Run each layer by the operator that exports; it has no gradient."""
        ahead = back = x
        for layer_ahead, layer_back in zip(self.ahead, self.back, strict=True):
            ahead = layer_ahead(ahead, reverse=False)
            back = layer_back(back, reverse=True)
        return torch.cat((ahead, back), dim=-1)

    def by_loop(self, x: Tensor) -> Tensor:
        """Run both directions in one loop over the steps: half as many rounds in Python as one after another."""
        both = torch.stack((x, x.flip(0)), dim=1)
        for layers in zip(self.ahead, self.back, strict=True):
            weight, recurrence, bias = (
                torch.cat([layer.get_parameter(name) for layer in layers]) for name in ("weight", "recurrence", "bias")
            )
            both = gru_scan(both, weight, recurrence, bias)
        return torch.cat((both[:, 0], both[:, 1].flip(0)), dim=-1)


class Brnn(Backbone):
    """Four convolutions (leaky ReLU, batch normalisation with beta only) and two stacks of two GRUs."""

    def __init__(self, channels: int, sizes: BrnnSizes) -> None:
        super().__init__(2 * sizes.states)
        self.convolutions = nn.Sequential(
            *(
                ConvActNorm(same_conv(i, o, sizes.taps, dilation=d), leaky_relu, ShiftNorm(o))
                for (i, o), d in zip(pairwise((channels, *sizes.filters)), sizes.dilations, strict=True)
            )
        )
        self.recurrent = BothWays(sizes.filters[-1], sizes)

    def forward(self, x: Tensor) -> Tensor:
        """Give the features of `x`, forward states first."""
        steps: Tensor = self.recurrent(self.convolutions(x).permute(2, 0, 1))
        return steps.permute(1, 2, 0)
