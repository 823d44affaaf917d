"""Division by the standard deviation or the largest value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

from seisedge.kernels import ArrayError, normalise_max_abs_into, normalise_signed_max_into, normalise_std_into

rng = np.random.default_rng(11)
CASES: dict[str, Any] = {
    "random": rng.standard_normal((3, 101)).astype(np.float32),
    "offset": (rng.standard_normal((3, 101)) + 1e5).astype(np.float32),
    "constant": np.full((2, 50), 7, np.int32),
    "zero": np.zeros((2, 50), np.float32),
    "dead channel": np.stack((np.zeros(40), np.arange(40))).astype(np.int16),
    "impulse": np.eye(3, 64, 20, dtype=np.float32),
    "full int16": rng.choice(np.array([-32768, 32767], np.int16), (3, 97)),
    "full int32": rng.choice(np.array([-(2**31), 2**31 - 1], np.int32), (3, 98)),
    "length 1": np.array([[5], [-5]], np.int32),
}


def normalised(x: reference.Numbers, *, joint: bool, ddof: int | None, eps: float) -> reference.Numbers:
    out = np.full(x.shape, np.nan, np.float32)
    if ddof is None:
        normalise_max_abs_into(x, out, joint=joint, eps=eps)
    else:
        normalise_std_into(x, out, joint=joint, ddof=ddof, eps=eps)
    return out


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("ddof", [None, 0, 1])
@pytest.mark.parametrize("eps", [0.0, 1e-6])
def test_equals_reference(case: str, *, joint: bool, ddof: int | None, eps: float) -> None:
    x = CASES[case]
    if ddof == 1 and x.shape[1] == 1 and not joint:
        pytest.skip("no deviation of one value with ddof 1")
    wanted = reference.normalise(x, joint=joint, ddof=ddof, eps=eps)
    # Two-pass sums in float64 (1e-13), one rounding to float32.
    np.testing.assert_allclose(normalised(x, joint=joint, ddof=ddof, eps=eps), wanted, rtol=1.2e-7)


@reference.examples(60)
@given(
    st.lists(st.integers(-32768, 32767), min_size=6, max_size=60),
    st.floats(1e-3, 1e3),
    st.sampled_from([None, 0, 1]),
    st.booleans(),
)
def test_scale_does_not_matter_and_result_has_size_one(
    counts: list[int],
    factor: float,
    ddof: int | None,
    joint: bool,  # noqa: FBT001  (drawn by hypothesis)
) -> None:
    x = np.array(counts[: len(counts) // 2 * 2], np.float32).reshape(2, -1)
    once = normalised(x, joint=joint, ddof=ddof, eps=0.0)
    scaled = normalised((x * np.float32(factor)).astype(np.float32), joint=joint, ddof=ddof, eps=0.0)
    np.testing.assert_allclose(scaled, once, rtol=2e-5, atol=2e-5)
    for part, before in [(once, x)] if joint else zip(once, x, strict=True):
        wide = part.astype(float)
        size = np.abs(wide).max() if ddof is None else wide.std(ddof=ddof)
        if np.ptp(before) > 0:
            assert size == pytest.approx(1.0, rel=1e-4)
    again = normalised(once, joint=joint, ddof=ddof, eps=0.0)
    np.testing.assert_allclose(again, once, rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("ddof", [None, 0])
def test_nan_spreads_over_its_divisor_only(ddof: int | None) -> None:
    x = CASES["random"].copy()
    x[1, 0] = np.nan
    assert np.isnan(normalised(x, joint=True, ddof=ddof, eps=0.0)).all()
    each = normalised(x, joint=False, ddof=ddof, eps=0.0)
    assert np.isnan(each[1]).all()
    assert np.isfinite(each[[0, 2]]).all()


def test_contract() -> None:
    x = CASES["random"].copy()
    out = np.zeros_like(x)
    with pytest.raises(ArrayError, match="ddof: found 1 for 1 values, wanted 0 to 0"):
        normalise_std_into(np.ones((3, 1), np.int16), np.zeros((3, 1), np.float32), joint=False, ddof=1, eps=0)
    with pytest.raises(ArrayError, match="ddof: found -1"):
        normalise_std_into(x, out, joint=True, ddof=-1, eps=0.0)
    for bad in (-1.0, np.nan, np.inf):
        with pytest.raises(ArrayError, match="eps: found"):
            normalise_max_abs_into(x, out, joint=True, eps=bad)
    with pytest.raises(ArrayError, match="x: found dtype int64"):
        normalise_max_abs_into(reference.untyped(np.ones((2, 2), np.int64)), out, joint=True, eps=0.0)
    with pytest.raises(ArrayError, match="out: found dtype float64"):
        normalise_std_into(x, reference.untyped(np.zeros(x.shape)), joint=True, ddof=0, eps=0.0)
    x.flags.writeable = False
    normalise_std_into(x, out, joint=False, ddof=0, eps=0.0)
    same = x.copy()
    normalise_std_into(same, same, joint=False, ddof=0, eps=0.0)
    np.testing.assert_array_equal(same, out)
    for shape in [(0, 4), (2, 0)]:
        for ddof in (None, 0):
            assert normalised(np.zeros(shape, np.int16), joint=True, ddof=ddof, eps=0.0).size == 0


@pytest.mark.parametrize("case", CASES)
def test_the_signed_maximum_equals_reference(case: str) -> None:
    x = CASES[case]
    out = np.full(x.shape, np.nan, np.float32)
    normalise_signed_max_into(x, out)
    np.testing.assert_allclose(out, reference.signed_normalise(x), rtol=1e-7)  # one rounding to float32


def test_the_signed_maximum_turns_a_negative_window_over() -> None:
    x = np.array([[-4, -2], [-8, -2]], np.float32)
    normalise_signed_max_into(x, x)
    assert x.tolist() == [[2, 1], [4, 1]]
    x[0, 1] = np.nan
    normalise_signed_max_into(x, x)
    assert np.isnan(x).all()
    with pytest.raises(ArrayError, match="out: found dtype"):
        normalise_signed_max_into(x, reference.untyped(x.astype(np.float64)))
    normalise_signed_max_into(np.zeros((2, 0), np.float32), np.zeros((2, 0), np.float32))


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32])
def test_a_component_that_never_moves_is_dead_wherever_it_stands(dtype: type, *, joint: bool) -> None:
    x: reference.Numbers = np.full((2, 50), 12345, dtype)
    assert not normalised(x, joint=joint, ddof=0, eps=1e-6).any()
    x[1, 3] += 1
    found = normalised(x, joint=False, ddof=0, eps=1e-6)
    assert not found[0].any()
    assert found[1].all()
