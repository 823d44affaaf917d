"""The command `edge-export`, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import artefacts
import onnx
import pytest
import torch
from click.testing import CliRunner, Result
from labelled import write_labelled

from seisedge.edge import models
from seisedge.edge.session import OrtSession
from seisedge.export import wrap
from seisedge.export.cli import main
from seisedge.export.registry import find
from seisedge.export.weights import save_weights


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_weights(tmp_path_factory.mktemp("weights") / "performer.npz", seed=1)


def random_weights(path: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    save_weights(path, find("seismo-performer").build())
    return path


def test_list_is_an_array_of_objects_with_budgets() -> None:
    rows = json.loads(run("list", "--json").stdout)
    performer = next(row for row in rows if row["name"] == "seismo-performer")
    assert performer["parameters"] == 57_123
    assert {"name", "system", "task", "parameters", "budgets", "version"} <= performer.keys()
    assert performer["budgets"][0]["seconds"] == 0.1
    assert "seismo-performer" in run("list").stdout


def test_show_gives_a_recipe_or_an_artefacts_manifest(tiny_path: Path) -> None:
    assert json.loads(run("show", "spec-cnn", "--json").stdout)["window_samples"] == 400
    shown = json.loads(run("show", tiny_path, "--json").stdout)
    assert shown["name"] == "tiny"
    assert len(shown["digest"]) == 64
    assert run("show", "spec-cnn").stdout.startswith("spec-cnn\n  system            ")
    words = run("show", tiny_path).stdout
    assert words.startswith("tiny, version 1\n")
    assert shown["digest"] in words


def test_show_tells_the_thresholds_of_an_embedded_model_and_not_its_recipes_alone() -> None:
    manifest = OrtSession(models.find_model("edge-picker-long")).manifest
    on = ", ".join(f"{label} {each.on:g}" for label, each in manifest.postprocess.thresholds.items())
    assert f"The embedded one opens at {on};" in run("show", "edge-picker-long").stdout
    assert "The embedded one" not in run("show", "unet").stdout
    assert json.loads(run("show", "edge-picker:fp32", "--json").stdout)["quantization"]["precision"] == "fp32"


def test_a_recipe_is_a_start_for_an_artefact_of_ones_own(tmp_path: Path) -> None:
    onnx.save(artefacts.tiny_graph(), tmp_path / "mine.onnx")
    recipe, output = tmp_path / "mine.toml", tmp_path / "artefact.onnx"
    assert run("recipe", "seismo-performer", "-o", recipe).exit_code == 0
    assert run("recipe", "seismo-performer").stdout == recipe.read_text()
    result = run("wrap", tmp_path / "mine.onnx", "--recipe", recipe, "-o", output, "--licence", "MIT")
    assert result.exit_code == 0, result.output
    assert "ok      awkward windows: batch of 1, 2, 7 or all, same bits" in result.stdout
    assert f"{output}: {output.stat().st_size:,} bytes" in result.stdout
    assert OrtSession(output).manifest.provenance.licence == "MIT"
    assert run("verify", output).exit_code == 0
    assert run("recipe", output).stdout == recipe.read_text()


def test_a_recipe_that_somebody_edited_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("edited")
    result = run("recipe", "seismo-performer", "-o", path)
    assert result.exit_code == 2
    assert "mine.toml: is there already" in result.stderr
    assert path.read_text() == "edited"


def test_a_graph_that_fails_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx.save(artefacts.tiny_graph(), tmp_path / "mine.onnx")
    recipe, output = tmp_path / "mine.toml", tmp_path / "artefact.onnx"
    run("recipe", "seismo-performer", "-o", recipe)
    monkeypatch.setattr(wrap, "GOLDEN_TOLERANCE", -1.0)
    result = run("wrap", tmp_path / "mine.onnx", "--recipe", recipe, "-o", output)
    assert result.exit_code == 1
    assert "FAILED" in result.stdout
    assert f"{tmp_path / 'mine.onnx'}: golden input: the graph as written" in result.stderr
    assert not output.exists()


@pytest.mark.parametrize("command", main.commands)
def test_help_has_examples_that_can_be_copied(command: str) -> None:
    lines = run(command, "--help").stdout.partition("  Examples:\n")[2].splitlines()
    assert any(line.startswith(f"    edge-export {command}") for line in lines)
    assert "edge-export verify performer.onnx" in run("--help").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("recipe", "spec-cn"), 2, "found 'spec-cn'; did you mean 'spec-cnn'?"),
        (("recipe", "nowhere.onnx"), 2, "nowhere.onnx"),
        (("wrap", "x.onnx", "--recipe", "nowhere.toml", "-o", "y.onnx"), 1, "nowhere.toml: cannot be read"),
        (("show", "spec-cn"), 2, "found 'spec-cn'; did you mean 'spec-cnn'?"),
        (("import-weights", "spec-cnn", "nowhere.h5", "-o", "w.npz"), 1, "nowhere.h5: no such file"),
        (("import-weights", "spec-cnn", "w.h5", "-o", "w.txt"), 2, "found suffix '.txt', wanted .npz"),
        (("verify", "nowhere.onnx"), 1, "nowhere.onnx: cannot be read"),
        (("train", "spec-cnn", "--data", "nowhere", "-o", "x.onnx"), 1, "labelled_train.npz: no such file"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line(arguments: tuple[str, ...], code: int, message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("edge-export: ")


def test_import_export_and_verify_go_together(weights: Path, tmp_path: Path) -> None:
    assert run("import-weights", "seismo-performer", weights, "-o", tmp_path / "w.npz").exit_code == 0
    exported = run("export", "seismo-performer", "--weights", tmp_path / "w.npz", "-o", tmp_path / "m.onnx")
    assert exported.exit_code == 0, exported.output
    assert OrtSession(tmp_path / "m.onnx").manifest.name == "seismo-performer"
    verified = run("verify", tmp_path / "m.onnx", "--weights", weights)
    assert verified.exit_code == 0, verified.output
    assert "FAILED" not in verified.stdout
    other = run("verify", tmp_path / "m.onnx", "--weights", random_weights(tmp_path / "other.npz", seed=2))
    assert other.exit_code == 1
    assert "torch against ONNX, batch 1: found" in other.stderr


@pytest.mark.long
def test_train_writes_artefact_weights_and_record(tmp_path: Path) -> None:
    write_labelled(tmp_path / "labelled")
    output = tmp_path / "mine.onnx"
    result = run("train", "seismo-performer", "--data", tmp_path / "labelled", "-o", output, "--steps", 2)
    assert result.exit_code == 0, result.output
    record = json.loads(output.with_suffix(".json").read_text())
    assert record["curve"][-1]["step"] == 2
    assert record["options"]["seed"] == 0
    assert set(record["data_digests"]) == {"labelled_train.npz", "labelled_val.npz"}
    session = OrtSession(output)
    assert session.manifest.verification.quality == record["scores"]
    assert run("verify", output, "--weights", output.with_suffix(".npz")).exit_code == 0
