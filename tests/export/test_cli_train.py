"""What `edge-export train` refuses before it trains: a training takes hours, and its end is too late."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from labelled import write_labelled

from seisedge.export.cli import main
from seisedge.export.registry import find
from seisedge.export.weights import save_weights

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_labelled(tmp_path_factory.mktemp("labelled"), count=9)


def _train(*more: object) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["train", *map(str, more)])
    assert "Traceback" not in done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


@pytest.mark.parametrize("name", ["mine.npz", "mine.json", "mine"])
def test_an_output_that_is_no_artefact_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    code, said = _train("gpd", "--data", folder, "-o", tmp_path / name)
    assert (code, "wanted a name that ends in .onnx" in said) == (2, True)


@pytest.mark.parametrize(
    ("option", "name"), [("--start", "x.npz"), ("--teacher", "x.npz"), ("--options", "x.json"), ("--state", "x.json")]
)
def test_an_output_that_would_overwrite_an_input_is_refused(
    folder: Path, tmp_path: Path, option: str, name: str
) -> None:
    (tmp_path / name).write_bytes(b"kept")
    code, said = _train("gpd", "--data", folder, option, tmp_path / name, "-o", tmp_path / "x.onnx")
    assert (code, f"would overwrite {option}" in said) == (2, True)
    assert (tmp_path / name).read_bytes() == b"kept"


@pytest.mark.parametrize("option", ["--output", "--state"])
def test_a_folder_that_cannot_be_written_is_refused_before_the_data_are_read(tmp_path: Path, option: str) -> None:
    (tmp_path / "file").touch()
    paths = {"--output": tmp_path / "x.onnx", "--state": tmp_path / "x.pt", option: tmp_path / "file" / "x.onnx"}
    flags = [each for pair in paths.items() for each in pair]
    code, said = _train("gpd", "--data", tmp_path / "no data", *flags)
    assert (code, f"{option}: {tmp_path / 'file'}: found no folder to write to" in said) == (2, True)


def test_a_folder_that_is_not_there_is_made(folder: Path, tmp_path: Path) -> None:
    options = tmp_path / "o.json"
    options.write_text(json.dumps({"batch": 2, "mined_records": 1, "seed": 5}))
    output = tmp_path / "new" / "folder" / "x.onnx"
    code, said = _train("earthquake-cnn", "--data", folder, "--steps", "1", "--options", options, "-o", output)
    assert code == 0, said
    assert json.loads(output.with_suffix(".json").read_text())["options"]["seed"] == 5


def test_a_gpu_that_is_not_there_is_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, said = _train("gpd", "--data", folder, "--device", "cuda", "-o", tmp_path / "x.onnx")
    assert (code, "--device cuda: found no GPU that PyTorch can use" in said) == (2, True)


def test_a_detector_with_nothing_but_events_to_judge_by_is_refused(tmp_path: Path) -> None:
    folder = write_labelled(tmp_path, count=9)
    for name in ("train", "val"):
        _only_events(folder / f"labelled_{name}.npz")
    code, said = _train("convnetquake", "--data", folder, "--steps", "1", "-o", tmp_path / "x.onnx")
    assert (code, "training: found 6 records with an arrival and 0 with room for noise" in said) == (1, True)


def _only_events(path: Path) -> None:
    with np.load(path) as file:
        arrays = {name: np.asarray(file[name]) for name in file.files}
    kept = arrays["p_sample"] >= 0
    np.savez(path, **{name: each if name == "samples" else each[kept] for name, each in arrays.items()})  # type: ignore[arg-type]  # arrays by name
    lines = path.with_suffix(".csv").read_text(encoding="utf-8").splitlines()
    chosen = [lines[0], *(line for line, keep in zip(lines[1:], kept, strict=True) if keep)]
    path.with_suffix(".csv").write_text("\n".join(chosen) + "\n", encoding="utf-8")


def test_a_state_of_other_weights_to_begin_with_is_refused(folder: Path, tmp_path: Path) -> None:
    options, state, start = tmp_path / "o.json", tmp_path / "s.pt", tmp_path / "start.npz"
    options.write_text(json.dumps({"batch": 2, "mined_records": 1}))
    save_weights(start, find("earthquake-cnn").build())
    same = ("earthquake-cnn", "--data", folder, "--steps", "1", "--options", options, "--state", state)
    assert _train(*same, "-o", tmp_path / "x.onnx")[0] == 0
    code, said = _train(*same, "--start", start, "-o", tmp_path / "y.onnx")
    assert (code, "found a training on another start start.npz" in said) == (1, True)
    assert not (tmp_path / "y.onnx").exists()
