"""int8: the numbers that each class of processors was promised, and what must never become integer."""

from __future__ import annotations

import platform
from pathlib import Path

import artefacts
import numpy as np
import numpy.typing as npt
import onnx
import pytest
import small_networks
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from shared_data import SHARED, needs_shared

from seisedge.edge.preprocess import Preprocess
from seisedge.edge.session import OrtSession
from seisedge.edge.targets import ProcessorTarget
from seisedge.export.calibration import METHODS, Calibration, Range, calibrate
from seisedge.export.candidates import schemes
from seisedge.export.dataset import read_labelled
from seisedge.export.onnx_graph import index_graph
from seisedge.export.precision import join_products
from seisedge.export.qdq import activation_scale, quantised_weight, weight_scales
from seisedge.export.quantize import (
    FORMATS,
    QUANTISABLE,
    TARGETS,
    QuantizationError,
    Scheme,
    quantised_nodes,
    quantize_static,
    require_host_target,
    tensors_to_calibrate,
)
from seisedge.export.quantize_dynamic import can_be_dynamic, quantize_dynamic

Float32 = npt.NDArray[np.float32]

EVERYTHING = Scheme(QUANTISABLE, has_ends=True, through_moves=True)


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return small_networks.small_model()


@pytest.fixture(scope="module")
def calibration(model: onnx.ModelProto) -> Calibration:
    return calibrate(model, tensors_to_calibrate(model), [small_networks.small_windows(200)])


def _quantised(
    model: onnx.ModelProto, calibration: Calibration, target: ProcessorTarget, scheme: Scheme = EVERYTHING
) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    ranges = calibration.ranges("mse", symmetric=FORMATS[target].is_symmetric)
    found = quantize_static(model, ranges, scheme, target)
    onnx.checker.check_model(found[0], full_check=True)
    return found


def _constants(model: onnx.ModelProto, kind: str) -> list[list[npt.NDArray[np.generic] | None]]:
    """The inputs of all nodes of a kind, as values where they are constant."""
    index = index_graph(model.graph)
    return [[index.constant(name) for name in node.input] for node in model.graph.node if node.op_type == kind]


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_gets_the_numbers_it_was_promised(
    model: onnx.ModelProto, calibration: Calibration, target: ProcessorTarget
) -> None:
    graph, _ = _quantised(model, calibration, target)
    kind = np.uint8 if target.startswith("x86") else np.int8
    activations = _constants(graph, "QuantizeLinear")
    assert {zero.dtype for _, _, zero in activations if zero is not None} == {np.dtype(kind)}
    constants = [each for each in _constants(graph, "DequantizeLinear") if each[0] is not None]
    weights = [each for each in constants if each[0] is not None and each[0].dtype == np.int8]
    biases = [each for each in constants if each[0] is not None and each[0].dtype == np.int32]
    assert len(weights) == 5
    assert len(biases) == (0 if target == "tensorrt" else 3)
    assert all(zero is not None and not np.any(zero) for _, _, zero in weights)
    assert {int(np.abs(each[0]).max()) for each in weights if each[0] is not None} == {64 if "avx2" in target else 127}
    assert [scales.shape for _, scales, _ in weights if scales is not None] == [(8,), (16,), (4,), (24,), (3,)]


def test_tensorrt_gets_no_zero_point_but_zero(model: onnx.ModelProto, calibration: Calibration) -> None:
    graph, _ = _quantised(model, calibration, "tensorrt")
    for kind in ("QuantizeLinear", "DequantizeLinear"):
        for inputs in _constants(graph, kind):
            assert inputs[2] is not None
            assert inputs[2].dtype == np.int8
            assert not np.any(inputs[2])


def test_weights_of_avx2_cannot_saturate_its_sums_of_two_products(
    model: onnx.ModelProto, calibration: Calibration
) -> None:
    """Its instruction pmaddubsw adds two products of u8 and s8 in 16 bits, whichever weights are neighbours."""
    worst: dict[str, int] = {}
    for target in ("x86-vnni", "x86-avx2"):
        graph, _ = _quantised(model, calibration, target)
        sums: list[int] = []
        for inputs in _constants(graph, "DequantizeLinear"):
            if inputs[0] is not None and inputs[0].dtype == np.int8:
                rows = np.abs(inputs[0].astype(np.int64)).reshape(len(inputs[0]), -1)
                sums.append(int(255 * np.sort(rows.ravel())[-2:].sum()))
        worst[target] = max(sums)
    assert worst["x86-avx2"] <= 2**15 - 1
    assert worst["x86-vnni"] > 2**15 - 1


@pytest.mark.parametrize("target", TARGETS)
def test_softmax_and_normalisation_and_transposed_convolution_stay_float(
    model: onnx.ModelProto, calibration: Calibration, target: ProcessorTarget, tmp_path: Path
) -> None:
    graph, exceptions = _quantised(model, calibration, target)
    index = index_graph(graph.graph)
    for node in graph.graph.node:
        if node.op_type in {"Softmax", "LayerNormalization"}:
            readers = index.consumers.get(node.output[0], [])
            assert all(each.op_type != "QuantizeLinear" for each in readers)
    assert exceptions == ("ConvTranspose: float", "LayerNormalization: float", "Softmax: float")
    there = small_networks.runtime_operators(graph, tmp_path)
    assert {"Softmax", "LayerNormalization", "ConvTranspose"} <= there.keys()
    assert not there.keys() & {"QLinearSoftmax", "ConvInteger"}


def test_nothing_that_was_quantised_runs_in_float(
    model: onnx.ModelProto, calibration: Calibration, tmp_path: Path
) -> None:
    """ONNX Runtime joins a Gemm with its activation, and a MatMul with its bias, to float kernels if it is let."""
    joined = join_products(model)
    again = calibrate(joined, tensors_to_calibrate(joined), [small_networks.small_windows(20)])
    graph, _ = _quantised(joined, again, "x86-vnni")
    there = small_networks.runtime_operators(graph, tmp_path)
    assert there["QLinearConv"] == 3
    assert there["QGemm"] == 2
    assert not there.keys() & {"ConvInteger", "Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul"}
    windows = small_networks.small_windows(20, seed=6)
    np.testing.assert_allclose(small_networks.run(joined, windows), small_networks.run(model, windows), atol=1e-6)
    assert calibration.windows == 200


def test_a_product_behind_a_softmax_stays_float(tmp_path: Path) -> None:
    """With pairs on both of its sides, ONNX Runtime would run the softmax in integers."""
    rng = np.random.default_rng(0)

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name)

    nodes = [
        helper.make_node("Conv", ["waveform", "w1"], ["c1"], kernel_shape=[3], pads=[1, 1]),
        helper.make_node("Softmax", ["c1"], ["s"], axis=-1),
        helper.make_node("MatMul", ["s", "w2"], ["m"]),
        helper.make_node("Reshape", ["m", "shape"], ["probability"]),
    ]
    shape = numpy_helper.from_array(np.array([-1, 4], np.int64), "shape")
    model = small_networks.make_model(
        nodes, small_networks.SHAPE, 4, [weight("w1", 4, 3, 3), weight("w2", 64, 1), shape]
    )
    calibration = calibrate(model, tensors_to_calibrate(model), [small_networks.small_windows(20)])
    graph, exceptions = _quantised(model, calibration, "x86-vnni")
    assert exceptions == ("MatMul m: float, no constant weights, or behind a softmax", "Softmax: float")
    there = small_networks.runtime_operators(graph, tmp_path)
    assert there["QLinearConv"] == there["Softmax"] == 1


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("method", METHODS)
def test_outputs_of_the_small_network_stay_near(
    model: onnx.ModelProto, calibration: Calibration, target: ProcessorTarget, method: str
) -> None:
    ranges = calibration.ranges(method, symmetric=FORMATS[target].is_symmetric)  # type: ignore[arg-type]  # of METHODS
    windows = small_networks.small_windows(64, seed=6)
    wanted = small_networks.run(model, windows)
    for scheme in schemes(model, target):
        errors = np.abs(small_networks.run(quantize_static(model, ranges, scheme, target)[0], windows) - wanted)
        assert np.sqrt(np.mean(errors**2)) < 0.01, scheme
        assert errors.max() < 0.08, scheme


def test_arm_computes_what_vnni_computes(model: onnx.ModelProto, calibration: Calibration) -> None:
    """The same numbers less 128: what is measured here holds there."""
    windows = small_networks.small_windows(64, seed=6)
    vnni = small_networks.run(_quantised(model, calibration, "x86-vnni")[0], windows)
    np.testing.assert_array_equal(small_networks.run(_quantised(model, calibration, "arm")[0], windows), vnni)


def test_an_output_does_not_depend_on_the_batch(model: onnx.ModelProto) -> None:
    """With every product in integers, not even on a batch of one."""
    joined = join_products(model)
    calibration = calibrate(joined, tensors_to_calibrate(joined), [small_networks.small_windows(20)])
    graph, exceptions = _quantised(joined, calibration, "x86-vnni")
    assert not any(each.startswith(("Gemm", "MatMul")) for each in exceptions)
    session, windows = small_networks.session(graph), small_networks.small_windows(15)
    whole = np.asarray(session.run(None, {"waveform": windows})[0])
    for size in (1, 2, 7):
        for at in range(0, 15, size):
            part = np.asarray(session.run(None, {"waveform": windows[at : at + size]})[0])
            np.testing.assert_array_equal(part, whole[at : at + size])


def test_a_scheme_chooses_by_kind_and_by_place(model: onnx.ModelProto) -> None:
    assert quantised_nodes(model, EVERYTHING) == ("c1", "c2", "c4", "g5", "m6")
    assert quantised_nodes(model, Scheme(QUANTISABLE, has_ends=False, through_moves=False)) == ("c2", "c4", "g5")
    assert quantised_nodes(model, Scheme(("Gemm",), has_ends=True, through_moves=False)) == ("g5",)
    assert len(schemes(model, "x86-vnni")) == 6  # no move between the ends
    assert len(schemes(model, "tensorrt")) == 4  # moves make no difference where outputs are not quantised


def test_what_a_scheme_leaves_out_is_named(model: onnx.ModelProto, calibration: Calibration) -> None:
    _, exceptions = _quantised(model, calibration, "arm", Scheme(("Conv",), has_ends=True, through_moves=False))
    assert exceptions[:2] == ("Gemm g5: float, left out", "MatMul m6: float, left out")


def test_moves_between_quantised_nodes_keep_the_scale(
    model: onnx.ModelProto, calibration: Calibration, tmp_path: Path
) -> None:
    with_moves, _ = _quantised(model, calibration, "x86-vnni")
    without, _ = _quantised(model, calibration, "x86-vnni", Scheme(QUANTISABLE, has_ends=True, through_moves=False))
    scales = {
        name: [small_networks.constant(graph, f"{tensor}_s") for tensor in ("r1", "p1")]
        for name, graph in (("with", with_moves), ("without", without))
    }
    assert scales["with"][0] == scales["with"][1]
    assert scales["without"][0] != scales["without"][1]
    assert small_networks.runtime_operators(with_moves, tmp_path)["NhwcMaxPool"] == 1  # the integer one
    assert small_networks.runtime_operators(without, tmp_path)["MaxPool"] == 1


def test_a_missing_range_and_an_empty_scheme_are_named(model: onnx.ModelProto, calibration: Calibration) -> None:
    ranges = calibration.ranges("minmax", symmetric=False)
    del ranges["p1"]
    with pytest.raises(QuantizationError, match="tensor p1: found no range, wanted one"):
        quantize_static(model, ranges, EVERYTHING, "arm")
    bare = artefacts.tiny_graph()
    with pytest.raises(QuantizationError, match="conv: found no such node with constant weights"):
        quantize_static(bare, {}, Scheme(("Conv",), has_ends=True, through_moves=False), "arm")


def test_a_processor_without_a_class_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(QuantizationError, match="found 'riscv64', wanted x86-64 or aarch64"):
        require_host_target()


@given(st.floats(-1e4, 0, width=32), st.floats(0, 1e4, width=32), st.sampled_from(TARGETS))
def test_a_range_is_covered_and_zero_is_a_level(low: float, high: float, target: ProcessorTarget) -> None:
    number = FORMATS[target]
    scale, zero = activation_scale(Range(low, high), number)
    levels = np.iinfo(number.activation)
    ends = [(level - int(zero)) * float(scale) for level in (levels.min, levels.max)]
    slack = 0.51 * float(scale) + 1e-30
    assert ends[0] <= low + slack
    assert ends[1] >= high - slack
    assert levels.min <= int(zero) <= levels.max
    if number.is_symmetric:
        assert int(zero) == 0


def test_weights_are_half_a_step_off_at_most() -> None:
    rng = np.random.default_rng(2)
    weight = (rng.standard_normal((6, 5, 4)) * rng.gamma(1, 1, (6, 1, 1))).astype(np.float32)
    weight[3] = 0
    for axis, limit in ((0, 127), (1, 64), (2, 127)):
        scales = weight_scales(weight, axis, limit)
        shape = [1, 1, 1]
        shape[axis] = -1
        found = quantised_weight(weight, scales, axis, limit) * scales.reshape(shape)
        assert (np.abs(found - weight) <= 0.501 * scales.reshape(shape)).all()


def test_a_bias_beside_tiny_weights_does_not_overflow(model: onnx.ModelProto, calibration: Calibration) -> None:
    """As behind batch normalisation of a dead channel: weights of 1e-12, a bias of one."""
    dead = onnx.ModelProto()
    dead.CopyFrom(model)
    small_networks.change_constant(dead, "w2", lambda w: w * np.where(np.arange(16) == 5, 1e-12, 1)[:, None, None])
    small_networks.change_constant(dead, "b2", lambda b: np.where(np.arange(16) == 5, 1.0, b))
    again = calibrate(dead, tensors_to_calibrate(dead), [small_networks.small_windows(50)])
    graph, _ = _quantised(dead, again, "x86-vnni")
    windows = small_networks.small_windows(32, seed=8)
    errors = np.abs(small_networks.run(graph, windows) - small_networks.run(dead, windows))
    assert errors.max() < 0.1
    assert calibration.windows == 200


def _lstm_model() -> onnx.ModelProto:
    rng = np.random.default_rng(4)

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array((0.3 * rng.standard_normal(shape)).astype(np.float32), name)

    nodes = [
        helper.make_node("Transpose", ["waveform"], ["steps"], perm=[2, 0, 1]),
        helper.make_node("LSTM", ["steps", "w", "r", "b"], ["y", "last"], hidden_size=8, direction="bidirectional"),
        helper.make_node("Transpose", ["last"], ["both"], perm=[1, 0, 2]),
        helper.make_node("Reshape", ["both", "flat"], ["f"]),
        helper.make_node("Gemm", ["f", "v", "c"], ["g"], transB=1),
        helper.make_node("Softmax", ["g"], ["probability"], axis=-1),
    ]
    constants = [
        weight("w", 2, 32, 3),
        weight("r", 2, 32, 8),
        weight("b", 2, 64),
        weight("v", 3, 16),
        weight("c", 3),
        numpy_helper.from_array(np.array([-1, 16], np.int64), "flat"),
    ]
    return small_networks.make_model(nodes, small_networks.SHAPE, 3, constants)


@pytest.mark.parametrize(("target", "limit"), [("x86-vnni", 127), ("x86-avx2", 64)])
def test_dynamic_int8_is_near_and_in_integer_kernels(target: ProcessorTarget, limit: int, tmp_path: Path) -> None:
    model, windows = _lstm_model(), small_networks.small_windows(20)
    assert can_be_dynamic(model)
    graph = quantize_dynamic(model, target)
    onnx.checker.check_model(graph, full_check=True)
    there = small_networks.runtime_operators(graph, tmp_path)
    assert there["DynamicQuantizeLSTM"] == there["DynamicQuantizeMatMul"] == 1
    found = np.concatenate([small_networks.run(graph, windows[at : at + 1]) for at in range(20)])
    assert np.abs(found - small_networks.run(model, windows)).max() < 0.02
    weights = [
        numpy_helper.to_array(each) for each in graph.graph.initializer if each.data_type == onnx.TensorProto.INT8
    ]
    assert max(int(np.abs(each.astype(np.int64)).max()) for each in weights) == limit


def test_dynamic_int8_never_touches_convolutions(model: onnx.ModelProto) -> None:
    graph = quantize_dynamic(model, "x86-vnni")
    kinds = [node.op_type for node in graph.graph.node]
    assert kinds.count("Conv") == 3
    assert kinds.count("MatMulInteger") == 2
    assert "ConvInteger" not in kinds
    no_products = onnx.ModelProto()
    no_products.CopyFrom(model)
    del no_products.graph.node[10:]
    with pytest.raises(QuantizationError, match="dynamic: found no MatMul, Gemm or LSTM"):
        quantize_dynamic(no_products, "x86-vnni")


@needs_shared
@pytest.mark.parametrize(
    ("name", "most", "size"), [("spec-cnn-v1", (0.2, 0.02), 0.28), ("performer-v1", (0.15, 0.016), 0.45)]
)
def test_published_networks_keep_their_outputs(
    name: str, most: tuple[float, float], size: float, artefact_folder: Path
) -> None:
    """On real windows other than those of the calibration, for every target."""
    path = artefacts.export_published(name, artefact_folder)
    model = onnx.load(str(path))
    preprocess = Preprocess(OrtSession(path).manifest)
    records = read_labelled(SHARED / "labelled" / "labelled_val.npz", preprocess).windows[::3]
    cut = [preprocess.windows(each.samples, count=6, stride=500) for each in records if each.samples.shape[1] > 3000]
    seen, unseen = np.concatenate(cut[::2]), np.concatenate(cut[1::2])
    calibration = calibrate(model, tensors_to_calibrate(model), [seen])
    wanted = small_networks.run(model, unseen)
    for target in TARGETS:
        graph, _ = _quantised(model, calibration, target)
        errors = np.abs(small_networks.run(graph, unseen) - wanted)
        assert errors.max() < most[0], target
        assert np.sqrt(np.mean(errors**2)) < most[1], target
        assert graph.ByteSize() < size * model.ByteSize(), target


@pytest.mark.parametrize("target", ["x86-vnni", "tensorrt"])
def test_what_is_there_in_integers_is_joined_as_integers(target: ProcessorTarget, tmp_path: Path) -> None:
    """An input that two convolutions and a concatenation read: it is not left in float for the last of them."""
    constant = numpy_helper.from_array
    rng = np.random.default_rng(4)
    weights = {"a": (6, 3, 3), "b": (4, 9, 3), "d": (4, 6, 3)}
    graph = helper.make_graph(
        [
            helper.make_node("Relu", ["x"], ["r"]),
            helper.make_node("Conv", ["r", "a"], ["c"], pads=[1, 1]),
            helper.make_node("Conv", ["c", "d"], ["other"], pads=[1, 1]),
            helper.make_node("Concat", ["c", "r"], ["joined"], axis=1),
            helper.make_node("Conv", ["joined", "b"], ["one"], pads=[1, 1]),
            helper.make_node("Add", ["one", "other"], ["y"]),
        ],
        "joins",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 3, 32])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", 4, 32])],
        [constant(rng.normal(0, 0.3, shape).astype(np.float32), name) for name, shape in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    windows = rng.normal(size=(64, 3, 32)).astype(np.float32)
    quantised, _ = _quantised(model, calibrate(model, tensors_to_calibrate(model), [windows]), target)
    there = small_networks.runtime_operators(quantised, tmp_path) if target == "x86-vnni" else {}
    (concat,) = (node for node in quantised.graph.node if node.op_type == "Concat")
    if target == "x86-vnni":
        assert there["QLinearConcat"] == 1
        assert "Concat" not in there
    else:  # TensorRT places what is between convolutions itself
        assert list(concat.input) == ["c", "r"]
    np.testing.assert_allclose(small_networks.run(quantised, windows), small_networks.run(model, windows), atol=0.5)
