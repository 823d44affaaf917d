"""Other forms of an fp32 graph: half precision for GPUs, and one-dimensional convolutions as 1 x k images for CPUs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from .calibration import Calibration
from .errors import ExportError
from .onnx_graph import GraphIndex, attribute, copy_model, drop_unused_constants, index_graph, replace_nodes

Array = npt.NDArray[np.generic]

_LARGEST_HALF = float(np.finfo(np.float16).max)  # 65504
_WITHOUT_HALF = frozenset({"Resize", "RandomNormal", "RandomUniform", "DequantizeLinear", "QuantizeLinear"})

_ELEMENTWISE = frozenset(
    {"Relu", "Elu", "LeakyRelu", "Sigmoid", "Tanh", "Gelu", "Clip", "Add", "Sub", "Mul", "Div", "Identity"}
)
_POOLS = frozenset({"MaxPool", "AveragePool"})
_WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "GRU", "LSTM"})
_WORTH_STORING = 1024  # numbers; less than that is no gain beside the node that casts them
_OF_HEIGHT = {"kernel_shape": 1, "strides": 1, "dilations": 1, "output_padding": 0}


class PrecisionError(ExportError, ValueError):
    """A graph that cannot take another form; the message names the tensor."""


def to_fp16(model: onnx.ModelProto, activations: Calibration | None = None) -> onnx.ModelProto:
    """The graph in half precision; its inputs and outputs stay float32.

    ONNX Runtime's converter clips what half precision cannot hold; here that is an error.

    Parameters
    ----------
    activations
        Measured values of inner tensors, which must fit too.

    Raises
    ------
    PrecisionError
        A constant or a measured value is beyond 65504, a constant as a whole is too small to be told from zero,
        or an operator has no half precision.
    """
    half = copy_model(model)
    graph = half.graph
    for node in graph.node:
        if node.op_type in _WITHOUT_HALF or any(each.HasField("g") or each.graphs for each in node.attribute):
            raise PrecisionError(f"{node.op_type} {node.output[0]}: found an operator without a half-precision form")
    for name, histogram in activations.histograms.items() if activations is not None else ():
        _check_fits(name, np.array([histogram.low, histogram.high]), is_constant=False)
    for tensor in graph.initializer:
        tensor.CopyFrom(_half_tensor(tensor, tensor.name))
    for node in graph.node:
        _halve_attributes(node)
    del graph.value_info[:]
    _cast_at_borders(graph)
    return half


def _half_tensor(tensor: onnx.TensorProto, name: str) -> onnx.TensorProto:
    if tensor.data_type != TensorProto.FLOAT:
        return tensor
    value = np.asarray(numpy_helper.to_array(tensor))
    _check_fits(name, value, is_constant=True)
    return numpy_helper.from_array(value.astype(np.float16), tensor.name)


def _check_fits(name: str, value: Array, *, is_constant: bool) -> None:
    largest = float(np.abs(value).max(initial=0))
    if not largest <= _LARGEST_HALF:
        raise PrecisionError(f"tensor {name}: found {largest:g}, wanted at most {_LARGEST_HALF:g} for fp16")
    if is_constant and largest > 0 and not value.astype(np.float16).any():
        raise PrecisionError(f"tensor {name}: found at most {largest:g}, which is zero in fp16")


def _halve_attributes(node: onnx.NodeProto) -> None:
    """Constants, and casts to float32, that are written into the node."""
    for each in node.attribute:
        if each.type == onnx.AttributeProto.TENSOR:
            each.t.CopyFrom(_half_tensor(each.t, node.output[0]))
        elif node.op_type == "Cast" and each.name == "to" and each.i == TensorProto.FLOAT:
            each.i = TensorProto.FLOAT16


def _cast_at_borders(graph: onnx.GraphProto) -> None:
    """Float32 outside, half precision inside."""
    index = index_graph(graph)
    before: list[onnx.NodeProto] = []
    after: list[onnx.NodeProto] = []
    renamed: dict[str, str] = {}
    for each in graph.input:
        if each.type.tensor_type.elem_type == TensorProto.FLOAT:
            renamed[each.name] = index.fresh(f"{each.name}_fp16")
            before.append(_cast(index, each.name, renamed[each.name], TensorProto.FLOAT16))
    for each in graph.output:
        if each.type.tensor_type.elem_type == TensorProto.FLOAT:
            renamed[each.name] = index.fresh(f"{each.name}_fp16")
            after.append(_cast(index, renamed[each.name], each.name, TensorProto.FLOAT))
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    replace_nodes(graph, [*before, *graph.node, *after])


def _cast(index: GraphIndex, source: str, result: str, kind: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [result], name=index.fresh(f"{result}_cast"), to=kind)


def store_in_half(model: onnx.ModelProto) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """The same float graph with its large weights stored in half precision, and the kinds of operators they belong to.

    They are cast when the model is loaded, so that it computes as before, with weights of 11 bits, in a smaller file.
    """
    stored = copy_model(model)
    graph = stored.graph
    index = index_graph(graph)
    casts: list[onnx.NodeProto] = []
    kinds: set[str] = set()
    for tensor in list(graph.initializer):
        readers = index.consumers.get(tensor.name, [])
        is_weight = readers and all(tensor.name in node.input[1:3] and node.op_type in _WEIGHTED for node in readers)
        if not is_weight or tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < _WORTH_STORING:
            continue
        value = np.asarray(numpy_helper.to_array(tensor))
        if np.abs(value).max() > _LARGEST_HALF:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(value.astype(np.float16), index.fresh(f"{name}_fp16")))
        casts.append(_cast(index, tensor.name, name, TensorProto.FLOAT))
        kinds |= {node.op_type for node in readers}
    replace_nodes(graph, [*casts, *graph.node])
    return stored, tuple(f"{kind}: weights stored in float16" for kind in sorted(kinds))


def join_products(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same function with Gemm in place of a product of rows and the bias that is added to it.

    ONNX Runtime joins them itself, but then in float, bias and all, even where the product is in integers.
    """
    joined = copy_model(onnx.shape_inference.infer_shapes(model))
    graph = joined.graph
    index = index_graph(graph)
    ranks = {each.name: len(each.type.tensor_type.shape.dim) for each in (*graph.value_info, *graph.input)}
    gone: set[str] = set()
    for node in graph.node:
        add = (
            index.only_consumer(node.output[0]) if node.op_type == "MatMul" and ranks.get(node.input[0]) == 2 else None
        )
        weight = index.initialisers.get(node.input[1]) if add is not None and add.op_type == "Add" else None
        if add is None or weight is None or len(weight.dims) != 2:
            continue
        bias = next((name for name in add.input if name != node.output[0]), "")
        if bias in index.initialisers and list(index.initialisers[bias].dims) == [weight.dims[1]]:
            gone.add(add.output[0])
            node.op_type = "Gemm"
            node.input.append(bias)
            node.output[0] = add.output[0]
    replace_nodes(graph, [node for node in graph.node if node.op_type != "Add" or node.output[0] not in gone])
    return joined


def has_conv1d(model: onnx.ModelProto) -> bool:
    """Whether `lift_conv1d` makes a difference."""
    index = index_graph(model.graph)
    return any(_is_conv1d(index, node) for node in model.graph.node)


def lift_conv1d(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same function with images of height one instead of series, as far as convolutions reach.

    ONNX Runtime has blocked kernels (NCHWc) for images only. The height is put in before the first convolution and
    taken out behind the last one: pooling, normalisation and whatever works element by element in between are
    lifted with them.
    """
    lifted = copy_model(model)
    _Lift(lifted.graph).run()
    return lifted


def _is_conv1d(index: GraphIndex, node: onnx.NodeProto) -> bool:
    if node.op_type not in {"Conv", "ConvTranspose"}:
        return False
    weight = index.initialisers.get(node.input[1])
    return weight is not None and len(weight.dims) == 3


class _Lift:
    """Rewrites a graph node by node; knows for every series whether its image is there already."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._index = index_graph(graph)
        self._nodes: list[onnx.NodeProto] = []
        self._images: dict[str, str] = {}  # series → its image
        self._series: set[str] = set()  # those that were made
        self._heights: dict[str, str] = {}  # constant → the one with a height
        self._height = self._index.fresh("axis_of_height")
        self._last_axis = self._index.fresh("axis_of_time")

    def run(self) -> None:
        self._series |= {each.name for each in self._graph.input}
        for name, axis in ((self._height, 2), (self._last_axis, 3)):
            self._graph.initializer.append(numpy_helper.from_array(np.array([axis], np.int64), name))
        for node in list(self._graph.node):
            if self._can_lift(node):
                self._lift(node)
            else:
                for name in node.input:
                    self._need_series(name)
                self._nodes.append(node)
                self._series |= set(node.output)
        for name in self._index.outputs:
            self._need_series(name)
        del self._graph.value_info[:]
        replace_nodes(self._graph, self._nodes)
        drop_unused_constants(self._graph)

    def _can_lift(self, node: onnx.NodeProto) -> bool:
        if _is_conv1d(self._index, node):
            return node.op_type == "Conv" or node.input[0] in self._images
        if node.op_type in _POOLS or node.op_type == "BatchNormalization":
            return node.input[0] in self._images and len(node.output) == 1
        if node.op_type == "Concat":
            return attribute(node, "axis", 0) == 1 and all(name in self._images for name in node.input)
        if node.op_type == "Slice":
            return node.input[0] in self._images and self._is_slice_of_time(node)
        if node.op_type not in _ELEMENTWISE:
            return False
        return any(name in self._images for name in node.input) and all(
            name in self._images or name in self._index.initialisers or not name for name in node.input
        )

    def _is_slice_of_time(self, node: onnx.NodeProto) -> bool:
        axes = self._index.constant(node.input[3]) if len(node.input) > 3 else None
        return axes is not None and axes.tolist() in ([2], [-1])

    def _lift(self, node: onnx.NodeProto) -> None:
        if _is_conv1d(self._index, node):
            node.input[0] = self._need_image(node.input[0])
            node.input[1] = self._with_height(node.input[1])
        elif node.op_type in _ELEMENTWISE:
            node.input[:] = [self._images.get(name) or self._with_height(name) for name in node.input]
        else:
            node.input[:] = [self._images.get(name, name) for name in node.input]
            if node.op_type == "Slice":
                node.input[3] = self._last_axis
        if node.op_type in _POOLS or node.op_type in {"Conv", "ConvTranspose"}:
            _add_height(node)
        image = self._index.fresh(f"{node.output[0]}_image")
        self._images[node.output[0]] = image
        node.output[0] = image
        self._nodes.append(node)

    def _need_image(self, name: str) -> str:
        if name not in self._images:
            self._images[name] = self._index.fresh(f"{name}_image")
            self._reshape("Unsqueeze", name, self._images[name])
        return self._images[name]

    def _need_series(self, name: str) -> None:
        if name in self._images and name not in self._series:
            self._series.add(name)
            self._reshape("Squeeze", self._images[name], name)

    def _reshape(self, kind: str, source: str, result: str) -> None:
        name = self._index.fresh(f"{result}_{kind.lower()}")
        self._nodes.append(helper.make_node(kind, [source, self._height], [result], name=name))

    def _with_height(self, name: str) -> str:
        """A constant with an axis of one before its last; scalars and rows need none."""
        if not name or len(self._index.initialisers[name].dims) < 2:
            return name
        if name not in self._heights:
            value = np.expand_dims(np.asarray(numpy_helper.to_array(self._index.initialisers[name])), -2)
            self._heights[name] = self._index.fresh(f"{name}_image")
            self._graph.initializer.append(numpy_helper.from_array(value, self._heights[name]))
        return self._heights[name]


def _add_height(node: onnx.NodeProto) -> None:
    """The attributes of a one-dimensional kernel, for one of height one."""
    for each in node.attribute:
        if each.name in _OF_HEIGHT and len(each.ints) == 1:
            each.ints[:] = [_OF_HEIGHT[each.name], *each.ints]
        elif each.name == "pads" and len(each.ints) == 2:
            each.ints[:] = [0, each.ints[0], 0, each.ints[1]]
