"""Real awkward files through `edge-scan`: each has its documented outcome."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from packets import NANOSECONDS
from shared_data import SHARED, needs_shared

from seisedge.edge.scan_cli import main
from seisedge.edge.times import parse_time

pytestmark = needs_shared
MSEED = SHARED / "mseed"


@dataclass(frozen=True)
class Done:
    """Rows of the picks, lines of the summary, the report's stations by name."""

    code: int
    rows: list[dict[str, str]]
    lines: list[str]
    stations: dict[str, dict[str, Any]]

    def nearest_s(self, station: str, phase: str, time: str) -> float:
        """Distance of the nearest pick."""
        times = [
            parse_time(row["time"]) for row in self.rows if (row["station"], row["phase_hint"]) == (station, phase)
        ]
        return min(abs(each - parse_time(time)) for each in times) / NANOSECONDS


def edge_scan(folder: Path, model: Path, *arguments: str | Path) -> Done:
    report = folder / "report.json"
    result = CliRunner().invoke(main, [*map(str, arguments), "--model", str(model), "--report", str(report)])
    told = json.loads(report.read_text(encoding="utf-8"))["stations"]
    return Done(
        result.exit_code,
        list(csv.DictReader(result.stdout.splitlines())),
        result.stderr.splitlines(),
        {each["station"]: each for each in told},
    )


def test_the_gap_file(tmp_path: Path, published_path: Path) -> None:
    path = MSEED / "gaps_8D.RAW2_CH.SENIN_200hz.mseed"
    done = edge_scan(tmp_path, published_path, path, "--threshold", "0.5", "--stride", "20")
    assert (done.code, list(done.stations)) == (0, ["8D.RAW2..HH", "CH.SENIN..HH"])
    for station in done.stations.values():
        assert station["components"] == ["N", "E", "Z"]
        assert (station["gap_count"], station["overlap_count"], station["rate_changes"]) == (3, 0, 0)
        assert sorted(gap["channel"] for gap in station["gaps"]) == ["HHE", "HHN", "HHZ"]
        for gap in station["gaps"]:
            minutes = (parse_time(gap["endtime"]) - parse_time(gap["starttime"])) / NANOSECONDS / 60
            assert minutes == pytest.approx(44, abs=0.5)
        assert station["skipped_windows"] > 0
    manual = [("P", "04:23:30.475"), ("S", "04:23:31.482"), ("P", "04:23:49.100"), ("S", "04:23:50.083")]
    for phase, time in manual:
        assert done.nearest_s("RAW2", phase, f"2019-11-05T{time}") < 0.5


def test_the_file_whose_rate_changes(tmp_path: Path, published_path: Path) -> None:
    path = MSEED / "changing_rate_CH.GRIMS_100_200hz.mseed"
    done = edge_scan(tmp_path, published_path, path, "--stride", "50")
    station = done.stations["CH.GRIMS..HH"]
    assert (done.code, station["components"], station["rate_changes"]) == (0, ["Z"], 1)
    assert "  the sampling rate changed 1 time: streams restarted" in done.lines
    assert station["hours"] == pytest.approx((60_168 + 59_942) / 100 / 3600 + 120_299 / 200 / 3600, rel=1e-6)
    assert station["gap_count"] == 2  # 40 minutes, and 80 ms where the rate changes


def test_float64_of_one_vertical(tmp_path: Path, published_path: Path) -> None:
    path = MSEED / "float64_CN.HOLB.HNZ.mseed"
    done = edge_scan(tmp_path, published_path, path, "--stride", "50")
    station = done.stations["CN.HOLB..HN"]
    assert (done.code, station["components"]) == (0, ["Z"])
    assert (station["hours"], station["gap_count"]) == (pytest.approx(1500 / 3600), 0)
    assert station["windows"] == (150_000 - 400 - 44) // 50 + 1  # the first half second ends 44 samples in


def test_1000_hz(tmp_path: Path, published_path: Path) -> None:
    span = ("--start", "2009-01-21T04:05", "--end", "2009-01-21T04:10")
    done = edge_scan(tmp_path, published_path, MSEED / "rutford_icequakes_1000hz", "--stride", "50", *span)
    (station,) = done.stations.values()
    assert (done.code, station["components"]) == (0, ["N", "E", "Z"])
    assert station["windows"] > 500
    assert station["gap_count"] == 0


def test_16_stations_of_one_file_each(tmp_path: Path, published_path: Path) -> None:
    done = edge_scan(tmp_path, published_path, MSEED / "salton_20201001", "--stride", "50")
    assert (done.code, len(done.stations)) == (0, 16)
    assert all(each["refused"] is None and each["windows"] > 300 for each in done.stations.values())
    assert done.lines[0].startswith("16 stations, 0.80 h of data")


def test_a_geophone_and_an_accelerometer_of_one_box_are_two_stations(tmp_path: Path, published_path: Path) -> None:
    done = edge_scan(tmp_path, published_path, MSEED / "rshake_AM.R91E4_20220521.mseed", "--stride", "50")
    found = {name: each["components"] for name, each in done.stations.items()}
    assert found == {"AM.R91E4.00.EH": ["Z"], "AM.R91E4.00.EN": ["N", "E", "Z"]}
