"""A stranger's ONNX file becomes an artefact, or is refused with the reason and without a file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import artefacts
import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from foreign_graphs import (
    REFUSED,
    batch_dependent,
    function_graph,
    per_sample_graph,
    reshaped,
    with_an_axis_for_windows,
)
from onnx import numpy_helper
from shared_data import SHARED, needs_shared
from torch import nn

from seisedge.edge.errors import ModelError, SeisedgeError
from seisedge.edge.manifest import Input, Output, Postprocess, Threshold
from seisedge.edge.preprocess import Preprocess
from seisedge.edge.session import OrtSession
from seisedge.edge.steps import Step
from seisedge.export import foreign_graph
from seisedge.export.artefact import Source
from seisedge.export.errors import ExportError
from seisedge.export.foreign_graph import read_graph
from seisedge.export.recipe import Recipe, layout, normalise_max_abs
from seisedge.export.recipe_toml import recipe_of
from seisedge.export.recipes import SEISMO_PERFORMER
from seisedge.export.recipes_phasenet import PHASENET
from seisedge.export.verify import AWKWARD, Check, awkward_windows
from seisedge.export.wrap import PARITY, wrap

SOURCE = Source("3", "", "my network", "MIT", "mine")

Change = Callable[[onnx.GraphProto], None]


def wrapped(
    model: onnx.ModelProto, folder: Path, recipe: Recipe = SEISMO_PERFORMER, data: tuple[Path, ...] = ()
) -> tuple[OrtSession, tuple[Check, ...]]:
    path = folder / "foreign.onnx"
    onnx.save(model, path)
    graph = read_graph(path)
    source = dataclasses.replace(SOURCE, weights_digest=graph.digest)
    checks = wrap(graph, recipe, source, folder / "artefact.onnx", data)
    return OrtSession(folder / "artefact.onnx"), checks


def refusal(model: onnx.ModelProto | bytes, folder: Path, recipe: Recipe = SEISMO_PERFORMER) -> str:
    """The one line that a user sees; nothing may be written."""
    path = folder / "foreign.onnx"
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    with pytest.raises((SeisedgeError, ExportError)) as caught:
        wrap(read_graph(path), recipe, SOURCE, folder / "artefact.onnx")
    assert list(folder.iterdir()) == [path]
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def with_batch(recipe: Recipe, batch: str) -> Recipe:
    return dataclasses.replace(recipe, input=dataclasses.replace(recipe.input, batch=cast("Any", batch)))


def test_an_artefact_is_the_graph_with_the_recipe(tmp_path: Path) -> None:
    session, checks = wrapped(artefacts.tiny_graph(), tmp_path)
    manifest = session.manifest
    assert recipe_of(manifest) == SEISMO_PERFORMER
    assert (manifest.version, manifest.provenance.licence) == ("3", "MIT")
    assert manifest.provenance.weights_digest == read_graph(tmp_path / "foreign.onnx").digest
    assert manifest.verification.parity.keys() == {PARITY}
    assert all(check.passed for check in checks)
    assert (tmp_path / "artefact.report.json").exists()
    golden = np.random.default_rng(manifest.verification.golden_seed).standard_normal((4, 22, 33, 3), np.float32)
    matrix, bias = artefacts.tiny_weights()
    powers = np.exp(golden.reshape(4, -1) @ matrix + bias)
    wanted = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(manifest.verification.golden_output, wanted.ravel(), atol=1e-5)


@pytest.mark.parametrize(
    ("sizes", "claimed", "measured"),
    [
        ((99,), "any", "any"),
        ((99,), "at_least_two", "at_least_two"),  # the claim is kept: other processors may differ
        ((1,), "any", "at_least_two"),
        ((7,), "any", "one"),
        ((33,), "any", "one"),  # a size that only noise has
        ((7,), "at_least_two", "one"),
    ],
)
def test_batches_of_other_bits_are_found(sizes: tuple[int, ...], claimed: str, measured: str, tmp_path: Path) -> None:
    model = batch_dependent(sizes)
    matrix = next(each for each in model.graph.initializer if each.name == "matrix")
    matrix.CopyFrom(numpy_helper.from_array(np.zeros_like(numpy_helper.to_array(matrix)), "matrix"))  # exact sums
    session, _ = wrapped(model, tmp_path, with_batch(SEISMO_PERFORMER, claimed))
    assert session.manifest.input.batch == measured


def test_a_graph_for_one_window_runs_one_by_one(tmp_path: Path) -> None:
    session, _ = wrapped(artefacts.tiny_graph(batch=1), tmp_path)
    assert session.manifest.input.batch == "one"
    assert session.run(np.zeros((3, 22, 33, 3), np.float32))[0].shape == (3, 3)


def test_a_graph_whose_batch_was_frozen_at_one_runs_one_by_one(tmp_path: Path) -> None:
    session, _ = wrapped(reshaped(1, 22 * 33 * 3), tmp_path)
    assert session.manifest.input.batch == "one"


def test_a_graph_whose_batch_was_frozen_at_another_size_is_refused(tmp_path: Path) -> None:
    message = refusal(reshaped(2, 22 * 33 * 3), tmp_path)
    assert message.startswith("found a graph that fails on windows of [22, 33, 3] (")
    assert message.endswith("wanted one that takes them in batches of any size, or of one")


def test_our_own_graph_without_its_metadata_gives_its_manifest_again(tiny_path: Path, tmp_path: Path) -> None:
    model = onnx.load(tiny_path)
    del model.metadata_props[:]
    wanted = OrtSession(tiny_path).manifest
    found = wrapped(model, tmp_path, recipe_of(wanted))[0].manifest
    assert recipe_of(found) == recipe_of(wanted)
    assert found.quantization == wanted.quantization


class _Picker(nn.Module):
    """What a user may have: three components in, noise, P and S for each sample out."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.layers = nn.Sequential(nn.Conv1d(3, 8, 7, padding=3), nn.ReLU(), nn.Conv1d(8, 3, 7, padding=3))

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.layers(waveform), dim=1).transpose(1, 2)


PICKER = dataclasses.replace(
    PHASENET["unet"],
    name="mine",
    sampling_rate=100.0,
    window_samples=500,
    stride_samples=250,
    steps=(Step("demean", "window", {}), normalise_max_abs(joint=False)),
    input=Input("waveform", (3, 500), "float32", "any"),
    outputs=(Output("probability", "sample_probability", ("noise", "P", "S"), None, None),),
    postprocess=Postprocess({"P": Threshold(0.5, 0.3), "S": Threshold(0.5, 0.3)}, 2.0, "peak", (100, 100)),
    budgets=(),
)


@pytest.mark.filterwarnings("ignore")  # the exporter's own
def test_a_users_torch_network_is_wrapped_and_gives_what_torch_gives(tmp_path: Path) -> None:
    network = _Picker().eval()
    path = tmp_path / "user.onnx"
    torch.onnx.export(
        network,
        (torch.zeros(2, 3, 500),),
        path,
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        input_names=["waveform"],
        output_names=["probability"],
        external_data=False,
        verbose=False,
    )
    session, _ = wrapped(onnx.load(path), tmp_path, PICKER)
    windows = np.random.default_rng(2).standard_normal((3, 3, 500), np.float32)
    with torch.inference_mode():
        wanted = network(torch.from_numpy(windows)).numpy()
    np.testing.assert_allclose(session.run(windows)[0], wanted, atol=1e-6)


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_artefact_is_refused_with_the_reason(case: str, tmp_path: Path) -> None:
    model, message = REFUSED[case]
    assert message in refusal(model, tmp_path)


def test_a_function_of_standard_operators_is_no_trick(tmp_path: Path) -> None:
    assert wrapped(function_graph("Softmax"), tmp_path)[0].manifest.input.batch == "at_least_two"


def test_a_file_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign_graph, "MAX_MODEL_BYTES", 1000)
    assert refusal(artefacts.tiny_graph(), tmp_path) == "found more than 1000 bytes, wanted an ONNX model"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere\.onnx: cannot be read"):
        read_graph(tmp_path / "nowhere.onnx")


def test_labels_before_samples_are_refused(tmp_path: Path) -> None:
    assert refusal(per_sample_graph(["batch", 3, 500], transposed=True), tmp_path, PICKER) == (
        "output probability: found shape [3, 500] per window, wanted [500, 3] for sample_probability of noise, P, S; "
        "end the graph with a Transpose of its last two axes"
    )


def test_a_free_axis_has_to_be_fixed(tmp_path: Path) -> None:
    assert refusal(per_sample_graph(["batch", 3, "samples"]), tmp_path, PICKER) == (
        "input waveform: found shape [batch, 3, samples], wanted [batch, 3, 500]: fix every axis but the first when "
        "it is exported"
    )


def test_every_awkward_window_has_a_name(tiny_session: OrtSession) -> None:
    assert len(awkward_windows(Preprocess(tiny_session.manifest))) == len(AWKWARD)


@needs_shared
def test_a_published_picker_that_takes_one_record_is_refused_with_the_reason(tmp_path: Path) -> None:
    """Its input is (sample, component): nothing in it counts windows, which every artefact's input does."""
    recipe = dataclasses.replace(PICKER, input=Input("wave", (500, 3), "float32", "any"))
    content = (SHARED / "weights" / "pnsn_gpl3" / "unet.onnx").read_bytes()
    assert refusal(content, tmp_path, recipe) == (
        "input wave: found shape [batch, 3], wanted [batch, 500, 3]: it takes one record and has no axis that counts "
        "windows; export it with one, or put a Squeeze before it and an Unsqueeze behind it"
    )


@needs_shared
def test_a_published_picker_gets_an_axis_for_windows_and_gives_the_same(tmp_path: Path) -> None:
    path = SHARED / "weights" / "pnsn_gpl3" / "unet.onnx"
    recipe = dataclasses.replace(
        PICKER,
        window_samples=6144,
        steps=(layout("sample_component"),),
        input=Input("window", (6144, 3), "float32", "any"),
    )
    session, _ = wrapped(with_an_axis_for_windows(onnx.load(path), 6144), tmp_path, recipe)
    assert session.manifest.input.batch == "one"
    records = np.random.default_rng(4).standard_normal((2, 6144, 3), np.float32)
    published = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    wanted = [np.asarray(published.run(["prob"], {"wave": record})[0])[:6144] for record in records]
    np.testing.assert_allclose(session.run(records)[0], np.stack(wanted), atol=1e-6)


@needs_shared
def test_real_windows_are_checked_too(tmp_path: Path) -> None:
    _, checks = wrapped(artefacts.tiny_graph(), tmp_path, data=(SHARED / "mseed" / "nysh_20210401",))
    assert "real windows: batch of 1, 2, 7 or all, same bits" in {check.name for check in checks}
