"""Whole chain, capacity, archive and peers: what they time is what they say, on clocks that the tests move."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from seisedge.edge import OrtSession
from seisedge.edge.bench.budgets import read_budgets
from seisedge.edge.bench.capacity import CapacityOptions, Stations, Trial, knee, run_trial
from seisedge.edge.bench.chain import SOURCES, ChainOptions, Replay
from seisedge.edge.bench.feeds import ArrivalTimes, InProcess
from seisedge.edge.bench.link import Link, arrivals
from seisedge.edge.bench.records import STARTTIME_NS, made_record
from seisedge.edge.bench.report import read_report
from seisedge.edge.bench.wires import WIRES, over_wire
from seisedge.edge.bench_cli import main
from seisedge.edge.errors import DataError, UsageError

ORDER = ("N", "E", "Z")


class Hands:
    """A clock that goes on by a nanosecond when read, and by what is slept."""

    def __init__(self) -> None:
        self.now = 10**18

    def __call__(self) -> int:
        self.now += 1
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1e9)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def replay(session: OrtSession, link: Link, *, seconds: float = 20, wait_s: float = 5.0) -> Replay:
    clock = Hands()
    options = ChainOptions("tiny", link, stride=10, reorder_wait_s=wait_s)
    return replayed(session, options, clock, seconds)


def replayed(session: OrtSession, options: ChainOptions, clock: Hands, seconds: float) -> Replay:
    found = Replay(session, options)
    paced = found.fill(arrivals(made_record(), options.link, ORDER, seconds))
    found.run(InProcess(paced, clock, clock.sleep), lambda _: None, lambda _: None)
    return found


def test_a_perfect_link_costs_the_filling_of_a_packet_and_its_delay(tiny_session: OrtSession) -> None:
    link = Link(packet_s=0.25, delay_s=0.02, jitter_s=0.0)
    found = replay(tiny_session, link)
    spans = np.array(found.spans) / 1e9
    assert len(spans) >= (20 - 10) * 10 - 3
    assert found.skipped == 0
    captured_to_arrival = spans[:, 0]
    assert captured_to_arrival.min() == pytest.approx(0.02, abs=0.011)
    assert captured_to_arrival.max() <= 0.02 + 0.25
    assert np.abs(spans[:, 1:]).max() < 1e-6  # the clock stands still while the station works


class Sleepyhead(Hands):
    """Sleeps fifty milliseconds longer than it should: packets wait for it."""

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds + 0.05)


def test_a_packet_that_is_taken_up_late_has_waited_in_the_queue(tiny_session: OrtSession) -> None:
    clock = Sleepyhead()
    link = Link(jitter_s=0.0)
    found = replayed(tiny_session, ChainOptions("tiny", link, stride=10), clock, 20)
    spans = np.array(found.spans)[10:] / 1e9  # the first packet is due when the clock starts
    np.testing.assert_allclose(spans[:, 2], 0.05, atol=1e-6)
    assert spans[:, 1].max() < 1e-6


def test_the_stages_are_never_negative_and_a_late_packet_is_waited_for(tiny_session: OrtSession) -> None:
    calm = np.array(replay(tiny_session, Link(jitter_s=0.0)).spans).sum(axis=1)
    rough = replay(tiny_session, Link(jitter_s=0.02, reorder=0.05, seed=3))
    spans = np.array(rough.spans)
    assert spans.min() >= 0
    assert spans.sum(axis=1).max() > calm.max() + 2e8
    assert spans[:, 1].max() > 1e8


def test_lost_packets_skip_windows_after_the_wait(tiny_session: OrtSession) -> None:
    found = replay(tiny_session, Link(loss=0.02, seed=2), wait_s=1.0)
    assert found.skipped > 0
    assert replay(tiny_session, Link(loss=0.0)).skipped == 0


def test_picks_are_timed_from_their_onset(tiny_session: OrtSession) -> None:
    published = replay(tiny_session, Link(), seconds=25).published
    assert all(0 < each < 20e9 for each in published)


@given(st.integers(0, 1000), st.floats(0, 0.3), st.floats(0, 0.3))
def test_a_link_loses_delays_and_reorders_as_told(seed: int, loss: float, reorder: float) -> None:
    link = Link(loss=loss, reorder=reorder, seed=seed)
    schedule = arrivals(made_record(seconds=60), link, ORDER, 60)
    assert schedule == arrivals(made_record(seconds=60), link, ORDER, 60)
    assert abs(len(schedule) - 720 * (1 - loss)) <= 100
    assert [each.due_ns for each in schedule] == sorted(each.due_ns for each in schedule)
    assert all(each.due_ns >= each.end_ns + 0.0199e9 for each in schedule)


def test_a_sample_has_arrived_when_its_last_component_has() -> None:
    schedule = arrivals(made_record(seconds=2), Link(packet_s=1.0), ORDER, 2)
    last = max(each.due_ns for each in schedule if each.packet.starttime_ns == STARTTIME_NS)
    times = ArrivalTimes(3)
    for each in schedule:
        times.add(each.delivery())
    assert times.of(STARTTIME_NS + 5) == last


@given(st.integers(0, 5000), st.integers(1, 300))
def test_the_knee_is_found_within_five_percent(true: int, first: int) -> None:
    def trial(count: int) -> Trial:
        return Trial(count, 0.1, 0.5, count, held=count <= true)

    trials = knee(trial, first)
    held = max((each.stations for each in trials if each.held), default=0)
    assert held <= true <= max(held + 1, held * 1.06)
    assert len(trials) < 30


class FakeStations:
    """Stations whose answer takes a known time for each."""

    def __init__(self, clock: Hands, seconds: float) -> None:
        self._clock, self._seconds = clock, seconds
        self.answered: list[tuple[int, int]] = []

    def answer(self, numbers: list[int], place: int) -> int:
        self.answered += [(place, number) for number in numbers]
        self._clock.sleep(self._seconds * len(numbers))
        return len(numbers)


@pytest.mark.parametrize(("count", "held"), [(50, True), (95, True), (130, False)])
def test_a_load_is_held_while_it_can_be_worked_off(count: int, held: bool) -> None:  # noqa: FBT001 - a parameter
    clock = Hands()
    stations = FakeStations(clock, 0.01)  # a hundred stations a second
    options = CapacityOptions("tiny", packet_s=1.0, latency_s=0.5)
    found = run_trial(stations, count, options, 20, clock, clock.sleep)  # type: ignore[arg-type]
    assert found.held is held
    assert found.p99_s < 0.2 if held else found.p99_s > 0.5
    if held:
        assert stations.answered == [(place, number) for place in range(20) for number in range(count)]


def test_stations_answer_with_the_windows_of_their_packets(tiny_session: OrtSession) -> None:
    stations = Stations(tiny_session, made_record(), CapacityOptions("tiny", stride=10), 3)
    assert stations.answer([0, 1, 2], 0) == 30
    assert stations.answer([2], 1) == 10


def test_budgets_are_extended_by_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        '[mine]\nspan = "pick"\npercentile = 90\nseconds = 2\nsource = "us"\nnot_documented = ""\n', encoding="utf-8"
    )
    assert {"eew-onsite", "eew-network", "monitoring", "batch", "mine"} == read_budgets(path).keys()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("mine = 3", "mine: found int 3"),
        ("[mine", "cannot be read"),
        ('[mine]\nspan = "week"\npercentile = 9\nseconds = 1\nsource = ""\nnot_documented = ""', "mine.span"),
        (
            '[mine]\nspan = "pick"\npercentile = 100\nseconds = 1\nsource = ""\nnot_documented = ""',
            "wanted a percentile",
        ),
    ],
)
def test_budgets_that_break_the_form_are_refused(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=word):
        read_budgets(path)


def test_the_chain_runs(tiny_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "chain.json"
    done = run(
        "chain",
        "--model",
        str(tiny_path),
        "--length",
        "1",
        "--reorder-wait",
        "1",
        "--stride",
        "10",
        "--reorder",
        "0.05",
        "--json",
        str(path),
    )
    assert done.exit_code == 0, done.output
    report = read_report(path)
    assert report.settings["confidence"] == "replays of 1 s"
    budgets = ("eew-onsite", "eew-network", "monitoring", "batch")
    assert {each.name for each in report.verdicts} == {f"{name}, {source}" for name in budgets for source in SOURCES}
    for source in SOURCES:
        (section,) = (each for each in report.sections if each.title == f"{source}: from capture to publication")
        assert [row.name for row in section.rows][-1] == "the whole"
        assert section.rows[-1].figures["p50"].value < 2


def test_a_chain_without_a_window_keeps_no_budget(tiny_path: Path, tmp_path: Path) -> None:
    lost = (
        "--model",
        str(tiny_path),
        "--length",
        "1",
        "--reorder-wait",
        "0.2",
        "--loss",
        "0.9",
        "--source",
        "in-process",
    )
    done = run("chain", *lost, "--check", "--json", str(tmp_path / "chain.json"))
    assert done.exit_code == 1, done.output
    report = read_report(tmp_path / "chain.json")
    assert not report.passed
    assert {each.found_s for each in report.verdicts} == {None}
    assert "found nothing (p99 of 0)" in done.output
    assert "no window without a gap, wanted one: try a longer --length or a longer --reorder-wait" in done.output


@pytest.mark.parametrize("name", WIRES)
def test_a_wire_brings_every_packet_that_was_sent_and_never_before_it_was(name: str) -> None:
    link = Link(packet_s=0.1, delay_s=0.01, jitter_s=0.005, loss=0.1, reorder=0.1, seed=4)
    schedule = arrivals(made_record(), link, ORDER, 1.5)
    with over_wire(name, schedule, ORDER, 100.0) as feed:
        found = list(feed)
        late, under_way = feed.lateness()
        assert feed.problem == ""
    assert len(under_way) == len(late) == len(schedule)
    assert min(late) >= 0
    assert min(under_way) > 0
    sent = {(each.component, each.packet.starttime_ns): each for each in schedule}
    assert {(each.component, each.packet.starttime_ns) for each in found} == sent.keys()
    for each in found:
        was = sent[each.component, each.packet.starttime_ns]
        np.testing.assert_array_equal(each.packet.samples, was.packet.samples)
        assert was.due_ns < each.arrived_ns


def test_a_sender_that_ends_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = arrivals(made_record(), Link(), ORDER, 1)
    monkeypatch.setattr("sys.executable", "/bin/true")
    with pytest.raises(DataError, match="has ended"), over_wire("udp-native", schedule, ORDER, 100.0):
        pass


@pytest.mark.parametrize(
    ("name", "packet_s", "letters", "word"),
    [("seedlink", 5.0, ORDER, "shorter"), ("udp-datacast", 0.1, ("Z1",), "--source")],
)
def test_what_a_wire_cannot_carry_is_refused(name: str, packet_s: float, letters: tuple[str, ...], word: str) -> None:
    schedule = arrivals(made_record(), Link(packet_s=packet_s), letters, 10)
    with pytest.raises(UsageError, match=word), over_wire(name, schedule, letters, 100.0):
        pass


def test_capacity_runs(tiny_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "capacity.json"
    short = ("--length", "0.1", "--packet", "0.1", "--latency", "0.001", "--json", str(path))
    done = run("capacity", "--model", str(tiny_path), *short)
    assert done.exit_code == 0, done.output
    assert "Stations held in real time" in done.output
    found = read_report(path).settings
    assert (found["trial"], found["confidence"]) == ("0.1 s", "trials of 0.1 s")


def test_archives_are_scanned_serially_and_by_threads(tiny_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "archive.json"
    done = run("archive", str(tiny_path), "--hours", "0.05", "--jobs", "2", "--json", str(path))
    assert done.exit_code == 0, done.output
    report = read_report(path)
    assert report.settings["confidence"] == "one scan of 0.05 h for each figure"
    one, two = report.sections[0].rows
    assert one.figures["windows"] == two.figures["windows"]
    assert one.figures["results"] == two.figures["results"]


def test_an_archive_that_is_shorter_than_a_window_is_refused() -> None:
    done = run("archive", "edge-picker-long", "--hours", "0.01", "--quick")
    assert done.exit_code == 2, done.output
    wanted = "--hours: found 0.01 (36 s), wanted a window of edge-picker-long, 51.2 s, at least"
    assert done.output == f"edge-bench: {wanted}\n"


def test_the_processors_time_of_a_short_scan_is_known(tiny_path: Path, tmp_path: Path) -> None:
    """os.times counts in hundredths of a second."""
    path = tmp_path / "archive.json"
    done = run("archive", str(tiny_path), "--hours", "0.01", "--jobs", "1", "--json", str(path))
    assert done.exit_code == 0, done.output
    used = read_report(path).sections[0].rows[0].figures["processor"].value
    assert used > 0
    assert abs(used * 100 - round(used * 100)) > 1e-6


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("torch.compil", "; did you mean 'torch.compile'?"),
        ("nosuch", ", wanted one of ObsPy + SciPy, then ONNX Runtime, OpenVINO, SeisBench annotate"),
    ],
)
def test_peers_to_leave_out_that_nobody_knows_are_refused(tiny_path: Path, name: str, word: str) -> None:
    done = run("peers", str(tiny_path), "--seconds", "0.05", "--without", name)
    assert done.exit_code == 2, done.output
    assert done.output.startswith(f"edge-bench: --without: found {name!r}{word}")


def test_peers_that_are_not_there_are_named(tiny_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "peers.json"
    done = run("peers", str(tiny_path), "--seconds", "0.05", "--json", str(path))
    assert done.exit_code == 0, done.output
    report = read_report(path)
    assert report.sections[0].rows[0].name == "tiny fp32: seisedge"
    assert all(note for note in report.notes)
