"""Onset, amplitude and signal-to-noise ratio of a pick."""

# The logarithm is a kernel of its own, and under test here.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from obspy.signal.trigger import aic_simple

from seisedge.kernels import ArrayError, onset, peak_amplitude, refine_onset, signal_to_noise

SIZE = 400 if reference.COMPILED else 120
rng = np.random.default_rng(23)
SHAPE = st.integers(1, 30)
SAMPLES = st.one_of(
    hnp.arrays(np.int16, SHAPE, elements=st.sampled_from([-32768, -1, 0, 0, 1, 32767])),
    hnp.arrays(np.int32, SHAPE, elements=st.sampled_from([-(2**31), -1, 0, 0, 1, 2**31 - 1])),
    hnp.arrays(np.float32, SHAPE, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)),
)


def event(place: int, ratio: float = 8.0, size: int = SIZE, seed: int = 1) -> reference.Numbers:
    """Noise, and from `place` on noise that many times larger."""
    noise = np.random.default_rng(seed).standard_normal(size)
    noise[place:] *= ratio
    return noise


def aic_reference(x: reference.Numbers) -> reference.Real:
    """Maeda's AIC(k) for k = 2 to n - 2, no variance below that of rounding."""
    wide = x.astype(np.float64)
    step = np.abs(wide).max() * 2.0**-23 if x.dtype == np.float32 else 1.0
    least = step**2 / 12.0
    n = x.size
    return np.array(
        [
            k * math.log(max(wide[:k].var(), least)) + (n - k - 1) * math.log(max(wide[k:].var(), least))
            for k in range(2, n - 1)
        ]
    )


@reference.examples(200)
@given(SAMPLES)
def test_onset_has_the_least_aic(x: reference.Numbers) -> None:
    found = refine_onset(x, 0, x.size)
    if x.size < 4 or (x == x[0]).all():
        assert found is None
        return
    assert found is not None
    aic = aic_reference(x)
    # Two places may be equal but for rounding: the value is compared, not the place.
    assert aic[found - 2] <= aic.min() + 1e-9 * np.abs(aic).max()


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32])
@pytest.mark.parametrize("place", [30, 60, 95])
def test_onset_of_an_event_is_found_as_obspy_finds_it(dtype: Any, place: int) -> None:
    for seed in range(5):
        x = (event(place, seed=seed) * 1e3).astype(dtype)
        found = refine_onset(x, 0, x.size)
        assert found is not None
        assert abs(found - place) <= 4
        aic = np.asarray(aic_simple(x.astype(np.float64)))
        assert found == int(aic[1 : x.size - 2].argmin()) + 2  # theirs is AIC(k) at k - 1
        assert found == int(aic_reference(x).argmin()) + 2


@reference.examples(40)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(-40, 40))
def test_onset_depends_on_its_span_alone_and_not_on_the_unit(before: int, after: int, exponent: int) -> None:
    x = event(60).astype(np.float32)
    found = refine_onset(x, 0, SIZE)
    assert found is not None
    longer = np.concatenate((np.full(before, np.nan), x, np.full(after, 1e9))).astype(np.float32)
    assert refine_onset(longer, before, before + SIZE) == before + found
    assert refine_onset((x * np.float32(2.0**exponent)).astype(np.float32), 0, SIZE) == found
    assert refine_onset(-x, 0, SIZE) == found


def test_onset_ignores_a_large_offset() -> None:
    x = np.rint(event(60) * 1e3).astype(np.int32)
    assert refine_onset(x + 2_000_000_000, 0, SIZE) == refine_onset(x, 0, SIZE)


def test_a_few_equal_counts_are_no_onset() -> None:
    x = np.rint(event(60) * 3).astype(np.int16)
    wanted = refine_onset(x, 0, SIZE)
    quiet = x.copy()
    quiet[:4] = quiet[-3:] = 0
    assert refine_onset(quiet, 0, SIZE) == wanted


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_onset_stands_at_the_end_of_a_gap_and_at_a_step(dtype: Any) -> None:
    gap: Any = np.zeros(SIZE, dtype)
    gap[70:] = (event(0)[70:] * 1e3).astype(dtype)
    assert refine_onset(gap, 0, SIZE) == 70
    for place in (2, SIZE // 2, SIZE - 2):
        step: Any = np.full(SIZE, 5, dtype)
        step[place:] = 7000
        assert refine_onset(step, 0, SIZE) == place


def test_a_dead_stretch_weighs_as_much_as_rounding_lets_it() -> None:
    """Equal samples, noise, an event: in whole counts the event is the larger change, in float32 the first noise."""
    x = event(90, 10.0, 120) * 3.0
    x[:30] = 0.0
    counts = refine_onset(np.rint(x).astype(np.int16), 0, 120)
    assert counts is not None
    assert abs(counts - 90) <= 4
    x[12:30] = event(0)[12:30] * 3.0
    assert refine_onset(x.astype(np.float32), 0, 120) == 12


def test_variances() -> None:
    x = event(60).astype(np.float32)
    found = np.full((2, SIZE), np.nan)
    assert onset._split_variances_into(x, 0.01, found) == pytest.approx(x.astype(float).var(), rel=1e-12)
    wide = x.astype(np.float64)
    wanted = [[wide[: max(k, 1)].var() for k in range(SIZE)], [wide[k:].var() for k in range(SIZE)]]
    np.testing.assert_allclose(found, np.maximum(wanted, 0.01), rtol=1e-12)


def test_of_equal_criteria_the_first_is_taken() -> None:
    assert onset._least_aic(np.zeros((2, 20))) == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1, 57, SIZE - 1])
def test_no_onset_among_what_is_no_number(bad: float, place: int) -> None:
    x = event(60).astype(np.float32)
    x[place] = bad
    assert refine_onset(x, 0, SIZE) is None


def test_no_onset_in_few_or_equal_samples() -> None:
    x = event(60).astype(np.float32)
    assert [refine_onset(x, 50, 50 + count) is None for count in (1, 2, 3, 4)] == [True, True, True, False]
    assert refine_onset(x, 50, 54) == 52
    for value in (0.0, 0.1, 3e38, 1e-45):
        assert refine_onset(np.full(50, value, np.float32), 0, 50) is None
    denormal = (event(60) * 1e-43).astype(np.float32)
    found = refine_onset(denormal, 0, SIZE)
    assert found is not None
    assert abs(found - 60) <= 4


def test_scratch_makes_no_difference() -> None:
    x = event(60).astype(np.float32)
    assert refine_onset(x, 10, 100, scratch=np.full((2, 90), np.nan)) == refine_onset(x, 10, 100)


def test_logarithm() -> None:
    numbers = np.random.default_rng(5)
    values = np.concatenate(
        (
            np.exp(numbers.uniform(-700.0, 700.0, 300)),
            1.0 + numbers.uniform(-1e-3, 1e-3, 100),
            [2.0**-1022, 1.7e308, 1.0, 0.5, 2.0, math.sqrt(0.5), math.sqrt(2.0), np.nextafter(1.0, 0.0)],
            2.0 ** np.arange(-1022.0, 1023.0, 50.0),
        )
    ).reshape(1, -1)
    found = values.copy()
    onset._logarithms_in_place(found)
    np.testing.assert_allclose(found, np.log(values), rtol=1e-15)
    assert found[values == 1.0].tolist() == [0.0]


@reference.examples(100)
@given(SAMPLES, st.sampled_from([0.0, 1.0, -3e4, 1e30]))
def test_amplitude_equals_reference(x: reference.Numbers, baseline: float) -> None:
    place, value = peak_amplitude(x, 0, x.size, baseline)
    wanted = np.abs(x.astype(np.float64) - baseline)
    assert (place, value) == (int(wanted.argmax()), wanted.max())
    assert peak_amplitude(x, place, place + 1, baseline) == (place, value)


def test_amplitude_of_ends_and_of_no_number() -> None:
    x = np.array([1, -5, 5, np.nan, np.inf, np.nan, -np.inf], np.float32)
    assert peak_amplitude(x, 0, 3) == (1, 5.0)
    assert peak_amplitude(x, 0, 3, 1.0) == (1, 6.0)
    assert peak_amplitude(x, 4, 5) == (4, math.inf)
    place, value = peak_amplitude(x, 0, 7)
    assert place == 3
    assert math.isnan(value)
    assert peak_amplitude(np.array([-32768, 32767], np.int16), 0, 2) == (0, 32768.0)
    assert peak_amplitude(np.array([-(2**31), 2**31 - 1], np.int32), 0, 2) == (0, 2.0**31)


@reference.examples(100)
@given(SAMPLES, st.integers(-3, 33), st.integers(1, 12), st.integers(1, 12))
def test_signal_to_noise_equals_reference(x: reference.Numbers, place: int, noise: int, wave: int) -> None:
    found = signal_to_noise(x, place, noise, wave)
    if place < noise or place + wave > x.size:
        assert math.isnan(found)
        return
    wide = x.astype(np.float64)
    before, after = wide[place - noise : place], wide[place : place + wave]
    # var() of equal numbers is not quite 0: their mean is rounded.
    below = 0.0 if np.ptp(before) == 0.0 else before.std()
    above = 0.0 if np.ptp(after) == 0.0 else after.std()
    if below == 0.0 or above == 0.0:
        assert math.isnan(found) if below == above else found == (math.inf if above else -math.inf)
    else:
        assert found == pytest.approx(20.0 * math.log10(above / below), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_signal_to_noise_of_a_known_ratio(dtype: Any) -> None:
    x = np.tile(np.array([1000, -1000], dtype), 20)
    x[20:] *= 10
    assert signal_to_noise(x, 20, 20, 20) == pytest.approx(20.0)
    assert signal_to_noise(x + 12345, 20, 20, 20) == pytest.approx(20.0)
    assert signal_to_noise(x[::-1].copy(), 20, 20, 20) == pytest.approx(-20.0)
    assert math.isnan(signal_to_noise(x, 21, 20, 20))
    assert math.isnan(signal_to_noise(x, 19, 20, 20))
    uneven: Any = np.array([0, 0, 0, 4, 0, 2, 0, 2], dtype)  # variances 3 and 1
    assert signal_to_noise(uneven, 4, 4, 4) == pytest.approx(10.0 * math.log10(1.0 / 3.0))


def test_signal_to_noise_is_exact_about_silence_and_defined_for_no_number() -> None:
    x = np.full(40, 0.1, np.float32)  # whose mean in float64 is not quite 0.1
    x[20:] = event(0)[:20]
    assert signal_to_noise(x, 20, 20, 20) == math.inf
    assert signal_to_noise(x[::-1].copy(), 20, 20, 20) == -math.inf
    assert math.isnan(signal_to_noise(x, 10, 10, 10))
    assert math.isfinite(signal_to_noise(x, 30, 10, 10))
    for place in (25, 35):
        for bad in (np.nan, np.inf, -np.inf):
            y = x.copy()
            y[place] = bad
            assert math.isnan(signal_to_noise(y, 30, 10, 10))
    huge = np.where(x > 0.0, np.float32(3e38), np.float32(-3e38))  # a difference of two is beyond float32
    assert math.isfinite(signal_to_noise(huge, 30, 10, 10))


def test_contract() -> None:
    x = np.ones(10, np.float32)
    wrong: list[tuple[Any, str]] = [
        (np.ones(10), "x: found dtype float64"),
        (np.ones(20, np.float32)[::2], "x: found strides"),
        (np.ones((1, 10), np.float32), r"x: found shape \(1, 10\)"),
    ]
    for x_, message in wrong:
        with pytest.raises(ArrayError, match=message):
            refine_onset(x_, 0, 10)
        with pytest.raises(ArrayError, match=message):
            peak_amplitude(x_, 0, 10)
        with pytest.raises(ArrayError, match=message):
            signal_to_noise(x_, 5, 2, 2)
    for first, stop in ((-1, 5), (0, 11), (5, 5), (6, 5)):
        message = f"first, stop: found {first} and {stop}, wanted 0 <= first < stop <= 10"
        with pytest.raises(ArrayError, match=message):
            refine_onset(x, first, stop)
        with pytest.raises(ArrayError, match=message):
            peak_amplitude(x, first, stop)
    with pytest.raises(ArrayError, match=r"first, stop: found 0 and 0"):
        refine_onset(x[:0], 0, 0)
    with pytest.raises(ArrayError, match=r"scratch: found shape \(2, 9\), wanted \(2, 10\)"):
        refine_onset(x, 0, 10, scratch=np.zeros((2, 9)))
    with pytest.raises(ArrayError, match=r"scratch: found dtype float32"):
        refine_onset(x, 0, 10, scratch=reference.untyped(np.zeros((2, 10), np.float32)))
    memory = np.zeros((2, 10))
    with pytest.raises(ArrayError, match=r"scratch: shares memory"):
        refine_onset(memory.view(np.float32).reshape(-1)[:10], 0, 10, scratch=memory)
    memory.flags.writeable = False
    with pytest.raises(ArrayError, match=r"scratch: found a read-only"):
        refine_onset(x, 0, 10, scratch=memory)
    for baseline in (np.nan, np.inf):
        with pytest.raises(ArrayError, match="baseline: found"):
            peak_amplitude(x, 0, 10, baseline)
    for noise, wave in ((0, 2), (2, 0), (-1, 1)):
        with pytest.raises(ArrayError, match=f"noise_samples, signal_samples: found {noise} and {wave}"):
            signal_to_noise(x, 5, noise, wave)
    x.flags.writeable = False
    assert refine_onset(x, 0, 10) is None
    assert peak_amplitude(x, 0, 10) == (0, 1.0)
    assert math.isnan(signal_to_noise(x, 5, 2, 2))
