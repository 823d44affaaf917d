"""DeepQuake's cycle: s-files → catalogue → training on an archive → evaluation → detections."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import packets
import pytest
from click.testing import CliRunner
from shared_data import SHARED, needs_shared

from seisedge.edge.preprocess import Preprocess
from seisedge.edge.scan_cli import main as scan
from seisedge.edge.times import NANOSECONDS, format_time, parse_time
from seisedge.export.catalogue import catalogue_of, read_catalogue_file, write_catalogue
from seisedge.export.cli import main
from seisedge.export.errors import TrainingDataError
from seisedge.export.nordic import read_catalogue
from seisedge.export.records import Continuous, continuous_records
from seisedge.export.registry import find
from seisedge.export.train_job import draft_manifest

START = parse_time("2018-04-27T00:10:00")
HOUR_NS = 3600 * NANOSECONDS
P_S, LENGTH_S, RATE = 90.0, 150, 100


def _times(index: int) -> int:
    """First sample of the file of an event."""
    return START + index * HOUR_NS + 370_000_000 * index


def _write_sfiles(folder: Path, count: int) -> None:
    """One bare file for each event: a P and an S at TEST, a Pn at another station."""
    folder.mkdir()
    for index in range(count):
        p = format_time(_times(index) + round(P_S * NANOSECONDS))
        hour, minute, second = p[11:13], p[14:16], f"{float(p[17:23]):5.2f}"
        origin = f" 2018  4{int(p[8:10]):2d} {hour}{minute} {max(0.0, float(second) - 3):4.1f} L"
        origin += "  10.280 -68.080  3.8  FUN 11 0.4 3.1WFUN"
        picks = [f" TEST HZ IP       {hour}{minute} {second}", f" TEST HN ES       {hour}{minute} {second}"]
        picks.append(f" FARV HZ EPn      {hour}{minute} {second}")
        lines = [origin.ljust(79) + "1", *(each.ljust(80) for each in picks)]
        (folder / f"{index + 1:02d}-0000-00M.S201804").write_text("\n".join(lines), encoding="latin-1")


def _write_archive(folder: Path, count: int) -> None:
    """A file of three components for each event: noise, and from the P on a hundred times as much."""
    folder.mkdir()
    for index in range(count):
        rng = np.random.default_rng(index)
        with (folder / f"{index}.mseed").open("wb") as file:
            for component in "ZNE":
                x = rng.normal(0, 100, LENGTH_S * RATE)
                x[round(P_S * RATE) :] *= 100
                packet = packets.packet(x.astype(np.int32), start_ns=_times(index), component=component)
                for record in packets.records(packet):
                    file.write(record)


def test_a_catalogue_has_the_last_p_of_each_station_and_nothing_else(tmp_path: Path) -> None:
    _write_sfiles(tmp_path / "s", 2)
    output = tmp_path / "catalog.json"
    done = CliRunner().invoke(main, ["catalogue", str(tmp_path / "s"), "-o", str(output)])
    assert done.exit_code == 0, done.output
    assert "2 events, 2 P at 1 stations" in done.output
    first = json.loads(output.read_text())["events"][0]
    assert set(first) == {"eventOriginTime", "lat", "lon", "depth", "detections", "eventid", "mag"}
    assert (first["lat"], first["lon"], first["depth"], first["mag"]) == (10.28, -68.08, 3.8, 3.1)
    assert first["detections"] == [{"station": "TEST", "ptime": "2018-04-27T00:11:30.000000Z"}]


def test_a_written_catalogue_is_read_again_and_others_of_the_form_too(tmp_path: Path) -> None:
    _write_sfiles(tmp_path / "s", 3)
    catalogue = catalogue_of(read_catalogue([tmp_path / "s"]))
    write_catalogue(tmp_path / "c.json", catalogue)
    assert read_catalogue_file(tmp_path / "c.json") == catalogue
    bare = {"eventOriginTime": "2018-04-27T00:00:00Z", "lat": 1, "lon": 2.0, "depth": None, "detections": []}
    (tmp_path / "bare.json").write_text(json.dumps({"events": [bare]}))
    assert read_catalogue_file(tmp_path / "bare.json").events[0].mag == -1


NOON = """{"events": [{"eventOriginTime": "", "lat": 1, "lon": 1, "depth": 1,
"detections": [{"station": "A", "ptime": "noon"}]}]}"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Expecting"),
        ('{"evnts": []}', "unknown key 'evnts'"),
        ('{"events": [{"eventOriginTime": "x", "lat": 1, "lon": 1, "depth": 1}]}', "missing key 'detections'"),
        (NOON, "found 'noon'"),
    ],
)
def test_what_is_no_catalogue_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "c.json"
    with pytest.raises(TrainingDataError, match=r"c\.json"):
        read_catalogue_file(path)
    path.write_text(text)
    with pytest.raises(TrainingDataError, match=message):
        read_catalogue_file(path)


def test_pieces_of_short_files_are_labelled_by_the_catalogue(tmp_path: Path) -> None:
    _write_sfiles(tmp_path / "s", 3)
    _write_archive(tmp_path / "a", 3)
    preprocess = Preprocess(draft_manifest(find("deepquake")))
    catalogue = catalogue_of(read_catalogue([tmp_path / "s"]))
    records = list(continuous_records(Continuous(tmp_path / "a"), preprocess, catalogue=catalogue))
    assert len(records) == 3
    assert len({each.group for each in records}) == 3
    for record in records:
        assert record.samples.shape[1] > (LENGTH_S - 2) * RATE  # no more than a second is lost at an end
        ((phase, place),) = record.arrivals
        assert phase == "P"
        level = np.abs(record.samples)
        at = round(place)
        assert level[:, at + 3 : at + 200].mean() > 20 * level[:, at - 200 : at - 3].mean()


def test_pieces_of_a_long_record_do_not_overlap(tmp_path: Path) -> None:
    preprocess = Preprocess(draft_manifest(find("convnetquake")))
    (tmp_path / "a").mkdir()
    with (tmp_path / "a" / "long.mseed").open("wb") as file:
        for component in "ZNE":
            x = np.arange(30_000, dtype=np.int32)
            for record in packets.records(packets.packet(x, component=component)):
                file.write(record)
    catalogue = catalogue_of([])
    found = list(continuous_records(Continuous(tmp_path / "a"), preprocess, catalogue=catalogue))
    spans = sorted((each.samples[0, 0], each.samples[0, -1]) for each in found)
    assert len(spans) > 3
    assert all(0 < later[0] - earlier[1] < 200 for earlier, later in pairwise(spans))


def test_from_s_files_to_detections(tmp_path: Path) -> None:
    _write_sfiles(tmp_path / "s", 8)
    _write_archive(tmp_path / "a", 8)
    catalogue, model = tmp_path / "catalog.json", tmp_path / "deepquake.onnx"
    run = CliRunner().invoke
    assert run(main, ["catalogue", str(tmp_path / "s"), "-o", str(catalogue)]).exit_code == 0
    (tmp_path / "o.json").write_text(json.dumps({"batch": 8, "mined_records": 1, "examples": {"superpose_event": 0.0}}))
    command = ["train", "deepquake", "--catalogue", str(catalogue), "--continuous", str(tmp_path / "a")]
    done = run(main, [*command, "--steps", "30", "--options", str(tmp_path / "o.json"), "-o", str(model)])
    assert done.exit_code == 0, done.output
    evaluation = json.loads((tmp_path / "deepquake.eval.json").read_text())
    assert (evaluation["window_size"], evaluation["n_traces"], evaluation["n_clusters"]) == (50, 3, 2)
    assert evaluation["recall"] == pytest.approx(
        100 * evaluation["truePositives"] / (evaluation["truePositives"] + evaluation["falseNegatives"])
    )
    assert evaluation["f1"] > 80
    found = tmp_path / "found.jsonl"
    pictures = tmp_path / "pictures"
    options = ["--model", str(model), "-q", "-o", str(found), "--plot", str(pictures)]
    scanned = run(scan, [str(tmp_path / "a"), *options])
    assert scanned.exit_code == 0, scanned.output
    rows = [json.loads(line) for line in found.read_text().splitlines()]
    assert {row["label"] for row in rows} == {"event"}
    hours = {row["time"][11:13] for row in rows}
    assert len(hours) > 5
    drawn = {path.stem.rpartition("_")[2] for path in pictures.glob("*.png")}
    assert {row["time"][:19].replace(":", "").replace("-", "") for row in rows} >= drawn
    assert len(drawn) > 5


def test_a_catalogue_labels_events_alone(tmp_path: Path) -> None:
    _write_sfiles(tmp_path / "s", 1)
    write_catalogue(tmp_path / "c.json", catalogue_of(read_catalogue([tmp_path / "s"])))
    for model, message in (("unet", "found a catalogue, which knows no S"), ("deepquake", "found no labels")):
        options = ["--catalogue", str(tmp_path / "c.json"), "-o", str(tmp_path / "x.onnx")]
        archive = ["--continuous", str(tmp_path)] if model == "unet" else []
        done = CliRunner().invoke(main, ["train", model, *options, *archive])
        assert done.exit_code == 1
        assert message in done.output


@needs_shared
def test_the_whole_catalogue_of_carabobo() -> None:
    """Counts from outside (ObsPy): 954 events, 3,364 P at the five stations whose waveforms were used."""
    paths = [SHARED / "nordic" / name for name in ("select1.out", "select2.out")]
    catalogue = catalogue_of(read_catalogue(paths))
    assert len(catalogue.events) == 954
    count = sum(len(catalogue.p_of(each)) for each in ("BAUV", "BENV", "MAPV", "TACV", "TURV"))
    assert abs(count - 3364) < 10  # of two P at a station one is left
