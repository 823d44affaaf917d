"""Triggers of a stream, and peaks of a window."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from obspy.signal.trigger import trigger_onset
from scipy import signal

from seisedge.kernels import (
    ArrayError,
    open_trigger,
    peaks_into,
    trigger_bound,
    trigger_state,
    triggers_into,
)

Rows = list[tuple[int, ...]]
Places = list[int]
SIZE = 400 if reference.COMPILED else 120
rng = np.random.default_rng(22)
LEVELS = [0.0, 0.5, 1.0, 1.5, 2.0, np.nan, np.inf, -np.inf, 1e-45]
SAMPLES = hnp.arrays(np.float32, st.integers(0, 40), elements=st.sampled_from(LEVELS))
COUNTS = st.one_of(
    hnp.arrays(np.int16, st.integers(0, 40), elements=st.sampled_from([-32768, 0, 1, 2, 32767])),
    hnp.arrays(np.int32, st.integers(0, 40), elements=st.sampled_from([-(2**31), -1, 0, 1, 2**31 - 1])),
)


def triggered(
    ratio: reference.Numbers, on: float, off: float, cuts: tuple[int, ...] = ()
) -> tuple[Rows, tuple[int, int] | None]:
    """Triggers that ended, and the one that did not."""
    state = trigger_state()
    rows: Rows = []
    for a, b in pairwise([0, *cuts, ratio.size]):
        out = np.full((trigger_bound(b - a), 2), -9, np.int64)
        count = triggers_into(ratio[a:b], on, off, state, out)
        assert (out[count:] == -9).all()
        rows += [tuple(row) for row in out[:count].tolist()]
    return rows, open_trigger(state)


def all_triggers(ratio: reference.Numbers, on: float, off: float) -> Rows:
    ended, last = triggered(ratio, on, off)
    return [*ended, *([] if last is None else [last])]


def triggers_reference(ratio: reference.Numbers, on: float, off: float) -> Rows:
    """Runs of ratio >= off that have a sample >= on: from the first such sample to the end of the run."""
    rows: Rows = []
    is_high = [False, *(ratio >= off).tolist(), False]
    for start in np.flatnonzero(np.diff(np.array(is_high, int)) == 1).tolist():
        stop = start + is_high[start + 1 :].index(False)
        strong = np.flatnonzero(ratio[start:stop] >= on)
        if strong.size:
            rows.append((start + int(strong[0]), stop - 1))
    return rows


@reference.examples(150)
@given(st.one_of(SAMPLES, COUNTS), st.sampled_from([(1.5, 0.5), (1.0, 1.0), (0.0, -5.0), (2.0, 1e-45)]))
def test_triggers_equal_reference(ratio: reference.Numbers, thresholds: tuple[float, float]) -> None:
    assert all_triggers(ratio, *thresholds) == triggers_reference(ratio, *thresholds)


@pytest.mark.parametrize("thresholds", [(1.5, 0.5), (1.0, 1.0), (3.0, -3.0), (9.0, 0.0), (-9.0, -9.0)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_triggers_equal_obspy(thresholds: tuple[float, float], seed: int) -> None:
    noise = np.random.default_rng(seed).standard_normal(SIZE)
    ratio = np.convolve(noise, np.ones(3), "same").astype(np.float32)
    theirs = trigger_onset(ratio.astype(np.float64), *thresholds)
    assert all_triggers(ratio, *thresholds) == [tuple(row) for row in np.asarray(theirs).tolist()]


@reference.examples(100)
@given(st.one_of(SAMPLES, COUNTS), st.lists(st.integers(0, 40), max_size=6))
def test_any_chunking_gives_the_same_triggers(ratio: reference.Numbers, cuts: list[int]) -> None:
    kept = tuple(sorted(min(cut, ratio.size) for cut in cuts))
    whole = triggered(ratio, 1.0, 0.5)
    assert triggered(ratio, 1.0, 0.5, kept) == whole
    assert triggered(ratio, 1.0, 0.5, tuple(range(ratio.size))) == whole


def test_triggers_may_be_as_many_as_the_bound() -> None:
    state, out = trigger_state(), np.zeros((3, 2), np.int64)
    assert triggers_into(np.ones(1, np.float32), 1.0, 1.0, state, out) == 0
    assert open_trigger(state) == (0, 0)
    assert triggers_into(np.array([0, 1, 0, 1, 0], np.int16), 1.0, 1.0, state, out) == trigger_bound(5) == 3
    assert out.tolist() == [[0, 0], [2, 2], [4, 4]]
    assert open_trigger(state) is None
    assert triggers_into(np.zeros(0, np.float32), 1.0, 1.0, state, out[:0]) == trigger_bound(0) == 0


def test_thresholds_between_two_float32_are_not_rounded() -> None:
    above = np.nextafter(np.float32(3.3), np.float32(4.0))
    ratio = np.array([3.3, above], np.float32)  # 3.3 as a float32 is below 3.3
    assert all_triggers(ratio, 3.3, 3.3) == [(1, 1)]


def test_contract_of_triggers() -> None:
    x, out, state = np.ones(6, np.float32), np.zeros((3, 2), np.int64), trigger_state()
    locked = out.copy()
    locked.flags.writeable = False
    wrong: list[tuple[Any, float, float, Any, str]] = [
        (np.ones(6), 2.0, 1.0, out, "ratio: found dtype float64"),
        (np.ones(12, np.float32)[::2], 2.0, 1.0, out, "ratio: found strides"),
        (np.ones((1, 6), np.float32), 2.0, 1.0, out, r"ratio: found shape \(1, 6\)"),
        (x, 1.0, 2.0, out, r"on, off: found 1.0 and 2.0, wanted finite numbers with off <= on"),
        (x, np.nan, 2.0, out, "on, off: found nan"),
        (x, np.inf, 2.0, out, "on, off: found inf"),
        (x, 2.0, -np.inf, out, "on, off: found 2.0 and -inf"),
        (x, 2.0, 1.0, out[:2], "out: found 2 rows, wanted at least 3 for 6 samples"),
        (x, 2.0, 1.0, np.zeros((3, 2), np.int32), "out: found dtype int32"),
        (x, 2.0, 1.0, np.zeros((3, 3), np.int64), r"out: found shape \(3, 3\), wanted \('any', 2\)"),
        (x, 2.0, 1.0, np.zeros((6, 2), np.int64)[::2], "out: found strides"),
        (x, 2.0, 1.0, locked, "out: found a read-only"),
        (out.reshape(-1).view(np.float32)[:6], 2.0, 1.0, out, "out: shares memory"),
    ]
    for ratio, on, off, rows, message in wrong:
        with pytest.raises(ArrayError, match=message):
            triggers_into(ratio, on, off, state, rows)
    assert state.counters.tolist() == [0, 0, 0]
    x.flags.writeable = False
    assert triggers_into(x, 2.0, 1.0, state, out) == 0


def peaks(x: reference.Numbers, threshold: float, separation: int) -> Places:
    out = np.full(x.size + 2, -9, np.int64)
    count = peaks_into(x, threshold, separation, out)
    assert (out[x.size :] == -9).all()
    found: Places = out[:count].tolist()
    return found


def peaks_reference(x: reference.Numbers, threshold: float, separation: int) -> Places:
    """SciPy's maxima; then the highest first, the earlier of equals, unless one that stays is too near."""
    maxima = np.asarray(signal.find_peaks(x.astype(np.float64), height=threshold)[0]).tolist()
    kept: Places = []
    for place in sorted(maxima, key=lambda place: (-float(x[place]), place)):
        if all(abs(place - other) >= separation for other in kept):
            kept.append(place)
    return sorted(kept)


@reference.examples(200)
@given(st.one_of(SAMPLES, COUNTS), st.sampled_from([-1e9, 0.0, 1.0, 1.25]), st.integers(1, 12))
def test_peaks_equal_reference(x: reference.Numbers, threshold: float, separation: int) -> None:
    assert peaks(x, threshold, separation) == peaks_reference(x, threshold, separation)


@pytest.mark.parametrize("separation", [1, 2, 3, 10, 50, 1000])
@pytest.mark.parametrize("threshold", [-9.0, 0.0, 1.0, 9.0])
@pytest.mark.parametrize("smooth", [1, 9])
def test_peaks_equal_scipy_where_heights_differ(separation: int, threshold: float, smooth: int) -> None:
    x = np.convolve(rng.standard_normal(SIZE), np.ones(smooth), "same").astype(np.float32)
    theirs = signal.find_peaks(x.astype(np.float64), height=threshold, distance=separation)[0]
    assert peaks(x, threshold, separation) == np.asarray(theirs).tolist()


@pytest.mark.parametrize("count", [2, 3, 7, 8, 40])
def test_peaks_in_any_order_of_heights(count: int) -> None:
    """Rising, falling, equal, and many of three heights."""
    stair = np.zeros(2 * count + 1, np.int32)
    stair[1::2] = np.arange(1, count + 1)
    equal, mixed = stair.copy(), stair.copy()
    equal[1::2] = 1
    mixed[1::2] = 1 + np.arange(count) * 5 % 7 % 3
    for x in (stair, stair[::-1].copy(), equal, mixed):
        for separation in (1, 2, 3, 4, 5, 99):
            assert peaks(x, 0.0, separation) == peaks_reference(x, 0.0, separation)


@reference.examples(60)
@given(hnp.arrays(np.float32, 60, elements=st.floats(0.0, 1.0, width=32)), st.integers(1, 20))
def test_peaks_stand_apart_and_every_maximum_is_near_one(x: reference.Numbers, separation: int) -> None:
    every, found = peaks(x, 0.0, 1), peaks(x, 0.0, separation)
    assert all(b - a >= separation for a, b in pairwise(found))
    for place in every:
        assert any(abs(place - other) < separation and x[other] >= x[place] for other in found)


def test_peaks_in_small() -> None:
    def of(*values: float, separation: int = 1) -> Places:
        return peaks(np.array(values, np.float32), 0.5, separation)

    nan, inf = np.nan, np.inf
    assert of() == of(1) == of(1, 1) == of(2, 1) == of(1, 2) == of(1, 1, 1) == []
    assert of(0, 1, 0) == of(0, 0.5, 0) == [1]
    assert of(0, 0.4, 0) == []
    assert of(0, 1, 1, 0) == [1]
    assert of(0, 1, 1, 1, 0) == [2]
    assert of(0, 1, 1, 1) == of(1, 1, 0) == []
    assert of(0, 1, 1, 2, 0) == [3]
    assert of(0, inf, 0, 1, 0) == [1, 3]
    assert of(0, nan, 0) == of(nan, 1, 0) == of(0, 1, nan) == of(0, 1, 1, nan) == []
    assert of(nan, 0, 1, 0, nan) == [2]
    assert of(0, 1, 0, 1, 0, 1, 0, separation=3) == [1, 5]  # of equals the earlier, and the next is far enough
    assert of(0, 1, 0, 2, 0, 1, 0, separation=3) == [3]
    # The middle one falls to the highest; so the last, which is lower, stays.
    assert of(0, 3, 0, 2, 0, 1, 0, separation=3) == [1, 5]


def test_contract_of_peaks() -> None:
    x, out = np.ones(6, np.float32), np.zeros(6, np.int64)
    locked = out.copy()
    locked.flags.writeable = False
    wrong: list[tuple[Any, float, int, Any, str]] = [
        (np.ones(6), 1.0, 1, out, "x: found dtype float64"),
        (np.ones(12, np.float32)[::2], 1.0, 1, out, "x: found strides"),
        (np.ones((1, 6), np.float32), 1.0, 1, out, r"x: found shape \(1, 6\)"),
        (x, np.nan, 1, out, "threshold: found nan"),
        (x, 1.0, 0, out, "separation: found 0 samples, wanted at least 1"),
        (x, 1.0, 1, out[:5], "out: found 5 places, wanted at least 6"),
        (x, 1.0, 1, np.zeros(6, np.int32), "out: found dtype int32"),
        (x, 1.0, 1, np.zeros(12, np.int64)[::2], "out: found strides"),
        (x, 1.0, 1, locked, "out: found a read-only"),
        (out.view(np.float32)[:6], 1.0, 1, out, "out: shares memory"),
    ]
    for x_, threshold, separation, out_, message in wrong:
        with pytest.raises(ArrayError, match=message):
            peaks_into(x_, threshold, separation, out_)
    x.flags.writeable = False
    assert peaks_into(x, 1.0, 1, out) == 0
