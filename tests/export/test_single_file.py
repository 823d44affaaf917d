"""A model is joined with its weights to the same model in one file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

from seisedge.export.single_file import join_weights


def saved_apart(folder: Path) -> onnx.ModelProto:
    """Two large tensors in one file, a small one inside."""
    rng = np.random.default_rng(0)
    arrays = {
        "a": rng.normal(size=(64, 300)).astype(np.float32),
        "b": rng.normal(size=(300, 50)).astype(np.float32),
        "c": np.ones(50, np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "a"], ["xa"]),
            helper.make_node("MatMul", ["xa", "b"], ["xab"]),
            helper.make_node("Add", ["xab", "c"], ["y"]),
        ],
        "apart",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 64])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", 50])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save_model(
        model, folder / "apart.onnx", save_as_external_data=True, location="apart.data", size_threshold=1000
    )
    return onnx.load(folder / "apart.onnx", load_external_data=False)


def test_the_joined_model_is_the_model(tmp_path: Path) -> None:
    model = saved_apart(tmp_path)
    join_weights(model, tmp_path, tmp_path / "one.onnx")
    joined, wanted = onnx.load(tmp_path / "one.onnx"), onnx.load(tmp_path / "apart.onnx")
    onnx.checker.check_model(joined, full_check=True)
    assert list(joined.graph.node) == list(wanted.graph.node)
    arrays = [{each.name: numpy_helper.to_array(each) for each in one.graph.initializer} for one in (joined, wanted)]
    assert arrays[0].keys() == arrays[1].keys() == {"a", "b", "c"}
    for name, array in arrays[1].items():
        np.testing.assert_array_equal(arrays[0][name], array)
    (tmp_path / "apart.data").unlink()
    found = ort.InferenceSession(str(tmp_path / "one.onnx")).run(None, {"x": np.ones((2, 64), np.float32)})[0]
    wanted_output = np.ones((2, 64)) @ arrays[1]["a"].astype(float) @ arrays[1]["b"] + arrays[1]["c"]
    np.testing.assert_allclose(np.asarray(found), wanted_output, rtol=1e-3, atol=1e-3)


def test_weights_that_end_too_early_are_an_error(tmp_path: Path) -> None:
    model = saved_apart(tmp_path)
    data = tmp_path / "apart.data"
    data.write_bytes(data.read_bytes()[:-10])
    with pytest.raises(OSError, match=r"apart.data: ends \d+ bytes too early"):
        join_weights(model, tmp_path, tmp_path / "one.onnx")
