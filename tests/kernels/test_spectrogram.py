"""Levels of frames, peaks of windows, and windows put together."""

# The compiled functions themselves are under test.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from numpy.polynomial import Chebyshev, Polynomial

from seisedge.kernels import (
    SILENCE_DB,
    ArrayError,
    Float32,
    SpectrogramScratch,
    WindowGeometry,
    _fourier,
    _levels,
    assemble_windows_into,
    frame_levels_into,
    frame_scratch,
    frame_transform,
    spectrogram_scratch,
    spectrogram_windows_into,
    window_peaks_into,
)

SIZES = [16, 64, 256, 1024] if reference.COMPILED else [16, 32]
REAL = (
    {"stride": 10, "width": 400, "hop": 16, "frame": 64}
    if reference.COMPILED
    else {"stride": 10, "width": 64, "hop": 16, "frame": 16}
)
TRANSFORM = frame_transform(REAL["frame"])


def noise(channels: int, npts: int, seed: int = 21) -> Float32:
    return np.random.default_rng(seed).standard_normal((channels, npts)).astype(np.float32)


def levels(x: Float32, first: int, step: int, n: int, count: int) -> Float32:
    out = np.full((count, n // 2 + 1, x.shape[0]), np.nan, np.float32)
    frame_levels_into(x, first, step, frame_transform(n), out)
    return out


def windows(x: Float32, first: int, count: int, **other: Any) -> Float32:
    frames = (REAL["width"] - REAL["frame"]) // REAL["hop"] + 1
    out = np.full((count, frames, TRANSFORM.frequencies, x.shape[0]), np.nan, np.float32)
    spectrogram_windows_into(x, scratch_of(x, **other), out, first=first)
    return out


def scratch_of(x: Float32, **other: Any) -> SpectrogramScratch:
    options: dict[str, Any] = {"stride": REAL["stride"], "floor_db": -50.0, "divisor": 50.0} | other
    return spectrogram_scratch(len(x), width=REAL["width"], hop=REAL["hop"], transform=TRANSFORM, **options)


def signals(npts: int) -> dict[str, Float32]:
    sine = np.sin(2 * np.pi * 0.11 * np.arange(npts))
    return {
        "random": noise(3, npts),
        "constant": np.full((1, npts), 1000, np.float32),
        "step": np.repeat([[0.0, 5.0]], (npts + 1) // 2, axis=1)[:, :npts].astype(np.float32),
        "impulse": np.eye(2, npts, npts // 3, dtype=np.float32),
        "full scale": np.where(noise(2, npts) > 0, np.float32(2.0**31), np.float32(-(2.0**31))),
        "unequal": np.stack((1e6 * sine, 1e-3 * sine[::-1])).astype(np.float32),
    }


def test_polynomial_is_the_one_described() -> None:
    low, high = np.sqrt(0.5) - 1.0, np.sqrt(2.0) - 1.0
    fit = Chebyshev.interpolate(lambda t: np.log1p(t) / (t * np.log(2.0)), 7, domain=[low, high])
    wanted = [float(value) for value in fit.convert(kind=Polynomial).coef]
    found = [float(getattr(_levels, f"_L{i}")) for i in range(8)]
    assert found == pytest.approx(wanted, rel=1e-6)


def test_logarithm_keeps_its_bound() -> None:
    dense = np.geomspace(2.0**-126, 3e38, 200_000 if reference.COMPILED else 2000)
    near_one = 1.0 + np.linspace(-0.3, 0.5, 100_000 if reference.COMPILED else 1000)
    power = np.concatenate((dense, near_one)).astype(np.float32)
    power = power[(power != 1.0) & (power >= np.float32(2.0**-126))]
    found = power.copy()
    _levels.levels_in_place(found, np.float32(_levels.DECIBELS_PER_OCTAVE))
    wanted = 10.0 * np.log10(power.astype(np.float64))
    assert np.abs(found / wanted - 1.0).max() <= 1e-6
    rest = np.array([0.0, 1e-40, 1.0, np.nan, np.inf], np.float32)
    _levels.levels_in_place(rest, np.float32(10.0))
    assert rest[:3].tolist() == [SILENCE_DB, SILENCE_DB, 0.0]
    assert np.isnan(rest[3])
    assert rest[4] == 1280.0


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("name", list(signals(8)))
def test_levels_equal_reference(n: int, name: str) -> None:
    count, first, step = (70 if n <= 64 and reference.COMPILED else 5), 3, max(1, n // 5)
    x = signals(first + (count - 1) * step + n)[name]
    amplitude = 10.0 ** (levels(x, first, step, n, count).astype(np.float64) / 10.0)
    wanted = reference.amplitudes(x, first, step, n, count)
    # Each of log2(n) stages of float32 rounds to 6e-8 of the largest value a bin can have, the frame's sum.
    bound = np.stack([np.abs(x[:, first + m * step :][:, :n]).sum(axis=1) for m in range(count)])[:, np.newaxis]
    assert (np.abs(amplitude - wanted) <= 2e-7 * np.log2(n) * bound + 1e-6 * wanted + 1e-19).all()


def test_sine_stands_in_its_bin_at_its_level() -> None:
    # A sine of amplitude 1 in the middle of bin f has |DFT| = n / 4 under a Hann window.
    n, f = 16, 3
    x = np.sin(2 * np.pi * f / n * np.arange(200))[np.newaxis].astype(np.float32)
    found = levels(x, 0, 5, n, 20)
    assert (found[:, :, 0].argmax(axis=1) == f).all()
    np.testing.assert_allclose(found[:, f, 0], 10.0 * np.log10(n / 4), atol=1e-4)


@reference.examples(40)
@given(st.integers(0, 30), st.integers(1, 40), st.integers(1, 150 if reference.COMPILED else 5), st.data())
def test_bits_of_a_frame_depend_on_its_samples_only(first: int, step: int, count: int, data: st.DataObject) -> None:
    n = 16
    x = noise(2, first + (count - 1) * step + n)
    together = levels(x, first, step, n, count)
    m = data.draw(st.integers(0, count - 1))
    start = first + m * step
    alone = levels(np.ascontiguousarray(x[1:, start : start + n]), 0, n + 7, n, 1)
    np.testing.assert_array_equal(alone[0, :, 0].view(np.int32), together[m, :, 1].view(np.int32))


@pytest.mark.parametrize("lanes", [1, 3, 16])
def test_size_of_a_block_does_not_matter(monkeypatch: pytest.MonkeyPatch, lanes: int) -> None:
    x = noise(2, 200)
    whole = levels(x, 2, 13, 16, 14)
    monkeypatch.setattr(_fourier, "LANES", lanes)
    np.testing.assert_array_equal(levels(x, 2, 13, 16, 14).view(np.int32), whole.view(np.int32))


def test_silence_nan_and_infinity_stay_in_their_frame() -> None:
    n = 16
    x = np.zeros((2, 5 * n), np.float32)
    x[0, n + 3] = np.nan
    x[1, 3 * n + 5] = 1e30
    with np.errstate(all="ignore"):
        found = levels(x, 0, n, n, 5)
    assert np.isnan(found[1, :, 0]).all()
    assert (found[3, :, 1] > 150.0).all()
    quiet = np.ones((5, 2), dtype=bool)
    quiet[1, 0] = quiet[3, 1] = False
    assert (found.transpose(0, 2, 1)[quiet] == SILENCE_DB).all()


@reference.examples(40)
@given(st.integers(0, 9), st.integers(1, 20), st.integers(1, 50), st.integers(0, 30))
def test_peaks_equal_reference(first: int, stride: int, width: int, count: int) -> None:
    x = noise(3, first + max(count - 1, 0) * stride + width)
    out = np.zeros(count, np.float32)
    window_peaks_into(x, first, stride, width, out)
    wanted = [np.abs(x[:, first + k * stride : first + k * stride + width]).max() for k in range(count)]
    np.testing.assert_array_equal(out, np.array(wanted, np.float32))


def test_peak_of_nan_and_extremes() -> None:
    x = np.array([[0.0, -0.0, -3e38, 1.0, np.nan, 2.0, np.inf, -1e-45]], np.float32)
    out = np.zeros(4, np.float32)
    window_peaks_into(x, 0, 2, 2, out)
    np.testing.assert_array_equal(out, np.array([0.0, 3e38, np.nan, np.inf], np.float32))


@pytest.mark.parametrize("name", list(signals(8)))
def test_windows_equal_reference(name: str) -> None:
    count = 140 if reference.COMPILED else 6
    x = signals(5 + (count - 1) * REAL["stride"] + REAL["width"])[name]
    found = windows(x, 5, count)
    for k in range(0, count, 7):
        start = 5 + k * REAL["stride"]
        window = x[:, start : start + REAL["width"]]
        wanted = reference.spectrogram_window(window, REAL["frame"], REAL["hop"], -50.0)
        # In amplitude: 2e-6 of a bin's largest possible value, n / 2, and the logarithm's 1e-6 of 100 dB.
        amplitude, right = 10.0 ** (found[k].astype(np.float64) * 5.0), 10.0 ** (wanted / 10.0)
        assert np.abs(amplitude - right).max() <= 2e-6 * REAL["frame"] / 2
        assert (np.abs(amplitude / right - 1.0)[wanted > -20.0] <= 5e-3).all()


@reference.examples(25)
@given(
    st.integers(1, 300 if reference.COMPILED else 4),
    st.sampled_from([1, 7, 10, 16, 25, 64, 400]),
    st.integers(0, 12),
    st.data(),
)
def test_one_window_at_a_time_gives_the_same_bits(count: int, stride: int, first: int, data: st.DataObject) -> None:
    x = noise(3, first + (count - 1) * stride + REAL["width"])
    together = windows(x, first, count, stride=stride)
    some = {0, count - 1, *data.draw(st.lists(st.integers(0, count - 1), max_size=5))}
    for k in some:
        alone = windows(x, first + k * stride, 1, stride=stride)
        np.testing.assert_array_equal(alone[0].view(np.int32), together[k].view(np.int32))
    split = data.draw(st.integers(0, count))
    parts = [
        windows(x, first, split, stride=stride),
        windows(x, first + split * stride, count - split, stride=stride),
    ]
    np.testing.assert_array_equal(np.concatenate(parts).view(np.int32), together.view(np.int32))


@reference.examples(20)
@given(st.floats(1e-6, 1e6))
def test_size_of_the_waveform_does_not_matter(factor: float) -> None:
    x = noise(2, REAL["width"])
    scaled = (x * np.float32(factor)).astype(np.float32)
    a, b = (10.0 ** (5.0 * windows(w, 0, 1).astype(float)) for w in (x, scaled))
    np.testing.assert_allclose(a, b, atol=2e-6 * REAL["frame"])
    power_of_two = (x * np.float32(1024.0)).astype(np.float32)
    np.testing.assert_allclose(windows(power_of_two, 0, 1), windows(x, 0, 1), atol=3e-6)


def test_dead_and_broken_windows() -> None:
    width, stride = REAL["width"], REAL["stride"]
    x = np.zeros((2, 3 * width), np.float32)
    x[1, width:] = noise(1, 2 * width)[0]
    x[0, 2 * width + 5] = np.nan
    found = windows(x, 0, 2 * width // stride + 1)
    assert (found[0] == -1.0).all()
    live = width // stride
    assert (found[live, :, :, 0] == -1.0).all()  # a dead channel is the floor, exactly
    assert np.isfinite(found[live]).all()
    assert np.isnan(found[-1]).all()


def test_scratch_that_was_used_gives_the_same_bits() -> None:
    x = noise(3, 200 + REAL["width"])
    scratch = scratch_of(x)
    broken = np.full_like(x, np.nan)
    for count in (20, 1, 5):
        wanted = windows(x, 0, count)
        out = np.empty_like(wanted)
        spectrogram_windows_into(broken, scratch, out)
        spectrogram_windows_into(x, scratch, out)
        np.testing.assert_array_equal(out, wanted)


@reference.examples(20)
@given(st.integers(1, 6), st.integers(1, 40))
def test_channels_of_one_window_do_not_touch_each_other(channels: int, hop: int) -> None:
    x = noise(channels, REAL["width"])
    x[:, 0] = 9.0  # the same peak in each
    options: dict[str, Any] = {"stride": 1, "width": REAL["width"], "hop": hop, "floor_db": -50.0, "divisor": 50.0}
    frames = (REAL["width"] - REAL["frame"]) // hop + 1
    whole = np.empty((1, frames, TRANSFORM.frequencies, channels), np.float32)
    spectrogram_windows_into(x, spectrogram_scratch(channels, transform=TRANSFORM, **options), whole)
    single = spectrogram_scratch(1, transform=TRANSFORM, **options)
    for c in range(channels):
        alone = np.empty((1, frames, TRANSFORM.frequencies, 1), np.float32)
        spectrogram_windows_into(x[c : c + 1], single, alone)
        np.testing.assert_array_equal(alone[..., 0], whole[..., c])


def test_transform_contract() -> None:
    for bad in (0, 8, 63, 2048):
        with pytest.raises(ArrayError, match=f"frame_samples: found {bad}, wanted a power of two, 16 to 1024"):
            frame_transform(bad)
    x, out = np.zeros((2, 100), np.float32), np.zeros((5, 9, 2), np.float32)
    t = frame_transform(16)
    wrong: list[tuple[Any, int, int, Any, Any, str]] = [
        (x.astype(np.float64), 0, 4, out, None, "x: found dtype float64"),
        (np.zeros((2, 200), np.float32)[:, ::2], 0, 4, out, None, "x: found strides"),
        (x.astype(np.int16), 0, 4, out, None, "x: found dtype int16"),
        (x, 0, 4, out.astype(np.float64), None, "out: found dtype float64"),
        (x, 0, 4, np.zeros((5, 8, 2), np.float32), None, "out: found shape"),
        (x, 0, 0, out, None, "step: found 0"),
        (x, -1, 4, out, None, "x: found 100 samples, wanted samples -1 to 30"),
        (x, 85, 4, out, None, "x: found 100 samples, wanted samples 85 to 116"),
        (x, 0, 4, out, frame_scratch(t, 5), "scratch: found shape"),
        (x, 0, 4, x.reshape(-1)[:90].reshape(5, 9, 2), None, "out: shares memory"),
    ]
    for x_, first, step, out_, scratch, message in wrong:
        with pytest.raises(ArrayError, match=message):
            frame_levels_into(x_, first, step, t, out_, scratch)
    x.flags.writeable = False
    frame_levels_into(x, 0, 4, t, out)
    frame_levels_into(x, 0, 4, t, out[:0])


def test_window_contract() -> None:
    x, peaks = np.zeros((2, 100), np.float32), np.ones(3, np.float32)
    with pytest.raises(ArrayError, match="x: found 100 samples, wanted samples 10 to 100"):
        window_peaks_into(x, 10, 20, 51, peaks)
    with pytest.raises(ArrayError, match="stride: found 0"):
        window_peaks_into(x, 0, 0, 20, peaks)
    with pytest.raises(ArrayError, match="width: found 0"):
        window_peaks_into(x, 0, 1, 0, peaks)
    with pytest.raises(ArrayError, match="out: found dtype float64"):
        window_peaks_into(x, 0, 1, 5, reference.untyped(peaks.astype(np.float64)))
    table, out = np.zeros((10, 9, 2), np.float32), np.zeros((3, 2, 9, 2), np.float32)
    wrong: list[tuple[Any, Any, WindowGeometry, float, float, str]] = [
        (table, out, WindowGeometry(4, 3, 2), -50.0, 50.0, "wanted a step that divides stride and hop"),
        (table, out, WindowGeometry(4, 2, 0), -50.0, 50.0, "geometry.step: found 0"),
        (table, out, WindowGeometry(0, 2, 2), -50.0, 50.0, "geometry.stride and hop: found 0"),
        (table, out, WindowGeometry(8, 4, 2), -50.0, 50.0, "levels: found 10 positions, wanted at least 11"),
        (table, out, WindowGeometry(2, 2, 2), np.nan, 50.0, "floor_db: found nan"),
        (table, out, WindowGeometry(2, 2, 2), -50.0, 0.0, "divisor: found 0"),
        (table, out[:2], WindowGeometry(2, 2, 2), -50.0, 50.0, "out: found shape"),
        (table[:, :, 0], out, WindowGeometry(2, 2, 2), -50.0, 50.0, "levels: found"),
    ]
    for table_, out_, geometry, floor, divisor, message in wrong:
        with pytest.raises(ArrayError, match=message):
            assemble_windows_into(table_, peaks, geometry, floor, divisor, out_)
    assemble_windows_into(table, peaks, WindowGeometry(2, 2, 2), -50.0, 50.0, out)
    assert (out == 0.0).all()
    with pytest.raises(ArrayError, match="width: found 40, wanted a finite number of at least 64"):
        spectrogram_scratch(3, stride=10, width=40, hop=16, transform=frame_transform(64), floor_db=-50.0, divisor=50.0)
    with pytest.raises(ArrayError, match="divisor: found 0"):
        scratch_of(x, divisor=0.0)
    with pytest.raises(ArrayError, match="floor_db: found nan"):
        scratch_of(x, floor_db=np.nan)
    with pytest.raises(ArrayError, match="x: found 2 channels, wanted 3"):
        spectrogram_windows_into(x, scratch_of(noise(3, 9)), np.zeros((1, 22, 33, 3), np.float32))
    with pytest.raises(ArrayError, match="x: found 100 samples"):
        windows(x, 50, 3)
