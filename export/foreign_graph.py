"""An ONNX file that another program wrote: read with care, and held against a recipe.

Nothing but the one file is read: tensors in other files, operators that come from a library and what asks for either
inside a subgraph or a function are refused before ONNX Runtime sees them.

Forms: `onnx.proto` (ModelProto, GraphProto, FunctionProto, TensorProto.data_location).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import onnx
import onnxruntime as ort
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # its stubs are a package of their own
from onnx import TensorProto
from onnx.external_data_helper import uses_external_data
from onnxruntime.capi import (
    onnxruntime_pybind11_state as ort_state,  # pyright: ignore[reportAttributeAccessIssue]  # compiled, no stub
)

from seisedge.edge.errors import ModelError
from seisedge.edge.manifest import Output
from seisedge.edge.session import MAX_MODEL_BYTES

from .recipe import Recipe

_STANDARD = {"", "ai.onnx"}  # two names of one domain
_INTEGER_OPERATORS = re.compile(r"(De|Dynamic)?[Qq]uantize|Q[A-Z]|\w*Integer|MatMulNBits|MatMulBnb4")
_SHORT_FLOATS: dict[int, str] = {TensorProto.FLOAT16: "float16", TensorProto.BFLOAT16: "bfloat16"}
_QUANTIZE_LATER = (
    "wanted one of float32: wrap the network as it was before, and make it smaller with "
    "`edge-export quantize`, which compares the two"
)
_ADVICE = {
    "tensor(float16)": "export the network in float32; `edge-export quantize --precision fp16` makes it smaller later",
    "tensor(double)": "export the network in float32, in torch with `network.float()`",
}

RUN_ERRORS: tuple[type[Exception], ...] = (
    ort_state.Fail,
    ort_state.InvalidArgument,
    ort_state.NotImplemented,
    ort_state.RuntimeException,
)
"""What ONNX Runtime raises when a graph that it has loaded fails on an input."""


@dataclass(frozen=True)
class ForeignGraph:
    """A file whose graph needs no other file and no operator of its own.

    Attributes
    ----------
    path
        Where it was read.
    model
        Its content.
    digest
        SHA-256 of the file.
    """

    path: Path
    model: onnx.ModelProto
    digest: str


class _Value(Protocol):
    """An input or an output, as ONNX Runtime tells it."""

    name: str
    type: str
    shape: list[int | str | None]


def read_graph(path: Path) -> ForeignGraph:
    """Read a user's ONNX file.

    Raises
    ------
    ModelError
        It cannot be read, is larger than what a station loads, is no valid ONNX model, keeps tensors in other files,
        has operators that ONNX Runtime does not have, or is quantised already.
    """
    content = _read(path)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError as error:
        raise ModelError(f"{path}: found no ONNX model, wanted one") from error
    if not model.graph.node:
        raise ModelError(f"{path}: found no ONNX model with operators, wanted one")
    _check_tensors(model, path)
    _check_operators(model, path)
    _check_inputs(model, path)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"{path}: found an invalid ONNX model ({reason}), wanted one that onnx.checker takes"
        ) from error
    _bring_weights_together(model)
    return ForeignGraph(path, model, hashlib.sha256(content).hexdigest())


def _bring_weights_together(model: onnx.ModelProto) -> None:
    """Leave weights one form of the three that ONNX has: initialisers, which are no inputs and no Constant nodes."""
    graph = model.graph
    for node in [each for each in graph.node if each.op_type == "Constant" and each.attribute[0].name == "value"]:
        weight = graph.initializer.add()
        weight.CopyFrom(node.attribute[0].t)
        weight.name = node.output[0]
        graph.node.remove(node)
    weights = {each.name for each in graph.initializer}
    for each in [each for each in graph.input if each.name in weights]:
        graph.input.remove(each)


def _check_inputs(model: onnx.ModelProto, path: Path) -> None:
    """Of a network in float64 ONNX Runtime would say that it lacks a convolution."""
    weights = {each.name for each in model.graph.initializer}
    for each in model.graph.input:
        if each.name not in weights and each.type.tensor_type.elem_type == TensorProto.DOUBLE:
            found = "tensor(double)"
            raise ModelError(f"{path}: input {each.name}: found {found}, wanted tensor(float): {_ADVICE[found]}")


def check_contract(session: ort.InferenceSession, recipe: Recipe, path: Path) -> bool:
    """Hold the graph's input and outputs against the recipe's; say whether its batch is fixed at one window.

    Raises
    ------
    ModelError
        A name, a type or a shape is not the recipe's; the message has what the graph has.
    """
    inputs: Sequence[_Value] = session.get_inputs()
    if [each.name for each in inputs] != [recipe.input.name]:
        raise ModelError(f"{path}: found the inputs {_listed(inputs)}; the recipe wants one, {_wanted_input(recipe)}")
    fed = inputs[0]
    if fed.type != "tensor(float)":
        advice = _ADVICE.get(fed.type, "export the network with an input in float32")
        raise ModelError(f"{path}: input {fed.name}: found {fed.type}, wanted tensor(float): {advice}")
    _check_input_shape(fed, recipe, path)
    outputs: Sequence[_Value] = session.get_outputs()
    for output in recipe.outputs:
        _check_output(output, outputs, path)
    return fed.shape[0] == 1


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_MODEL_BYTES + 1)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > MAX_MODEL_BYTES:
        raise ModelError(f"{path}: found more than {MAX_MODEL_BYTES} bytes, wanted an ONNX model")
    return content


def _check_tensors(model: onnx.ModelProto, path: Path) -> None:
    for tensor in _tensors(model):
        if uses_external_data(tensor):
            raise ModelError(
                f"{path}: tensor {tensor.name!r}: found its values in another file, wanted all in this one: "
                "save the model with onnx.save(model, path, save_as_external_data=False)"
            )
        if tensor.data_type in _SHORT_FLOATS:
            found = _SHORT_FLOATS[tensor.data_type]
            raise ModelError(f"{path}: tensor {tensor.name!r}: found {found}, {_QUANTIZE_LATER}")


def _check_operators(model: onnx.ModelProto, path: Path) -> None:
    known = {(each.domain, each.name) for each in ort_state.get_all_operator_schema()}
    known |= {(each.domain, each.name) for each in model.functions}
    for node in _nodes(model):
        if _INTEGER_OPERATORS.match(node.op_type):
            raise ModelError(
                f"{path}: node {node.name!r}: found the quantised operator {node.op_type}, {_QUANTIZE_LATER}"
            )
        domain = "" if node.domain in _STANDARD else node.domain
        if (domain, node.op_type) not in known:
            raise ModelError(
                f"{path}: node {node.name!r}: found the operator {node.op_type} of {domain or 'ONNX'}, which ONNX "
                "Runtime does not have: export the network with ONNX's own operators"
            )


def _nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """All nodes: of the graph, of its functions, of the bodies of either."""
    waiting = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += [inner for body in _bodies(node) for inner in body.node]


def _bodies(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """All constants: initialisers and attributes, sparse ones too, wherever they stand."""
    nodes = list(_nodes(model))
    for graph in (model.graph, *(body for node in nodes for body in _bodies(node))):
        yield from graph.initializer
        yield from _parts(graph.sparse_initializer)
    attributes = [each for node in nodes for each in node.attribute]
    attributes += [each for function in model.functions for each in function.attribute_proto]
    for attribute in attributes:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        yield from _parts([attribute.sparse_tensor, *attribute.sparse_tensors])


def _parts(tensors: Sequence[onnx.SparseTensorProto]) -> Iterator[onnx.TensorProto]:
    for each in tensors:
        yield each.values
        yield each.indices


def _check_input_shape(fed: _Value, recipe: Recipe, path: Path) -> None:
    wanted = list(recipe.input.shape)
    where = f"{path}: input {fed.name}: found shape {_shape(fed)}, wanted {_batch_of(wanted)}"
    if len(fed.shape) == len(wanted):
        raise ModelError(
            f"{where}: it takes one record and has no axis that counts windows; export it with one, or put a "
            "Squeeze before it and an Unsqueeze behind it"
        )
    axes = fed.shape[1:]
    if len(axes) == len(wanted) and any(not isinstance(axis, int) for axis in axes):
        raise ModelError(f"{where}: fix every axis but the first when it is exported")
    if axes != wanted:
        raise ModelError(f"{where}: the recipe's steps, its input.shape and the network belong together")
    batch = fed.shape[0]
    if isinstance(batch, int) and batch != 1:
        raise ModelError(f"{where}: a batch of {batch} is fixed; export it with a free first axis, or with 1")


def _check_output(output: Output, outputs: Sequence[_Value], path: Path) -> None:
    found = next((each for each in outputs if each.name == output.name), None)
    if found is None:
        raise ModelError(f"{path}: found the outputs {_listed(outputs)}; the recipe wants {output.name!r}")
    if found.type != "tensor(float)":
        raise ModelError(f"{path}: output {found.name}: found {found.type}, wanted tensor(float): end it with a Cast")
    classes = found.shape[-1] if found.shape else None
    if output.kind == "class_probability" and classes != len(output.labels):
        raise ModelError(
            f"{path}: output {found.name}: found shape {_shape(found)}, wanted {_batch_of([len(output.labels)])}, "
            f"fixed when it is exported: the recipe names the labels {', '.join(output.labels)}"
        )


def _wanted_input(recipe: Recipe) -> str:
    return f"{recipe.input.name!r} tensor(float) {_batch_of(list(recipe.input.shape))}"


def _batch_of(axes: list[int]) -> str:
    return f"[{', '.join(('batch', *map(str, axes)))}]"


def _listed(values: Sequence[_Value]) -> str:
    return ", ".join(f"{each.name!r} {each.type} {_shape(each)}" for each in values) or "none"


def _shape(value: _Value) -> str:
    return f"[{', '.join(str(axis) if axis is not None else '?' for axis in value.shape)}]"
