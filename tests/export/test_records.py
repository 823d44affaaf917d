"""Records for training: labels, what is masked, and what of an archive is used."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from labelled import write_labelled
from shared_data import SHARED, needs_shared

from seisedge.edge.preprocess import Preprocess
from seisedge.edge.times import parse_time
from seisedge.export.dataset import LabelledSet, LabelledWindow, read_labelled
from seisedge.export.errors import TrainingDataError
from seisedge.export.records import Continuous, continuous_records, labelled_records, mems_records
from seisedge.export.registry import find
from seisedge.export.train_job import draft_manifest

CX = SHARED / "mseed" / "cx_20140501"


@pytest.fixture(scope="module")
def preprocess() -> Preprocess:
    return Preprocess(draft_manifest(find("edge-picker")))


def _labelled(**changes: object) -> LabelledSet:
    fields: dict[str, object] = {
        "id": "w",
        "group": "g",
        "samples": np.zeros((3, 4000), np.float32),
        "arrivals": {"P": 1000.0},
        "others": (),
        "unlabelled_from": None,
    }
    return LabelledSet((LabelledWindow(**{**fields, **changes}),), "", {})  # type: ignore[arg-type]  # as above


def test_labelled_windows_become_records(tmp_path: Path, preprocess: Preprocess) -> None:
    found = read_labelled(write_labelled(tmp_path) / "labelled_train.npz", preprocess)
    records = list(labelled_records(found, 100.0))
    assert [each.kind for each in records[:3]] == ["noise", "event", "event"]
    assert [phase for phase, _ in records[1].arrivals] == ["P", "S"]
    assert records[1].samples.shape == (3, 1600)


def test_what_was_not_labelled_is_masked() -> None:
    (other,) = labelled_records(_labelled(others=(2000.0,)), 100.0)
    assert other.unknown == ((None, 1900.0, 2100.0),)
    (without_s,) = labelled_records(_labelled(unlabelled_from=1000.0), 100.0)
    assert without_s.unknown == (("S", 1020.0, 4000.0),)


def test_an_archive_without_picks_is_named(tmp_path: Path, preprocess: Preprocess) -> None:
    (tmp_path / "day.mseed").touch()
    with pytest.raises(TrainingDataError, match=r"picks_consensus\.csv: no such file"):
        list(continuous_records(Continuous(tmp_path), preprocess))


@needs_shared
def test_pieces_of_an_archive_lie_within_the_bounds_and_hold_the_agreed_picks(preprocess: Preprocess) -> None:
    bounds = Continuous(CX, "2014-05-01T00:02:00", "2014-05-01T00:20:00")
    records = [each for each in continuous_records(bounds, preprocess) if ".PB01." in each.id]
    begins = sorted(int(each.id.rpartition(".")[2]) for each in records)
    assert begins[0] >= parse_time(bounds.start)
    assert all(each.samples.shape[1] % 2560 == 0 for each in records)
    # PB01 has a P at 00:06:45.9 on which all four pickers agree; it stands where the amplitude rises.
    agreed = [
        (each, place)
        for each in records
        for phase, place in each.arrivals
        if phase == "P" and 100 < place < each.samples.shape[1] - 100
    ]
    assert agreed
    for record, place in agreed:
        vertical = np.abs(record.samples[0])
        before, behind = vertical[int(place) - 100 : int(place) - 20], vertical[int(place) : int(place) + 80]
        assert behind.max() > before.max()


@pytest.mark.parametrize("name", ["edge-picker", "unet", "unet-z", "gpd", "spectrogram-cnn"])
def test_records_of_mems_sensors_have_the_components_that_the_model_wants(name: str, tmp_path: Path) -> None:
    """They are stored as Z, N, E."""
    manifest = draft_manifest(find(name))
    manifest = dataclasses.replace(manifest, steps=tuple(each for each in manifest.steps if each.scope == "window"))
    level = {"Z": 100, "N": 200, "E": 300}
    stored = np.repeat(np.array(list(level.values()), np.int16)[:, np.newaxis], 50, axis=1)
    np.savez(
        tmp_path / "mems.npz",
        samples=stored.ravel(),
        start=np.array([0]),
        n=np.array([50]),
        fs=np.array([manifest.sampling_rate]),
        id=np.array(["a"]),
    )
    (tmp_path / "mems_picks.csv").write_text("id,phase,sample,n_models\n")
    (record,) = mems_records(tmp_path / "mems.npz", Preprocess(manifest), left_out=())
    names = [manifest.components.aliases.get(each, each) for each in "ZNE"]
    assert record.samples[:, 0].tolist() == [
        dict(zip(names, level.values(), strict=True))[each] for each in manifest.components.order
    ]


@needs_shared
def test_records_of_mems_sensors_leave_out_what_is_kept_for_validation(preprocess: Preprocess) -> None:
    path = SHARED / "mems" / "openeew_int16.npz"
    everything_but = ("2017_12_16", "2017_12_25", "2018", "2019", "2020", "2021")
    records = list(mems_records(path, preprocess, left_out=everything_but))
    assert records
    assert all(each.id.startswith("mems.2017_12_15") for each in records)
    assert records[0].samples.dtype == np.float32


def test_missing_files_of_mems_records_are_named(preprocess: Preprocess, tmp_path: Path) -> None:
    path = tmp_path / "mems.npz"
    with pytest.raises(TrainingDataError, match=r"mems_picks.csv: no such file"):
        next(mems_records(path, preprocess, left_out=()))
    (tmp_path / "mems_picks.csv").write_text("id,phase,sample,n_models\n")
    with pytest.raises(TrainingDataError, match=r"mems.npz: no such file, wanted records"):
        next(mems_records(path, preprocess, left_out=()))
    path.write_bytes(b"PK")
    with pytest.raises(TrainingDataError, match=r"mems.npz: found no .npz file of arrays"):
        next(mems_records(path, preprocess, left_out=()))
