"""demean and detrend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

from seisedge.kernels import ArrayError, demean, demean_into, detrend, detrend_into

Into = Callable[[reference.Numbers, reference.Numbers], None]
PAIRS = [(demean_into, reference.demean), (detrend_into, reference.detrend)]
rng = np.random.default_rng(5)
CASES: dict[str, Any] = {
    "random": rng.standard_normal((3, 101)).astype(np.float32),
    "constant": np.full((2, 50), 7, np.int32),
    "step": np.repeat(np.array([[0, 1000]], np.int16), 33, axis=1),
    "impulse": np.eye(3, 64, 20, dtype=np.float32),
    "full int16": rng.integers(-32768, 32768, (3, 97)).astype(np.int16),
    "full int32": rng.choice(np.array([-(2**31), 2**31 - 1], np.int32), (3, 98)),
    "length 1": np.array([[5], [-5]], np.int32),
    "length 2": np.array([[5, 9]], np.int16),
    "length 3": np.array([[5, 9, -4]], np.int16),
}


@pytest.mark.parametrize(("into", "twin"), PAIRS)
@pytest.mark.parametrize("case", CASES)
def test_equals_reference(into: Into, twin: Callable[[reference.Numbers], reference.Real], case: str) -> None:
    x = CASES[case]
    out = np.full(x.shape, np.nan, np.float32)
    into(x, out)
    # float64 sums, one rounding to float32 (6e-8 of the result); the sums themselves err by 1e-13 of it.
    np.testing.assert_allclose(out, twin(x), rtol=1.2e-7, atol=1e-13 * float(np.abs(x.astype(float)).max()))


@reference.examples(60)
@given(
    st.lists(st.integers(-(2**31), 2**31 - 1), min_size=2, max_size=40),
    st.floats(-1e6, 1e6),
    st.floats(-1e3, 1e3),
)
def test_mean_and_slope_are_gone_and_twice_is_once(counts: list[int], level: float, slope: float) -> None:
    x = np.array([counts], dtype=np.int32)
    scale = float(np.abs(x.astype(float)).max()) + 1.0
    index = np.arange(x.shape[1]) - 0.5 * (x.shape[1] - 1)
    flat = detrend(x)
    for result in (demean(x), flat):
        assert abs(result.astype(float).mean()) <= 1e-7 * scale
        np.testing.assert_allclose(demean(result), result, atol=2e-7 * scale)
    assert abs((index * flat).sum()) <= 1e-7 * scale * np.abs(index).sum()
    np.testing.assert_allclose(detrend(flat), flat, atol=4e-7 * scale)
    line = (level + slope * index).astype(np.float32)[np.newaxis]
    assert np.abs(detrend(line)).max() <= 3e-7 * (abs(level) + abs(slope) * x.shape[1] + 1e-30)


@pytest.mark.parametrize("into", [demean_into, detrend_into])
def test_nan_stays_in_its_channel(into: Into) -> None:
    x = CASES["random"].copy()
    x[1, 7] = np.nan
    out = np.zeros_like(x)
    into(x, out)
    assert np.isnan(out[1]).all()
    assert np.isfinite(out[[0, 2]]).all()


@pytest.mark.parametrize("into", [demean_into, detrend_into])
def test_contract(into: Into) -> None:
    x = CASES["random"]
    out = np.zeros_like(x)
    with pytest.raises(ArrayError, match=r"x: found dtype float64 .* wanted int16 or int32 or float32"):
        into(x.astype(np.float64), out)
    with pytest.raises(ArrayError, match=r"x: found strides .* wanted C-contiguous"):
        into(np.zeros((3, 202), np.float32)[:, ::2], out)
    with pytest.raises(ArrayError, match=r"x: found dtype >i2"):
        into(x.astype(">i2"), out)
    with pytest.raises(ArrayError, match=r"x: found shape \(101,\), wanted 2"):
        into(x[0], out)
    with pytest.raises(ArrayError, match="x: found list"):
        into(reference.untyped([[1.0]]), out)
    with pytest.raises(ArrayError, match="out: found dtype float64"):
        into(x, np.zeros(x.shape))
    with pytest.raises(ArrayError, match=r"out: found shape \(3, 100\), wanted \(3, 101\)"):
        into(x, np.zeros((3, 100), np.float32))
    locked = np.zeros_like(x)
    locked.flags.writeable = False
    with pytest.raises(ArrayError, match="out: found a read-only"):
        into(x, locked)
    store = np.zeros((4, 101), np.float32)
    with pytest.raises(ArrayError, match="out: shares memory"):
        into(store[:3], store[1:])


@pytest.mark.parametrize("into", [demean_into, detrend_into])
def test_read_only_input_in_place_and_empty(into: Into) -> None:
    x = CASES["random"].copy()
    x.flags.writeable = False
    out = np.zeros_like(x)
    into(x, out)
    same = x.copy()
    into(same, same)
    np.testing.assert_array_equal(same, out)
    for shape in [(0, 5), (3, 0)]:
        into(np.zeros(shape, np.int16), np.zeros(shape, np.float32))


def test_new_arrays_are_returned() -> None:
    x = CASES["random"]
    for function, into in ((demean, demean_into), (detrend, detrend_into)):
        out = np.zeros_like(x)
        into(x, out)
        result = function(x)
        np.testing.assert_array_equal(result, out)
        assert result.base is None
        with pytest.raises(ArrayError, match="x: found shape"):
            function(x[0])
