"""Records as streams: what surrounds a cut-out, the runtime's own picks at every threshold, STA/LTA, readers."""

from __future__ import annotations

import csv
import dataclasses
from itertools import pairwise
from pathlib import Path
from typing import cast

import artefacts
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelled import write_labelled
from shared_data import SHARED, needs_shared

from seisedge.edge import OrtSession, Packet, Pick, Preprocess, StationPicker, models
from seisedge.edge.classify import thresholds_with
from seisedge.edge.errors import UsageError
from seisedge.edge.manifest import Input
from seisedge.edge.scan import Scanner, ScanOptions
from seisedge.export.errors import TrainingDataError
from seisedge.export.evaluation.archive_cases import archive_cases
from seisedge.export.evaluation.cases import Case, places, with_components
from seisedge.export.evaluation.embedding import embedded
from seisedge.export.evaluation.labelled_cases import labelled_cases, mems_cases
from seisedge.export.evaluation.pick_files import FilePicker
from seisedge.export.evaluation.pickers import ArtefactPicker
from seisedge.export.evaluation.sta_lta import StaLtaPicker
from seisedge.export.recipes_phasenet import PHASENET
from seisedge.export.records import Continuous


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> OrtSession:
    path = tmp_path_factory.mktemp("tiny") / "tiny.onnx"
    manifest = artefacts.tiny_manifest()
    return OrtSession(artefacts.write_artefact(path, artefacts.tiny_graph(), manifest.to_json()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_labelled(tmp_path_factory.mktemp("labelled"), count=6)


@given(
    npts=st.integers(2, 200),
    arrivals=st.lists(st.floats(0, 199), max_size=2),
    margin=st.integers(0, 700),
)
def test_a_record_keeps_its_samples_between_its_own(npts: int, arrivals: list[float], margin: int) -> None:
    row = np.arange(npts, dtype=np.int16)
    whole = embedded(row, 10.0, tuple(each for each in arrivals if each < npts), margin)
    assert whole.dtype == np.int16
    assert whole.size == npts + 2 * margin
    np.testing.assert_array_equal(whole[margin : margin + npts], row)
    assert np.abs(np.diff(whole.astype(int))).max(initial=0) <= 1  # it joins on without a step
    if arrivals and 5 + 5 < arrivals[0] < npts:
        assert whole[:margin].max(initial=0) <= max(5, min(arrivals))  # what comes before has no arrival in it


def _picks(case: Case, session: OrtSession, on: float, *, pieces: int) -> list[tuple[str, int, float]]:
    """Picks by the station's own picker, its packets in pieces."""
    manifest = session.manifest
    picker = StationPicker(
        session,
        Preprocess(manifest),
        case.station,
        stride=manifest.stride_samples,
        thresholds=thresholds_with(manifest, dict.fromkeys(manifest.picked_labels, on)),
    )
    where = places(case.traces.codes, manifest.components)
    assert where is not None
    margin_s = (manifest.window_samples + manifest.stride_samples) / manifest.sampling_rate + 1.0
    parts: list[tuple[int, int, Packet]] = []
    for place, packet in case.traces.packets(where, margin_s):
        cuts = np.linspace(0, packet.samples.size, pieces + 1).astype(int)
        parts += [(packet.time_of(int(a)), place, packet.cut(int(a), int(b))) for a, b in pairwise(cuts)]
    results = []
    for _, place, packet in sorted(parts, key=lambda part: part[:2]):
        results += picker.push(place, packet)
    results += picker.finish()
    return sorted((each.phase_hint, each.time_ns, each.probability) for each in results if isinstance(each, Pick))


def test_at_every_threshold_picks_are_those_of_the_station(folder: Path, tiny: OrtSession) -> None:
    picker = ArtefactPicker("tiny", tiny)
    count = 0
    for case in labelled_cases(folder / "labelled_val.npz").cases[:3]:
        found = picker.pick(case)
        for number, on in enumerate(picker.grid):
            mine = sorted((phase, *onset) for phase in picker.phases for onset in found[phase][number])
            if on not in {each.on for each in tiny.manifest.postprocess.thresholds.values()}:
                assert mine == _picks(case, tiny, on, pieces=7)
            count += len(mine)
    assert count > 20


class _Blind:
    """A session of a network whose windows are much longer than what is used of them, at their end."""

    def __init__(self) -> None:
        recipe = dataclasses.replace(
            PHASENET["unet-z"],
            window_samples=900,
            stride_samples=50,
            input=Input("waveform", (1, 900), "float32", "any"),
            postprocess=dataclasses.replace(PHASENET["unet-z"].postprocess, blinding_samples=(830, 20)),
        )
        self.manifest, self.digest, self.windows = artefacts.tiny_manifest(recipe), "0" * 64, 0

    def run(self, inputs: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        self.windows += len(inputs)
        strength = 1 - np.exp(-np.abs(inputs) / 5)
        return [np.concatenate((1 - strength, strength, strength * strength), axis=1).transpose(0, 2, 1)]


def test_what_only_shows_beside_a_record_is_not_looked_at(folder: Path) -> None:
    blind, whole = _Blind(), _Blind()
    picker = ArtefactPicker("blind", cast("OrtSession", blind))
    count = 0
    for case in labelled_cases(folder / "labelled_val.npz").cases[:3]:
        found = picker.pick(case)
        for number, on in enumerate(picker.grid[4:20], 4):
            wanted = _picks(case, cast("OrtSession", whole), on, pieces=1)
            mine = sorted((phase, *onset) for phase in picker.phases for onset in found[phase][number])
            judged = [[each for each in part if case.start_ns <= each[1] <= case.end_ns] for part in (mine, wanted)]
            assert judged[0] == judged[1]
            count += len(judged[0])
    assert count > 20
    assert 0 < blind.windows < 0.4 * whole.windows / 16


def test_the_first_and_the_last_sample_are_seen_by_whole_windows(folder: Path, tiny: OrtSession) -> None:
    case = labelled_cases(folder / "labelled_val.npz").cases[1]
    margin_s = 5.0
    starts, ends = [], []
    for _, packet in case.traces.packets({"Z": 2, "N": 0, "E": 1}, margin_s):
        starts.append(packet.starttime_ns)
        ends.append(packet.time_of(packet.samples.size - 1))
    assert starts == [case.start_ns - 5_000_000_000] * 3
    assert ends == [case.end_ns + 5_000_000_000] * 3
    assert tiny.manifest.window_samples / tiny.manifest.sampling_rate < margin_s


def test_labels_keep_their_second_at_any_rate(tmp_path: Path) -> None:
    found = labelled_cases(write_labelled(tmp_path, rate=50.0) / "labelled_train.npz")
    case = found.cases[1]
    (s,) = (each for each in case.labels if each.phase == "S")
    assert (s.time_ns - case.start_ns) / 1e9 == pytest.approx(9)
    assert s.origin == "manual"
    assert found.days == pytest.approx(24 * (16 - 1 / 50) / 86400)


def test_components_can_be_taken_away(folder: Path, tiny: OrtSession) -> None:
    whole = labelled_cases(folder / "labelled_val.npz")
    found = with_components(whole, ("Z",))
    assert found.digest != whole.digest
    for case, fewer in zip(whole.cases, found.cases, strict=True):
        assert fewer.traces.codes == ("Z",)
        where = {"Z": 0, "N": 1, "E": 2}
        wanted = [packet for place, packet in case.traces.packets(where, 1.0) if place == 0]
        given = list(fewer.traces.packets(where, 1.0))
        assert [place for place, _ in given] == [0]
        np.testing.assert_array_equal(given[0][1].samples, wanted[0].samples)
    picker = ArtefactPicker("tiny", tiny)
    assert picker.pick(found.cases[0]).keys() == {"P", "S"}
    with pytest.raises(UsageError, match="--components: found Q, labelled_val has"):
        with_components(whole, ("Q",))


def test_sta_lta_triggers_on_a_step_of_energy(folder: Path) -> None:
    picker = StaLtaPicker()
    for case in labelled_cases(folder / "labelled_val.npz").cases:
        at = picker.pick(case)["P"][picker.own_threshold("P")]
        inside = [time for time, _ in at if case.start_ns <= time <= case.end_ns]
        wanted = [each.time_ns for each in case.labels if each.phase == "P"]
        assert len(inside) == len(wanted)
        assert all(abs(found - want) < 0.5e9 for found, want in zip(inside, wanted, strict=True))


@needs_shared
def test_an_archive_is_picked_as_edge_scan_picks_it() -> None:
    folder = SHARED / "mseed" / "salton_20201001"
    session = OrtSession(models.find_model("edge-picker"))
    case = next(each for each in archive_cases(Continuous(folder)).cases if each.station.station == "BOM")
    picker = ArtefactPicker("edge-picker", session)
    found = picker.pick(case)
    scanner = Scanner(session, ScanOptions(thresholds={"P": 0.6, "S": 0.6}))
    results: list[object] = []
    for station in scanner.index((folder / "CI.BOM.2020-10-01T0000.mseed",)):
        if station.id == case.station:
            scanner.scan(station, results.extend)
    wanted = sorted((each.phase_hint, each.time_ns, each.probability) for each in results if isinstance(each, Pick))
    number = picker.grid.index(0.6)
    assert sorted((phase, *onset) for phase in ("P", "S") for onset in found[phase][number]) == wanted
    assert wanted


@needs_shared
def test_a_span_of_an_archive_has_the_picks_of_the_whole() -> None:
    folder = SHARED / "mseed" / "ridgecrest_20190704"
    session = OrtSession(models.find_model("edge-picker"))
    picker = ArtefactPicker("edge-picker", session)
    span = Continuous(folder, "2019-07-04T17:40", "2019-07-04T17:42")
    longer = Continuous(folder, "2019-07-04T17:39", "2019-07-04T17:43")
    short, long = (archive_cases(each).cases[0] for each in (span, longer))
    number = picker.grid.index(0.5)
    inside = [
        [each for each in picker.pick(case)["P"][number] if short.start_ns <= each[0] <= short.end_ns]
        for case in (short, long)
    ]
    assert [time for time, _ in inside[0]] == [time for time, _ in inside[1]]
    assert len(inside[0]) > 2


@needs_shared
def test_mems_records_stay_in_counts_of_int16() -> None:
    found = mems_cases(SHARED / "mems" / "openeew_int16.npz", ("2018_9_25",))
    assert len(found.cases) == 16
    assert any(case.labels for case in found.cases)
    (_, packet), *_ = found.cases[0].traces.packets({"Z": 0}, 30.0)
    assert packet.samples.dtype == np.int16
    assert packet.sampling_rate == 31.25


def _broken(folder: Path, **changes: object) -> Path:
    path = folder / "labelled_broken.npz"
    arrays = dict(np.load(folder / "labelled_val.npz"))
    for name, value in changes.items():
        arrays[name] = np.asarray(value)
    np.savez(path, allow_pickle=False, **arrays)
    path.with_suffix(".csv").write_text((folder / "labelled_val.csv").read_text())
    return path


def test_broken_records_are_named(folder: Path) -> None:
    with pytest.raises(TrainingDataError, match=r"labelled_no\.npz: no such file"):
        labelled_cases(folder / "labelled_no.npz")
    with pytest.raises(TrainingDataError, match="wanted as many in each"):
        labelled_cases(_broken(folder, fs=[100.0]))
    with pytest.raises(TrainingDataError, match="found an id twice"):
        labelled_cases(_broken(folder, id=["a"] * 6))
    with pytest.raises(TrainingDataError, match="found 28800 samples, wanted"):
        labelled_cases(_broken(folder, n=[9000] * 6))
    with pytest.raises(TrainingDataError, match=r"at 0\.0 Hz, wanted two or more and a sampling rate"):
        labelled_cases(_broken(folder, fs=[0.0] * 6))
    path = _broken(folder)
    path.with_suffix(".csv").write_text("id,channels\na,HHZ\n")
    with pytest.raises(TrainingDataError, match="missing column 's_status'"):
        labelled_cases(path)
    path.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(TrainingDataError, match=r"found no \.npz file of arrays"):
        labelled_cases(path)


def test_an_archive_without_files_or_without_its_span_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match="found no files, wanted an archive of miniSEED"):
        archive_cases(Continuous(tmp_path))


def test_picks_of_others_are_read_by_record_and_by_station(tmp_path: Path, folder: Path) -> None:
    case = labelled_cases(folder / "labelled_val.npz").cases[1]
    path = tmp_path / "picks.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("id", "seconds", "phase_hint", "probability"), ("w1", 6.5, "P", 0.4), ("w2", 1, "P", 0.4)])
    picker = FilePicker("others", path)
    at = picker.pick(case)["P"]
    assert at[0] == [(case.start_ns + 6_500_000_000, 0.4)]
    assert [bool(each) for each in at] == [on <= 0.4 for on in picker.grid]
    path.write_text("network,station,time,phase_hint,probability\nXX,w1,1970-01-01T02:00:07.13Z,S,0.9\n")
    assert FilePicker("others", path).pick(case)["S"][0] == [(7_207_130_000_000, 0.9)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,seconds\n", "missing column 'phase_hint'"),
        ("phase_hint,probability\n", "found no columns id and seconds"),
        ("id,seconds,phase_hint,probability\na,1,P,high\n", "line 2: could not convert"),
        ("network,station,time,phase_hint,probability\nXX,a,noon,P,1\n", "line 2: time: found 'noon'"),
    ],
)
def test_broken_files_of_picks_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "picks.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        FilePicker("others", path)
