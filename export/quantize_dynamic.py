"""Dynamic quantisation to int8: activations get their range while the model runs, from the batch that is running.

So a window's output depends on its neighbours, and an artefact made here is valid for batches of one only: its
manifest says so. MatMul and Gemm with constant weights, and LSTM, are quantised; convolutions never are, whose
dynamic kernels are two to five times slower than float.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from seisedge.edge.targets import ProcessorTarget

from .onnx_graph import GraphIndex, attribute, copy_model, drop_unused_constants, index_graph, replace_nodes
from .qdq import channel_axis, quantised_weight, weight_scales
from .quantize import FORMATS, QuantizationError, is_able

Float32 = npt.NDArray[np.float32]
Array = npt.NDArray[np.generic]

_CONTRIB = "com.microsoft"


def can_be_dynamic(model: onnx.ModelProto) -> bool:
    """Whether `quantize_dynamic` finds something to do."""
    index = index_graph(model.graph)
    return any(_is_product(index, node) or _is_lstm(index, node) for node in model.graph.node)


def quantize_dynamic(model: onnx.ModelProto, target: ProcessorTarget) -> onnx.ModelProto:
    """The graph with its MatMul, Gemm and LSTM in int8, for batches of one.

    Raises
    ------
    QuantizationError
        There is none with constant weights.
    """
    quantised = copy_model(model)
    if not can_be_dynamic(quantised):
        raise QuantizationError("dynamic: found no MatMul, Gemm or LSTM with constant weights, wanted one")
    _Writer(quantised, FORMATS[target].weight_limit).write()
    drop_unused_constants(quantised.graph)
    return quantised


def _is_product(index: GraphIndex, node: onnx.NodeProto) -> bool:
    return node.op_type in {"MatMul", "Gemm"} and is_able(index, node)


def _is_lstm(index: GraphIndex, node: onnx.NodeProto) -> bool:
    """An LSTM with constant weights, time first."""
    is_plain = node.op_type == "LSTM" and not attribute(node, "layout", 0)
    return is_plain and all(name in index.initialisers for name in node.input[1:3])


class _Writer:
    def __init__(self, model: onnx.ModelProto, limit: int) -> None:
        self._model = model
        self._graph = model.graph
        self._index = index_graph(model.graph)
        self._limit = limit
        self._nodes: list[onnx.NodeProto] = []
        self._measured: dict[str, list[str]] = {}

    def write(self) -> None:
        for node in list(self._graph.node):
            if _is_product(self._index, node):
                self._product(node)
            elif _is_lstm(self._index, node):
                self._lstm(node)
            else:
                self._add(node)
        replace_nodes(self._graph, self._nodes)
        del self._graph.value_info[:]  # what is known of shapes is not kept up to date

    def _product(self, node: onnx.NodeProto) -> None:
        """X W + b, as the chain of standard operators that ONNX Runtime fuses into one kernel."""
        weight = self._value(node.input[1])
        if node.op_type == "Gemm" and channel_axis(node) == 0:
            weight = np.ascontiguousarray(weight.T)
        scales = weight_scales(weight, 1, self._limit)
        name, result = node.input[1], node.output[0]
        whole, step, zero = self._measure(node.input[0])
        constant = self._constant(f"{name}_int8", quantised_weight(weight, scales, 1, self._limit))
        units = self._constant(f"{name}_scales", scales)
        zeros = self._constant(f"{name}_zero", np.asarray(np.int8(0)))
        bias = node.input[2] if len(node.input) > 2 else ""
        product = self._index.fresh(f"{result}_product") if bias else result
        summed = self._make("MatMulInteger", [whole, constant, zero, zeros], f"{result}_int32")
        floating = self._make("Cast", [summed], f"{result}_cast")
        self._nodes[-1].attribute.append(helper.make_attribute("to", onnx.TensorProto.FLOAT))
        factor = self._make("Mul", [step, units], f"{result}_scale")
        self._add(helper.make_node("Mul", [floating, factor], [product], name=self._index.fresh(f"{result}_scaled")))
        if bias:
            self._add(helper.make_node("Add", [product, bias], [result], name=self._index.fresh(f"{result}_add")))

    def _measure(self, name: str) -> list[str]:
        """Integers, scale and zero point of a tensor, as it is at run time."""
        if name not in self._measured:
            parts = [self._index.fresh(f"{name}_{part}") for part in ("uint8", "step", "zero")]
            node_name = self._index.fresh(f"{name}_measure")
            self._add(helper.make_node("DynamicQuantizeLinear", [name], parts, name=node_name))
            self._measured[name] = parts
        return self._measured[name]

    def _lstm(self, node: onnx.NodeProto) -> None:
        """ONNX Runtime's own operator: weights transposed, one scale per gate unit."""
        inputs = [*node.input, *[""] * (8 - len(node.input))]
        extra: list[str] = []
        for place in (1, 2):
            weight = np.ascontiguousarray(self._value(inputs[place]).transpose(0, 2, 1))
            scales = np.stack([weight_scales(each, 1, self._limit) for each in weight])
            whole = np.stack(
                [quantised_weight(each, row, 1, self._limit) for each, row in zip(weight, scales, strict=True)]
            )
            name = inputs[place]
            inputs[place] = self._constant(f"{name}_int8", whole)
            extra.append(self._constant(f"{name}_scales", scales))
            extra.append(self._constant(f"{name}_zeros", np.zeros(scales.shape, np.int8)))
        quantised = helper.make_node(
            "DynamicQuantizeLSTM", [*inputs, *extra], list(node.output), name=node.name, domain=_CONTRIB
        )
        quantised.attribute.extend(each for each in node.attribute if each.name != "layout")
        self._add(quantised)
        if all(each.domain != _CONTRIB for each in self._model.opset_import):
            self._model.opset_import.append(helper.make_opsetid(_CONTRIB, 1))

    def _make(self, kind: str, inputs: list[str], result: str) -> str:
        fresh = self._index.fresh(result)
        self._add(helper.make_node(kind, inputs, [fresh], name=self._index.fresh(f"{fresh}_node")))
        return fresh

    def _add(self, node: onnx.NodeProto) -> None:
        self._nodes.append(node)

    def _value(self, name: str) -> Float32:
        return np.asarray(numpy_helper.to_array(self._index.initialisers[name]), np.float32)

    def _constant(self, name: str, value: Array) -> str:
        fresh = self._index.fresh(name)
        self._graph.initializer.append(numpy_helper.from_array(value, fresh))
        return fresh
