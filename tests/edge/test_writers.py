"""Three text forms of a pick, exactly; what was written stays."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path

import pytest

from seisedge.edge import DataError, Pick, StationId, UsageError
from seisedge.edge.picks import PICK_FIELDS, pick_id
from seisedge.edge.times import parse_time
from seisedge.edge.writers import PickWriter

STATION = StationId("IM", "NYSH", "00", "EH")
TIME_NS = parse_time("2021-04-01T12:35:55.66")
PICK = Pick(
    id=pick_id(STATION, "P", TIME_NS, "ab" * 32),
    revision=0,
    station=STATION,
    phase_hint="P",
    time_ns=TIME_NS,
    time_uncertainty_s=None,
    probability=0.99996661,
    amplitude=None,
    snr=12.5,
    model="tiny",
    model_digest="ab" * 32,
)
S = dataclasses.replace(PICK, phase_hint="S", time_ns=parse_time("2021-04-01T12:36:04.000001"), probability=0.5)

GOLDEN = {
    ".csv": (
        "id,revision,network,station,location,channel,phase_hint,time,time_uncertainty_s,probability,amplitude,snr,"
        "model,model_digest\n"
        f"{PICK.id},0,IM,NYSH,00,EH,P,2021-04-01T12:35:55.660000Z,,0.999967,,12.5,tiny,{'ab' * 32}\n"
        f"{PICK.id},0,IM,NYSH,00,EH,S,2021-04-01T12:36:04.000001Z,,0.5,,12.5,tiny,{'ab' * 32}\n"
    ),
    ".jsonl": (
        f'{{"id": "{PICK.id}", "revision": 0, "network": "IM", "station": "NYSH", "location": "00", "channel": "EH", '
        '"phase_hint": "P", "time": "2021-04-01T12:35:55.660000Z", "time_uncertainty_s": null, '
        f'"probability": 0.999967, "amplitude": null, "snr": 12.5, "model": "tiny", "model_digest": "{"ab" * 32}"}}\n'
        f'{{"id": "{PICK.id}", "revision": 0, "network": "IM", "station": "NYSH", "location": "00", "channel": "EH", '
        '"phase_hint": "S", "time": "2021-04-01T12:36:04.000001Z", "time_uncertainty_s": null, '
        f'"probability": 0.5, "amplitude": null, "snr": 12.5, "model": "tiny", "model_digest": "{"ab" * 32}"}}\n'
    ),
    ".txt": "NYSH P 0.9999 01.04.2021 12:35:55.66\nNYSH S 0.5000 01.04.2021 12:36:04.000001\n",
}


@pytest.mark.parametrize("suffix", GOLDEN)
def test_every_form_is_written_exactly(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"picks{suffix}"
    with PickWriter(path) as writer:
        writer.write([PICK])
        writer.write([])
        writer.write([S])
    assert path.read_text(encoding="utf-8") == GOLDEN[suffix]


def test_csv_and_json_lines_hold_the_same_rows() -> None:
    rows = list(csv.DictReader(io.StringIO(GOLDEN[".csv"])))
    objects = [json.loads(line) for line in GOLDEN[".jsonl"].splitlines()]
    assert [list(row) for row in rows] == [list(PICK_FIELDS)] * 2 == [list(each) for each in objects]
    assert rows == [{key: "" if value is None else str(value) for key, value in each.items()} for each in objects]
    assert tuple(PICK.as_row()) == PICK_FIELDS


@pytest.mark.parametrize(("time", "text"), [("12:35:55", "12:35:55"), ("12:35:55.5", "12:35:55.5")])
def test_performers_form_drops_trailing_zeros(tmp_path: Path, time: str, text: str) -> None:
    path = tmp_path / "picks.txt"
    with PickWriter(path) as writer:
        writer.write([dataclasses.replace(PICK, time_ns=parse_time(f"2021-04-01T{time}"))])
    assert path.read_text(encoding="utf-8") == f"NYSH P 0.9999 01.04.2021 {text}\n"


def test_without_picks_only_the_header_is_written(tmp_path: Path) -> None:
    for suffix, header in ((".csv", ",".join(PICK_FIELDS) + "\n"), (".jsonl", ""), (".txt", "")):
        path = tmp_path / f"none{suffix}"
        with PickWriter(path):
            pass
        assert path.read_text(encoding="utf-8") == header


def test_picks_are_in_the_file_before_the_writer_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "picks.txt"
    with PickWriter(path) as writer:
        writer.write([PICK])
        assert path.read_text(encoding="utf-8").startswith("NYSH P")


def test_without_a_path_csv_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    with PickWriter(None) as writer:
        writer.write([PICK, S])
    assert capsys.readouterr().out == GOLDEN[".csv"]


def test_the_suffix_may_be_in_capitals(tmp_path: Path) -> None:
    with PickWriter(tmp_path / "PICKS.CSV") as writer:
        writer.write([PICK])


@pytest.mark.parametrize("name", ["picks.xml", "picks"])
def test_another_suffix_is_a_usage_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"output .*: found suffix '.*', wanted one of .csv, .jsonl, .txt"):
        PickWriter(tmp_path / name)


def test_a_folder_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"picks.csv: cannot be written: No such file or directory"):
        PickWriter(tmp_path / "none" / "picks.csv")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("picks", [[PICK], []])
def test_a_full_disk_is_told(tmp_path: Path, picks: list[Pick]) -> None:
    path = tmp_path / "picks.csv"
    path.symlink_to("/dev/full")
    with pytest.raises(DataError, match=r"picks.csv: cannot be written: No space left"), PickWriter(path) as writer:
        writer.write(picks)


def test_the_identity_of_a_pick_is_what_makes_it_this_pick() -> None:
    assert PICK.id == pick_id(STATION, "P", TIME_NS, "ab" * 32)
    assert len(PICK.id) == 16
    others = [
        pick_id(StationId("IM", "NYSH", "10", "EH"), "P", TIME_NS, "ab" * 32),
        pick_id(STATION, "S", TIME_NS, "ab" * 32),
        pick_id(STATION, "P", TIME_NS + 1, "ab" * 32),
        pick_id(STATION, "P", TIME_NS, "ac" * 32),
    ]
    assert len({PICK.id, *others}) == 5
