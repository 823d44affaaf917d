"""int16 and back."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seisedge.kernels import ArrayError, dequantise_int16_into, quantise_int16_into, truncate_int16_into

LINES = [(1.0, 0.0), (0.5, 3.0), (1e-3, -7.0), (3.0, 1e5)]
EDGES = np.array([0, 0.5, 1.5, 2.5, -0.5, -1.5, 32767, 32767.4, 32767.5, 32768, -32768, -32768.5, -32769, 1e30, -1e30])


def quantised(x: reference.Numbers, scale: float, offset: float) -> tuple[reference.Numbers, int]:
    out = np.full(x.shape, 99, np.int16)
    return out, quantise_int16_into(x, scale, offset, out)


@pytest.mark.parametrize(("scale", "offset"), LINES)
def test_equals_reference(scale: float, offset: float) -> None:
    rng = np.random.default_rng(2)
    extremes = np.concatenate((EDGES, [np.nan, np.inf, -np.inf]))
    for values in (rng.standard_normal(300) * 2e4 * scale + offset, extremes * scale + offset, np.zeros(1)):
        x = values.astype(np.float32).reshape(3 if values.size % 3 == 0 else 1, -1)
        found, saturated = quantised(x, scale, offset)
        wanted, count = reference.quantise(x, scale, offset)
        np.testing.assert_array_equal(found, wanted)  # the same float64 operations: no tolerance
        assert saturated == count


def test_ties_go_to_even_and_ends_are_in_range() -> None:
    found, saturated = quantised(EDGES.astype(np.float32)[np.newaxis], 1.0, 0.0)
    assert found[0].tolist() == [
        0,
        0,
        2,
        2,
        0,
        -2,
        32767,
        32767,
        32767,
        32767,
        -32768,
        -32768,
        -32768,
        32767,
        -32768,
    ]
    assert saturated == 5  # 32767.5 goes to the even 32768; -32768.5 to -32768, in range


@reference.examples(60)
@given(
    hnp.arrays(np.float32, (2, 30), elements=st.floats(-1e4, 1e4, width=32)),
    st.floats(0.4, 100.0),
    st.floats(-100.0, 100.0),
)
def test_there_and_back_errs_by_half_a_step_and_again_not_at_all(
    x: reference.Numbers, scale: float, offset: float
) -> None:
    q, saturated = quantised(x, scale, offset)
    assert saturated == 0
    back = np.zeros_like(x)
    dequantise_int16_into(q, scale, offset, back)
    assert np.abs(back.astype(float) - x).max() <= 0.5 * scale + 1e-3
    np.testing.assert_array_equal(quantised(back, scale, offset)[0], q)


@pytest.mark.parametrize(("scale", "offset"), LINES)
def test_back_is_the_line(scale: float, offset: float) -> None:
    q = np.array([[-32768, -1, 0, 1, 32767]], np.int16)
    out = np.zeros(q.shape, np.float32)
    dequantise_int16_into(q, scale, offset, out)
    np.testing.assert_array_equal(out, (q * scale + offset).astype(np.float32))


def test_contract() -> None:
    x, q = np.ones((2, 8), np.float32), np.zeros((2, 8), np.int16)
    with pytest.raises(ArrayError, match=r"x: found dtype int16 .* wanted float32"):
        quantise_int16_into(reference.untyped(q), 1.0, 0.0, q)
    with pytest.raises(ArrayError, match=r"out: found dtype float32 .* wanted int16"):
        quantise_int16_into(x, 1.0, 0.0, reference.untyped(x))
    with pytest.raises(ArrayError, match="out: found dtype float64"):
        dequantise_int16_into(q, 1.0, 0.0, reference.untyped(np.zeros((2, 8))))
    with pytest.raises(ArrayError, match="out: shares memory"):
        quantise_int16_into(x, 1.0, 0.0, x.reshape(-1).view(np.int16)[:16].reshape(2, 8))
    for scale in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ArrayError, match="scale: found"):
            quantise_int16_into(x, scale, 0.0, q)
    with pytest.raises(ArrayError, match="offset: found nan"):
        dequantise_int16_into(q, 1.0, np.nan, x)
    x.flags.writeable = False
    assert quantise_int16_into(x, 1.0, 0.0, q) == 0
    assert quantise_int16_into(np.zeros((3, 0), np.float32), 1.0, 0.0, np.zeros((3, 0), np.int16)) == 0


def truncated(x: reference.Numbers) -> reference.Numbers:
    out = np.full(x.shape, 99, np.float32)
    truncate_int16_into(x, out)
    return out


@reference.examples(100)
@given(hnp.arrays(np.float32, (3, 20), elements=st.floats(-(2.0**99), 2.0**99, width=32)))
def test_truncation_equals_reference_and_its_largest_number_is_32767(x: reference.Numbers) -> None:
    found = truncated(x)
    np.testing.assert_array_equal(found, reference.truncate(x))  # the same float64 operations: no tolerance
    assert np.abs(found).max() == (32767 if x.any() else 0)
    in_place = x.copy()
    truncate_int16_into(in_place, in_place)
    np.testing.assert_array_equal(in_place, found)


def test_truncation_goes_towards_zero_and_shares_one_maximum() -> None:
    x = np.array([[32767, 1.9, -1.9], [0.5, -0.5, -3.999]], np.float32)
    assert truncated(x).tolist() == [[32767, 1, -1], [0, 0, -3]]


def test_truncation_of_no_number_is_no_number_and_of_nothing_nothing() -> None:
    x = np.ones((2, 4), np.float32)
    x[1, 2] = np.nan
    assert np.isnan(truncated(x)).all()
    assert truncated(np.zeros((2, 0), np.float32)).shape == (2, 0)
    with pytest.raises(ArrayError, match="x: found dtype int16"):
        truncate_int16_into(reference.untyped(np.ones((2, 4), np.int16)), x)
