"""What edge-bench reads and writes: records that are no counts, and outputs that cannot be written."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from seisedge.edge import OrtSession
from seisedge.edge.bench.figures import Figure
from seisedge.edge.bench.records import STARTTIME_NS, made_record, read_record
from seisedge.edge.bench.report import Report, Row, Section
from seisedge.edge.bench.run import Settings, Watch
from seisedge.edge.bench_cli import main
from seisedge.edge.errors import DataError
from seisedge.edge.session import Float32
from seisedge.firmware_bridge import Packet, encode_records


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def write_floats(folder: Path, samples: Float32) -> None:
    """A file of FLOAT32 records for each component."""
    for letter, row in zip("NEZ", samples, strict=True):
        packet = Packet(f"FDSN:XX_BENCH__H_H_{letter}", STARTTIME_NS, 100.0, row)
        (folder / f"{letter}.mseed").write_bytes(b"".join(encode_records(packet, "float32")))


def test_a_record_in_physical_units_is_scaled_to_counts_and_says_so(tmp_path: Path, tiny_session: OrtSession) -> None:
    counts = made_record(seconds=30).samples
    write_floats(tmp_path, (counts * 1e-9).astype(np.float32))
    chosen = Settings(record=tmp_path)
    watch = Watch(chosen)
    found = watch.open_record(tiny_session.manifest.components)
    assert np.abs(found.samples).max() == 1 << 20
    np.testing.assert_allclose(found.samples / (1 << 20), counts / np.abs(counts).max(), atol=1e-6)
    assert watch.open_record(tiny_session.manifest.components).note == found.note
    (note,) = watch.report("models", [], [], notes=[]).notes
    assert "found samples that are no whole counts: scaled, one count is " in note
    assert found.repeated(10).note == note


def test_whole_counts_that_are_kept_as_floats_stay_as_they_are(tmp_path: Path, tiny_session: OrtSession) -> None:
    counts = made_record(seconds=30).samples
    write_floats(tmp_path, counts.astype(np.float32))
    found = read_record(tmp_path, tiny_session.manifest.components)
    np.testing.assert_array_equal(found.samples, counts)
    assert found.note == ""


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_record_of_what_is_no_number_is_refused(tmp_path: Path, tiny_session: OrtSession, value: float) -> None:
    samples = np.ones((3, 1000), np.float32)
    samples[1, 500:502] = value
    write_floats(tmp_path, samples)
    with pytest.raises(
        DataError, match=r"found 2 samples of XX\.BENCH\.\.HH that are no finite numbers, wanted counts"
    ):
        read_record(tmp_path, tiny_session.manifest.components)


def never_measured(*_: object) -> Report:
    pytest.fail("it was measured")


def test_outputs_that_cannot_be_written_are_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    locked = tmp_path / "locked.json"
    locked.touch()
    granted = os.access

    def access(path: Path, mode: int) -> bool:  # the superuser may write everywhere
        return granted(path, mode) and (path, mode) != (locked, os.W_OK)

    monkeypatch.setattr(os, "access", access)
    monkeypatch.setattr("seisedge.edge.bench_cli.bench_models", never_measured)
    for option in ("--json", "--markdown", "--html"):
        for path, words in (
            (tmp_path / "none" / "x", f"found no folder {tmp_path / 'none'}, wanted one"),
            (tmp_path / "file" / "x", f"found no folder {tmp_path / 'file'}, wanted one"),
            (tmp_path, "found a folder, wanted a file"),
            (locked, "found a file that may not be written"),
            (Path("-"), "found no name of a file, wanted one (/dev/stdout"),
        ):
            done = run("models", option, str(path))
            assert done.exit_code == 2
            assert done.output.startswith(f"edge-bench: {option} {path}: {words}"), done.output
            assert done.output.count("\n") == 1


@pytest.mark.parametrize("way", ["new", "dotted", "there", "symbolic", "hard"])
def test_two_outputs_in_one_file_are_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr("seisedge.edge.bench_cli.bench_models", never_measured)
    first = tmp_path / "report"
    second = {"dotted": tmp_path / "below" / ".." / "report", "new": first, "there": first}.get(way, tmp_path / "link")
    (tmp_path / "below").mkdir()
    if way != "new":
        first.write_text("of before", encoding="utf-8")
    if way == "symbolic":
        second.symlink_to(first)
    elif way == "hard":
        second.hardlink_to(first)
    done = run("models", "--html", str(second), "--json", str(first), "--markdown", str(tmp_path / "other"))
    assert done.exit_code == 2
    assert done.output == f"edge-bench: --html {second}: found the file of --json, wanted another one\n"
    assert first.read_text(encoding="utf-8") == "of before" if way != "new" else not first.exists()


def test_the_record_is_not_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seisedge.edge.bench_cli.bench_models", never_measured)
    record = tmp_path / "day.mseed"
    record.write_bytes(b"a day")
    done = run("models", "--record", str(record), "--json", str(record))
    assert done.exit_code == 2
    assert done.output == f"edge-bench: --json {record}: found the file that is read, wanted another one to write to\n"


def test_a_report_that_cannot_be_written_in_the_end_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(*_: object) -> Report:
        section = Section("A table", ("p50",), (Row("x", {"p50": Figure(1.0, "s")}),))
        return Watch(Settings(quick=True)).report("models", [section], [])

    monkeypatch.setattr("seisedge.edge.bench_cli.bench_models", measured)
    done = run("models", "--json", "/dev/full")
    assert done.exit_code == 2
    assert "A table" in done.output
    assert done.output.endswith("edge-bench: /dev/full: cannot be written: No space left on device\n")


@pytest.mark.parametrize(("name", "read"), [(each, each in {"models", "peers"}) for each in main.commands])
def test_seconds_are_an_option_where_they_are_read(name: str, read: bool) -> None:  # noqa: FBT001 - a parameter
    assert ("--seconds" in run(name, "--help").output) == read
