"""Pairs of QuantizeLinear and DequantizeLinear (QDQ) written into a graph: numbers, no choices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from .calibration import Range
from .onnx_graph import GraphIndex, attribute, replace_nodes

Float32 = npt.NDArray[np.float32]
Array = npt.NDArray[np.generic]

_SMALLEST_SCALE = 2.0**-100  # a tensor that is always zero still needs a scale
_LARGEST_BIAS = 2.0**30  # in units of the accumulator, which ends at 2 ** 31


@dataclass(frozen=True)
class NumberFormat:
    """How a class of processors wants its integers.

    Attributes
    ----------
    text
        For the manifest.
    activation
        Type of activations.
    is_symmetric
        Zero points are zero.
    weight_limit
        Largest magnitude of a weight, which is an int8.
    quantises_bias
        A bias is int32, in units of the accumulator.
    quantises_output
        A convolution's output is quantised where it is made.
    """

    text: str
    activation: type[np.uint8 | np.int8]
    is_symmetric: bool
    weight_limit: int
    quantises_bias: bool
    quantises_output: bool


@dataclass(frozen=True)
class Plan:
    """What becomes integer.

    Attributes
    ----------
    nodes
        Conv, Gemm and MatMul with constant weights.
    made
        Tensors that are quantised where they are made, for every reader; the other inputs of the nodes are
        quantised for the nodes only.
    ranges
        Of all of these tensors.
    """

    nodes: list[onnx.NodeProto]
    made: frozenset[str]
    ranges: dict[str, Range]


def activation_scale(bounds: Range, number: NumberFormat) -> tuple[np.float32, np.generic]:
    """Scale and zero point that map a range to all eight bits; zero is exactly a level."""
    lowest, highest = (int(each) for each in (np.iinfo(number.activation).min, np.iinfo(number.activation).max))
    low, high = min(bounds.low, 0.0), max(bounds.high, 0.0)
    if number.is_symmetric:
        scale = np.float32(max(-low, high, _SMALLEST_SCALE * highest) / highest)
        return scale, number.activation(0)
    scale = np.float32(max((high - low) / (highest - lowest), _SMALLEST_SCALE))
    return scale, number.activation(np.clip(np.rint(lowest - low / float(scale)), lowest, highest))


def weight_scales(weight: Float32, axis: int, limit: int, least: Float32 | float = 0.0) -> Float32:
    """Scale of every output channel, such that its largest weight is the limit.

    `least` bounds the scales from below: a channel of tiny weights and an ordinary bias would overflow the
    accumulator's units.
    """
    others = tuple(each for each in range(weight.ndim) if each != axis)
    largest = np.abs(weight).max(axis=others) / np.float32(limit)
    scales: Float32 = np.maximum(np.maximum(largest, least), _SMALLEST_SCALE).astype(np.float32)
    return scales


def quantised_weight(weight: Float32, scales: Float32, axis: int, limit: int) -> npt.NDArray[np.int8]:
    """Weights in units of their channel's scale."""
    shape = [1] * weight.ndim
    shape[axis] = -1
    whole: npt.NDArray[np.int8] = np.clip(np.rint(weight / scales.reshape(shape)), -limit, limit).astype(np.int8)
    return whole


def channel_axis(node: onnx.NodeProto) -> int:
    """The axis of a node's weights that runs over its outputs."""
    if node.op_type == "Conv":
        return 0
    return 0 if node.op_type == "Gemm" and attribute(node, "transB", 0) else 1


def write_pairs(graph: onnx.GraphProto, index: GraphIndex, plan: Plan, number: NumberFormat) -> None:
    """Put the pairs of a plan into a graph, in place; constants that nothing reads any more stay."""
    _Writer(graph, index, plan, number).write()


class _Writer:
    def __init__(self, graph: onnx.GraphProto, index: GraphIndex, plan: Plan, number: NumberFormat) -> None:
        self._graph = graph
        self._index = index
        self._plan = plan
        self._number = number
        self._nodes: list[onnx.NodeProto] = []
        self._read_as: dict[str, str] = {}

    def write(self) -> None:
        chosen = {node.output[0] for node in self._plan.nodes}
        for node in list(self._graph.node):
            if node.output[0] in chosen:
                self._quantise(node)
            elif self._joins_integers(node):
                node.input[:] = [self._read_as[name] for name in node.input]
            self._nodes.append(node)
            for place, name in enumerate(node.output):
                if name in self._plan.made:
                    node.output[place] = self._index.fresh(f"{name}_f")
                    self._activation_pair(node.output[place], name, name)
                    self._read_as[name] = name
        replace_nodes(self._graph, self._nodes)
        del self._graph.value_info[:]  # what is known of shapes is not kept up to date

    def _joins_integers(self, node: onnx.NodeProto) -> bool:
        """Whether a concatenation can be one of integers: all that it joins is there as such."""
        is_one = node.op_type == "Concat" and self._number.quantises_output
        return is_one and all(name in self._read_as for name in node.input)

    def _quantise(self, node: onnx.NodeProto) -> None:
        """Let a node read its input, weights and bias through pairs."""
        name = node.input[0]
        if name not in self._read_as:
            self._read_as[name] = self._index.fresh(f"{name}_dq")
            self._activation_pair(name, self._read_as[name], name)
        node.input[0] = self._read_as[name]
        weight = np.asarray(numpy_helper.to_array(self._index.initialisers[node.input[1]]), np.float32)
        bias_name = node.input[2] if len(node.input) > 2 else ""
        axis, limit = channel_axis(node), self._number.weight_limit
        unit = activation_scale(self._plan.ranges[name], self._number)[0]
        bias = None
        least: Float32 | float = 0.0
        if bias_name and self._number.quantises_bias:
            bias = np.asarray(numpy_helper.to_array(self._index.initialisers[bias_name]), np.float32).reshape(-1)
            least = (np.abs(bias) / (unit * _LARGEST_BIAS)).astype(np.float32)
        scales = weight_scales(weight, axis, limit, least)
        node.input[1] = self._constant_pair(node.input[1], quantised_weight(weight, scales, axis, limit), scales, axis)
        if bias is not None:
            units = (unit * scales).astype(np.float32)
            whole = np.rint(bias.astype(np.float64) / units).astype(np.int32)
            node.input[2] = self._constant_pair(bias_name, whole, units, 0)

    def _activation_pair(self, source: str, result: str, name: str) -> None:
        """Put Quantize and Dequantize between two tensors, with the range of the tensor `name`."""
        scale, zero = activation_scale(self._plan.ranges[name], self._number)
        numbers = [self._constant(f"{name}_s", np.asarray(scale)), self._constant(f"{name}_z", np.asarray(zero))]
        between = self._index.fresh(f"{name}_q")
        for kind, inner, outer in (("Quantize", source, between), ("Dequantize", between, result)):
            self._nodes.append(helper.make_node(f"{kind}Linear", [inner, *numbers], [outer]))

    def _constant_pair(self, name: str, whole: Array, scales: Float32, axis: int) -> str:
        """A constant in integers and its Dequantize; the file holds no float form of it."""
        result = self._index.fresh(f"{name}_dq")
        inputs = [self._constant(f"{name}_q", whole), self._constant(f"{name}_s", scales)]
        if whole.dtype == np.int8:
            inputs.append(self._constant(f"{name}_z", np.zeros(scales.shape, np.int8)))
        self._nodes.append(helper.make_node("DequantizeLinear", inputs, [result], axis=axis))
        return result

    def _constant(self, name: str, value: Array) -> str:
        fresh = self._index.fresh(name)
        self._graph.initializer.append(numpy_helper.from_array(value, fresh))
        return fresh
