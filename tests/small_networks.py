"""A small network with everything that quantisation has to tell apart, made of ONNX operators by hand."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import artefacts
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from seisedge.edge.manifest import Input, Manifest, Output

Float32 = npt.NDArray[np.float32]

SHAPE = (3, 64)
SEED = 11


def small_model() -> onnx.ModelProto:
    """Conv, pool, conv, transposed conv, a skip, conv, a product, a normalisation, a product with a bias, softmax."""
    rng = np.random.default_rng(SEED)

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        size = (2 / np.prod(shape[1:])) ** 0.5
        return numpy_helper.from_array((size * rng.standard_normal(shape)).astype(np.float32), name)

    def node(kind: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
        return helper.make_node(kind, inputs.split(), [output], name=output, **attributes)

    nodes = [
        node("Conv", "waveform w1 b1", "c1", kernel_shape=[5], pads=[2, 2]),
        node("Relu", "c1", "r1"),
        node("MaxPool", "r1", "p1", kernel_shape=[2], strides=[2]),
        node("Conv", "p1 w2 b2", "c2", kernel_shape=[3], pads=[1, 1]),
        node("Relu", "c2", "r2"),
        node("ConvTranspose", "r2 w3 b3", "t3", kernel_shape=[2], strides=[2]),
        node("Concat", "r1 t3", "k3", axis=1),
        node("Conv", "k3 w4", "c4", kernel_shape=[3], pads=[1, 1]),
        node("LeakyRelu", "c4", "r4", alpha=0.1),
        node("Reshape", "r4 flat", "f4"),
        node("Gemm", "f4 w5 b5", "g5", transB=1),
        node("LayerNormalization", "g5 gain shift", "n5", axis=-1),
        node("Relu", "n5", "r5"),
        node("MatMul", "r5 w6", "m6"),
        node("Add", "m6 b6", "logits"),
        node("Softmax", "logits", "probability", axis=-1),
    ]
    constants = [
        weight("w1", 8, 3, 5),
        weight("b1", 8),
        weight("w2", 16, 8, 3),
        weight("b2", 16),
        weight("w3", 16, 8, 2),
        weight("b3", 8),
        weight("w4", 4, 16, 3),
        weight("w5", 24, 256),
        weight("b5", 24),
        weight("w6", 24, 3),
        weight("b6", 3),
        numpy_helper.from_array(np.ones(24, np.float32), "gain"),
        numpy_helper.from_array(np.zeros(24, np.float32), "shift"),
        numpy_helper.from_array(np.array([-1, 256], np.int64), "flat"),
    ]
    return make_model(nodes, SHAPE, 3, constants)


def make_model(
    nodes: list[onnx.NodeProto], shape: tuple[int, ...], classes: int, constants: list[onnx.TensorProto]
) -> onnx.ModelProto:
    """A model from `waveform` (batch, *shape) to `probability` (batch, classes)."""
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["batch", *shape])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["batch", classes])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


def small_windows(count: int, seed: int = 5) -> Float32:
    """Windows whose loudness varies, as that of real ones does."""
    rng = np.random.default_rng(seed)
    loudness = rng.gamma(2, 0.5, (count, 1, 1))
    return (loudness * rng.standard_normal((count, *SHAPE))).astype(np.float32)


def small_manifest(model: onnx.ModelProto) -> Manifest:
    """The manifest of a model from `make_model`, with its golden output."""
    manifest = artefacts.tiny_manifest(
        name="small",
        input=Input("waveform", SHAPE, "float32", "at_least_two"),
        window_samples=SHAPE[1],
        stride_samples=8,
        steps=(),
        outputs=(Output("probability", "class_probability", ("P", "S", "noise"), 32, None),),
    )
    golden = manifest.verification
    windows = np.random.default_rng(golden.golden_seed).standard_normal(
        (golden.golden_windows, *SHAPE), dtype=np.float32
    )
    output = tuple(float(value) for value in run(model, windows).ravel())
    return dataclasses.replace(manifest, verification=dataclasses.replace(golden, golden_output=output))


def write_small(path: Path) -> Path:
    """The small network as an fp32 artefact."""
    model = small_model()
    return artefacts.write_artefact(path, model, small_manifest(model).to_json())


def session(model: onnx.ModelProto, optimised: Path | None = None) -> ort.InferenceSession:
    """One thread; `optimised` is where the runtime's own form of the graph goes."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if optimised is not None:
        options.optimized_model_filepath = str(optimised)
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(model: onnx.ModelProto, windows: Float32) -> Float32:
    """The first output."""
    found = session(model).run(None, {model.graph.input[0].name: windows})[0]
    return np.asarray(found, np.float32)


def runtime_operators(model: onnx.ModelProto, folder: Path) -> Counter[str]:
    """How many nodes of each kind ONNX Runtime really runs, behind its fusions."""
    path = folder / "optimised.onnx"
    session(model, path)
    return Counter(node.op_type for node in onnx.load(str(path)).graph.node)


def constant(model: onnx.ModelProto, name: str) -> npt.NDArray[np.generic]:
    """A constant of the graph."""
    tensor = next(each for each in model.graph.initializer if each.name == name)
    return np.asarray(numpy_helper.to_array(tensor))


def change_constant(model: onnx.ModelProto, name: str, change: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> None:
    """Put another value of the same shape and type in place of a constant."""
    tensor = next(each for each in model.graph.initializer if each.name == name)
    value = np.asarray(numpy_helper.to_array(tensor))
    tensor.CopyFrom(numpy_helper.from_array(change(value).astype(value.dtype), name))
