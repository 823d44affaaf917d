"""No command writes over what it reads, or finds at its end that there is nowhere to write."""

from __future__ import annotations

import os
from pathlib import Path

import artefacts
import numpy as np
import obspy
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import helper, numpy_helper

from seisedge.edge.preprocess import Preprocess
from seisedge.edge.session import OrtSession
from seisedge.edge.whole_file import write_whole
from seisedge.export.calibration import calibrate
from seisedge.export.cli import main
from seisedge.export.foreign_graph import read_graph
from seisedge.export.recipe_toml import write_recipe
from seisedge.export.recipes import SEISMO_PERFORMER
from seisedge.export.registry import find
from seisedge.export.verify import real_windows
from seisedge.export.weights import save_weights

SFILE = " 2020  6 2 1007 12.3 L  59.1   5.2 10.0  BER  3 0.1 1.2LBER                    1\n"


def run(*arguments: object) -> Result:
    done = CliRunner().invoke(main, [str(each) for each in arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def _archive(path: Path, samples: np.ndarray) -> Path:
    header = {"network": "XX", "station": "TEST", "sampling_rate": 100.0}
    traces = [obspy.Trace(samples.astype(np.int32), {**header, "channel": f"HH{each}"}) for each in "ZNE"]
    obspy.Stream(traces).write(str(path), format="MSEED")
    return path


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """One of each kind that the commands read."""
    found = {each: tmp_path / each for each in ("w.npz", "foreign.onnx", "mine.toml", "s.out")}
    save_weights(found["w.npz"], find("earthquake-cnn").build())
    onnx.save(artefacts.tiny_graph(), found["foreign.onnx"])
    found["mine.toml"].write_text(write_recipe(SEISMO_PERFORMER), encoding="utf-8")
    found["s.out"].write_text(SFILE, encoding="utf-8")
    found["tiny.onnx"] = artefacts.write_tiny(tmp_path / "tiny.onnx")
    return found


@pytest.mark.parametrize(
    ("command", "option", "name"),
    [
        ("export earthquake-cnn --weights {w.npz}", "--weights", "w.npz"),
        ("quantize {tiny.onnx}", "the artefact", "tiny.onnx"),
        ("wrap {foreign.onnx} --recipe {mine.toml}", "MODEL.onnx", "foreign.onnx"),
        ("wrap {foreign.onnx} --recipe {mine.toml}", "--recipe", "mine.toml"),
        ("catalogue {s.out}", "the s-file", "s.out"),
    ],
)
def test_what_is_read_is_not_written_over(command: str, option: str, name: str, files: dict[str, Path]) -> None:
    before = files[name].read_bytes()
    words = [str(files.get(each.strip("{}"), each)) for each in command.split()]
    done = run(*words, "-o", files[name])
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert f"would overwrite {option} {files[name]}" in done.stderr
    assert files[name].read_bytes() == before


@pytest.mark.parametrize(
    "command", ["export earthquake-cnn --untrained 1", "catalogue {s.out}", "quantize {tiny.onnx}"]
)
def test_an_output_that_cannot_be_is_refused_at_once(command: str, files: dict[str, Path], tmp_path: Path) -> None:
    words = [str(files.get(each.strip("{}"), each)) for each in command.split()]
    (tmp_path / "folder").mkdir()
    assert "found no regular file" in run(*words, "-o", tmp_path / "folder").stderr
    done = run(*words, "-o", files["s.out"] / "x.onnx")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "found no folder to write to" in done.stderr


def test_a_link_stays_and_a_device_is_left_alone(tmp_path: Path) -> None:
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    target.write_text("old", encoding="utf-8")
    link.symlink_to(target)
    write_whole(b"new", link)
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == "new"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="found no regular file"):
        write_whole(b"new", tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()


def test_integers_are_not_made_of_silence(tmp_path: Path, files: dict[str, Path]) -> None:
    silent = _archive(tmp_path / "silent.mseed", np.zeros(6000))
    done = run("quantize", files["tiny.onnx"], "--precision", "int8", "--data", silent, "-o", tmp_path / "x.onnx")
    assert (done.exit_code, "found silence alone" in done.stderr) == (1, True)
    assert not (tmp_path / "x.onnx").exists()


def test_integers_are_made_of_fp32_and_compared_with_torch_in_no_other_form(tmp_path: Path) -> None:
    archive = _archive(tmp_path / "noise.mseed", np.random.default_rng(0).normal(0, 500, 20_000))
    source, int8 = tmp_path / "fp32.onnx", tmp_path / "int8.onnx"
    assert run("export", "earthquake-cnn", "--untrained", 1, "-o", source).exit_code == 0
    done = run("quantize", source, "--precision", "fp16", "--target", "tensorrt", "--data", archive, "-o", int8)
    assert done.exit_code == 0, done.output
    again = run("quantize", int8, "--data", archive, "-o", tmp_path / "again.onnx")
    assert (again.exit_code, "found an artefact in fp16, wanted that in fp32" in again.stderr) == (1, True)
    save_weights(tmp_path / "w.npz", find("earthquake-cnn").build())
    compared = run("verify", int8, "--weights", tmp_path / "w.npz")
    assert (compared.exit_code, "--weights: found an artefact in fp16" in compared.stderr) == (2, True)


def test_windows_of_an_archive_are_drawn_evenly_without_holding_them_all(tmp_path: Path) -> None:
    """The same as of all windows at once."""
    archive = _archive(tmp_path / "noise.mseed", np.random.default_rng(0).normal(0, 500, 60_000))
    preprocess = Preprocess(OrtSession(artefacts.write_tiny(tmp_path / "tiny.onnx")).manifest)
    whole = real_windows(preprocess, (archive,), most=10_000)
    few = real_windows(preprocess, (archive,), most=7)
    np.testing.assert_array_equal(few, whole[np.linspace(0, len(whole) - 1, 7).round().astype(int)])


def test_a_graph_for_one_window_is_calibrated_window_by_window() -> None:
    windows = np.random.default_rng(0).normal(size=(5, 22, 33, 3)).astype(np.float32)
    alone = calibrate(artefacts.tiny_graph(batch=1), ["spectrogram", "logits"], [windows])
    free = calibrate(artefacts.tiny_graph(), ["spectrogram", "logits"], [windows])
    assert alone.windows == free.windows == 5
    one, other = (each.ranges("minmax", symmetric=False)["logits"] for each in (alone, free))
    assert (one.low, one.high) == pytest.approx((other.low, other.high), rel=1e-5)


@pytest.mark.parametrize("form", ["inputs", "first inputs", "constants"])
def test_weights_of_any_form_are_initialisers_alone(form: str, tmp_path: Path) -> None:
    model = artefacts.tiny_graph()
    graph = model.graph
    if form == "constants":
        for weight in list(graph.initializer):
            node = helper.make_node("Constant", [], [weight.name], value=weight)
            graph.node.insert(0, node)
        del graph.initializer[:]
    else:
        listed = [helper.make_tensor_value_info(each.name, each.data_type, each.dims) for each in graph.initializer]
        inputs = list(graph.input)
        del graph.input[:]
        graph.input.extend([*listed, *inputs] if form == "first inputs" else [*inputs, *listed])
    onnx.save(model, tmp_path / "foreign.onnx")
    read = read_graph(tmp_path / "foreign.onnx").model
    assert [each.name for each in read.graph.input] == ["spectrogram"]
    assert {each.name for each in read.graph.initializer} == {"matrix", "bias"}
    np.testing.assert_array_equal(
        {each.name: numpy_helper.to_array(each) for each in read.graph.initializer}["bias"], artefacts.tiny_weights()[1]
    )
    windows = np.random.default_rng(0).normal(size=(4, 22, 33, 3)).astype(np.float32)
    assert calibrate(read, ["spectrogram", "logits"], [windows]).windows == 4
