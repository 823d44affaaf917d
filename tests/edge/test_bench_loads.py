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
from seisedge.edge.bench.chain import ChainOptions, Replay
from seisedge.edge.bench.link import ArrivalTimes, Link, arrivals
from seisedge.edge.bench.records import STARTTIME_NS, made_record
from seisedge.edge.bench.report import read_report
from seisedge.edge.bench_cli import main
from seisedge.edge.errors import UsageError

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
    found = Replay(session, options, clock, clock.sleep)
    found.run(arrivals(made_record(), link, ORDER, seconds), lambda _: None, lambda _: None)
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
    assert ArrivalTimes(schedule, 3).of(STARTTIME_NS + 5) == last


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
        "--json",
        str(path),
    )
    assert done.exit_code == 0, done.output
    report = read_report(path)
    assert [row.name for row in report.sections[0].rows][-1] == "the whole"
    assert {each.name for each in report.verdicts} == {"eew-onsite", "eew-network", "monitoring", "batch"}


def test_capacity_runs(tiny_path: Path) -> None:
    done = run("capacity", "--model", str(tiny_path), "--length", "0.1", "--packet", "0.1", "--latency", "0.001")
    assert done.exit_code == 0, done.output
    assert "Stations held in real time" in done.output


def test_archives_are_scanned_serially_and_by_threads(tiny_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "archive.json"
    done = run("archive", str(tiny_path), "--hours", "0.05", "--jobs", "2", "--json", str(path))
    assert done.exit_code == 0, done.output
    one, two = read_report(path).sections[0].rows
    assert one.figures["windows"] == two.figures["windows"]
    assert one.figures["results"] == two.figures["results"]


def test_peers_that_are_not_there_are_named(tiny_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "peers.json"
    done = run("peers", str(tiny_path), "--seconds", "0.05", "--json", str(path))
    assert done.exit_code == 0, done.output
    report = read_report(path)
    assert report.sections[0].rows[0].name == "tiny fp32: seisedge"
    assert all(note for note in report.notes)
