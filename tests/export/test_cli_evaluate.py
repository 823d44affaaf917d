"""`edge-export evaluate` as a user calls it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from labelled import write_labelled
from shared_data import SHARED, needs_shared

from seisedge.export.cli import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_labelled(tmp_path_factory.mktemp("labelled"), count=9)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments)])


def perfect_picks(folder: Path) -> Path:
    """Every label of the validation set, as a file of picks."""
    arrays = np.load(folder / "labelled_val.npz")
    path = folder / "picks.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "seconds", "phase_hint", "probability"))
        for phase in ("P", "S"):
            rows = zip(arrays["id"], arrays["fs"], arrays[f"{phase.lower()}_sample"], strict=True)
            writer.writerows((name, at / rate, phase, 0.9) for name, rate, at in rows if at >= 0)
    return path


def test_a_perfect_picker_is_perfect_in_every_form(folder: Path, tmp_path: Path) -> None:
    picks = perfect_picks(folder)
    done = run("--picks", f"others={picks}", "--data", folder, "-o", tmp_path, "-j", "1")
    assert done.exit_code == 0, done.output
    assert "P on labelled_val, labels: manual" in done.output
    results = json.loads((tmp_path / "evaluation.json").read_text())
    rows = [each for each in results["labelled"] if each["picker"] == "others"]
    for row in rows:
        for at in row["at"].values():
            assert (at["f1"], at["mean_absolute_residual_s"]) == (1, 0)
        assert row["reliability"]["error"] == pytest.approx(0.1)
    assert [row["phase"] for row in rows] == ["P", "S"]
    text = (tmp_path / "evaluation.md").read_text()
    assert "| others |" in text
    assert "![labelled_val.png](labelled_val.png)" in text
    assert (tmp_path / "labelled_val.png").read_bytes().startswith(b"\x89PNG")


def test_an_embedded_model_is_judged_through_its_stream(folder: Path, tmp_path: Path) -> None:
    first = run("seismo-performer", "--data", folder, "--no-sta-lta", "--state", tmp_path / "picks", "-o", tmp_path)
    assert first.exit_code == 0, first.output
    results = json.loads((tmp_path / "evaluation.json").read_text())
    assert set(results["thresholds"]["seismo-performer fp32"]) == {"P", "S"}
    assert results["chosen_on"] == "labelled_train"
    again = run("seismo-performer", "--data", folder, "--no-sta-lta", "--state", tmp_path / "picks", "-j", "1")
    assert again.exit_code == 0
    assert again.stdout.splitlines()[-3:] == first.stdout.splitlines()[-4:-1]


@needs_shared
def test_real_records_of_all_kinds(tmp_path: Path) -> None:
    done = run(
        "edge-picker:fp32", "--choose", "own", "--report", "",
        "--data", SHARED / "labelled",
        "--continuous", f"{SHARED / 'mseed' / 'salton_20201001'},2020-10-01T00:01:30,2020-10-01T00:02:30",
        "--mems", f"{SHARED / 'mems' / 'openeew_int16.npz'},2018_2_16/00",
        "-o", tmp_path,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    results = json.loads((tmp_path / "evaluation.json").read_text())
    row = next(each for each in results["continuous"] if (each["picker"], each["phase"]) == ("edge-picker fp32", "P"))
    assert row["recall"] > 0.6
    assert row["unmatched_per_day"] <= row["picks_per_day"]
    assert {each["picker"] for each in results["mems"]} == {"edge-picker fp32", "STA/LTA"}
    assert len(list(tmp_path.glob("*.png"))) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("edge-picker",), "found no records, wanted --data, --continuous or --mems"),
        (("--no-sta-lta", "--data", "DATA"), "found nothing to evaluate"),
        (("edge-picker", "--data", "DATA", "--labels", "manul"), "--labels: found 'manul', labelled_train has manual"),
        (("edge-picker", "--data", "DATA", "--report", "test"), "labelled_test.npz: no such file"),
        (("edge-picker:fp32", "--data", "DATA", "--reference", "best"), "wanted one of edge-picker fp32, STA/LTA"),
        (("edge-picker:fp32", "edge-picker:fp32", "--data", "DATA"), "found two pickers named 'edge-picker fp32'"),
        (("--picks", "picks.csv", "--data", "DATA"), "wanted NAME=FILE"),
        (("--picks", "a=no.csv", "--data", "DATA"), "--picks a: no.csv: no such file"),
        (("edge-picker", "--choose", "val", "--continuous", "DATA"), "--choose val: found no --data"),
        (("edge-picker", "--continuous", "DATA"), "found no miniSEED"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(arguments: tuple[str, ...], message: str, folder: Path) -> None:
    done = run(*(str(folder) if each == "DATA" else each for each in arguments))
    assert done.exit_code in (1, 2)
    (line,) = done.stderr.splitlines()
    assert line.startswith("edge-export: ")
    assert message in line
