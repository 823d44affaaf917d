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
from seisedge.export.errors import UnknownModelError, WeightError
from seisedge.export.registry import REGISTRY, find
from seisedge.export.weights import load_weights, save_weights

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


def test_weights_come_back_from_npz_as_they_were(tmp_path: Path) -> None:
    network, other = find("spec-cnn").build(), find("spec-cnn").build()
    save_weights(tmp_path / "w.npz", network)
    load_weights(tmp_path / "w.npz", other)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_npz_of_another_network_names_the_first_tensor_that_does_not_fit(tmp_path: Path) -> None:
    save_weights(tmp_path / "w.npz", find("spec-cnn").build())
    with pytest.raises(WeightError, match=r"w\.npz: missing tensor class_token, wanted shape \(1, 48\)"):
        load_weights(tmp_path / "w.npz", find("seismo-performer").build())


def test_npz_with_surplus_or_misshapen_tensors_is_refused(tmp_path: Path) -> None:
    network = find("seismo-performer").build()
    arrays = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    np.savez(tmp_path / "surplus.npz", **arrays, extra=np.zeros(1))
    with pytest.raises(WeightError, match="surplus tensor extra"):
        load_weights(tmp_path / "surplus.npz", network)
    arrays["classify.bias"] = np.zeros(4, np.float32)
    np.savez(tmp_path / "misshapen.npz", **arrays)
    with pytest.raises(WeightError, match=r"classify\.bias: found shape \(4,\), wanted \(3,\)"):
        load_weights(tmp_path / "misshapen.npz", network)


def test_weights_that_need_a_pickle_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "pickle.npz", embed=np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(WeightError, match="without pickles"):
        load_weights(tmp_path / "pickle.npz", find("seismo-performer").build())


@pytest.mark.parametrize(("name", "content"), [("w.npz", b"no zip"), ("w.pt", b"pickle")])
def test_files_that_are_no_weights_are_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightError, match=rf"{name}: found .*wanted") as caught:
        load_weights(tmp_path / name, find("seismo-performer").build())
    assert "\n" not in str(caught.value)
