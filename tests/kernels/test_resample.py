"""Change of rate."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from seisedge.kernels import (
    ArrayError,
    Resampler,
    design_resampler,
    output_bound,
    resample_state,
    resample_step_into,
)

RATES = [
    ("250", "100"),
    ("100", "250"),
    ("200", "100"),
    ("100", "40"),
    ("40", "100"),
    ("100", "99"),
    ("50", "50"),
]
SIZE = 500 if reference.COMPILED else 260
rng = np.random.default_rng(9)
INPUTS: dict[str, Any] = {
    "random": rng.standard_normal(SIZE).astype(np.float32),
    "step": np.repeat(np.array([-100, 30000], np.int16), SIZE // 2),
    "impulse": np.eye(1, SIZE, 90, dtype=np.float32)[0],
    "full int16": rng.choice(np.array([-32768, 32767], np.int16), SIZE),
    "full int32": rng.choice(np.array([-(2**31), 2**31 - 1], np.int32), SIZE),
}


def design(rates: tuple[str, str]) -> Resampler:
    return design_resampler(Fraction(rates[0]), Fraction(rates[1]))


def resampled(x: reference.Numbers, resampler: Resampler, cuts: tuple[int, ...] = ()) -> reference.Numbers:
    state = resample_state(resampler)
    edges = [0, *cuts, x.size]
    parts: list[reference.Numbers] = []
    for a, b in pairwise(edges):
        out = np.full(output_bound(resampler, b - a), np.nan, np.float32)
        written = resample_step_into(x[a:b], resampler, state, out)
        assert np.isnan(out[written:]).all()
        parts.append(out[:written])
    return np.concatenate(parts)


@pytest.mark.parametrize("rates", RATES[:-1])
def test_taps_equal_scipy(rates: tuple[str, str]) -> None:
    r = design(rates)
    np.testing.assert_allclose(r.taps, reference.resampler_taps(r.up, r.down, r.half, 84.0), atol=1e-12)


@pytest.mark.parametrize("rates", [*RATES[:-1], ("1000", "100"), ("500", "40")])
def test_quality_of_the_filter(rates: tuple[str, str]) -> None:
    r = design(rates)
    prototype = r.taps[:, ::-1].T.reshape(-1) / r.up
    frequencies = np.linspace(0.0, 0.5, 20001)  # cycles per sample of the prototype
    gain = np.abs(signal.freqz(prototype, worN=frequencies, fs=1.0)[1])
    nyquist = 0.5 * min(1.0, r.up / r.down) / r.up
    passed = 20 * np.log10(gain[frequencies <= 0.8 * nyquist])
    assert np.abs(passed).max() <= 0.05
    assert 20 * np.log10(gain[frequencies >= nyquist].max()) <= -80.0
    np.testing.assert_allclose(r.taps.sum(axis=1), 1.0, atol=1e-14)
    assert r.half * min(1.0, r.up / r.down) <= 28.0


@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("name", INPUTS)
def test_equals_reference(rates: tuple[str, str], name: str) -> None:
    r, x = design(rates), INPUTS[name]
    wanted = reference.resample(x, r.taps, r.down)
    # float64 sums of some hundred products in another order; then one rounding to float32.
    scale = float(np.abs(x.astype(float)).max())
    np.testing.assert_allclose(resampled(x, r), wanted, rtol=1.2e-7, atol=1e-13 * scale)


@pytest.mark.parametrize("rates", [("250", "100"), ("100", "250"), ("40", "100")])
def test_equals_upfirdn_of_scipy(rates: tuple[str, str]) -> None:
    r = design(rates)
    x = INPUTS["random"].copy()
    x[0] = 0.0  # so that the past, equal to the first sample, is what upfirdn takes it to be
    prototype = r.taps[:, ::-1].T.reshape(-1)
    theirs = np.asarray(signal.upfirdn(prototype, x.astype(float), up=r.up))[r.half * r.up :: r.down]
    found = resampled(x, r)
    np.testing.assert_allclose(found, theirs[: found.size], rtol=1.2e-7, atol=1e-13)


@reference.examples(60)
@given(st.sampled_from(RATES), st.lists(st.integers(0, SIZE), max_size=6), st.sampled_from(list(INPUTS)))
def test_any_chunking_gives_the_same_bits(rates: tuple[str, str], cuts: list[int], name: str) -> None:
    r, x = design(rates), INPUTS[name]
    pieces = resampled(x, r, tuple(sorted([0, 1, SIZE - 1, SIZE, *cuts])))
    np.testing.assert_array_equal(pieces.view(np.int32), resampled(x, r).view(np.int32))


@pytest.mark.parametrize("rates", [("250", "100"), ("100", "250")])
def test_one_sample_at_a_time_gives_the_same_bits(rates: tuple[str, str]) -> None:
    r, x = design(rates), INPUTS["full int32"]
    np.testing.assert_array_equal(resampled(x, r, tuple(range(1, SIZE))), resampled(x, r))


@pytest.mark.parametrize("rates", [*RATES, ("99.9", "100")])
def test_number_of_outputs_and_their_bound(rates: tuple[str, str]) -> None:
    r = design(rates)
    for count in (0, 1, r.half, r.half + 1, SIZE):
        found = resampled(np.ones(count, np.int16), r)
        # Output k needs input floor(k down / up) + half.
        wanted = sum(k * r.down // r.up + r.half < count for k in range(output_bound(r, count) + 1))
        assert found.size == wanted
        np.testing.assert_allclose(found, 1.0, rtol=2e-7)


@reference.examples(40)
@given(st.sampled_from(RATES), st.floats(0.01, 0.79), st.floats(0.0, 6.28))
def test_sine_of_the_pass_band_stands_at_the_right_time(rates: tuple[str, str], share: float, phase: float) -> None:
    r = design(rates)
    rate_in, rate_out = float(r.rate_in), float(r.rate_out)
    frequency = share * 0.5 * min(rate_in, rate_out)
    x = np.sin(2 * np.pi * frequency * np.arange(SIZE) / rate_in + phase).astype(np.float32)
    found = resampled(x, r)
    k = np.arange(found.size)
    wanted = np.sin(2 * np.pi * frequency * k / rate_out + phase)
    settled = int(2 * r.half * r.up / r.down) + 1  # before it the filter sees the invented past
    assert found.size > settled
    # 0.05 dB would be 6e-3; the design has 6e-4 dB, 7e-5. A sine one sample off would differ by far more.
    np.testing.assert_allclose(found[settled:], wanted[settled:], atol=2e-4)


@reference.examples(30)
@given(st.floats(1.01, 2.4), st.floats(0.0, 6.28))
def test_sine_above_the_output_nyquist_is_gone(share: float, phase: float) -> None:
    r = design(("250", "100"))
    x = np.sin(2 * np.pi * share * 50.0 * np.arange(SIZE) / 250.0 + phase).astype(np.float32)
    tail = resampled(x, r)[int(2 * r.half * r.up / r.down) + 1 :]
    assert tail.size
    assert np.abs(tail).max() <= 1e-4  # 80 dB


def test_first_output_is_the_first_sample_of_a_steady_stream() -> None:
    r = design(("250", "100"))
    out = np.zeros(output_bound(r, 1), np.float32)
    state = resample_state(r)
    x = np.full(r.half, 7777, np.int32)
    assert resample_step_into(x, r, state, np.zeros(output_bound(r, x.size), np.float32)) == 0
    assert resample_step_into(x[:1], r, state, out) == 1
    assert out[0] == pytest.approx(7777.0, rel=1e-7)


def test_equal_rates_pass_through() -> None:
    x = INPUTS["full int16"]
    np.testing.assert_array_equal(resampled(x, design(("50", "50"))), x.astype(np.float32))


def test_nan_touches_only_outputs_that_cover_it() -> None:
    r, x = design(("200", "100")), INPUTS["random"].copy()
    place = 95
    x[place] = np.nan
    bad = np.flatnonzero(np.isnan(resampled(x, r)))
    assert bad.min() >= (place - r.half) // 2
    assert bad.max() <= (place + r.half) // 2 + 1


def test_impossible_rates_are_refused() -> None:
    with pytest.raises(ValueError, match="wanted both above 0"):
        design_resampler(Fraction(0), Fraction(100))
    with pytest.raises(ValueError, match=r"is up 100000, down 100001; wanted both at most 4096"):
        design_resampler(Fraction("100.001"), Fraction(100))


def test_contract() -> None:
    r = design(("250", "100"))
    x, out, state = np.ones(10, np.float32), np.zeros(4, np.float32), resample_state(r)
    wrong: list[tuple[Any, Any, str]] = [
        (np.ones(10), out, "x: found dtype float64"),
        (np.ones(20, np.float32)[::2], out, "x: found strides"),
        (np.ones((1, 10), np.float32), out, "x: found shape"),
        (x, np.zeros(4), "out: found dtype float64"),
        (x, np.zeros(3, np.float32), "out: found 3 samples, wanted at least 4 for 10 inputs"),
        (x, x[:4], "out: shares memory"),
        (x, state.history.view(np.float32), "out: shares memory"),
    ]
    for x_, out_, message in wrong:
        with pytest.raises(ArrayError, match=message):
            resample_step_into(x_, r, state, out_)
    with pytest.raises(ArrayError, match=r"state\.history: found shape"):
        resample_step_into(x, r, resample_state(design(("200", "100"))), out)
    x.flags.writeable = False
    assert resample_step_into(x, r, state, out) == 0
    assert resample_step_into(x[:0], r, state, out) == 0
