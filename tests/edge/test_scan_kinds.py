"""`edge-scan` with models that give detections or waveforms."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import artefacts
import numpy as np
import packets
import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, helper, numpy_helper
from packets import START_NS

from seisedge.edge import Manifest
from seisedge.edge.archive_index import index_paths
from seisedge.edge.detections import DETECTION_FIELDS
from seisedge.edge.manifest import Components, Input, Output, Postprocess, Threshold
from seisedge.edge.scan_cli import main
from seisedge.edge.steps import Step
from seisedge.firmware_bridge import Packet

CHANNELS = ("XX.AAA..HHZ", "XX.BBB..HHZ")


def edge_scan(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


def write_channel(folder: Path, station: str, component: str, scale: int) -> None:
    x = (np.arange(3000) % 50 * scale).astype(np.int32)
    whole = Packet(f"FDSN:XX_{station}__H_H_{component}", START_NS, 100.0, x)
    (folder / f"{station}{component}.mseed").write_bytes(b"".join(packets.records(whole)))


def detector(folder: Path) -> Path:
    labels = ("P", "S", "noise")
    manifest = artefacts.tiny_manifest(
        task="event_detection",
        outputs=(Output("probability", "class_probability", labels, None, None),),
        postprocess=Postprocess({"noise": Threshold(0.5, 0.5)}, 0.0, "peak", (0, 0)),
    )
    return artefacts.write_tiny(folder / "detector.onnx", manifest)


def doubler(folder: Path) -> Path:
    """Two channels in, twice the second and twice the first out."""
    stations = ("0", "1")
    manifest: Manifest = artefacts.tiny_manifest(
        task="waveform_inversion",
        components=Components(stations, {}, stations, "refuse"),
        window_samples=200,
        stride_samples=200,
        steps=(Step("layout", "window", {"order": "sample_component"}),),
        input=Input("stations", (200, 2), "float32", "any"),
        outputs=(Output("sources", "waveform", ("source 0", "source 1"), None, None),),
        postprocess=Postprocess({}, 0.0, "peak", (0, 0)),
    )
    matrix = numpy_helper.from_array(np.array([[0, 2], [2, 0]], np.float32), "matrix")
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 200, 2]) for name in ("stations", "sources")
    ]
    node = helper.make_node("MatMul", ["stations", "matrix"], ["sources"])
    graph = helper.make_graph([node], "doubler", values[:1], values[1:], [matrix])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return artefacts.write_artefact(folder / "doubler.onnx", model, manifest.to_json())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for station, scale in (("AAA", 1), ("BBB", 3), ("CCC", 5)):
        write_channel(folder, station, "Z", scale)
    return folder


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_detections_have_columns_of_their_own_and_are_counted(data: Path, tmp_path: Path, suffix: str) -> None:
    output, report = tmp_path / f"out{suffix}", tmp_path / "report.json"
    done = edge_scan(data, "--model", detector(tmp_path), "--output", output, "--report", report)
    assert done.exit_code == 0, done.stderr
    text = output.read_text(encoding="utf-8").splitlines()
    rows = list(csv.DictReader(text)) if suffix == ".csv" else [json.loads(line) for line in text]
    assert [tuple(row) for row in rows] == [DETECTION_FIELDS] * 3
    assert {row["label"] for row in rows} == {"noise"}
    assert all(row["time"] < row["endtime"] for row in rows)
    assert "3 detections (3 noise)" in done.stderr.splitlines()[0]
    assert "pick" not in done.stderr
    assert json.loads(report.read_text(encoding="utf-8"))["detections"] == {"noise": 3}


def test_performers_form_is_not_for_detections(data: Path, tmp_path: Path) -> None:
    done = edge_scan(data, "--model", detector(tmp_path), "--output", tmp_path / "out.txt")
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert line.endswith("a form for picks; model tiny gives detections: wanted .csv or .jsonl")


def test_waveforms_go_to_miniseed_in_the_order_of_the_channels(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mseed"
    done = edge_scan(data, "--model", doubler(tmp_path), "--channels", ",".join(CHANNELS), "--output", output)
    assert done.exit_code == 0, done.stderr
    assert "waveforms of 3,000 samples" in done.stderr.splitlines()[0]
    traces = index_paths((output,)).traces
    assert [trace.source_id.nslc for trace in traces] == ["XX.SRC0..HXS", "XX.SRC1..HXS"]
    for place, (_, whole) in enumerate(packets.stretches(packets.feed_of_traces(traces))):
        assert (whole.starttime_ns, whole.sampling_rate) == (START_NS, 100.0)
        assert str(whole.samples.dtype) == "float32"
        np.testing.assert_array_equal(whole.samples, np.arange(3000) % 50 * (6, 2)[place])


WRONG = {
    "no channels": ([], "--channels: found 0, wanted the 2 channels that model tiny takes, in its order"),
    "one": (["--channels", CHANNELS[0]], "--channels: found 1, wanted the 2 channels"),
    "twice the same": (["--channels", f"{CHANNELS[0]},{CHANNELS[0]}"], "--channels: found 1, wanted the 2 channels"),
    "no file": (["--channels", ",".join(CHANNELS)], "model tiny gives waveforms: wanted --output FILE.mseed"),
    "text": (
        ["--channels", ",".join(CHANNELS), "--output", "o.csv"],
        "found suffix '.csv'; model tiny gives waveforms",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_an_inversion_lacks_is_told_in_one_line(data: Path, tmp_path: Path, case: str) -> None:
    arguments, message = WRONG[case]
    done = edge_scan(data, "--model", doubler(tmp_path), *arguments)
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert message in line


def test_channels_that_are_not_there_are_told(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mseed"
    some = edge_scan(data, "--model", doubler(tmp_path), "--channels", "XX.AAA..HHZ,XX.QQQ..HHZ", "--output", output)
    assert some.exit_code == 1
    assert "found 1 of 2 channels, wanted all: XX.QQQ..HHZ missing" in some.stderr
    none = edge_scan(data, "--model", doubler(tmp_path), "--channels", "XX.Q..HHZ,XX.R..HHZ", "--output", output)
    assert none.exit_code == 1
    assert "found none of the channels of --channels" in none.stderr


def test_channels_are_not_for_models_of_single_stations(data: Path, tmp_path: Path) -> None:
    done = edge_scan(data, "--model", detector(tmp_path), "--channels", CHANNELS[0])
    assert done.exit_code == 2
    assert done.stderr.startswith("edge-scan: --channels: found 1, but model tiny takes")
