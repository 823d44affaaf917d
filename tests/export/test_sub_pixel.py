"""A transposed convolution as a plain one: torch's own transposed convolution is the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import small_networks
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from seisedge.export.candidates import list_candidates
from seisedge.export.sub_pixel import has_transposed, phase_kernels, split_transposed

Float32 = npt.NDArray[np.float32]
TIME = 11


def _model(weight: Float32, *, has_bias: bool = True, **attributes: Any) -> onnx.ModelProto:
    """Two inputs' worth of samples into one transposed convolution."""
    names = ["waveform", "w", "b"][: 3 if has_bias else 2]
    bias = np.linspace(-1, 1, weight.shape[1], dtype=np.float32)
    graph = helper.make_graph(
        [helper.make_node("ConvTranspose", names, ["output"], **attributes)],
        "one",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, [None, weight.shape[0], TIME])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [None, None, None])],
        [numpy_helper.from_array(value, name) for value, name in ((weight, "w"), (bias, "b"))][: len(names) - 1],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def _weight(inputs: int, outputs: int, taps: int) -> Float32:
    return np.random.default_rng(taps).standard_normal((inputs, outputs, taps)).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(
    taps=st.integers(1, 9),
    stride=st.integers(1, 5),
    left=st.integers(0, 3),
    right=st.integers(0, 3),
    bias=st.booleans(),
)
def test_the_sums_are_those_of_torch(taps: int, stride: int, left: int, right: int, bias: bool) -> None:  # noqa: FBT001
    weight = _weight(3, 2, taps)
    whole = (TIME - 1) * stride + taps
    if left + right >= whole:
        return
    model = _model(weight, has_bias=bias, strides=[stride], pads=[left, right])
    split = split_transposed(model)
    onnx.checker.check_model(split, full_check=True)
    assert not has_transposed(split)
    windows = np.random.default_rng(0).standard_normal((4, 3, TIME)).astype(np.float32)
    given_bias = torch.linspace(-1, 1, 2) if bias else None
    wanted = torch.nn.functional.conv_transpose1d(
        torch.from_numpy(windows), torch.from_numpy(weight), given_bias, stride=stride
    ).numpy()[..., left : whole - right]
    np.testing.assert_allclose(small_networks.run(split, windows), wanted, rtol=1e-5, atol=2e-6)


def test_each_phase_has_every_s_th_tap_reversed() -> None:
    weight = np.arange(1, 6, dtype=np.float32).reshape(1, 1, 5)
    np.testing.assert_array_equal(phase_kernels(weight, 2), [[[5, 3, 1]], [[0, 4, 2]]])


@pytest.mark.parametrize(
    "attributes", [{"output_padding": [1]}, {"dilations": [2]}, {"auto_pad": "SAME_UPPER"}, {"output_shape": [24]}]
)
def test_what_cannot_be_split_is_left(attributes: dict[str, Any]) -> None:
    model = _model(_weight(3, 2, 3), strides=[2], **attributes)
    assert not has_transposed(model)
    assert [node.op_type for node in split_transposed(model).graph.node] == ["ConvTranspose"]


def test_groups_are_left() -> None:
    model = _model(_weight(4, 1, 3), has_bias=False, strides=[2], group=2)
    assert not has_transposed(model)


def test_the_given_model_is_left_as_it_was() -> None:
    model = _model(_weight(3, 2, 3), strides=[2])
    before = model.SerializeToString()
    split_transposed(model)
    assert model.SerializeToString() == before


def test_int8_has_no_float_weights_of_a_transposed_convolution() -> None:
    model = _model(_weight(3, 2, 3), strides=[2])
    windows = np.random.default_rng(0).standard_normal((8, 3, TIME)).astype(np.float32)
    candidates = list(list_candidates(model, "int8", "tensorrt", [windows]))
    assert candidates
    for candidate in candidates:
        assert "ConvTranspose" not in {node.op_type for node in candidate.graph.graph.node}
        floats = [each for each in candidate.graph.graph.initializer if each.data_type == TensorProto.FLOAT]
        assert max(int(np.prod(each.dims)) for each in floats) <= 4  # scales and biases
