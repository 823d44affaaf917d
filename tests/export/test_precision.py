"""Other forms of a float graph: half precision inside only, series as images with the same outputs."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import small_networks
from onnx import TensorProto, helper, numpy_helper

from seisedge.export.calibration import calibrate
from seisedge.export.precision import (
    PrecisionError,
    has_conv1d,
    join_products,
    lift_conv1d,
    store_in_half,
    to_fp16,
)

Float32 = npt.NDArray[np.float32]


@pytest.fixture
def model() -> onnx.ModelProto:
    return small_networks.small_model()


@pytest.fixture(scope="module")
def windows() -> Float32:
    return small_networks.small_windows(32)


def _kinds(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def _checked(model: onnx.ModelProto) -> onnx.ModelProto:
    onnx.checker.check_model(model, full_check=True)
    return model


def test_half_precision_is_inside_and_float32_outside(model: onnx.ModelProto, windows: Float32) -> None:
    half = _checked(to_fp16(model))
    for border in (*half.graph.input, *half.graph.output):
        assert border.type.tensor_type.elem_type == TensorProto.FLOAT
    assert {each.data_type for each in half.graph.initializer} == {TensorProto.FLOAT16, TensorProto.INT64}
    inferred = onnx.shape_inference.infer_shapes(half, strict_mode=True)
    assert {each.type.tensor_type.elem_type for each in inferred.graph.value_info} == {TensorProto.FLOAT16}
    assert half.ByteSize() < 0.6 * model.ByteSize()
    errors = np.abs(small_networks.run(half, windows) - small_networks.run(model, windows))
    assert 0 < errors.max() < 2e-3


def test_casts_and_constants_inside_follow() -> None:
    nodes = [
        helper.make_node("Constant", [], ["two"], value=numpy_helper.from_array(np.array(2, np.float32))),
        helper.make_node("Flatten", ["waveform"], ["flat"]),
        helper.make_node("Cast", ["flat"], ["whole"], to=TensorProto.INT32),
        helper.make_node("Cast", ["whole"], ["again"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["again", "two"], ["probability"]),
    ]
    model = small_networks.make_model(nodes, small_networks.SHAPE, 192, [])
    windows = np.arange(192, dtype=np.float32).reshape(1, 3, 64)
    np.testing.assert_array_equal(small_networks.run(_checked(to_fp16(model)), windows), 2 * windows.reshape(1, -1))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (70_000.0, r"tensor b2: found 70000, wanted at most 65504 for fp16"),
        (-1e9, r"tensor b2: found 1e\+09, wanted at most 65504"),
        (1e-9, r"tensor b2: found at most 1e-09, which is zero in fp16"),
        (float("nan"), r"tensor b2: found nan, wanted at most 65504"),
    ],
)
def test_a_constant_beyond_half_precision_is_named(model: onnx.ModelProto, value: float, message: str) -> None:
    small_networks.change_constant(model, "b2", lambda b: np.full_like(b, value))
    with pytest.raises(PrecisionError, match=message):
        to_fp16(model)


def test_the_edge_of_half_precision_is_inside(model: onnx.ModelProto) -> None:
    small_networks.change_constant(model, "b2", lambda b: np.full_like(b, 65504))
    small_networks.change_constant(model, "b3", np.zeros_like)
    _checked(to_fp16(model))


def test_a_measured_value_beyond_half_precision_is_named(model: onnx.ModelProto, windows: Float32) -> None:
    small_networks.change_constant(model, "w2", lambda w: 1000 * w)
    measured = calibrate(model, ["r1", "r2"], [100 * windows])
    with pytest.raises(PrecisionError, match=r"tensor r2: found .*, wanted at most 65504 for fp16"):
        to_fp16(model, measured)


def test_an_operator_without_half_precision_is_named(model: onnx.ModelProto) -> None:
    resize = helper.make_node("Resize", ["r1", "", "scales"], ["p1"], mode="nearest")
    model.graph.node[2].CopyFrom(resize)
    with pytest.raises(PrecisionError, match="Resize p1: found an operator without a half-precision form"):
        to_fp16(model)


def test_series_as_images_give_the_same(model: onnx.ModelProto, windows: Float32) -> None:
    assert has_conv1d(model)
    lifted = _checked(lift_conv1d(model))
    assert not has_conv1d(lifted)
    np.testing.assert_allclose(
        small_networks.run(lifted, windows), small_networks.run(model, windows), rtol=0, atol=1e-6
    )


def test_the_height_goes_in_once_and_out_once(model: onnx.ModelProto) -> None:
    lifted = lift_conv1d(model)
    kinds = _kinds(lifted)
    assert kinds["Unsqueeze"] == kinds["Squeeze"] == 1
    assert kinds - Counter({"Unsqueeze": 1, "Squeeze": 1}) == _kinds(model)
    assert lifted.ByteSize() < 1.05 * model.ByteSize()  # the old weights are gone


def test_what_works_on_the_last_axis_is_lifted_or_left(windows: Float32) -> None:
    """A slice of time, a row and a column added, a join of channels; the softmax over time needs the series."""
    rng = np.random.default_rng(3)

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array((0.3 * rng.standard_normal(shape)).astype(np.float32), name)

    def whole(name: str, *values: int) -> onnx.TensorProto:
        return numpy_helper.from_array(np.array(values, np.int64), name)

    nodes = [
        helper.make_node("Conv", ["waveform", "w1"], ["c1"], kernel_shape=[5], pads=[4, 0], strides=[2]),
        helper.make_node("Slice", ["c1", "start", "end", "axis"], ["s1"]),
        helper.make_node("Add", ["s1", "column"], ["a1"]),
        helper.make_node("Mul", ["row", "a1"], ["a2"]),
        helper.make_node("AveragePool", ["a2"], ["v1"], kernel_shape=[3], pads=[1, 1]),
        helper.make_node("Concat", ["v1", "s1"], ["k1"], axis=1),
        helper.make_node("BatchNormalization", ["k1", "g", "h", "m", "v"], ["n1"]),
        helper.make_node("Clip", ["n1", "low", ""], ["p1"]),
        helper.make_node("Softmax", ["p1"], ["x1"], axis=-1),
        helper.make_node("Conv", ["x1", "w2"], ["c2"], kernel_shape=[3], dilations=[2], group=8),
        helper.make_node("ReduceMean", ["c2"], ["probability"], axes=[2], keepdims=0),
    ]
    constants = [
        weight("w1", 4, 3, 5),
        weight("w2", 8, 1, 3),
        weight("column", 4, 1),
        weight("row", 30),
        weight("g", 8),
        weight("h", 8),
        weight("m", 8),
        numpy_helper.from_array(np.ones(8, np.float32), "v"),
        numpy_helper.from_array(np.array(-0.5, np.float32), "low"),
        whole("start", 1),
        whole("end", 31),
        whole("axis", -1),
    ]
    graph = helper.make_graph(
        nodes,
        "mixed",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["batch", 3, 64])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["batch", 8])],
        constants,
    )
    model = _checked(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
    lifted = _checked(lift_conv1d(model))
    assert _kinds(lifted)["Unsqueeze"] == 2
    np.testing.assert_allclose(
        small_networks.run(lifted, windows), small_networks.run(model, windows), rtol=0, atol=1e-6
    )


def test_large_weights_are_stored_in_half_and_computed_in_float(model: onnx.ModelProto, windows: Float32) -> None:
    stored, kinds = store_in_half(model)
    _checked(stored)
    assert kinds == ("Gemm: weights stored in float16",)  # the others have fewer than 1024 numbers
    assert _kinds(stored)["Cast"] == 1
    assert stored.ByteSize() < 0.7 * model.ByteSize()
    errors = np.abs(small_networks.run(stored, windows) - small_networks.run(model, windows))
    assert 0 < errors.max() < 1e-3


def test_a_product_of_rows_takes_its_bias_in(model: onnx.ModelProto, windows: Float32) -> None:
    joined = _checked(join_products(model))
    assert _kinds(joined) == _kinds(model) - Counter({"MatMul": 1, "Add": 1}) + Counter({"Gemm": 1})
    np.testing.assert_allclose(
        small_networks.run(joined, windows), small_networks.run(model, windows), rtol=0, atol=1e-6
    )


def test_a_product_that_something_else_reads_is_left(model: onnx.ModelProto) -> None:
    model.graph.node.insert(14, helper.make_node("Neg", ["m6"], ["unused"]))
    assert _kinds(join_products(model)) == _kinds(model)


def test_the_given_model_is_left_as_it_was(model: onnx.ModelProto) -> None:
    before = model.SerializeToString()
    to_fp16(model)
    lift_conv1d(model)
    store_in_half(model)
    join_products(model)
    assert model.SerializeToString() == before
