"""What Keras calls the tensors of our networks, in its order and with its axes; read by `weights_keras`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from .errors import WeightError
from .networks.seismo_performer import ConvBlock, LinearAttention, PerformerBlock, SeismoPerformer, SpecCnn

F32Array = NDArray[np.float32]


@dataclass(frozen=True)
class TensorSpec:
    """A tensor, of a file or of a network: its path there, its kind, its shape in Keras' order of axes."""

    path: str
    kind: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.kind} {self.shape} at {self.path}"

    @property
    def is_trained(self) -> bool:
        """Whether training changes it by gradient; Keras stores the others last inside a nested model."""
        return not self.kind.startswith("moving_")


@dataclass(frozen=True)
class Slot:
    """What belongs in one entry of the network's state, and how Keras' array becomes torch's."""

    spec: TensorSpec
    convert: Callable[[F32Array], F32Array]


def keras_slots(module: nn.Module) -> list[Slot]:
    """Give the network's tensors in the order in which Keras stores them."""
    if isinstance(module, SeismoPerformer):
        return _performer_slots(module)
    if isinstance(module, SpecCnn):
        return _spec_cnn_slots(module)
    known = "a SeismoPerformer or SpecCnn"
    raise WeightError(f"found a network of type {type(module).__name__}, wanted one with a Keras layout: {known}")


def _performer_slots(module: SeismoPerformer) -> list[Slot]:
    slots = _dense("embed", module.embed)
    token, positions = tuple(module.class_token.shape), tuple(module.positions.shape)
    slots.append(Slot(TensorSpec("class_token", "ClsTokenW", (1, *token)), lambda x: x.reshape(token)))
    slots.append(Slot(TensorSpec("positions", "embeddings", positions), _unchanged))
    for index, block in enumerate(b for b in module.blocks if isinstance(b, PerformerBlock)):
        path = f"blocks.{index}"
        slots += _attention(f"{path}.attention", block.attention)
        slots += _dense(f"{path}.expand", block.expand)
        slots += _dense(f"{path}.contract", block.contract)
        slots += _norm(f"{path}.norm", block.norm.normalized_shape[0])
    slots += _norm("norm", module.norm.normalized_shape[0])
    slots += _dense("expand", module.expand)
    slots += _dense("contract", module.contract)
    return slots + _dense("classify", module.classify)


def _spec_cnn_slots(module: SpecCnn) -> list[Slot]:
    slots: list[Slot] = []
    for index, block in enumerate(b for b in module.blocks if isinstance(b, ConvBlock)):
        conv, path = block.conv, f"blocks.{index}"
        shape = (*conv.kernel_size, conv.in_channels, conv.out_channels)
        slots.append(Slot(TensorSpec(f"{path}.conv.weight", "kernel", shape), _convolution))
        slots.append(Slot(TensorSpec(f"{path}.conv.bias", "bias", (conv.out_channels,)), _unchanged))
        slots += _norm(f"{path}.norm", conv.out_channels) + _moving(f"{path}.norm", conv.out_channels)
    return slots + _dense("hidden", module.hidden) + _dense("classify", module.classify)


def _unchanged(x: F32Array) -> F32Array:
    return x


def _convolution(x: F32Array) -> F32Array:
    """(height, width, in, out) to (out, in, height, width)."""
    return x.transpose(3, 2, 0, 1)


def _dense(path: str, layer: nn.Linear) -> list[Slot]:
    """Keras multiplies by (in, out), torch by the transpose of (out, in)."""
    kernel = TensorSpec(f"{path}.weight", "kernel", (layer.in_features, layer.out_features))
    return [
        Slot(kernel, np.transpose),
        Slot(TensorSpec(f"{path}.bias", "bias", (layer.out_features,)), _unchanged),
    ]


def _norm(path: str, size: int) -> list[Slot]:
    names = (("weight", "gamma"), ("bias", "beta"))
    return [Slot(TensorSpec(f"{path}.{ours}", theirs, (size,)), _unchanged) for ours, theirs in names]


def _moving(path: str, size: int) -> list[Slot]:
    names = (("running_mean", "moving_mean"), ("running_var", "moving_variance"))
    return [Slot(TensorSpec(f"{path}.{ours}", theirs, (size,)), _unchanged) for ours, theirs in names]


def _attention(path: str, layer: LinearAttention) -> list[Slot]:
    """Three kernels (width, head, size) and one (head, size, width); a head's columns lie together."""
    width, heads = layer.query.in_features, layer.heads
    into, out = (width, heads, width // heads), (heads, width // heads, width)
    specs = [TensorSpec(f"{path}.{role}.weight", f"{role}/kernel", into) for role in ("query", "key", "value")]
    specs.append(TensorSpec(f"{path}.output.weight", "output_transform/kernel", out))

    def convert(x: F32Array) -> F32Array:
        return x.reshape(width, width).T

    return [Slot(spec, convert) for spec in specs]
