"""What the export writes: one manifest, a free batch, the same numbers as torch, whole files only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from seisedge.edge.manifest import METADATA_KEY, read_manifest
from seisedge.edge.seal import SEAL_KEY
from seisedge.edge.session import OrtSession
from seisedge.export.artefact import Source, export_fp32, golden_windows, write_artefact
from seisedge.export.errors import UnknownModelError
from seisedge.export.registry import REGISTRY, find

SOURCE = Source("1", "0" * 64, "none: fresh weights", "MIT", "none")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, torch.nn.Module]:
    torch.manual_seed(3)
    network = find("seismo-performer").build()
    path = tmp_path_factory.mktemp("exported") / "performer.onnx"
    export_fp32(network, find("seismo-performer").recipe, SOURCE, path, quality={"f1": 0.5})
    return path, network


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_every_row_has_exactly_its_number_of_parameters(name: str) -> None:
    model = find(name)
    assert model.count(model.build()) == model.parameters


def test_an_unknown_model_is_named_with_its_nearest_neighbour() -> None:
    with pytest.raises(UnknownModelError, match=r"found 'seismo-perfomer'; did you mean 'seismo-performer'"):
        find("seismo-perfomer")


def test_manifest_and_seal_are_all_the_metadata(exported: tuple[Path, torch.nn.Module]) -> None:
    model = onnx.load(str(exported[0]))
    assert [entry.key for entry in model.metadata_props] == [METADATA_KEY, SEAL_KEY]
    manifest = read_manifest(model.metadata_props[0].value, "file")
    assert manifest.verification.quality == {"f1": 0.5}
    assert manifest.provenance.weights_digest == SOURCE.weights_digest
    assert manifest.provenance.tools["torch"] == torch.__version__


def test_the_file_says_nothing_of_the_machine_that_made_it(exported: tuple[Path, torch.nn.Module]) -> None:
    assert str(Path(__file__).resolve().parents[2]).encode() not in exported[0].read_bytes()


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_the_graph_gives_what_torch_gives_at_any_batch(exported: tuple[Path, torch.nn.Module], batch: int) -> None:
    path, network = exported
    windows = np.random.default_rng(batch).standard_normal((batch, 22, 33, 3), dtype=np.float32)
    with torch.inference_mode():
        wanted = network.eval()(torch.from_numpy(windows)).numpy()
    np.testing.assert_allclose(OrtSession(path).run(windows)[0], wanted, atol=1e-6)


def test_the_golden_output_is_that_of_the_golden_input(exported: tuple[Path, torch.nn.Module]) -> None:
    path, network = exported
    session = OrtSession(path)
    with torch.inference_mode():
        wanted = network.eval()(torch.from_numpy(golden_windows((22, 33, 3)))).numpy()
    assert session.manifest.verification.golden_output == tuple(map(float, wanted.ravel()))
    assert session.check_golden() <= session.manifest.verification.tolerance


def test_a_failed_write_leaves_the_old_file_and_no_other(
    exported: tuple[Path, torch.nn.Module], tmp_path: Path
) -> None:
    target = tmp_path / "model.onnx"
    target.write_bytes(b"old")
    broken = onnx.load(str(exported[0]))
    manifest = OrtSession(exported[0]).manifest
    broken.graph.node[0].input[0] = "nowhere"
    with pytest.raises(onnx.checker.ValidationError):
        write_artefact(broken, manifest, target)
    assert target.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["model.onnx"]
