"""An artefact is loaded only if its graph is what its manifest says; a window's output does not know its batch."""

# pyright: reportPrivateUsage=false
# (what the graph sees is spied on)

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from pathlib import Path
from typing import Literal, get_args

import artefacts
import numpy as np
import pytest
from onnx import TensorProto, helper
from shared_data import needs_shared

from seisedge.edge import DataError, ManifestError, ModelError, OrtSession, UsageError
from seisedge.edge.models import embedded_models, find_model

MANIFEST = artefacts.tiny_manifest()


def windows(count: int) -> artefacts.Float32:
    return np.random.default_rng(count).uniform(-1, 0.3, (count, 22, 33, 3)).astype(np.float32)


def test_a_good_artefact_is_loaded_whole(tiny_path: Path) -> None:
    session = OrtSession(tiny_path)
    assert session.manifest == MANIFEST
    assert session.digest == hashlib.sha256(tiny_path.read_bytes()).hexdigest()
    (output,) = session.run(windows(5))
    assert output.shape == (5, 3)
    assert output.dtype == np.float32


def test_a_text_file_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("this is no model\n")
    with pytest.raises(ModelError, match=r"model.onnx: found no loadable ONNX model \(.*\), wanted one$") as caught:
        OrtSession(path)
    assert "\n" not in str(caught.value)


def test_half_a_model_is_no_model(tiny_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "half.onnx"
    path.write_bytes(tiny_path.read_bytes()[:5000])
    with pytest.raises(ModelError, match=r"half.onnx: found no (loadable ONNX model|manifest)"):
        OrtSession(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none.onnx: cannot be read: No such file"):
        OrtSession(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match=r"cannot be read: Is a directory"):
        OrtSession(tmp_path)


def test_an_enormous_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        file.truncate((1 << 30) + 1)
    with pytest.raises(ModelError, match=r"huge.onnx: found more than 1073741824 bytes"):
        OrtSession(path)


def test_a_model_without_a_manifest_is_refused(tmp_path: Path) -> None:
    path = artefacts.write_artefact(tmp_path / "bare.onnx", artefacts.tiny_graph(), None)
    message = "bare.onnx: found no manifest, wanted one under the metadata key 'seisedge.manifest'"
    with pytest.raises(ModelError, match=re.escape(message)):
        OrtSession(path)


def test_a_manifest_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    text = json.dumps({**artefacts.manifest_object(), "sampling_rte": 100})
    path = artefacts.write_artefact(tmp_path / "key.onnx", artefacts.tiny_graph(), text)
    message = "key.onnx: manifest: unknown key 'sampling_rte'; did you mean 'sampling_rate'?"
    with pytest.raises(ManifestError, match=re.escape(message)):
        OrtSession(path)


GRAPHS = {
    "shape": (
        artefacts.tiny_graph((22, 32, 3)),
        "input spectrogram: found shape ['batch', 22, 32, 3], the manifest wants batch x [22, 33, 3]",
    ),
    "name": (artefacts.tiny_graph(input_name="x"), "found inputs ['x'], the manifest wants 'spectrogram'"),
    "type": (
        artefacts.tiny_graph(input_type=TensorProto.FLOAT16),
        "input spectrogram: found tensor(float16), wanted tensor(float)",
    ),
    "batch": (
        artefacts.tiny_graph(batch=4),
        "input spectrogram: found a batch of 4, the manifest wants any number of windows",
    ),
    "output": (
        artefacts.tiny_graph(output_name="y"),
        "found outputs ['y'], the manifest wants 'probability'",
    ),
    "classes": (
        artefacts.tiny_graph(classes=4),
        "output probability: found 4 classes, the manifest names 3: P, S, noise",
    ),
}


@pytest.mark.parametrize("what", GRAPHS)
def test_a_graph_that_is_not_its_manifests_is_refused(what: str, tmp_path: Path) -> None:
    graph, message = GRAPHS[what]
    path = artefacts.write_artefact(tmp_path / "graph.onnx", graph, MANIFEST.to_json())
    with pytest.raises(ModelError, match=re.escape(f"graph.onnx: {message}")):
        OrtSession(path)


def test_an_output_without_an_axis_of_classes_is_refused(tmp_path: Path) -> None:
    graph = artefacts.tiny_graph()
    last = graph.graph.node[-1]
    last.op_type = "ReduceMean"
    last.ClearField("attribute")
    last.attribute.append(helper.make_attribute("keepdims", 0))
    graph.graph.output[0].type.tensor_type.shape.ClearField("dim")
    path = artefacts.write_artefact(tmp_path / "graph.onnx", graph, MANIFEST.to_json())
    with pytest.raises(ModelError, match="output probability: found None classes, the manifest names 3"):
        OrtSession(path)


def session_with(tmp_path: Path, **verification: object) -> OrtSession:
    changed = dataclasses.replace(MANIFEST.verification, **verification)  # type: ignore[arg-type]  # tests name fields
    return OrtSession(artefacts.write_tiny(tmp_path / "m.onnx", dataclasses.replace(MANIFEST, verification=changed)))


def test_the_golden_check_passes_on_this_device(tiny_session: OrtSession) -> None:
    assert 0 <= tiny_session.check_golden() < 1e-5


def test_the_golden_check_fails_where_the_device_computes_something_else(tmp_path: Path) -> None:
    output = list(MANIFEST.verification.golden_output)
    output[4] += 1e-3
    session = session_with(tmp_path, golden_output=tuple(output))
    with pytest.raises(DataError, match=r"golden input: found outputs 0.001 off, wanted at most 1e-05"):
        session.check_golden()


def test_a_golden_output_of_another_size_is_refused(tmp_path: Path) -> None:
    session = session_with(tmp_path, golden_output=(0.5,) * 8)
    with pytest.raises(ModelError, match=r"golden output: found 9 numbers, wanted 8"):
        session.check_golden()


BatchRule = Literal["any", "at_least_two", "one"]


@pytest.mark.parametrize("rule", get_args(BatchRule))
def test_the_batch_rule_decides_what_the_graph_sees(
    rule: BatchRule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = artefacts.tiny_manifest(input=dataclasses.replace(MANIFEST.input, batch=rule))
    session = OrtSession(artefacts.write_tiny(tmp_path / "m.onnx", manifest))
    seen: list[int] = []
    run = session._run

    def spy(batch: artefacts.Float32) -> list[artefacts.Float32]:
        seen.append(len(batch))
        return run(batch)

    monkeypatch.setattr(session, "_run", spy)
    outputs = [session.run(windows(count))[0] for count in (1, 2, 3)]
    assert seen == {"any": [1, 2, 3], "at_least_two": [2, 2, 3], "one": [1] * 6}[rule]
    assert [len(output) for output in outputs] == [1, 2, 3]


def test_a_graph_for_single_windows_is_accepted_where_the_manifest_says_so(tmp_path: Path) -> None:
    manifest = artefacts.tiny_manifest(input=dataclasses.replace(MANIFEST.input, batch="one"))
    path = artefacts.write_artefact(tmp_path / "m.onnx", artefacts.tiny_graph(batch=1), manifest.to_json())
    assert OrtSession(path).run(windows(3))[0].shape == (3, 3)


def assert_batch_invariant(session: OrtSession) -> None:
    many = windows(130)
    (whole,) = session.run(many)
    for size in [*range(1, 18), 31, 32, 33, 63, 64, 65, 100, 127, 128, 129]:
        for start in (0, 1, 130 - size):
            if start + size <= 130:
                part = session.run(many[start : start + size])[0]
                np.testing.assert_array_equal(part, whole[start : start + size], err_msg=f"batch of {size}")


def test_outputs_do_not_depend_on_the_batch(tiny_session: OrtSession) -> None:
    assert_batch_invariant(tiny_session)


@needs_shared
@pytest.mark.parametrize("name", ["performer-v1", "spec-cnn-v1"])
def test_outputs_of_published_networks_do_not_depend_on_the_batch(name: str, artefact_folder: Path) -> None:
    assert_batch_invariant(OrtSession(artefacts.export_published(name, artefact_folder)))


def test_a_model_is_found_by_path_or_by_name(tiny_path: Path) -> None:
    assert find_model(str(tiny_path)) == tiny_path
    for name, path in embedded_models().items():
        assert find_model(name) == path


def test_an_unknown_model_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"^model 'seismo-perfomer': no such file, and no embedded model of that name"):
        find_model("seismo-perfomer")
