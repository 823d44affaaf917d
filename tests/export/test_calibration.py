"""Ranges: against slow references and known distributions, the same however the windows come."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import small_networks
from hypothesis import given
from hypothesis import strategies as st

from seisedge.export.calibration import (
    BINS,
    METHODS,
    Calibration,
    CalibrationError,
    Histogram,
    Range,
    calibrate,
    find_range,
)

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

TENSORS = ["waveform", "r1", "p1", "c4", "r5"]


def _values(kind: str, count: int = 200_000) -> Float32:
    rng = np.random.default_rng(3)
    drawn = {
        "uniform": rng.uniform(-1, 1, count),
        "normal": rng.standard_normal(count),
        "heavy": rng.standard_t(2, count),
        "relu": np.maximum(rng.standard_normal(count), 0),
        "gelu": np.where(rng.random(count) < 0.5, rng.uniform(-0.17, 0, count), rng.gamma(1, 1, count)),
    }
    return drawn[kind].astype(np.float32)


def _histogram(values: Float32) -> Histogram:
    histogram = Histogram()
    histogram.add(values)
    return histogram


def _naive_magnitudes(values: Float32) -> tuple[Float64, float]:
    """Counts of magnitudes, and the width of their bins: the smallest power of two that does with 2048."""
    width = 2.0**-60
    while np.abs(values).max() >= BINS * width:
        width *= 2
    counts = np.zeros(BINS)
    for place in np.abs(values.astype(np.float64)) // width:
        counts[int(place)] += 1
    last = max(place for place in range(BINS) if counts[place])
    return counts[: last + 1], width


def _naive_entropy(counts: Float64, levels: int) -> int:
    """NVIDIA's 8-bit inference with TensorRT (GTC 2017), word by word; zeros count as their neighbours do."""
    counts = counts.copy()
    counts[0] = min(counts[0], counts[1])
    best, kept = np.inf, len(counts)
    for size in range(len(counts), levels - 1, -1):
        wanted = counts[:size].copy()
        wanted[-1] += counts[size:].sum()
        q = np.zeros(size)
        for level in range(levels):
            members = range(level * size // levels, (level + 1) * size // levels)
            filled = [each for each in members if counts[each] > 0]
            for each in filled:
                q[each] = sum(counts[other] for other in members) / len(filled)
        if q.sum() == 0:
            continue
        p, q = wanted / wanted.sum(), np.maximum(q / q.sum(), 1e-4 / size)
        divergence = sum(a * np.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)
        if divergence < best:
            best, kept = divergence, size
    return kept


def _naive_square(counts: Float64, levels: int) -> int:
    counts = counts.copy()
    counts[0] = min(counts[0], counts[1])
    errors: list[float] = []
    for size in range(1, len(counts) + 1):
        inside = counts[:size].sum() * (size / levels) ** 2 / 12
        errors.append(inside + sum(counts[each] * (each + 0.5 - size) ** 2 for each in range(size, len(counts))))
    return int(np.argmin(errors)) + 1


@pytest.mark.parametrize("kind", ["uniform", "normal", "heavy", "relu", "gelu"])
def test_counts_are_those_of_a_slow_reference(kind: str) -> None:
    values = _values(kind, 5000)
    wanted, width = _naive_magnitudes(values)
    histogram = _histogram(values)
    np.testing.assert_array_equal(histogram.magnitudes(), wanted)
    assert histogram.width == width
    assert (histogram.low, histogram.high) == (min(0, values.min()), max(0, values.max()))


@pytest.mark.parametrize("kind", ["normal", "heavy", "relu"])
def test_mse_is_that_of_a_slow_reference(kind: str) -> None:
    values = _values(kind, 5000)
    counts, width = _naive_magnitudes(values)
    kept = _naive_square(counts, 255 if kind == "relu" else 127)
    assert find_range(_histogram(values), "mse", symmetric=False).high == min(values.max(), kept * width)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("is_one_sided", [True, False])
def test_entropy_is_that_of_a_slow_reference(seed: int, is_one_sided: bool) -> None:  # noqa: FBT001  (parametrised)
    """On histograms of few bins, with holes and with tails: the reference is slow."""
    rng = np.random.default_rng(seed)
    bins = int(rng.integers(260, 360))
    counts = rng.poisson(200 * np.exp(-np.arange(bins) / rng.uniform(15, 120)))
    counts[0], counts[-1] = 100_000, 1
    histogram = Histogram()
    histogram.exponent = 0
    histogram.counts[BINS - 1 : BINS - 1 + bins] = counts
    histogram.high, histogram.low = float(bins), 0.0 if is_one_sided else -float(bins)
    kept = _naive_entropy(counts.astype(np.float64), 256 if is_one_sided else 128)
    assert find_range(histogram, "entropy", symmetric=False).high == kept


def test_a_normal_distribution_is_clipped_where_theory_says() -> None:
    """Banner et al. 2019, Post training 4-bit quantization (ACIQ): 3.92 standard deviations at 8 bits."""
    found = find_range(_histogram(_values("normal", 2_000_000)), "mse", symmetric=True)
    assert found.high == pytest.approx(3.92, rel=0.04)


def test_entropy_differs_from_minmax_on_a_heavy_tail() -> None:
    """ONNX Runtime's entropy through `quantize_static` gives the minimum and maximum, whatever the values."""
    histogram = _histogram(_values("heavy"))
    bounds = {method: find_range(histogram, method, symmetric=False).high for method in METHODS}
    assert bounds["minmax"] == histogram.high
    assert bounds["entropy"] < 0.2 * bounds["minmax"]
    assert bounds["mse"] < 0.9 * bounds["minmax"]
    assert bounds["percentile"] < 0.9 * bounds["minmax"]


def test_nothing_is_cut_off_a_uniform_distribution() -> None:
    histogram = _histogram(_values("uniform"))
    for method in METHODS:
        assert find_range(histogram, method, symmetric=True).high > 0.98, method


def test_a_percentile_keeps_that_share() -> None:
    values = _values("heavy")
    found = find_range(_histogram(values), "percentile", symmetric=False, percentile=99)
    outside = np.mean((values < found.low) | (values > found.high))
    assert 0.005 < outside <= 0.01  # bins are rounded outwards
    assert found.low == -found.high


@pytest.mark.parametrize("method", METHODS)
def test_ranges_keep_to_the_side_where_the_values_are(method: str) -> None:
    found = find_range(_histogram(_values("gelu")), method, symmetric=False)  # type: ignore[arg-type]  # of METHODS
    assert -0.18 < found.low < -0.16
    assert found.high > 1


@pytest.mark.parametrize("method", METHODS)
def test_silence_has_an_empty_range(method: str) -> None:
    found = find_range(_histogram(np.zeros(10, np.float32)), method, symmetric=False)  # type: ignore[arg-type]  # same
    assert found == Range(0, 0)
    assert find_range(Histogram(), "minmax", symmetric=True) == Range(0, 0)


@given(st.lists(st.integers(0, 4000), max_size=6), st.integers(0, 2**32 - 1))
def test_counts_do_not_depend_on_order_and_cuts(cuts: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = (rng.standard_normal(4000) * 2.0 ** rng.integers(-20, 12, 4000)).astype(np.float32)
    whole, parts = _histogram(values), Histogram()
    for part in np.split(rng.permutation(values), sorted(cuts)):
        parts.add(part)
    assert parts.exponent == whole.exponent
    np.testing.assert_array_equal(parts.counts, whole.counts)
    assert (parts.low, parts.high) == (whole.low, whole.high)


def _cut(windows: Float32, sizes: list[int]) -> Iterator[Float32]:
    yield from np.split(windows, np.cumsum(sizes))


def _same(first: Calibration, second: Calibration) -> None:
    assert (first.digest, first.windows) == (second.digest, second.windows)
    for name, histogram in first.histograms.items():
        np.testing.assert_array_equal(histogram.counts, second.histograms[name].counts, err_msg=name)
        assert histogram.exponent == second.histograms[name].exponent


@pytest.mark.parametrize("sizes", [[1], [1, 1, 1, 30], [0, 40, 0], [*range(1, 9)]])
def test_ranges_do_not_depend_on_how_the_windows_are_batched(sizes: list[int]) -> None:
    model, windows = small_networks.small_model(), small_networks.small_windows(41)
    whole = calibrate(model, TENSORS, [windows])
    _same(whole, calibrate(model, TENSORS, _cut(windows, sizes)))
    for method in METHODS:
        assert whole.ranges(method, symmetric=False).keys() == set(TENSORS)


def test_what_is_counted_is_what_the_graph_computes() -> None:
    model, windows = small_networks.small_model(), small_networks.small_windows(9)
    found = calibrate(model, TENSORS, [windows]).histograms
    pooled = np.maximum(found["r1"].high, 0)
    assert found["r1"].low == 0
    assert found["p1"].high == pooled  # the largest survives pooling
    assert found["waveform"].counts.sum() == windows.size
    assert found["r1"].counts.sum() == 9 * 8 * 64
    assert (found["waveform"].low, found["waveform"].high) == (windows.min(), windows.max())


def test_the_digest_is_that_of_the_windows() -> None:
    model, windows = small_networks.small_model(), small_networks.small_windows(5)
    digest = calibrate(model, ["r1"], [windows]).digest
    changed = windows.copy()
    changed[3, 1, 7] = np.nextafter(changed[3, 1, 7], np.float32(9))
    assert calibrate(model, ["c4"], [windows]).digest == digest
    assert calibrate(model, ["r1"], [changed]).digest != digest
    assert calibrate(model, ["r1"], [windows[:4]]).digest != digest
    assert len(digest) == 64


def test_memory_does_not_grow_with_the_windows() -> None:
    model = small_networks.small_model()

    def endless(count: int) -> Iterator[Float32]:
        for seed in range(count):
            yield small_networks.small_windows(100, seed)

    peaks: list[int] = []
    for count in (2, 40):
        tracemalloc.start()
        calibrate(model, TENSORS, endless(count))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_windows_that_are_none_are_refused() -> None:
    model = small_networks.small_model()
    with pytest.raises(CalibrationError, match="found no window"):
        calibrate(model, ["r1"], [])
    with pytest.raises(CalibrationError, match=r"found windows of float32 \(3, 63\), wanted float32 \(3, 64\)"):
        calibrate(model, ["r1"], [np.zeros((2, 3, 63), np.float32)])
    doubles: Any = np.zeros((2, 3, 64))
    with pytest.raises(CalibrationError, match="found windows of float64"):
        calibrate(model, ["r1"], [doubles])


def test_a_value_that_is_no_number_is_named_with_its_tensor() -> None:
    windows = small_networks.small_windows(3)
    windows[1, 2, 5] = np.nan
    with pytest.raises(CalibrationError, match="tensor waveform: found a value of nan, wanted finite ones"):
        calibrate(small_networks.small_model(), TENSORS, [windows])
    with pytest.raises(CalibrationError, match="found a value of inf"):
        _histogram(np.array([1, np.inf], np.float32))
