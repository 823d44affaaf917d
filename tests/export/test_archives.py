"""Archives to train with and to judge by: what cannot be used of them is told, and does not count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from packets import START_NS, packet, records

from seisedge.edge.preprocess import Preprocess
from seisedge.export.crops import Crop
from seisedge.export.errors import TrainingDataError
from seisedge.export.evaluation.archive_cases import archive_cases
from seisedge.export.evaluation.sta_lta import StaLtaPicker
from seisedge.export.objectives import objective_of
from seisedge.export.records import Continuous, Record, continuous_records
from seisedge.export.registry import find
from seisedge.export.train_job import draft_manifest
from seisedge.export.train_options import ExampleOptions

PICKS = "network,station,phase,time,n_models\nXX,TEST,P,2020-09-13T12:28:40Z,4\n"


def _archive(folder: Path, *, suffix: str = ".mseed", long_period: bool = False) -> Path:
    rng = np.random.default_rng(0)
    for component in "ZNE":
        each = packet(rng.integers(-100, 100, 12_000).astype(np.int32), component=component)
        (folder / f"{component}{suffix}").write_bytes(b"".join(records(each)))
    if long_period:
        slow = packet(rng.integers(-100, 100, 120).astype(np.int32), rate=1.0)
        slow = type(slow)("FDSN:XX_TEST__L_H_Z", START_NS, 1.0, slow.samples)
        (folder / f"L{suffix}").write_bytes(b"".join(records(slow)))
    (folder / "picks_consensus.csv").write_text(PICKS, encoding="utf-8")
    return folder


def _records(folder: Path, told: list[str], span: str = "") -> list[Record]:
    preprocess = Preprocess(draft_manifest(find("edge-picker")))
    return list(continuous_records(Continuous.parse(f"{folder}{span}"), preprocess, tell=told.append))


def test_a_channel_for_long_periods_is_no_station_to_judge(tmp_path: Path) -> None:
    found = archive_cases(Continuous(_archive(tmp_path, long_period=True)))
    assert [str(case.station) for case in found.cases] == ["XX.TEST..HH"]
    assert found.told == ("FDSN:XX_TEST__L_H_Z: found 1 Hz, not judged below 10",)
    StaLtaPicker().pick(found.cases[0])


def test_an_archive_without_picks_says_that_its_recall_means_nothing(tmp_path: Path) -> None:
    folder = _archive(tmp_path)
    assert archive_cases(Continuous(folder)).told == ()
    (folder / "picks_consensus.csv").unlink()
    (told,) = archive_cases(Continuous(folder)).told
    assert "found no picks_consensus*.csv: its recall means nothing" in told


def test_files_of_other_names_are_read_too(tmp_path: Path) -> None:
    folder = _archive(tmp_path, suffix=".D.2020.257")
    told: list[str] = []
    assert sum(each.samples.shape[1] for each in _records(folder, told)) > 5_000
    assert told == []
    assert len(archive_cases(Continuous(folder)).cases) == 1


def test_damage_and_stations_that_do_not_fit_are_told(tmp_path: Path) -> None:
    folder = _archive(tmp_path, long_period=True)
    whole = (folder / "Z.mseed").read_bytes()
    (folder / "Z.mseed").write_bytes(whole[:1024] + b"\xff" * 512 + whole[1536:])
    told: list[str] = []
    _records(folder, told)
    assert any(line.startswith(f"{folder / 'Z.mseed'}: byte 1024") for line in told)
    assert any(line.startswith("XX.TEST..LH: sampling rate: found 1 Hz") for line in told)
    assert any(line.startswith(f"{folder / 'Z.mseed'}: byte 1024") for line in archive_cases(Continuous(folder)).told)


def test_an_archive_of_which_nothing_is_used_is_told(tmp_path: Path) -> None:
    folder = _archive(tmp_path)
    told: list[str] = []
    assert _records(folder, told, ",2021-01-01") == []
    assert told == [f"{folder}: found nothing to use from 2021-01-01 to the end"]
    with pytest.raises(TrainingDataError, match="found no files, wanted an archive of miniSEED"):
        _records(tmp_path / "nowhere", [])


def test_coda_of_an_event_before_a_piece_is_no_noise(tmp_path: Path) -> None:
    """Twenty minutes with a P behind 100 s: what begins within 500 s behind it says nothing, in whichever piece."""
    rng, rate = np.random.default_rng(0), 100.0
    for component in "ZNE":
        each = packet(rng.integers(-100, 100, 120_000).astype(np.int32), component=component)
        (tmp_path / f"{component}.mseed").write_bytes(b"".join(records(each)))
    (tmp_path / "picks_consensus.csv").write_text(PICKS.replace("12:28:40", "12:28:20"), encoding="utf-8")
    at_s = 100.0
    manifest = draft_manifest(find("convnetquake"))
    objective = objective_of(manifest, ExampleOptions())
    told = {True: list[float](), False: list[float]()}
    for record in continuous_records(Continuous(tmp_path), Preprocess(manifest), avoid_s=(10.0, 500.0)):
        begin_s = int(record.id.rpartition(".")[2]) / 1e9 - START_NS / 1e9
        for start in range(0, record.samples.shape[1] - manifest.window_samples, 200):
            shifted = [(phase, place - start) for phase, place in record.arrivals]
            unknown = [(phase, a - start, b - start) for phase, a, b in record.unknown]
            target, weight = objective.target(Crop(record.samples, shifted, unknown))
            if weight[0]:
                told[bool(target[0])].append(begin_s + start / rate)
    assert told[True]
    width_s = manifest.window_samples / rate
    assert all(begin + width_s < at_s - 10 + 1 or begin > at_s + 500 - 1 for begin in told[False])
    assert any(begin > at_s + 500 for begin in told[False])
