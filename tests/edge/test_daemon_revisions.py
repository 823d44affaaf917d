"""One result keeps one id, also while the moment at which its run opens still moves."""

from __future__ import annotations

import dataclasses
from typing import Any

from seisedge.edge import Pick, StationId
from seisedge.edge.daemon.results import Found, Stamps
from seisedge.edge.daemon.revisions import Revisions

PICK = Pick(
    id="x",
    revision=0,
    station=StationId("XX", "AAA", "", "HH"),
    phase_hint="P",
    time_ns=10**18,
    time_uncertainty_s=None,
    probability=0.8,
    amplitude=None,
    snr=None,
    model="m",
    model_digest="d" * 64,
    opened_ns=10**18 - 50_000_000,
)
STAMPS = Stamps(0, 0, 0, 0)


def nothing(found: Found) -> dict[str, Any]:
    del found
    return {}


def pick(ms: int, opened_ms: int, probability: float = 0.8) -> Pick:
    time_ns, opened_ns = PICK.time_ns + ms * 10**6, PICK.opened_ns + opened_ms * 10**6
    return dataclasses.replace(PICK, time_ns=time_ns, opened_ns=opened_ns, probability=probability)


def update(revisions: Revisions, closed: list[Pick], pending: list[Pick]) -> list[tuple[str, int, str]]:
    made = revisions.update(closed, pending, until_ns=PICK.time_ns, stamps=STAMPS)
    return [(each.id, each.revision, each.status) for each in made]


def test_a_run_whose_opening_moves_keeps_its_id() -> None:
    revisions = Revisions(nothing)
    ((name, _, _),) = update(revisions, [], [pick(0, 0)])
    assert update(revisions, [], [pick(20, 10)]) == [(name, 1, "provisional")]
    assert update(revisions, [], [pick(20, 0)]) == []  # nothing that is said of it changed
    assert update(revisions, [], [pick(30, 20)])[-1][0] == name
    ((last, _, status),) = update(revisions, [pick(30, 10)], [])
    assert (last, status) == (name, "final")
    assert revisions.is_idle


def test_two_runs_stay_two() -> None:
    revisions = Revisions(nothing)
    first, second = update(revisions, [], [pick(0, 0), pick(700, 700)])
    assert first[0] != second[0]
    assert update(revisions, [], [pick(0, 0), pick(700, 720)]) == []  # only its opening moved
    assert update(revisions, [pick(0, 0)], [pick(710, 720)]) == [
        (first[0], 1, "final"),
        (second[0], 1, "provisional"),
    ]
    assert update(revisions, [], []) == [(second[0], 2, "retracted")]


def test_what_is_too_far_is_another_one() -> None:
    revisions = Revisions(nothing)
    ((name, _, _),) = update(revisions, [], [pick(0, 0)])
    made = update(revisions, [], [pick(600, 600)])
    assert [(each[1], each[2]) for each in made] == [(0, "provisional"), (1, "retracted")]
    assert (made[0][0] != name, made[1][0]) == (True, name)


def test_a_probability_that_hardly_moves_is_told_at_the_end() -> None:
    revisions = Revisions(nothing)
    ((name, _, _),) = update(revisions, [], [pick(0, 0, 0.60)])
    assert update(revisions, [], [pick(0, 0, 0.64)]) == []
    assert update(revisions, [], [pick(0, 0, 0.66)]) == [(name, 1, "provisional")]  # so far from what was said
    (last,) = revisions.update([pick(0, 0, 0.67)], [], until_ns=PICK.time_ns, stamps=STAMPS)
    assert (last.id, last.status, last.probability) == (name, "final", 0.67)


def test_a_pick_is_measured_anew_while_samples_are_missing_and_where_its_time_changes() -> None:
    measured: list[int] = []

    def measure(found: Found) -> dict[str, Any]:
        measured.append(found.time_ns - PICK.time_ns)
        return {"amplitude": float(len(measured))}

    def stated(closed: list[Pick], pending: list[Pick], until_ms: int) -> list[float]:
        made = revisions.update(closed, pending, until_ns=PICK.time_ns + until_ms * 10**6, stamps=STAMPS)
        return [each.row["amplitude"] for each in made]

    revisions = Revisions(measure)
    assert stated([], [pick(0, 0, 0.5)], 2000) == [1.0]
    assert stated([], [pick(0, 0, 0.6)], 2600) == [2.0]  # the first time not all samples were there
    assert stated([], [pick(0, 0, 0.7)], 3100) == [2.0]
    assert stated([], [pick(20, 0, 0.7)], 3600) == [3.0]
    assert stated([pick(20, 0, 0.8)], [], 25_000) == [3.0]
    assert measured == [0, 0, 20_000_000]
