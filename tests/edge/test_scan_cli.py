"""The command `edge-scan` as its user meets it: picks, one line for what is wrong, the documented exit codes."""

# pyright: reportPrivateUsage=false
# (samples_until is compared with counting one by one)

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import artefacts
import numpy as np
import packets
import pytest
from click.testing import CliRunner
from packets import NANOSECONDS, START_NS

from seisedge.edge import Scanner, ScanOptions, models
from seisedge.edge.recorder import Recorder
from seisedge.edge.scan_cli import main
from seisedge.edge.session import OrtSession
from seisedge.edge.time_window import samples_until
from seisedge.edge.times import format_time, parse_time
from seisedge.firmware_bridge import Packet

SECONDS = 120
BURSTS_S = (30.0, 80.0)


@dataclass(frozen=True)
class Done:
    """What the command did."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, str]]:
        return list(csv.DictReader(self.out.splitlines()))

    @property
    def lines(self) -> list[str]:
        """What it said of problems, without the summary."""
        return [line for line in self.err.splitlines() if line.startswith("edge-scan: ")]


def edge_scan(*arguments: str | Path) -> Done:
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


def samples(seed: int, seconds: int = SECONDS) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    times = np.arange(100 * seconds) / 100
    loud = 1.0 + 60.0 * sum((times >= start) & (times < start + 3) for start in BURSTS_S)
    noise = np.random.default_rng(seed).standard_normal(times.size)
    return (20 * loud * noise).round().astype(np.int32)


def write_station(folder: Path, station: str = "TEST", components: str = "NEZ", seconds: int = SECONDS) -> Path:
    """One file of two minutes with two bursts; the tiny model picks them."""
    path = folder / f"{station}.mseed"
    with path.open("wb") as file:
        for k, component in enumerate(components):
            source_id = f"FDSN:XX_{station}__H_H_{component}"
            whole = Packet(source_id, START_NS, 100.0, samples(k, seconds))
            file.write(b"".join(packets.records(whole)))
    return path


SCAN = [sys.executable, "-c", "from seisedge.edge.scan_cli import main; main()"]


def piped(content: bytes, model: Path) -> subprocess.CompletedProcess[bytes]:
    """`edge-scan -` in a process of its own, with these bytes on its standard input."""
    command = [*SCAN, "-", "--model", str(model), "--threshold", "0.5", "--quiet"]
    return subprocess.run(command, input=content, capture_output=True, check=False, timeout=120)


def test_a_pipe_gives_the_picks_of_its_file(station: Path, tiny_path: Path) -> None:
    wanted = edge_scan(station, "--model", tiny_path, "--threshold", "0.5", "--quiet")
    done = piped(station.read_bytes(), tiny_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == wanted.out
    assert len(wanted.rows) == 4


def test_a_pipe_that_ends_inside_a_record_or_a_frame_is_told(station: Path, tiny_path: Path, tmp_path: Path) -> None:
    done = piped(station.read_bytes()[:-100], tiny_path)
    assert done.returncode == 1
    assert b"found the file's end after 412 bytes of a record" in done.stderr
    frames = tmp_path / "day.frames"
    with Recorder(frames) as recorder:
        recorder.write(Packet("FDSN:XX_TEST__H_H_Z", START_NS, 100.0, samples(0)))
    done = piped(frames.read_bytes()[:-50], tiny_path)
    assert done.returncode == 1
    assert done.stderr.startswith(b"edge-scan: -: 1 damaged; the last one: ")
    assert piped(b"", tiny_path).returncode == 1


@pytest.fixture
def station(tmp_path: Path) -> Path:
    return write_station(tmp_path)


@pytest.fixture
def model(tiny_path: Path) -> list[str]:
    return ["--model", str(tiny_path), "--threshold", "0.5"]


def test_picks_go_to_standard_output_and_the_summary_to_standard_error(station: Path, model: list[str]) -> None:
    done = edge_scan(station, *model)
    assert (done.code, done.lines) == (0, [])
    assert {row["phase_hint"] for row in done.rows} == {"P", "S"}
    onsets = [(parse_time(row["time"]) - START_NS) / NANOSECONDS for row in done.rows if row["phase_hint"] == "P"]
    assert len(onsets) == 2
    assert all(abs(found - wanted) < 1.5 for found, wanted in zip(onsets, BURSTS_S, strict=True))
    first, second, third = done.err.splitlines()
    assert re.match(r"1 station, 0.03 h of data, 1,161 windows, 4 picks \(2 P, 2 S\)$", first)
    assert re.match(r"[\d.]+ s: [\d,]+ times real time, [\d,]+ windows/s$", second)
    assert third == "XX.TEST..HH (N, E, Z): 0.03 h, 2 P, 2 S"


def test_quiet_says_nothing_where_all_is_well(station: Path, model: list[str]) -> None:
    assert edge_scan(station, *model, "--quiet").err == ""


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".txt"])
def test_the_suffix_of_the_output_decides_its_form(
    station: Path, model: list[str], tmp_path: Path, suffix: str
) -> None:
    output = tmp_path / f"picks{suffix}"
    done = edge_scan(station, *model, "--output", output)
    assert (done.code, done.out) == (0, "")
    wanted = edge_scan(station, *model)
    text = output.read_text(encoding="utf-8")
    if suffix == ".csv":
        assert text == wanted.out
    elif suffix == ".jsonl":
        assert [json.loads(line)["time"] for line in text.splitlines()] == [row["time"] for row in wanted.rows]
    else:
        assert [line.split()[1] for line in text.splitlines()] == [row["phase_hint"] for row in wanted.rows]


def test_stations_of_many_files_are_scanned_in_order_of_their_names(tmp_path: Path, model: list[str]) -> None:
    for name in ("CCC", "AAA", "BBB"):
        write_station(tmp_path, name)
    done = edge_scan(tmp_path, *model)
    assert list(dict.fromkeys(row["station"] for row in done.rows)) == ["AAA", "BBB", "CCC"]
    assert done.err.startswith("3 stations, 0.10 h of data")


THRESHOLDS = {"P:0.5,S:0.5": 4, "P:0.5": 4, " S : 0.5 , P:1 ": 2, "0.5": 4, "1": 0, "": 0}


@pytest.mark.parametrize("text", THRESHOLDS)
def test_forms_of_the_threshold(station: Path, tiny_path: Path, text: str) -> None:
    done = edge_scan(station, "--model", tiny_path, "--threshold", text)
    assert done.code == 0
    labels = [row["phase_hint"] for row in done.rows]
    wanted = {"P:0.5,S:0.5": {"P", "S"}, "0.5": {"P", "S"}, "1": set[str]()}
    if text in wanted:
        assert set(labels) == wanted[text]
    if text == " S : 0.5 , P:1 ":
        assert set(labels) == {"S"}


def test_another_stride_gives_other_windows(station: Path, model: list[str]) -> None:
    done = edge_scan(station, *model, "--stride", "100")
    assert done.err.startswith("1 station, 0.03 h of data, 117 windows")


@pytest.mark.parametrize("batch", ["1", "7", "65536"])
def test_the_batch_changes_nothing(station: Path, model: list[str], batch: str) -> None:
    assert edge_scan(station, *model, "--batch", batch).out == edge_scan(station, *model).out


def test_start_and_end_cut_the_data_to_the_sample(station: Path, model: list[str], tmp_path: Path) -> None:
    start, end = (format_time(START_NS + round(each * NANOSECONDS)) for each in (60.005, 100.0))
    report = tmp_path / "report.json"
    done = edge_scan(station, *model, "--start", start, "--end", end, "--report", report)
    assert {row["time"] >= start for row in done.rows} == {True}
    assert [row["phase_hint"] for row in done.rows].count("P") == 1
    told = json.loads(report.read_text(encoding="utf-8"))
    assert told["hours"] == pytest.approx(39.99 / 3600)
    assert told["windows"] == (3999 - 400 - 9) // 10 + 1


@pytest.mark.parametrize("rate", [31.25, 100.0, 99.7])
@pytest.mark.parametrize("off_ns", [-1, 0, 1, 12_345_678, -(10**9), 10**12])
@pytest.mark.parametrize("sample", [0, 1, 250, 499, 500])
def test_samples_before_a_time_are_counted_exactly(rate: float, off_ns: int, sample: int) -> None:
    packet = packets.packet(np.zeros(500, np.int32), rate=rate)
    time_ns = packet.time_of(sample) + off_ns
    assert samples_until(packet, time_ns) == sum(packet.time_of(i) < time_ns for i in range(500))


def test_the_report_is_the_summary_as_json(tmp_path: Path, model: list[str]) -> None:
    write_station(tmp_path, "AAA")
    write_station(tmp_path, "BBB", "NE")
    report = tmp_path / "report.json"
    done = edge_scan(tmp_path, *model, "--report", report)
    told = json.loads(report.read_text(encoding="utf-8"))
    assert done.code == 1
    assert told["picks"] == {"P": 2, "S": 2}
    assert [each["station"] for each in told["stations"]] == ["XX.AAA..HH", "XX.BBB..HH"]
    assert told["stations"][0]["components"] == ["N", "E", "Z"]
    assert told["stations"][1]["refused"] == "found components E, N, wanted Z: Z missing"
    assert told["problems"] == [line.removeprefix("edge-scan: ") for line in done.lines]


def test_gaps_and_overlaps_are_listed(tmp_path: Path, model: list[str]) -> None:
    x = samples(0)
    pieces = [(0, 6000), (5800, 7000), (7500, 12_000)]
    parts = [packets.packet(x[start:stop], start_ns=START_NS + start * 10_000_000) for start, stop in pieces]
    path = tmp_path / "gappy.mseed"
    path.write_bytes(b"".join(part for each in parts for part in packets.records(each)))
    report = tmp_path / "report.json"
    done = edge_scan(path, *model, "--report", report)
    assert done.code == 0
    lines = done.err.splitlines()
    assert lines[2].startswith("XX.TEST..HH (Z): ")
    assert "  gap HHZ: 2020-09-13T12:27:50.000000Z to 2020-09-13T12:27:55.000000Z (5.00 s)" in lines
    assert "  overlap HHZ: 2020-09-13T12:27:38.000000Z to 2020-09-13T12:27:40.000000Z (2.00 s)" in lines
    assert "  89 windows skipped at gaps" in lines
    (told,) = json.loads(report.read_text(encoding="utf-8"))["stations"]
    assert told["gaps"] == [
        {"channel": "HHZ", "starttime": "2020-09-13T12:27:50.000000Z", "endtime": "2020-09-13T12:27:55.000000Z"}
    ]
    assert (told["gap_count"], told["overlap_count"], told["skipped_windows"]) == (1, 1, 89)


def test_help_shows_examples_and_exit_codes() -> None:
    done = edge_scan("--help")
    assert done.code == 0
    assert "edge-scan day.mseed " in done.out
    assert '--threshold "P:0.95,S:0.9"' in done.out
    assert "Exit codes: 0 " in done.out
    assert edge_scan("--version").out.startswith("main, version ") or "version" in edge_scan("--version").out


# Bad input: one line that names the file, what was found and what was wanted. Exit code 1 for data, 2 for usage.


def assert_one_line(done: Done, code: int, pattern: str) -> None:
    assert done.code == code
    assert len(done.lines) == 1
    assert re.match(f"edge-scan: {pattern}$", done.lines[0]), done.lines[0]
    assert "Traceback" not in done.err


def test_a_truncated_file_is_told_and_its_whole_records_used(station: Path, model: list[str]) -> None:
    content = station.read_bytes()
    station.write_bytes(content[: len(content) - 200])
    done = edge_scan(station, *model)
    assert_one_line(done, 1, r".*TEST.mseed: byte \d+: found the file's end after 312 bytes of a record, wanted all .*")
    assert len(done.rows) == 4


def test_a_text_file_named_mseed_is_told_and_the_other_files_used(station: Path, model: list[str]) -> None:
    (station.parent / "notes.mseed").write_text("these are notes\n" * 100, encoding="utf-8")
    done = edge_scan(station.parent, *model)
    assert_one_line(done, 1, r".*notes.mseed: byte 0: found .*, wanted a whole miniSEED record")
    assert len(done.rows) == 4
    assert_one_line(edge_scan(station.parent / "notes.mseed", *model), 1, r".*notes.mseed: byte 0: found .*, wanted .*")


def test_an_empty_folder_is_told(tmp_path: Path, model: list[str]) -> None:
    assert_one_line(edge_scan(tmp_path, *model), 1, r".*: found no miniSEED file, wanted at least one")


def test_a_missing_component_is_told_and_the_other_stations_used(tmp_path: Path, model: list[str]) -> None:
    write_station(tmp_path, "AAA", "NE")
    write_station(tmp_path, "BBB")
    done = edge_scan(tmp_path, *model)
    assert_one_line(done, 1, r".*AAA.mseed: XX.AAA..HH: found components E, N, wanted Z: Z missing")
    assert {row["station"] for row in done.rows} == {"BBB"}


def test_a_rate_that_the_model_cannot_take_is_told(tmp_path: Path, model: list[str]) -> None:
    path = tmp_path / "odd.mseed"
    path.write_bytes(b"".join(packets.records(packets.packet(samples(0), rate=101.0))))
    done = edge_scan(path, *model)
    assert_one_line(done, 1, r".*odd.mseed: XX.TEST..HH: component Z: sampling rate: found 101 Hz, wanted one whose .*")


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        (["--threshold", "Q:0.5"], "threshold: unknown label 'Q' of model tiny.*"),
        (["--threshold", "P:2"], "threshold P: found 2, wanted more than 0 and at most 1"),
        (["--threshold", "P:nan"], "threshold P: found nan, wanted more than 0 and at most 1"),
        (["--threshold", "P=0.5"], "threshold: found 'P=0.5', wanted LABEL:NUMBER such as .*"),
        (["--start", "noon"], "time: found 'noon', wanted ISO 8601 UTC such as 2021-04-01T12:35:40"),
        (["--start", "2021-04-02", "--end", "2021-04-01"], "--start .*: found no time between them, wanted start .*"),
        (["--output", "picks.xml"], "output picks.xml: found suffix '.xml', wanted one of .csv, .jsonl, .txt"),
        (["--output", "/none/picks.csv"], "--output /none/picks.csv: found no folder /none, wanted one to write to"),
        (
            ["--report", "/none/report.json"],
            "--report /none/report.json: found no folder /none, wanted one to write to",
        ),
        (["--output", "x.csv", "--report", "x.csv"], "--report x.csv: found the file of --output, wanted another one"),
        (["--plot", "/proc/none"], "plot /proc/none: cannot be written: No such file .*"),
        (["--model", "none.onnx"], "model 'none.onnx': no such file, and no embedded model of that name.*"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_command_is_told_in_one_line(
    station: Path, model: list[str], arguments: list[str], pattern: str
) -> None:
    assert_one_line(edge_scan(station, *model, *arguments), 2, pattern)


@pytest.mark.parametrize("arguments", [["--stride", "0"], ["--batch", "0"], ["--colour", "red"], []])
def test_what_click_refuses_has_exit_code_2(station: Path, arguments: list[str]) -> None:
    done = edge_scan(*([station] if arguments else []), *arguments)
    assert done.code == 2
    assert done.err.splitlines()[-1].startswith("Error: ")


def test_an_input_that_does_not_exist_touches_no_output(station: Path, model: list[str], tmp_path: Path) -> None:
    output = tmp_path / "picks.csv"
    output.write_text("the picks of yesterday\n", encoding="utf-8")
    done = edge_scan(station, tmp_path / "tpyo.mseed", *model, "--output", output)
    assert_one_line(done, 2, r".*tpyo.mseed: no such file or folder")
    assert output.read_text(encoding="utf-8") == "the picks of yesterday\n"


@pytest.mark.parametrize("option", ["--output", "--report"])
def test_an_output_over_the_input_is_refused(station: Path, model: list[str], tmp_path: Path, option: str) -> None:
    before, link = station.read_bytes(), tmp_path / "link.csv"
    link.symlink_to(station)
    for path in (station, link):
        done = edge_scan(station, *model, option, path)
        assert_one_line(done, 2, rf"{option} {path}: found the file that is read, wanted another one to write to")
    assert station.read_bytes() == before


def bad_models(folder: Path) -> dict[str, tuple[Path, str]]:
    text = folder / "text.onnx"
    text.write_text("no model\n", encoding="utf-8")
    graph, manifest = artefacts.tiny_graph(), artefacts.manifest_object()
    unknown = json.dumps({**manifest, "sampling_rte": 100})
    narrow = artefacts.tiny_graph((22, 32, 3))
    return {
        "text": (text, r".*text.onnx: found no loadable ONNX model \(.*\), wanted one"),
        "bare": (
            artefacts.write_artefact(folder / "bare.onnx", graph, None),
            r".*bare.onnx: found no manifest, wanted one under the metadata key 'seisedge.manifest'.*",
        ),
        "key": (
            artefacts.write_artefact(folder / "key.onnx", graph, unknown),
            r".*key.onnx: manifest: unknown key 'sampling_rte'; did you mean 'sampling_rate'\?",
        ),
        "shape": (
            artefacts.write_artefact(folder / "shape.onnx", narrow, json.dumps(manifest)),
            r".*shape.onnx: input spectrogram: found shape \['batch', 22, 32, 3\], the manifest wants batch x .*",
        ),
    }


@pytest.mark.parametrize("kind", ["text", "bare", "key", "shape"])
def test_a_bad_model_is_told_in_one_line(station: Path, tmp_path: Path, kind: str) -> None:
    path, pattern = bad_models(tmp_path)[kind]
    assert_one_line(edge_scan(station, "--model", path), 1, pattern)


def test_picks_found_before_the_disk_is_full_are_kept(station: Path, model: list[str], tmp_path: Path) -> None:
    output = tmp_path / "full.csv"
    output.symlink_to("/dev/full")
    done = edge_scan(station, *model, "--output", output)
    assert_one_line(done, 1, r"output .*full.csv: cannot be written: No space left on device")


COMMAND = [sys.executable, "-c", "from seisedge.edge.scan_cli import main; main()"]


def test_as_a_process_problems_have_their_exit_code(tmp_path: Path, model: list[str]) -> None:
    write_station(tmp_path)
    (tmp_path / "notes.mseed").write_text("notes\n" * 200, encoding="utf-8")
    done = subprocess.run([*COMMAND, str(tmp_path), *model], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 5
    assert len([line for line in done.stderr.splitlines() if line.startswith("edge-scan: ")]) == 1


def test_ctrl_c_keeps_the_picks_so_far(tmp_path: Path, model: list[str]) -> None:
    write_station(tmp_path, "AAA")
    write_station(tmp_path, "BBB", "Z", seconds=6 * 3600)
    output, report = tmp_path / "picks.csv", tmp_path / "report.json"
    command = [*COMMAND, str(tmp_path), *model, "--output", str(output), "--report", str(report), "--stride", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            while not (output.exists() and output.read_text(encoding="utf-8").count("\n") >= 5):
                with suppress(subprocess.TimeoutExpired):
                    assert process.wait(0.02) is None, "it ended before the first station's picks were written"
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "edge-scan: stopped; what was found so far is kept" in err
    assert "Traceback" not in err
    rows = list(csv.DictReader(output.read_text(encoding="utf-8").splitlines()))
    assert [row["station"] for row in rows[:4]] == ["AAA"] * 4
    told = json.loads(report.read_text(encoding="utf-8"))["stations"]
    assert told[0]["picks"] == {"P": 2, "S": 2}
    assert told[-1]["hours"] < 6


def test_an_interrupt_before_the_scan_has_the_same_exit_code(
    station: Path, model: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: Path) -> OrtSession:
        raise KeyboardInterrupt

    monkeypatch.setattr("seisedge.edge.scan_cli.OrtSession", interrupted)
    assert_one_line(edge_scan(station, *model), 130, "stopped before the scan began")


def test_a_scanner_reports_a_station_that_was_interrupted(
    station: Path, tiny_session: OrtSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seisedge.edge.stretches.MAX_SAMPLES", 1)  # a record at a time
    scanner = Scanner(tiny_session, ScanOptions(thresholds={"P": 0.5, "S": 0.5}))
    (found,) = scanner.index((station,))
    told: list[int] = []

    def stop(size: int) -> None:
        told.append(size)
        if len(told) == 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scanner.scan(found, lambda _: None, stop)
    (report,) = scanner.report.stations
    assert 0 < report.hours < SECONDS / 3600
    assert report.windows > 0


def test_without_a_model_each_station_gets_the_one_for_the_length_of_its_data(tmp_path: Path) -> None:
    write_station(tmp_path, "LONG", seconds=120)
    write_station(tmp_path, "SHORT", seconds=40)
    output = tmp_path / "picks.jsonl"
    done = edge_scan(tmp_path, "--threshold", "0.01", "--output", output)
    assert (done.code, done.lines) == (0, [])
    picks = [json.loads(line) for line in output.read_text().splitlines()]
    assert {(each["station"], each["model"]) for each in picks} == {
        ("LONG", models.ARCHIVE),
        ("SHORT", models.DEFAULT),
    }
    note = f"  picked by {models.DEFAULT}: 40.0 s are less than the 51.2 s of a window of {models.ARCHIVE}"
    assert done.err.splitlines().count(note) == 1
    span = ["--start", format_time(START_NS), "--end", format_time(START_NS + 45 * NANOSECONDS)]
    done = edge_scan(tmp_path, "--threshold", "0.01", *span)
    assert [line.split(":")[1][1:7] for line in done.err.splitlines() if "picked by" in line] == ["45.0 s", "40.0 s"]
    named = edge_scan(tmp_path, "--model", models.ARCHIVE, "--threshold", "0.01")
    assert {row["station"] for row in named.rows} == {"LONG"}
    assert "picked by" not in named.err
