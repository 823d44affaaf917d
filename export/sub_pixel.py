"""Transposed convolutions as plain ones: the same sums, in operators that have integer and blocked kernels.

A transposed convolution of stride s writes s interleaved series, each an ordinary convolution of the input with
every s-th tap (the sub-pixel convolution of Shi et al. 2016, arXiv:1609.05158). ONNX Runtime has no integer transposed
convolution, and TensorRT keeps weights of a float one in float.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from .onnx_graph import GraphIndex, copy_model, drop_unused_constants, index_graph, replace_nodes

Array = npt.NDArray[np.generic]

_PLAIN = {"group": [1], "dilations": [1], "output_padding": [0]}


def has_transposed(model: onnx.ModelProto) -> bool:
    """Whether `split_transposed` makes a difference."""
    index = index_graph(model.graph)
    return any(_stride(index, node) for node in model.graph.node)


def split_transposed(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same function with a convolution and an interleaving in place of each transposed convolution of series.

    Those in groups, with dilation or with output padding stay as they are.
    """
    split = copy_model(model)
    graph = split.graph
    index = index_graph(graph)
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        stride = _stride(index, node)
        nodes += _parts(graph, index, node, stride) if stride else [node]
    replace_nodes(graph, nodes)
    drop_unused_constants(graph)
    del graph.value_info[:]
    return onnx.shape_inference.infer_shapes(split)


def phase_kernels(weight: Array, stride: int) -> Array:
    """Kernels of the plain convolution: (outputs x stride, inputs, taps of one phase), phases of an output together.

    Parameters
    ----------
    weight
        (inputs, outputs, taps), as ONNX and torch keep it: input sample i adds tap t to output sample stride i + t.
    """
    inputs, outputs, taps = weight.shape
    longest = -(-taps // stride)
    whole = np.zeros((inputs, outputs, longest * stride), weight.dtype)
    whole[..., :taps] = weight
    phases = whole.reshape(inputs, outputs, longest, stride)[:, :, ::-1]  # a convolution runs against the taps
    return np.ascontiguousarray(phases.transpose(1, 3, 0, 2).reshape(outputs * stride, inputs, longest))


def _stride(index: GraphIndex, node: onnx.NodeProto) -> int:
    """The stride of a transposed convolution that can be split; 0 for every other node."""
    if node.op_type != "ConvTranspose":
        return 0
    weight = index.initialisers.get(node.input[1])
    given: dict[str, list[int]] = {each.name: [*each.ints] or [each.i] for each in node.attribute}
    has_auto_pad = any(each.name == "auto_pad" and each.s not in {b"", b"NOTSET"} for each in node.attribute)
    is_plain = all(given.get(name, value) == value for name, value in _PLAIN.items())
    if weight is None or len(weight.dims) != 3 or has_auto_pad or not is_plain or "output_shape" in given:
        return 0
    if len(node.input) > 2 and node.input[2] and node.input[2] not in index.initialisers:
        return 0
    return given.get("strides", [1])[0]


def _parts(graph: onnx.GraphProto, index: GraphIndex, node: onnx.NodeProto, stride: int) -> list[onnx.NodeProto]:
    weight = np.asarray(numpy_helper.to_array(index.initialisers[node.input[1]]))
    pads = next((list(each.ints) for each in node.attribute if each.name == "pads"), [0, 0])
    taps, longest = weight.shape[2], -(-weight.shape[2] // stride)

    def constant(name: str, value: Array) -> str:
        fresh = index.fresh(f"{node.output[0]}_{name}")
        graph.initializer.append(numpy_helper.from_array(value, fresh))
        return fresh

    def shape(name: str, *sizes: int) -> str:
        return constant(name, np.array(sizes, np.int64))

    inputs = [node.input[0], constant("taps", phase_kernels(weight, stride))]
    if len(node.input) > 2 and node.input[2]:
        bias = np.asarray(numpy_helper.to_array(index.initialisers[node.input[2]]))
        inputs.append(constant("bias", np.repeat(bias, stride)))
    names = [index.fresh(f"{node.output[0]}_{each}") for each in ("phases", "split", "turned", "whole")]
    reach = [longest - 1, longest - 1]
    made = [
        helper.make_node("Conv", inputs, [names[0]], index.fresh(names[0]), kernel_shape=[longest], pads=reach),
        helper.make_node("Reshape", [names[0], shape("by_phase", 0, weight.shape[1], stride, -1)], [names[1]]),
        helper.make_node("Transpose", [names[1]], [names[2]], perm=[0, 1, 3, 2]),
        helper.make_node("Reshape", [names[2], shape("in_order", 0, weight.shape[1], -1)], [names[3]]),
    ]
    first, surplus = pads[0], longest * stride - taps + pads[1]
    last = -surplus if surplus else np.iinfo(np.int64).max
    cut = [shape("first", first), shape("last", last), shape("axis", 2)]
    made.append(helper.make_node("Slice", [names[3], *cut], [node.output[0]]))
    return made
