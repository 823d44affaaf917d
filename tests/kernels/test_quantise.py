"""Whole numbers of 16, 24 and 32 bits, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seisedge.kernels import (
    ArrayError,
    dequantise_into,
    pack_int24_into,
    quantise_into,
    truncate_int16_into,
    unpack_int24_into,
)

LINES = [(1.0, 0.0), (0.5, 3.0), (1e-3, -7.0), (3.0, 1e5)]
BITS = [16, 24, 32]
TIES = [0, 0.5, 1.5, 2.5, -0.5, -1.5]


def ends(bits: int) -> list[float]:
    """Numbers about the ends of the range, as near as float32 has them."""
    top = 2.0 ** (bits - 1)
    near = [top + step for step in (-1.0, -0.6, -0.5, 0.0, 0.5, 1.0)]
    below = [
        float(np.nextafter(np.float32(top), np.float32(0.0))),
        float(np.nextafter(np.float32(top), np.float32(top * 2))),
    ]
    return [sign * each for each in [*near, *below, 1e30] for sign in (1.0, -1.0)]


def pack(q: reference.Numbers) -> reference.Numbers:
    """int24: the three lower bytes of a little-endian int32."""
    return np.ascontiguousarray(q.astype("<i4").view(np.uint8).reshape(*q.shape, 4)[..., :3]).reshape(q.shape[0], -1)


def unpack(packed: reference.Numbers) -> reference.Numbers:
    """Each three bytes: int.from_bytes."""
    rows = [
        [int.from_bytes(row[i : i + 3].tobytes(), "little", signed=True) for i in range(0, row.size, 3)]
        for row in packed
    ]
    return np.array(rows, np.int32).reshape(packed.shape[0], packed.shape[1] // 3)


def quantised(x: reference.Numbers, scale: float, offset: float, bits: int) -> tuple[reference.Numbers, int]:
    if bits == 24:
        packed = np.full((x.shape[0], 3 * x.shape[1]), 99, np.uint8)
        saturated = pack_int24_into(x, scale, offset, packed)
        q = unpack(packed)
        np.testing.assert_array_equal(pack(q), packed)
        return q, saturated
    out: Any = np.full(x.shape, 99, np.dtype(f"int{bits}"))
    return out, quantise_into(x, scale, offset, out)


def restored(q: reference.Numbers, scale: float, offset: float, bits: int) -> reference.Numbers:
    out = np.full(q.shape, np.nan, np.float32)
    if bits == 24:
        unpack_int24_into(pack(q), scale, offset, out)
    else:
        dequantise_into(q, scale, offset, out)
    return out


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize(("scale", "offset"), LINES)
def test_equals_reference(scale: float, offset: float, bits: int) -> None:
    rng = np.random.default_rng(2)
    extremes = np.array([*TIES, *ends(bits), np.nan, np.inf, -np.inf, 1e-45, -1e-40])
    random = rng.standard_normal(300) * 0.6 * 2.0 ** (bits - 1)
    for values in (random * scale + offset, extremes * scale + offset, extremes, np.zeros(1)):
        x = values.astype(np.float32).reshape(3 if values.size % 3 == 0 else 1, -1)
        found, saturated = quantised(x, scale, offset, bits)
        wanted, count = reference.quantise(x, scale, offset, bits)
        np.testing.assert_array_equal(found, wanted)  # the same float64 operations: no tolerance
        assert saturated == count


@pytest.mark.parametrize("bits", BITS)
def test_ties_go_to_even(bits: int) -> None:
    found, saturated = quantised(np.array([TIES], np.float32), 1.0, 0.0, bits)
    assert found[0].tolist() == [0, 0, 2, 2, 0, -2]
    assert saturated == 0
    # In float64: 1 + 2**-25 is above the tie, and would be 1 in float32.
    found, _ = quantised(np.array([[1.0, 2.0, 3.0]], np.float32), 2.0, -(2.0**-25), bits)
    assert found[0].tolist() == [1, 1, 2]


def test_ends_of_int16_are_in_range() -> None:
    x = np.array([[32767, 32767.4, 32767.5, 32768, -32768, -32768.5, -32769, 1e30, -1e30]], np.float32)
    found, saturated = quantised(x, 1.0, 0.0, 16)
    assert found[0].tolist() == [32767, 32767, 32767, 32767, -32768, -32768, -32768, 32767, -32768]
    assert saturated == 5  # 32767.5 goes to the even 32768; -32768.5 to -32768, in range


def test_ends_of_int24_are_in_range() -> None:
    x = np.array([[8388607, 8388607.5, 8388608, -8388608, -8388609, np.inf, -np.inf, np.nan]], np.float32)
    found, saturated = quantised(x, 1.0, 0.0, 24)
    assert found[0].tolist() == [8388607, 8388607, 8388607, -8388608, -8388608, 8388607, -8388608, 0]
    assert saturated == 6


def test_ends_of_int32_are_in_range() -> None:
    x = np.array([[2**31 - 128, 2**31, -(2**31), -(2**31) - 256, np.nan]], np.float32)
    found, saturated = quantised(x, 1.0, 0.0, 32)
    assert found[0].tolist() == [2147483520, 2147483647, -2147483648, -2147483648, 0]
    assert saturated == 3
    # An offset reaches the numbers that float32 has not; the range ends between these two.
    cases = [(1, 1.0, 2147483647, 0), (1, 0.75, 2147483647, 0), (1, 0.5, 2147483647, 1)]
    cases += [(2, -1.0, -2147483647, 0), (2, 0.5, -2147483648, 0), (2, 0.75, -2147483648, 1)]
    for place, offset, wanted, count in cases:
        found, saturated = quantised(x[:, place : place + 1].copy(), 1.0, offset, 32)
        assert (found.item(), saturated) == (wanted, count)


def test_bytes_of_int24() -> None:
    packed = np.zeros((2, 6), np.uint8)
    x = np.array([[1, -1], [-8388608, 0x123456]], np.float32)
    assert pack_int24_into(x, 1.0, 0.0, packed) == 0
    assert packed.tolist() == [[1, 0, 0, 255, 255, 255], [0, 0, 128, 0x56, 0x34, 0x12]]
    out = np.zeros((2, 2), np.float32)
    unpack_int24_into(packed, 1.0, 0.0, out)
    np.testing.assert_array_equal(out, x)


@reference.examples(60)
@given(hnp.arrays(np.uint8, st.tuples(st.integers(0, 3), st.sampled_from([0, 3, 30]))))
def test_any_bytes_are_counts_and_there_again_the_same_bytes(packed: Any) -> None:
    out = np.full((packed.shape[0], packed.shape[1] // 3), np.nan, np.float32)
    unpack_int24_into(packed, 1.0, 0.0, out)
    np.testing.assert_array_equal(out, unpack(packed))  # float32 holds 24 bits
    again = np.full(packed.shape, 99, np.uint8)
    assert pack_int24_into(out, 1.0, 0.0, again) == 0
    np.testing.assert_array_equal(again, packed)


@pytest.mark.parametrize("bits", BITS)
@reference.examples(60)
@given(
    x=hnp.arrays(np.float32, (2, 30), elements=st.floats(-1e4, 1e4, width=32)),
    scale=st.floats(0.4, 100.0),
    offset=st.floats(-100.0, 100.0),
)
def test_there_and_back_errs_by_half_a_step_and_again_not_at_all(
    x: reference.Numbers, scale: float, offset: float, bits: int
) -> None:
    q, saturated = quantised(x, scale, offset, bits)
    assert saturated == 0
    back = restored(q, scale, offset, bits)
    assert np.abs(back.astype(float) - x).max() <= 0.5 * scale + 1e-3
    np.testing.assert_array_equal(quantised(back, scale, offset, bits)[0], q)


@reference.examples(60)
@given(hnp.arrays(np.int32, (2, 20)), st.sampled_from([1.0, 2.0**-31, 2.0**40]))
def test_int32_there_and_back_keeps_24_bits(q: reference.Numbers, scale: float) -> None:
    back = restored(q, scale, 0.0, 32)
    again, _ = quantised(back, scale, 0.0, 32)
    wide = q.astype(np.float32).astype(np.float64)
    np.testing.assert_array_equal(again, np.clip(wide, -(2.0**31), 2.0**31 - 1.0).astype(np.int64))


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize(("scale", "offset"), LINES)
def test_back_is_the_line(scale: float, offset: float, bits: int) -> None:
    top = 2 ** (bits - 1)
    random = np.random.default_rng(3).integers(-top, top, 100).tolist()
    q = np.array([[-top, -top + 1, -1, 0, 1, top - 1, *random]], np.int16 if bits == 16 else np.int32)
    wanted = (q.astype(np.float64) * scale + offset).astype(np.float32)
    np.testing.assert_array_equal(restored(q, scale, offset, bits), wanted)


def test_contract() -> None:
    x, q = np.ones((2, 8), np.float32), np.zeros((2, 8), np.int16)
    with pytest.raises(ArrayError, match=r"x: found dtype int16 .* wanted float32"):
        quantise_into(reference.untyped(q), 1.0, 0.0, q)
    with pytest.raises(ArrayError, match=r"out: found dtype float32 .* wanted int16 or int32"):
        quantise_into(x, 1.0, 0.0, reference.untyped(x))
    with pytest.raises(ArrayError, match=r"out: found shape \(2, 9\), wanted \(2, 8\)"):
        quantise_into(x, 1.0, 0.0, np.zeros((2, 9), np.int32))
    with pytest.raises(ArrayError, match="out: found strides"):
        quantise_into(x, 1.0, 0.0, np.zeros((2, 16), np.int32)[:, ::2])
    with pytest.raises(ArrayError, match=r"q: found dtype int64 .* wanted int16 or int32"):
        dequantise_into(reference.untyped(np.zeros((2, 8), np.int64)), 1.0, 0.0, x)
    with pytest.raises(ArrayError, match="out: found dtype float64"):
        dequantise_into(q, 1.0, 0.0, reference.untyped(np.zeros((2, 8))))
    with pytest.raises(ArrayError, match="out: shares memory"):
        quantise_into(x, 1.0, 0.0, x.reshape(-1).view(np.int16)[:16].reshape(2, 8))
    with pytest.raises(ArrayError, match="out: shares memory"):
        dequantise_into(x.view(np.int32), 1.0, 0.0, x)
    for scale in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ArrayError, match="scale: found"):
            quantise_into(x, scale, 0.0, q)
    with pytest.raises(ArrayError, match="offset: found nan"):
        dequantise_into(q, 1.0, np.nan, x)
    x.flags.writeable = False
    assert quantise_into(x, 1.0, 0.0, q) == 0
    q.flags.writeable = False
    with pytest.raises(ArrayError, match="out: found a read-only"):
        quantise_into(x, 1.0, 0.0, q)
    for bits in BITS:
        assert quantised(np.zeros((3, 0), np.float32), 1.0, 0.0, bits)[1] == 0


def test_contract_of_packed_numbers() -> None:
    x, packed = np.ones((2, 8), np.float32), np.zeros((2, 24), np.uint8)
    with pytest.raises(ArrayError, match=r"x: found dtype float64 .* wanted float32"):
        pack_int24_into(reference.untyped(np.ones((2, 8))), 1.0, 0.0, packed)
    with pytest.raises(ArrayError, match=r"out: found dtype int8 .* wanted uint8"):
        pack_int24_into(x, 1.0, 0.0, reference.untyped(packed.view(np.int8)))
    with pytest.raises(ArrayError, match=r"out: found shape \(2, 23\), wanted \(2, 24\)"):
        pack_int24_into(x, 1.0, 0.0, np.zeros((2, 23), np.uint8))
    with pytest.raises(ArrayError, match="out: found strides"):
        pack_int24_into(x, 1.0, 0.0, np.zeros((2, 48), np.uint8)[:, ::2])
    with pytest.raises(ArrayError, match="out: shares memory"):
        pack_int24_into(x, 1.0, 0.0, x.view(np.uint8).reshape(-1)[:48].reshape(2, 24))
    with pytest.raises(ArrayError, match=r"packed: found dtype int8 .* wanted uint8"):
        unpack_int24_into(reference.untyped(packed.view(np.int8)), 1.0, 0.0, x)
    with pytest.raises(ArrayError, match="packed: found 23 bytes a channel, wanted three for each sample"):
        unpack_int24_into(np.zeros((2, 23), np.uint8), 1.0, 0.0, x)
    with pytest.raises(ArrayError, match=r"out: found shape \(2, 7\), wanted \(2, 8\)"):
        unpack_int24_into(packed, 1.0, 0.0, np.zeros((2, 7), np.float32))
    with pytest.raises(ArrayError, match="out: shares memory"):
        unpack_int24_into(x.view(np.uint8).reshape(-1)[:48].reshape(2, 24), 1.0, 0.0, x)
    for scale, offset, message in ((0.0, 0.0, "scale: found 0"), (1.0, np.inf, "offset: found inf")):
        with pytest.raises(ArrayError, match=message):
            pack_int24_into(x, scale, offset, packed)
        with pytest.raises(ArrayError, match=message):
            unpack_int24_into(packed, scale, offset, x)
    out = x.copy()
    for array in (x, packed):
        array.flags.writeable = False
    unpack_int24_into(packed, 1.0, 0.0, out)
    with pytest.raises(ArrayError, match="out: found a read-only"):
        pack_int24_into(x, 1.0, 0.0, packed)


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
