"""Laws of matching picks with labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from seisedge.export.evaluation.matching import match

TIMES = st.lists(st.integers(0, 60), max_size=8)


def slow(picks: list[int], labels: list[int], tolerance: int) -> tuple[int, int]:
    """Pairs and the sum of their distances, of the best assignment that there is."""
    if not picks or not labels:
        return 0, 0
    distance = np.abs(np.subtract.outer(picks, labels))
    cost = np.where(distance <= tolerance, distance - 10_000, 0)
    rows, columns = linear_sum_assignment(cost)
    kept = [(i, j) for i, j in zip(rows, columns, strict=True) if distance[i, j] <= tolerance]
    return len(kept), int(sum(distance[i, j] for i, j in kept))


@given(TIMES, TIMES, st.integers(0, 12))
def test_it_is_the_best_assignment(picks: list[int], labels: list[int], tolerance: int) -> None:
    pairs = match(picks, labels, tolerance)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert all(abs(picks[i] - labels[j]) <= tolerance for i, j in pairs)
    assert (len(pairs), sum(abs(picks[i] - labels[j]) for i, j in pairs)) == slow(picks, labels, tolerance)


@given(TIMES, TIMES, st.integers(0, 12))
def test_sides_can_be_exchanged(picks: list[int], labels: list[int], tolerance: int) -> None:
    def worth(a: list[int], b: list[int]) -> tuple[int, int]:
        pairs = match(a, b, tolerance)
        return len(pairs), sum(abs(a[i] - b[j]) for i, j in pairs)

    assert worth(picks, labels) == worth(labels, picks)


@given(TIMES, TIMES, st.integers(0, 12), st.randoms(use_true_random=False))
def test_the_order_in_which_picks_come_is_nothing(
    picks: list[int], labels: list[int], tolerance: int, random: np.random.RandomState
) -> None:
    shuffled = list(picks)
    random.shuffle(shuffled)
    found, again = match(picks, labels, tolerance), match(shuffled, labels, tolerance)
    assert sorted(abs(picks[i] - labels[j]) for i, j in found) == sorted(
        abs(shuffled[i] - labels[j]) for i, j in again
    ) or sum(abs(picks[i] - labels[j]) for i, j in found) == sum(abs(shuffled[i] - labels[j]) for i, j in again)


@pytest.mark.parametrize(("distance", "pairs"), [(500, [(0, 0)]), (501, []), (-500, [(0, 0)]), (-501, [])])
def test_a_pick_at_just_the_tolerance_counts(distance: int, pairs: list[tuple[int, int]]) -> None:
    assert match([1000 + distance], [1000], 500) == pairs


def test_a_second_pick_of_one_arrival_has_no_label() -> None:
    assert match([990, 1010, 1004], [1000], 500) == [(2, 0)]


def test_more_pairs_go_before_nearer_ones() -> None:
    # The nearest pair, 10 and 11, would leave both others alone.
    assert match([10, 16], [11, 5], 6) == [(0, 1), (1, 0)]
