"""Training as if in int8: layers take what they will be given when they are quantised, and learn to live with it.

Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference" (2018).
What is rounded counts in the forward pass; for the gradients it is as if nothing were: the straight-through estimator
of Bengio et al., "Estimating or propagating gradients through stochastic neurons" (2013).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn
from torch.nn import functional

_WEIGHT_LIMIT = 127  # int8 without its -128: weights are symmetric about zero
_STEPS = 255
_SMALLEST = 2.0**-100  # what is zero throughout still needs a scale

Layer = nn.Conv1d | nn.Conv2d | nn.Linear
Forward = Callable[[torch.Tensor], torch.Tensor]


@contextmanager
def rounded(module: nn.Module, *, on: bool = True) -> Iterator[None]:
    """Let a network's convolutions and dense layers round their inputs and weights to eight bits, for a while.

    Weights have a scale for each output channel, inputs one scale and zero point over the range of the batch, as
    `quantize` gives them; a normalisation behind a convolution, which is folded into it, only changes those scales.
    Transposed convolutions and recurrent layers stay as they are.
    """
    layers = [each for each in module.modules() if isinstance(each, Layer)] if on else []
    for each in layers:
        each.forward = partial(_forward, each)  # type: ignore[method-assign]  # of this object alone
    try:
        yield
    finally:
        for each in layers:
            del each.forward


def round_weight(weight: torch.Tensor) -> torch.Tensor:
    """Round (output channel, ...) to multiples of each channel's scale."""
    largest = weight.detach().abs().flatten(1).amax(dim=1).clamp(min=_SMALLEST)
    scale = (largest / _WEIGHT_LIMIT).reshape(-1, *(1 for _ in weight.shape[1:]))
    return _straight_through(weight, torch.round(weight.detach() / scale) * scale)


def round_activation(x: torch.Tensor) -> torch.Tensor:
    """Round a tensor of any shape to 256 values between its least and its largest one, zero among them."""
    seen = x.detach()
    low, high = seen.min().clamp(max=0), seen.max().clamp(min=0)
    scale = ((high - low) / _STEPS).clamp(min=_SMALLEST)
    zero = torch.round(-low / scale)
    integers = torch.clamp(torch.round(seen / scale) + zero, 0, _STEPS)
    return _straight_through(x, (integers - zero) * scale)


def _straight_through(exact: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    return exact + (found - exact).detach()


def _forward(layer: Layer, x: torch.Tensor) -> torch.Tensor:
    x, weight = round_activation(x), round_weight(layer.weight)
    if isinstance(layer, nn.Linear):
        return functional.linear(x, weight, layer.bias)
    convolve = functional.conv1d if isinstance(layer, nn.Conv1d) else functional.conv2d
    settings = layer.stride, layer.padding, layer.dilation, layer.groups
    return convolve(x, weight, layer.bias, *settings)  # type: ignore[arg-type]  # of one or two numbers each
