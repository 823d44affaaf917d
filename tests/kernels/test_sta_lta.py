"""STA/LTA on streams."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from obspy.signal import trigger

from seisedge.kernels import (
    ArrayError,
    classic_sta_lta_state,
    classic_sta_lta_step_into,
    recursive_sta_lta_state,
    recursive_sta_lta_step_into,
)

SIZE = 700 if reference.COMPILED else 160
WINDOWS = [(1, 1), (1, 2), (2, 5), (10, 100), (7, 50), (30, 30)]
KINDS = ["recursive", "classic"]
rng = np.random.default_rng(21)
INPUTS: dict[str, Any] = {
    "random": rng.standard_normal(SIZE).astype(np.float32),
    "denormal": (rng.standard_normal(SIZE) * 1e-42).astype(np.float32),
    "impulse": np.eye(1, SIZE, 60, dtype=np.float32)[0] + np.float32(1e-3),
    "full int16": rng.choice(np.array([-32768, 32767], np.int16), SIZE),
    "full int32": rng.choice(np.array([-(2**31), 2**31 - 1], np.int32), SIZE),
    "full float32": rng.choice(np.array([-3.4e38, 3.4e38], np.float32), SIZE),
}


def ratios(x: reference.Numbers, kind: str, windows: tuple[int, int], cuts: tuple[int, ...] = ()) -> reference.Numbers:
    nsta, nlta = windows
    out = np.full(x.shape, 99, np.float32)
    recursive, classic = recursive_sta_lta_state(), classic_sta_lta_state(nsta, nlta)
    for a, b in pairwise([0, *cuts, x.size]):
        if kind == "recursive":
            recursive_sta_lta_step_into(x[a:b], nsta, nlta, recursive, out[a:b])
        else:
            classic_sta_lta_step_into(x[a:b], nsta, nlta, classic, out[a:b])
    return out


def recursive_reference(x: reference.Numbers, nsta: int, nlta: int) -> reference.Real:
    """obspy.signal.trigger.recursive_sta_lta_py, which leaves out the first sample; 0 for the first nlta ratios."""
    found = np.zeros(x.size)
    sta = lta = 0.0
    for i in range(1, x.size):
        square = float(x[i]) ** 2
        sta += (square - sta) / nsta
        lta += (square - lta) / nlta
        if i >= nlta and lta > 0.0:
            found[i] = sta / lta
    return found


def classic_reference(x: reference.Numbers, nsta: int, nlta: int) -> reference.Real:
    """Mean of the last nsta squares over that of the last nlta, window by window; 0 for the first nlta - 1 ratios."""
    square = x.astype(np.float64) ** 2
    found = np.zeros(x.size)
    for i in range(nlta - 1, x.size):
        lta = square[i + 1 - nlta : i + 1].mean()
        found[i] = square[i + 1 - nsta : i + 1].mean() / lta if lta > 0.0 else 0.0
    return found


REFERENCES = {"recursive": recursive_reference, "classic": classic_reference}
OBSPY = {"recursive": trigger.recursive_sta_lta, "classic": trigger.classic_sta_lta}


@pytest.mark.parametrize("windows", WINDOWS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", INPUTS)
def test_equals_reference_and_obspy(name: str, kind: str, windows: tuple[int, int]) -> None:
    x = INPUTS[name]
    found = ratios(x, kind, windows)
    # float64 inside, one rounding to float32. A window of nlta squares is summed in another order.
    np.testing.assert_allclose(found, REFERENCES[kind](x, *windows), rtol=1.2e-7)
    theirs = np.asarray(OBSPY[kind](x.astype(np.float64), *windows))
    # ObsPy's classic one adds and subtracts: after the impulse it keeps rounding errors.
    np.testing.assert_allclose(found, theirs, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0, 1, 2, 19, 20, 21])
def test_first_ratios_are_zero(kind: str, size: int) -> None:
    x = INPUTS["random"][:size]
    found = ratios(x, kind, (5, 20))
    np.testing.assert_allclose(found, REFERENCES[kind](x, 5, 20), rtol=1.2e-7)
    silent = 20 if kind == "recursive" else 19
    assert not found[:silent].any()
    assert (found[silent:] > 0.0).all()


@reference.examples(80)
@given(
    st.sampled_from(KINDS),
    st.sampled_from(WINDOWS),
    st.sampled_from(list(INPUTS)),
    st.lists(st.integers(0, SIZE), max_size=6),
)
def test_any_chunking_gives_the_same_bits(kind: str, windows: tuple[int, int], name: str, cuts: list[int]) -> None:
    x = INPUTS[name]
    pieces = ratios(x, kind, windows, tuple(sorted([0, 1, SIZE - 1, SIZE, *cuts])))
    np.testing.assert_array_equal(pieces.view(np.int32), ratios(x, kind, windows).view(np.int32))


@pytest.mark.parametrize("kind", KINDS)
def test_one_sample_at_a_time_gives_the_same_bits(kind: str) -> None:
    x = INPUTS["random"]
    single = ratios(x, kind, (7, 50), tuple(range(1, SIZE)))
    np.testing.assert_array_equal(single.view(np.int32), ratios(x, kind, (7, 50)).view(np.int32))


@reference.examples(40)
@given(st.integers(1, 12), st.integers(0, 30), st.integers(0, 2**32 - 1))
def test_classic_equals_reference_for_any_windows(nsta: int, more: int, seed: int) -> None:
    x = np.random.default_rng(seed).integers(-5, 6, 120).astype(np.int16)
    found = ratios(x, "classic", (nsta, nsta + more))
    # Sums of whole numbers are exact: two divisions, and one rounding.
    np.testing.assert_allclose(found, classic_reference(x, nsta, nsta + more), rtol=1.2e-7)


@reference.examples(30)
@given(st.sampled_from(KINDS), st.integers(-60, 60))
def test_ratio_does_not_depend_on_the_unit(kind: str, exponent: int) -> None:
    x = INPUTS["random"]
    scaled = (x * np.float32(2.0**exponent)).astype(np.float32)
    np.testing.assert_array_equal(ratios(scaled, kind, (5, 40)), ratios(x, kind, (5, 40)))


@pytest.mark.parametrize("kind", KINDS)
def test_ratio_is_at_most_the_quotient_of_the_windows(kind: str) -> None:
    x = np.zeros(SIZE, np.int32)
    x[100:] = 2**31 - 1
    found = ratios(x, kind, (5, 40))
    assert not found[:100].any()
    assert found[100] == np.float32(8.0)  # the first of many: nlta / nsta
    assert found.argmax() >= 100
    assert (found <= 8.0).all()


def test_classic_forgets_a_large_earthquake_exactly() -> None:
    x = INPUTS["random"].copy()
    loud = x.copy()
    loud[60:70] = 1e30  # the running sum of squares of x would be lost beside it
    np.testing.assert_array_equal(ratios(loud, "classic", (5, 40))[109:], ratios(x, "classic", (5, 40))[109:])
    silent = np.where(np.arange(SIZE) < 70, loud, np.float32(0.0)).astype(np.float32)
    assert not ratios(silent, "classic", (5, 40))[74:].any()


def test_classic_nan_and_infinity_touch_only_windows_that_cover_them() -> None:
    x = INPUTS["random"].copy()
    clean = ratios(x, "classic", (5, 40))
    for place in (60, 79, 80, 81):  # within, and at the border of, a block of 40
        x[place] = np.nan
        found = ratios(x, "classic", (5, 40))
        assert np.isnan(found[place : place + 40]).all()
        x[place] = np.inf
        infinite = ratios(x, "classic", (5, 40))
        assert np.isnan(infinite[place : place + 5]).all()
        assert not infinite[place + 5 : place + 40].any()
        x[place] = INPUTS["random"][place]
        for each in (found, infinite):
            np.testing.assert_array_equal(each[:place], clean[:place])
            np.testing.assert_array_equal(each[place + 40 :], clean[place + 40 :])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_recursive_nan_and_infinity_stay(value: float) -> None:
    x = INPUTS["random"].copy()
    x[60] = value
    found = ratios(x, "recursive", (5, 40))
    assert np.isnan(found[60:]).all()
    np.testing.assert_array_equal(found[:60], ratios(INPUTS["random"], "recursive", (5, 40))[:60])


@pytest.mark.parametrize("kind", KINDS)
def test_silence_gives_zero(kind: str) -> None:
    assert not ratios(np.zeros(SIZE, np.int16), kind, (2, 5)).any()
    # The averages decay by e in nlta samples: below the smallest float64 after 745 times nlta.
    x = np.zeros(4000, np.float32)
    x[:10] = 1e-3
    assert (ratios(x, kind, (2, 5))[-100:] == 0.0).all()


def test_the_decaying_averages_never_become_slow_numbers() -> None:
    state, out = recursive_sta_lta_state(), np.zeros(4000, np.float32)
    x = np.zeros(4000, np.float32)
    x[:10] = 1.0
    recursive_sta_lta_step_into(x, 4, 5, state, out)  # 3/4 of the smallest number is rounded to that number
    assert state.averages.tolist() == [0.0, 2.0**-1022]
    assert out[-1] == 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_in_place(kind: str) -> None:
    x = INPUTS["random"].copy()
    wanted = ratios(x, kind, (5, 40))
    if kind == "recursive":
        recursive_sta_lta_step_into(x, 5, 40, recursive_sta_lta_state(), x)
    else:
        classic_sta_lta_step_into(x, 5, 40, classic_sta_lta_state(5, 40), x)
    np.testing.assert_array_equal(x, wanted)


WRONG: list[tuple[Any, Any, str]] = [
    (np.ones(10), np.zeros(10, np.float32), "x: found dtype float64"),
    (np.ones(10, np.dtype(">i2")), np.zeros(10, np.float32), "x: found dtype >i2"),
    (np.ones(20, np.float32)[::2], np.zeros(10, np.float32), "x: found strides"),
    (np.ones((1, 10), np.float32), np.zeros(10, np.float32), r"x: found shape \(1, 10\)"),
    (np.ones(10, np.float32), np.zeros(10), "out: found dtype float64"),
    (np.ones(10, np.float32), np.zeros(9, np.float32), r"out: found shape \(9,\)"),
    (np.ones(10, np.float32), np.broadcast_to(np.zeros(10, np.float32), (10,)), "out: found a read-only"),
]


@pytest.mark.parametrize(("x", "out", "message"), WRONG)
def test_contract_of_the_arrays(x: Any, out: Any, message: str) -> None:
    recursive, classic = recursive_sta_lta_state(), classic_sta_lta_state(2, 5)
    with pytest.raises(ArrayError, match=message):
        recursive_sta_lta_step_into(x, 2, 5, recursive, out)
    with pytest.raises(ArrayError, match=message):
        classic_sta_lta_step_into(x, 2, 5, classic, out)


def test_contract_of_windows_and_states() -> None:
    x, out = np.ones(10, np.float32), np.zeros(10, np.float32)
    recursive, classic = recursive_sta_lta_state(), classic_sta_lta_state(2, 5)
    for nsta, nlta in ((0, 5), (6, 5), (-1, -1)):
        with pytest.raises(ArrayError, match=f"nsta, nlta: found {nsta} and {nlta} samples"):
            classic_sta_lta_state(nsta, nlta)
        with pytest.raises(ArrayError, match=f"nsta, nlta: found {nsta} and {nlta} samples"):
            recursive_sta_lta_step_into(x, nsta, nlta, recursive, out)
        with pytest.raises(ArrayError, match=f"nsta, nlta: found {nsta} and {nlta} samples"):
            classic_sta_lta_step_into(x, nsta, nlta, classic, out)
    with pytest.raises(ArrayError, match=r"state\.short: found shape \(2,\), wanted \(3,\)"):
        classic_sta_lta_step_into(x, 3, 5, classic, out)
    with pytest.raises(ArrayError, match=r"state\.long: found shape \(5,\), wanted \(6,\)"):
        classic_sta_lta_step_into(x, 2, 6, classic, out)
    with pytest.raises(ArrayError, match="out: shares memory"):
        classic_sta_lta_step_into(x[:4], 2, 5, classic, classic.long.view(np.float32)[:4])
    with pytest.raises(ArrayError, match="out: shares memory"):
        recursive_sta_lta_step_into(x[:4], 2, 5, recursive, recursive.averages.view(np.float32))
    with pytest.raises(ArrayError, match="out: shares memory"):
        recursive_sta_lta_step_into(x[:2], 2, 5, recursive, recursive.count.view(np.float32))
    with pytest.raises(ArrayError, match="out: shares memory"):
        recursive_sta_lta_step_into(x[:9], 2, 5, recursive, x[1:])
    x.flags.writeable = False
    recursive_sta_lta_step_into(x, 2, 5, recursive, out)
    classic_sta_lta_step_into(x, 2, 5, classic, out)
    assert (recursive.count[0], classic.count[0]) == (10, 10)
