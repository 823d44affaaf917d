"""`edge-export export`, `quantize` and `verify`: what a user types, what is written, and what is not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import obspy
import pytest
from click.testing import CliRunner, Result

from seisedge.edge.session import OrtSession
from seisedge.edge.targets import host_target
from seisedge.export import verify
from seisedge.export.cli import main
from seisedge.export.registry import find

HOST = str(host_target())
OTHER = "arm" if HOST != "arm" else "x86-avx2"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a minute of noise with a wave in it, three components."""
    rng = np.random.default_rng(3)
    path = tmp_path_factory.mktemp("archive") / "noise.mseed"
    traces = []
    for channel in ("HHN", "HHE", "HHZ"):
        samples = rng.normal(0, 200, 3000)
        samples[1400:1900] += 3000 * rng.normal(size=500)
        header = {"network": "XX", "station": "TEST", "channel": channel, "sampling_rate": 100.0}
        traces.append(obspy.Trace(samples.astype(np.int32), header))
    obspy.Stream(traces).write(str(path), format="MSEED")
    return path


@pytest.fixture(scope="module")
def fp32(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fp32") / "spec-cnn.onnx"
    result = run("export", "spec-cnn", "--untrained", 7, "-o", path)
    assert result.exit_code == 0, result.output
    return path


def test_an_export_is_verified_and_says_what_was_found(fp32: Path) -> None:
    report = json.loads(fp32.with_suffix(".report.json").read_text())
    assert report["gate"] is None
    assert {"golden input on this device", "awkward windows: torch against ONNX, batch 7"} <= {
        each["name"] for each in report["checks"]
    }
    assert OrtSession(fp32).manifest.provenance.training_data == "none: random weights, seed 7"


def test_equal_seeds_give_equal_weights(fp32: Path, tmp_path: Path) -> None:
    assert run("export", "spec-cnn", "--untrained", 7, "-o", tmp_path / "again.onnx").exit_code == 0
    assert OrtSession(tmp_path / "again.onnx").digest == OrtSession(fp32).digest


def test_thresholds_of_an_evaluation_stand_in_the_artefact(tmp_path: Path) -> None:
    output = tmp_path / "own.onnx"
    assert run("export", "spec-cnn", "--untrained", 7, "--threshold", "P:0.55", "-o", output).exit_code == 0
    found = OrtSession(output).manifest.postprocess.thresholds
    assert (found["P"].on, found["P"].off) == (0.55, 0.275)
    assert found["S"] == find("spec-cnn").recipe.postprocess.thresholds["S"]
    result = run("export", "spec-cnn", "--untrained", 7, "--threshold", "Pg:0.5", "-o", tmp_path / "none.onnx")
    assert result.exit_code == 2
    assert "threshold: unknown label 'Pg' of model spec-cnn" in result.stderr


@pytest.mark.parametrize("target", [HOST, OTHER, "tensorrt"])
def test_int8_is_for_its_target_and_small(target: str, archive: Path, fp32: Path, tmp_path: Path) -> None:
    output = tmp_path / "int8.onnx"
    result = run("export", "spec-cnn", "--untrained", 7, "--precision", "int8", "--target", target, "--data", archive,
                 "-o", output)  # fmt: skip
    if target == HOST and result.exit_code == 1:  # slower than fp32 on this processor: then no file may be there
        assert not output.exists()
        assert "of fp32's time" in result.stderr
        return
    assert result.exit_code == 0, result.output
    session = OrtSession(output, any_target=True)
    assert (session.manifest.quantization.precision, session.manifest.quantization.target) == ("int8", target)
    assert output.stat().st_size <= 0.35 * fp32.stat().st_size
    report = json.loads(output.with_suffix(".report.json").read_text())
    assert report["checks"]
    assert next(row for row in report["gate"]["rows"] if row["verdict"] == "chosen")["precision"] == "int8"


def test_an_artefact_for_another_machine_is_not_verified_on_this_one(archive: Path, fp32: Path, tmp_path: Path) -> None:
    output = tmp_path / "other.onnx"
    result = run("quantize", fp32, "--precision", "int8", "--target", OTHER, "--data", archive, "-o", output)
    assert result.exit_code == 0, result.output
    refused = run("verify", output)
    if (HOST, OTHER) == ("x86-vnni", "x86-avx2"):
        assert refused.exit_code == 0
        return
    assert refused.exit_code == 1
    assert refused.stderr.count("\n") == 1
    assert f"found an artefact for {OTHER}" in refused.stderr


def test_fp16_is_half_as_large(archive: Path, fp32: Path, tmp_path: Path) -> None:
    output = tmp_path / "fp16.onnx"
    result = run("quantize", fp32, "--precision", "fp16", "--target", "tensorrt", "--data", archive, "-o", output)
    assert result.exit_code == 0, result.output
    assert OrtSession(output).manifest.quantization.precision == "fp16"
    assert output.stat().st_size < 0.55 * fp32.stat().st_size


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "weights: wanted one of --weights FILE and --untrained SEED"),
        (("--untrained", 1, "--weights", "w.npz"), "weights: wanted one of --weights FILE and --untrained SEED"),
    ],
)
def test_weights_come_from_one_place(arguments: tuple[object, ...], message: str, tmp_path: Path) -> None:
    result = run("export", "gpd", *arguments, "-o", tmp_path / "x.onnx")
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_integers_want_data(tmp_path: Path) -> None:
    result = run("export", "spec-cnn", "--untrained", 7, "--precision", "int8", "-o", tmp_path / "x.onnx")
    assert result.exit_code == 1
    assert "spec-cnn: found no data, wanted miniSEED of the kind it will see" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_onnx_does_not_follow_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "_TOLERANCE", -1.0)
    monkeypatch.setattr(verify, "_rounding", lambda *_: -1.0)  # pyright: ignore[reportUnknownLambdaType]
    result = run("export", "spec-cnn", "--untrained", 7, "-o", tmp_path / "x.onnx")
    assert result.exit_code == 1
    assert "torch against ONNX, batch 1: found" in result.stderr
    assert "FAILED" in result.stdout
    assert list(tmp_path.iterdir()) == []
