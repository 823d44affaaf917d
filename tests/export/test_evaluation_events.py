"""Detectors of events: what is a hit, what is false, and that what is judged is what a station would say."""

from __future__ import annotations

import json
from pathlib import Path

import evaluation_cases as made
import pytest
from click.testing import CliRunner
from labelled import write_labelled

from seisedge.edge import OrtSession, Preprocess, StationPicker
from seisedge.edge.classify import thresholds_with
from seisedge.edge.detections import Detection
from seisedge.edge.errors import UsageError
from seisedge.edge.models import find_model
from seisedge.export.cli import main
from seisedge.export.evaluation.alarms import AlarmScore
from seisedge.export.evaluation.cases import Case, places
from seisedge.export.evaluation.events import BEGIN, EventPicker, count_events, spans_of
from seisedge.export.evaluation.labelled_cases import labelled_cases
from seisedge.export.evaluation.sweep import best_threshold


@pytest.mark.parametrize(
    ("spans", "detected", "false"),
    [
        ([], 0, 0),
        ([(90, 110)], 1, 0),
        ([(100, 110)], 1, 0),  # its first sample is in it, the one behind its last is not
        ([(90, 100)], 0, 0),  # not in it, but no window that holds nothing is in it either
        ([(80, 90)], 0, 1),
        ([(85, 125), (126, 136)], 1, 0),  # S in the one, coda in the other
        ([(105, 115)], 0, 0),  # the P is missed, but the S is in it
        ([(160, 170)], 0, 0),  # a minute behind the P is within that of the S
        ([(171, 181)], 0, 0),  # its first window begins within the minute
        ([(181, 191)], 0, 1),
        ([(20, 30), (40, 50), (60, 70)], 0, 3),
        ([(290, 305)], 0, 0),  # pickers do not agree on something at 300
        ([(595, 620)], 0, 1),
        ([(601, 640), (-30, -1), (-30, 4)], 0, 0),  # the middles of these windows are not in the record
        ([(0, 600)], 1, 2 + 2 + 5),  # 90 s, 110 s and 289 s: who always says yes is often wrong
    ],
)
def test_a_detection_holds_an_event_or_is_false(spans: list[tuple[int, int]], detected: int, false: int) -> None:
    record = made.case("a", ("P", 100), ("S", 110), seconds=600, unknown=((None, 300, 301),))
    placed = [(made.ns(begin), made.ns(end)) for begin, end in spans]
    assert count_events(record, placed, made.ns(10)) == (1, detected, false)


def test_the_best_threshold_finds_most_at_least_false_ones() -> None:
    scores = [AlarmScore(10, *each, 1.0) for each in ((10, 30), (9, 1), (9, 1), (9, 1), (5, 0))]
    assert best_threshold(scores) == 2
    assert best_threshold([AlarmScore(0, 0, 0, 1.0)] * 3) == 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_labelled(tmp_path_factory.mktemp("labelled"), count=9)


@pytest.fixture(scope="module")
def detector(folder: Path) -> Path:
    path = folder / "detector.onnx"
    options = folder / "options.json"
    options.write_text('{"batch": 8, "mined_records": 1}')
    command = ["train", "convnetquake", "--data", str(folder), "--steps", "20", "--options", str(options)]
    done = CliRunner().invoke(main, [*command, "-o", str(path)])
    assert done.exit_code == 0, done.output
    return path


def _judged(case: Case, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """What is judged of detections: windows that end before the record need not be run."""
    return [(max(begin, case.start_ns), end) for begin, end in spans if end > case.start_ns]


def _said(case: Case, session: OrtSession, on: float) -> list[tuple[int, int]]:
    manifest = session.manifest
    chosen = thresholds_with(manifest, dict.fromkeys(manifest.picked_labels, on))
    picker = StationPicker(
        session,
        Preprocess(manifest),
        case.station,
        stride=manifest.stride_samples,
        thresholds={label: chosen[label] for label in manifest.picked_labels},
    )
    where = places(case.traces.codes, manifest.components)
    assert where is not None
    margin_s = (manifest.window_samples + manifest.stride_samples) / manifest.sampling_rate + 1.0
    results = [each for place, packet in case.traces.packets(where, margin_s) for each in picker.push(place, packet)]
    results += picker.finish()
    return [(each.time_ns, each.endtime_ns) for each in results if isinstance(each, Detection)]


def test_at_every_threshold_detections_are_those_of_the_station(folder: Path, detector: Path) -> None:
    session = OrtSession(detector)
    picker = EventPicker("detector", session)
    count = 0
    for case in labelled_cases(folder / "labelled_val.npz").cases[:4]:
        found = picker.pick(case)
        for number, on in enumerate(picker.grid):
            mine = _judged(case, spans_of(found, number))
            if number != picker.own_threshold(BEGIN):
                assert mine == _judged(case, _said(case, session, on))
            count += len(mine)
    assert count > 20


def test_the_command_judges_detectors_of_events(folder: Path, detector: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["evaluate", str(detector), "--data", str(folder), "-j", "1", "-o", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "Events in windows of labelled_val" in done.output
    results = json.loads((tmp_path / "evaluation.json").read_text())
    (row,) = results["events"]
    assert row["events"] == sum(len(c.labels) > 0 for c in labelled_cases(folder / "labelled_val.npz").cases)
    assert set(results["thresholds"]) == {"detector fp32"}  # STA/LTA picks P, and would stand alone
    assert row["threshold"] == results["thresholds"]["detector fp32"]["event"]
    assert "Events in windows of labelled_val" in (tmp_path / "evaluation.md").read_text()


def test_a_picker_is_no_detector() -> None:
    with pytest.raises(
        UsageError, match="seismo-performer: found a model of phase_classification, wanted one that det"
    ):
        EventPicker("seismo-performer", OrtSession(find_model("seismo-performer")))
