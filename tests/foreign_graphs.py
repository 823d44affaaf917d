"""ONNX graphs as strangers write them: most of them no artefact, each with what has to be said of it."""

from __future__ import annotations

import artefacts
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def without_softmax(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    """The tiny graph with other nodes between its logits and its output."""
    model = artefacts.tiny_graph()
    model.graph.node.pop()
    model.graph.node.extend(nodes)
    model.graph.initializer.append(numpy_helper.from_array(np.array([1]), "last"))
    return model


def batch_dependent(sizes: tuple[int, ...]) -> onnx.ModelProto:
    """The tiny graph, a little off in batches of those sizes: the logits change by 0.01 of P there."""
    model = without_softmax(
        helper.make_node("Shape", ["logits"], ["axes"], start=0, end=1),
        helper.make_node("Equal", ["axes", "sizes"], ["hits"]),
        helper.make_node("Cast", ["hits"], ["ones"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["ones"], ["hit"], keepdims=0),
        helper.make_node("Mul", ["hit", "shift"], ["shifted"]),
        helper.make_node("Add", ["logits", "shifted"], ["moved"]),
        helper.make_node("Softmax", ["moved"], ["probability"], axis=-1),
    )
    model.graph.initializer.append(numpy_helper.from_array(np.array(sizes, np.int64), "sizes"))
    model.graph.initializer.append(numpy_helper.from_array(np.array([0.01, 0, 0], np.float32), "shift"))
    return model


def reshaped(*axes: int) -> onnx.ModelProto:
    """The tiny graph with a batch that tracing has frozen in a Reshape."""
    model = artefacts.tiny_graph()
    model.graph.node[1].CopyFrom(helper.make_node("Reshape", ["cast", "frozen"], ["flat"]))
    model.graph.initializer.append(numpy_helper.from_array(np.array(axes), "frozen"))
    return model


def _external(tensor: onnx.TensorProto) -> onnx.TensorProto:
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return tensor


def _external_weights() -> onnx.ModelProto:
    model = artefacts.tiny_graph()
    _external(model.graph.initializer[0])
    return model


def _hidden(node: onnx.NodeProto, *constants: onnx.TensorProto) -> onnx.ModelProto:
    """The tiny graph with a node in the body of an `If`."""
    result = helper.make_tensor_value_info("inner", TensorProto.FLOAT, [1])
    body = helper.make_graph([node], "body", [], [result], constants)
    model = without_softmax(
        helper.make_node("If", ["choice"], ["unused"], then_branch=body, else_branch=body),
        helper.make_node("Softmax", ["logits"], ["probability"], axis=-1),
    )
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "choice"))
    return model


def _hidden_constant() -> onnx.ModelProto:
    return _hidden(helper.make_node("Constant", [], ["inner"], value=_external(numpy_helper.from_array(np.ones(1)))))


def _hidden_weights() -> onnx.ModelProto:
    weights = _external(numpy_helper.from_array(np.ones(1, np.float32), "weights"))
    return _hidden(helper.make_node("Identity", ["weights"], ["inner"]), weights)


def function_graph(operator: str) -> onnx.ModelProto:
    """The tiny graph whose last operator is a function of the file, made of an operator of that name."""
    model = without_softmax(helper.make_node("Last", ["logits"], ["probability"], domain="mine"))
    inner = helper.make_node(operator, ["x"], ["y"], domain="acme" if operator == "Magic" else "")
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("acme", 1)]
    model.functions.append(helper.make_function("mine", "Last", ["x"], ["y"], [inner], opsets))
    model.opset_import.extend([helper.make_opsetid("mine", 1), helper.make_opsetid("acme", 1)])
    return model


def _quantised() -> onnx.ModelProto:
    return without_softmax(
        helper.make_node("DynamicQuantizeLinear", ["logits"], ["q", "scale", "zero"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["back"]),
        helper.make_node("Softmax", ["back"], ["probability"], axis=-1),
    )


def _half_weights() -> onnx.ModelProto:
    model = artefacts.tiny_graph()
    half = numpy_helper.from_array(np.zeros(3, np.float16), "half")
    model.graph.initializer.append(half)
    return model


def _two_inputs() -> onnx.ModelProto:
    model = artefacts.tiny_graph()
    model.graph.input.append(helper.make_tensor_value_info("station", TensorProto.FLOAT, [1]))
    return model


def _double_output() -> onnx.ModelProto:
    model = without_softmax(
        helper.make_node("Softmax", ["logits"], ["single"], axis=-1),
        helper.make_node("Cast", ["single"], ["probability"], to=TensorProto.DOUBLE),
    )
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    return model


def _double_network() -> onnx.ModelProto:
    """All of it in float64, with an operator that ONNX Runtime has for float32 alone."""
    wave = helper.make_tensor_value_info("waveform", TensorProto.DOUBLE, ["batch", 3, 100])
    said = helper.make_tensor_value_info("probability", TensorProto.DOUBLE, ["batch", 3, 98])
    node = helper.make_node("Conv", ["waveform", "weights"], ["probability"])
    weights = numpy_helper.from_array(np.ones((3, 3, 3)), "weights")
    graph = helper.make_graph([node], "double", [wave], [said], [weights])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _custom_operator() -> onnx.ModelProto:
    model = without_softmax(helper.make_node("Magic", ["logits"], ["probability"], domain="acme", name="trick"))
    model.opset_import.append(helper.make_opsetid("acme", 1))
    return model


def per_sample_graph(shape: list[int | str], transposed: bool = False) -> onnx.ModelProto:  # noqa: FBT001, FBT002
    """Softmax over the components of (batch, 3, samples), with the labels last unless `transposed`."""
    nodes = [helper.make_node("Softmax", ["waveform"], ["classes"], axis=-2)]
    nodes.append(
        helper.make_node("Identity", ["classes"], ["probability"])
        if transposed
        else helper.make_node("Transpose", ["classes"], ["probability"], perm=[0, 2, 1])
    )
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "picker",
        [value("waveform", TensorProto.FLOAT, shape)],
        [value("probability", TensorProto.FLOAT, [None] * len(shape))],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def with_an_axis_for_windows(model: onnx.ModelProto, samples: int) -> onnx.ModelProto:
    """As docs/bring-your-own-model.md has it."""
    graph = model.graph
    for name, value in (("axis", 0), ("samples", samples)):
        graph.initializer.append(numpy_helper.from_array(np.array([value]), name))
    graph.node.insert(0, helper.make_node("Squeeze", ["window", "axis"], ["wave"]))
    graph.node.append(helper.make_node("Slice", ["prob", "axis", "samples"], ["cut"]))
    graph.node.append(helper.make_node("Unsqueeze", ["cut", "axis"], ["probability"]))
    del graph.input[:], graph.output[:]
    shape = [1, samples, 3]
    graph.input.append(helper.make_tensor_value_info("window", TensorProto.FLOAT, shape))
    graph.output.append(helper.make_tensor_value_info("probability", TensorProto.FLOAT, shape))
    return onnx.version_converter.convert_version(model, 17)


REFUSED: dict[str, tuple[onnx.ModelProto | bytes, str]] = {
    "no model": (b"not a model at all", "found no ONNX model"),
    "empty": (b"", "found no ONNX model with operators"),
    "truncated": (artefacts.tiny_graph().SerializeToString()[:-500], "found no ONNX model"),
    "weights elsewhere": (_external_weights(), "tensor 'matrix': found its values in another file"),
    "weights elsewhere in a body": (_hidden_constant(), "found its values in another file"),
    "weights of a body elsewhere": (_hidden_weights(), "tensor 'weights': found its values in another file"),
    "custom operator": (_custom_operator(), "node 'trick': found the operator Magic of acme, which ONNX Runtime does"),
    "custom operator in a body": (
        _hidden(helper.make_node("Magic", [], ["inner"], domain="acme")),
        "found the operator Magic of acme",
    ),
    "custom operator in a function": (function_graph("Magic"), "found the operator Magic of acme"),
    "invalid": (without_softmax(helper.make_node("Softmax", ["nowhere"], ["probability"])), "found an invalid ONNX"),
    "quantised": (_quantised(), "quantised operator"),
    "half weights": (
        _half_weights(),
        "tensor 'half': found float16, wanted one of float32: wrap the network as it was",
    ),
    "half input": (
        artefacts.tiny_graph(input_type=TensorProto.FLOAT16),
        "input spectrogram: found tensor(float16), wanted tensor(float): export the network in float32; `edge-export",
    ),
    "double input": (
        artefacts.tiny_graph(input_type=TensorProto.DOUBLE),
        "found tensor(double), wanted tensor(float): export the network in float32, in torch with `network.float()`",
    ),
    "double network": (
        _double_network(),
        "input waveform: found tensor(double), wanted tensor(float): export the network in float32, in torch with",
    ),
    "double output": (
        _double_output(),
        "output probability: found tensor(double), wanted tensor(float): end it with a Cast",
    ),
    "another name": (
        artefacts.tiny_graph(input_name="x"),
        "found the inputs 'x' tensor(float) [batch, 22, 33, 3]; the recipe wants one, 'spectrogram' tensor(float) [bat",
    ),
    "two inputs": (_two_inputs(), "found the inputs 'spectrogram' tensor(float) [batch, 22, 33, 3], 'station' tensor"),
    "another output": (
        artefacts.tiny_graph(output_name="y"),
        "found the outputs 'y' tensor(float) [batch, 3]; the recipe wants 'probability'",
    ),
    "another shape": (
        artefacts.tiny_graph((22, 33, 1)),
        "input spectrogram: found shape [batch, 22, 33, 1], wanted [batch, 22, 33, 3]",
    ),
    "more classes": (artefacts.tiny_graph(classes=4), "found shape [batch, 4], wanted [batch, 3]"),
    "a fixed batch": (
        artefacts.tiny_graph(batch=8),
        "a batch of 8 is fixed; export it with a free first axis, or with 1",
    ),
    "logits": (
        without_softmax(helper.make_node("Identity", ["logits"], ["probability"])),
        "wanted probabilities from 0 to 1: these look like logits; end the graph with a Softmax over its last axis",
    ),
    "sigmoids": (
        without_softmax(helper.make_node("Sigmoid", ["logits"], ["probability"])),
        "wanted 1: end the graph with a Softmax over its last axis, with a class for what is none of the others",
    ),
    "not finite": (
        without_softmax(
            helper.make_node("Abs", ["cast"], ["levels"]),
            helper.make_node("ReduceMax", ["levels"], ["loudest"], axes=[1, 2, 3], keepdims=0),
            helper.make_node("Log", ["loudest"], ["nothing"]),  # log 1 where all is at the floor, -1
            helper.make_node("Unsqueeze", ["nothing", "last"], ["divisor"]),
            helper.make_node("Div", ["logits", "divisor"], ["ratio"]),
            helper.make_node("Softmax", ["ratio"], ["probability"], axis=-1),
        ),
        "output probability: found NaN or infinity for awkward window 'silence', wanted finite numbers for any input",
    ),
}
