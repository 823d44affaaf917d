"""Butterworth sections and the streaming step."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from seisedge.kernels import ArrayError, Band, SosState, butterworth_sos, sos_step_into, steady_state

DESIGNS: list[tuple[int, Band, tuple[float, ...]]] = [
    (1, "highpass", (0.5,)),
    (2, "highpass", (45.0,)),
    (4, "highpass", (2.0,)),
    (4, "highpass", (0.1,)),
    (1, "lowpass", (20.0,)),
    (3, "lowpass", (10.0,)),
    (8, "lowpass", (49.0,)),
    (1, "bandpass", (1.0, 20.0)),
    (2, "bandpass", (1.0, 20.0)),
    (4, "bandpass", (1.0, 20.0)),
    (3, "bandpass", (0.5, 45.0)),
    (5, "bandpass", (1.0, 45.0)),
]
RATE = 100.0
SIZE = 400 if reference.COMPILED else 60
rng = np.random.default_rng(3)
INPUTS: dict[str, Any] = {
    "random": rng.standard_normal(SIZE).astype(np.float32),
    "constant": np.full(SIZE, 1000, np.int32),
    "step": np.repeat(np.array([0, 30000], np.int16), SIZE // 2),
    "impulse": np.eye(1, SIZE, 3, dtype=np.float32)[0],
    "full int16": rng.choice(np.array([-32768, 32767], np.int16), SIZE),
    "full int32": rng.choice(np.array([-(2**31), 2**31 - 1], np.int32), SIZE),
    "length 1": np.array([5], np.int32),
}


def filtered(x: reference.Numbers, sos: reference.Real, state: reference.Real) -> reference.Numbers:
    out = np.full(x.shape, np.nan, np.float32)
    sos_step_into(x, SosState(sos, state), out)
    return out


@pytest.mark.parametrize(("order", "band", "corners"), DESIGNS)
def test_response_equals_scipy(order: int, band: Band, corners: tuple[float, ...]) -> None:
    ours = butterworth_sos(order, band, corners, RATE)
    corner = corners if band == "bandpass" else corners[0]
    theirs = signal.butter(order, corner, band, fs=RATE, output="sos")
    assert ours.shape == theirs.shape
    frequencies = np.linspace(0.0, 50.0, 2001)
    found = signal.freqz_sos(ours, frequencies, fs=RATE)[1]
    wanted = signal.freqz_sos(theirs, frequencies, fs=RATE)[1]
    # A double near 1 holds a pole's distance from 1 to 1e-16 only: at 0.1 Hz SciPy itself errs by 3e-12.
    np.testing.assert_allclose(found, wanted, rtol=0.0, atol=1e-12 if corners[0] >= 0.5 else 1e-11)
    # At the corners the power is halved: the definition of a Butterworth corner, without SciPy's design.
    half = signal.freqz_sos(ours, np.array(corners), fs=RATE)[1]
    np.testing.assert_allclose(np.abs(half) ** 2, 0.5, rtol=1e-10)


@pytest.mark.parametrize(("order", "band", "corners"), DESIGNS)
def test_sections_are_stable_and_have_gain_one(order: int, band: Band, corners: tuple[float, ...]) -> None:
    sos = butterworth_sos(order, band, corners, RATE)
    radius = np.array([np.abs(np.roots(row[3:])).max() for row in sos])
    assert (radius < 1.0).all()
    complex_pairs = radius[[bool(np.iscomplex(np.roots(row[3:])).any()) for row in sos]]
    assert (np.diff(complex_pairs) >= 0).all()
    warped = np.tan(np.pi * np.array(corners) / RATE)
    centre = RATE / np.pi * np.arctan(np.sqrt(warped.prod())) if band == "bandpass" else 0.0
    at = {"lowpass": 0.0, "highpass": RATE / 2, "bandpass": centre}[band]
    for row in sos:
        gain = signal.freqz_sos(row[np.newaxis], np.array([at]), fs=RATE)[1]
        assert abs(gain[0]) == pytest.approx(1.0, abs=1e-9)


def test_long_period_corner_keeps_its_response() -> None:
    # 1e-9, not 1e-12: a double near 1 holds the distance of these poles from 1 to 1e-16 / 6e-4 only.
    sos = butterworth_sos(4, "highpass", (0.01,), RATE)
    theirs = signal.butter(4, 0.01, "highpass", fs=RATE, output="sos")
    frequencies = np.geomspace(1e-3, 49.0, 500)
    found, wanted = (signal.freqz_sos(s, frequencies, fs=RATE)[1] for s in (sos, theirs))
    np.testing.assert_allclose(found, wanted, rtol=0.0, atol=1e-9)


@pytest.mark.parametrize(("order", "band", "corners"), DESIGNS)
def test_steady_state_equals_scipy_and_holds(order: int, band: Band, corners: tuple[float, ...]) -> None:
    sos = butterworth_sos(order, band, corners, RATE)
    state = steady_state(sos)
    np.testing.assert_allclose(state, signal.sosfilt_zi(sos), rtol=1e-9, atol=1e-11)
    held = state * 1000.0
    out = filtered(np.full(50, 1000, np.int32), sos, held)
    np.testing.assert_allclose(out, 1000.0 if band == "lowpass" else 0.0, atol=1e-4)
    np.testing.assert_allclose(held, state * 1000.0, rtol=1e-7, atol=1e-6)


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize(("order", "band", "corners"), DESIGNS[2::3])
def test_equals_reference(name: str, order: int, band: Band, corners: tuple[float, ...]) -> None:
    x = INPUTS[name]
    sos = butterworth_sos(order, band, corners, RATE)
    state = steady_state(sos) * float(x[0])
    wanted, final = reference.sosfilt(x, sos, state.copy())
    scale = float(np.abs(x.astype(float)).max())
    # The same float64 recursion, the sums in another order; then one rounding to float32.
    np.testing.assert_allclose(filtered(x, sos, state), wanted, rtol=1.2e-7, atol=1e-11 * scale)
    np.testing.assert_allclose(state, final, rtol=1e-9, atol=1e-10 * scale)


@reference.examples(80)
@given(
    st.lists(st.integers(0, SIZE), max_size=6),
    st.sampled_from(DESIGNS),
    st.sampled_from(["random", "full int32", "step"]),
)
def test_any_chunking_gives_the_same_bits(
    cuts: list[int], design: tuple[int, Band, tuple[float, ...]], name: str
) -> None:
    x, sos = INPUTS[name], butterworth_sos(*design, RATE)
    whole_state = steady_state(sos) * float(x[0])
    state = whole_state.copy()
    whole = filtered(x, sos, whole_state)
    edges = sorted({0, 1, SIZE - 1, SIZE, *cuts})
    parts = [filtered(x[a:b], sos, state) for a, b in pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(parts).view(np.int32), whole.view(np.int32))
    np.testing.assert_array_equal(state, whole_state)


@reference.examples(60)
@given(
    st.lists(st.integers(0, SIZE), max_size=4),
    st.sampled_from(DESIGNS),
    st.sampled_from([np.int16, np.int32, np.float32]),
    st.integers(1, 5),
)
def test_channels_in_one_call_have_the_bits_of_each_alone(
    cuts: list[int], design: tuple[int, Band, tuple[float, ...]], dtype: type, channels: int
) -> None:
    x: reference.Numbers = (np.random.default_rng(channels).standard_normal((channels, SIZE)) * 1e4).astype(dtype)
    sos = butterworth_sos(*design, RATE)
    together = np.stack([steady_state(sos) * float(row[0]) for row in x])
    alone = together.copy()
    wanted = [filtered(row, sos, state) for row, state in zip(x, alone, strict=True)]
    parts = [filtered(x[:, a:b].copy(), sos, together) for a, b in pairwise(sorted({0, SIZE, *cuts}))]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1).view(np.int32), np.stack(wanted).view(np.int32))
    np.testing.assert_array_equal(together, alone)


def test_no_samples_leave_the_state_alone() -> None:
    sos = butterworth_sos(4, "highpass", (2.0,), RATE)
    state = steady_state(sos)
    assert filtered(np.zeros(0, np.int16), sos, state).size == 0
    np.testing.assert_array_equal(state, steady_state(sos))


def test_one_sample_at_a_time_gives_the_same_bits() -> None:
    x, sos = INPUTS["full int16"], butterworth_sos(4, "bandpass", (1.0, 20.0), RATE)
    state, whole_state = np.zeros((4, 2)), np.zeros((4, 2))
    single = np.concatenate([filtered(x[i : i + 1], sos, state) for i in range(SIZE)])
    np.testing.assert_array_equal(single, filtered(x, sos, whole_state))


@reference.examples(30)
@given(st.floats(0.2, 48.0), st.floats(0.1, 1e4))
def test_sine_leaves_with_the_gain_of_the_response(frequency: float, amplitude: float) -> None:
    sos = butterworth_sos(2, "bandpass", (2.0, 20.0), RATE)
    count = 2000 if reference.COMPILED else 500
    angle = 2.0 * np.pi * frequency / RATE * np.arange(count)
    out = filtered((amplitude * np.sin(angle)).astype(np.float32), sos, np.zeros((2, 2)))
    response = signal.freqz_sos(sos, np.array([frequency]), fs=RATE)[1][0]
    wanted = amplitude * np.abs(response) * np.sin(angle + np.angle(response))
    settled = count // 2  # the transient of a 2 Hz corner is gone by then
    np.testing.assert_allclose(out[settled:], wanted[settled:], atol=2e-6 * amplitude)


@reference.examples(30)
@given(st.floats(-100.0, 100.0))
def test_filter_is_linear(factor: float) -> None:
    sos = butterworth_sos(3, "lowpass", (10.0,), RATE)
    x = INPUTS["random"]
    once = filtered(x, sos, np.zeros((2, 2))).astype(float)
    twice = filtered((x * np.float32(factor)).astype(np.float32), sos, np.zeros((2, 2)))
    np.testing.assert_allclose(twice, once * np.float32(factor), atol=1e-6 * (abs(factor) + 1e-30))


def test_impossible_designs_are_refused() -> None:
    cases: list[tuple[int, Any, tuple[float, ...], float, str]] = [
        (0, "highpass", (1.0,), 100.0, "order: found 0"),
        (4, "bandstop", (1.0, 2.0), 100.0, "band: found 'bandstop'"),
        (4, "highpass", (1.0,), 0.0, "sampling_rate: found 0.0 Hz"),
        (4, "highpass", (50.0,), 100.0, "found 50.0 Hz, wanted above 0 and below the Nyquist 50.0 Hz"),
        (4, "lowpass", (0.0,), 100.0, "found 0.0 Hz, wanted above 0"),
        (4, "lowpass", (float("nan"),), 100.0, "found nan Hz"),
        (4, "bandpass", (1.0,), 100.0, "found 1 for a bandpass, wanted 2"),
        (4, "highpass", (1.0, 2.0), 100.0, "found 2 for a highpass, wanted 1"),
        (4, "bandpass", (20.0, 1.0), 100.0, "wanted the lower one first"),
    ]
    for order, band, corners, rate, message in cases:
        with pytest.raises(ValueError, match=message):
            butterworth_sos(order, band, corners, rate)


def test_contract() -> None:
    sos = butterworth_sos(4, "highpass", (2.0,), RATE)
    state, x, out = np.zeros((2, 2)), np.ones(10, np.float32), np.zeros(10, np.float32)
    locked = state.copy()
    locked.flags.writeable = False
    wrong: list[tuple[Any, Any, Any, Any, str]] = [
        (np.ones(10), sos, state, out, "x: found dtype float64"),
        (np.ones(20, np.float32)[::2], sos, state, out, "x: found strides"),
        (np.ones((1, 10), np.float32), sos, state, out, r"x: found shape \(1, 10\), wanted 1 dimension"),
        (x, sos, np.zeros((1, 2, 2)), out, r"x: found shape \(10,\), wanted 2 dimension"),
        (np.ones((3, 10), np.float32), sos, np.zeros((2, 2, 2)), out, "wanted the 2 channels of the state"),
        (x, sos, [[0.0, 0.0]], out, "state: found list"),
        (np.ones((1, 1, 10), np.float32), sos, state, out, r"x: found shape \(1, 1, 10\), wanted 1 dimension"),
        (np.ones((), np.float32), sos, state, out, r"x: found shape \(\), wanted 1 dimension"),
        (x, sos.astype(np.float32), state, out, "sos: found dtype float32"),
        (x, np.zeros((2, 5)), state, out, r"sos: found shape \(2, 5\)"),
        (x, sos * 2.0, state, out, "with 1 in column 3"),
        (x, sos, np.zeros((3, 2)), out, r"state: found shape \(3, 2\), wanted \(2, 2\)"),
        (x, sos, state.astype(np.float32), out, "state: found dtype float32"),
        (x, sos, locked, out, "state: found a read-only"),
        (x, sos, state, np.zeros(10), "out: found dtype float64"),
        (x, sos, state, np.zeros(9, np.float32), r"out: found shape \(9,\)"),
        (np.ones(8, np.float32), sos, state, state.reshape(-1).view(np.float32), "out: shares memory"),
    ]
    for x_, sos_, state_, out_, message in wrong:
        with pytest.raises(ArrayError, match=message):
            sos_step_into(x_, SosState(sos_, state_), out_)
    x.flags.writeable = False
    sos.flags.writeable = False
    sos_step_into(x, SosState(sos, state.copy()), out)
    same = x.copy()
    sos_step_into(same, SosState(sos, state.copy()), same)
    np.testing.assert_array_equal(same, out)
