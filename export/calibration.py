"""Ranges of activations, measured on real windows: what static quantisation maps to eight bits.

The calibrator is our own because ONNX Runtime's does not do what it says: through `quantize_static` its entropy
method has as many bins as levels, so that it always gives the minimum and maximum (measured; no option changes
it), and its histograms depend on how the windows were batched. Here a tensor's histogram has bins whose width is
a power of two, and widths double as larger values appear: the counts are the same, one by one, whatever the order
and the batches. Memory is bounded by one histogram per tensor and a few windows' activations.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

from .errors import ExportError
from .onnx_graph import copy_model

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Method = Literal["minmax", "percentile", "entropy", "mse"]

METHODS: tuple[Method, ...] = ("minmax", "percentile", "entropy", "mse")
PERCENTILE = 99.99
BINS = 2048
_BIN_BITS = 11  # 2 ** 11 = BINS
_SMALLEST = -110  # of the exponents: what is below 2 ** -110 is zero
_SLICE = 1 << 18  # values binned at a time
_CHUNK_BYTES = 64 << 20  # activations held at a time; two windows' where two are more
_LARGEST_CHUNK = 64
_SMOOTHING = 1e-4  # probability of a bin that the quantised distribution leaves empty


class CalibrationError(ExportError, ValueError):
    """Windows or activations that no range can be taken from."""


@dataclass(frozen=True)
class Range:
    """What is mapped to eight bits; zero is always inside."""

    low: float
    high: float

    def union(self, other: Range) -> Range:
        """The smallest range around both."""
        return Range(min(self.low, other.low), max(self.high, other.high))


class Histogram:
    """Counts of a tensor's values in bins of one width, 2 ** exponent.

    `counts[BINS - 1]` belongs to values nearer to zero than one width, of either sign; the bins of the positive
    ones follow, those of the negative ones stand before. The exponent is the smallest that fits the values seen.
    """

    def __init__(self) -> None:
        self.exponent = _SMALLEST
        self.counts: Int64 = np.zeros(2 * BINS - 1, np.int64)
        self.low = 0.0
        self.high = 0.0

    def add(self, values: Float32) -> None:
        """Count more values.

        Raises
        ------
        CalibrationError
            One of them is no number, or infinite.
        """
        flat = values.reshape(-1)
        if not flat.size:
            return
        low, high = float(flat.min()), float(flat.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise CalibrationError(f"found a value of {low if not np.isfinite(low) else high}, wanted finite ones")
        self.low, self.high = min(self.low, low), max(self.high, high)
        self._widen(max(-low, high))
        scale = np.float32(2.0**-self.exponent)  # exact, and so is the product
        for at in range(0, flat.size, _SLICE):
            bins = (flat[at : at + _SLICE] * scale).astype(np.int32)  # towards zero
            bins += BINS - 1
            self.counts += np.bincount(bins, minlength=2 * BINS - 1)

    def _widen(self, magnitude: float) -> None:
        """Double the bins' width until the magnitude fits."""
        needed = int(np.frexp(magnitude)[1]) - _BIN_BITS if magnitude > 0 else _SMALLEST
        if needed <= self.exponent:
            return
        places = np.arange(1 - BINS, BINS)
        merged = np.sign(places) * (np.abs(places) >> min(needed - self.exponent, _BIN_BITS))
        counts = np.zeros_like(self.counts)
        np.add.at(counts, merged + BINS - 1, self.counts)
        self.exponent, self.counts = needed, counts

    @property
    def width(self) -> float:
        """Width of a bin."""
        return 2.0**self.exponent

    def magnitudes(self) -> Int64:
        """Counts by magnitude, both signs together, up to the last bin that is not empty."""
        folded = self.counts[BINS - 1 :].copy()
        folded[1:] += self.counts[BINS - 2 :: -1]
        used = np.flatnonzero(folded)
        return folded[: int(used[-1]) + 1] if used.size else folded[:1]


def find_range(histogram: Histogram, method: Method, *, symmetric: bool, percentile: float = PERCENTILE) -> Range:
    """The range that a method keeps of a tensor's values.

    Parameters
    ----------
    method
        `minmax`: all; `percentile`: that share of the magnitudes; `entropy`: the least Kullback-Leibler divergence
        between the values and the quantised ones; `mse`: the least expected square of the quantisation's error.
    symmetric
        Levels reach as far below zero as above, whatever the values: what TensorRT takes.
    """
    counts = histogram.magnitudes()
    one_sided = not symmetric and (histogram.low == 0 or histogram.high == 0)
    if method == "minmax":
        kept = counts.size
    elif method == "percentile":
        kept = int(np.searchsorted(np.cumsum(counts), counts.sum() * percentile / 100)) + 1
    elif method == "entropy":
        kept = _least_divergence(_without_zeros(counts), 256 if one_sided else 128)
    else:
        kept = _least_square(_without_zeros(counts), 255 if one_sided else 127)
    if kept >= counts.size:
        return Range(histogram.low, histogram.high)
    bound = kept * histogram.width
    return Range(max(histogram.low, -bound), min(histogram.high, bound))


def _without_zeros(counts: Int64) -> Float64:
    """Zero is a level of its own whatever the range: a spike there, as after a ReLU, must not decide on it."""
    smooth = counts.astype(np.float64)
    if smooth.size > 1:
        smooth[0] = min(smooth[0], smooth[1])
    return smooth


def _least_divergence(counts: Float64, levels: int) -> int:
    """How many bins to keep: as in NVIDIA's 8-bit inference with TensorRT (GTC 2017), with every size tried."""
    if counts.size <= levels:
        return counts.size
    sizes = range(levels, counts.size + 1)
    return min(sizes, key=lambda size: (_divergence(counts, size, levels), -size))


def _divergence(counts: Float64, size: int, levels: int) -> float:
    """Divergence of the first bins, what is beyond them clipped into the last, from their form in few levels."""
    wanted = counts[:size].copy()
    filled = wanted > 0
    starts = np.arange(levels) * size // levels
    sums = np.add.reduceat(counts[:size], starts)
    shares = np.maximum(np.add.reduceat(filled, starts, dtype=np.int64), 1)
    spread = np.repeat(sums / shares, np.diff(np.append(starts, size))) * filled
    wanted[-1] += counts[size:].sum()
    total = spread.sum()
    if total == 0:
        return np.inf
    p = wanted / wanted.sum()
    q = np.maximum(spread / total, _SMOOTHING / size)
    some = p > 0
    return float((p[some] * np.log(p[some] / q[some])).sum())


def _least_square(counts: Float64, levels: int) -> int:
    """How many bins to keep: step² / 12 for what is inside, the distance to the bound squared for what is not."""
    places = np.arange(counts.size) + 0.5
    bounds = np.arange(1, counts.size + 1, dtype=np.float64)
    inside = np.cumsum(counts)
    beyond = [np.append(np.cumsum((counts * places**power)[::-1])[::-1][1:], 0) for power in (0, 1, 2)]
    clipped = beyond[2] - 2 * bounds * beyond[1] + bounds**2 * beyond[0]
    return int(np.argmin(inside * (bounds / levels) ** 2 / 12 + clipped)) + 1


@dataclass(frozen=True)
class Calibration:
    """What was measured: one histogram per tensor, how many windows, and their SHA-256."""

    histograms: dict[str, Histogram]
    windows: int
    digest: str

    def ranges(self, method: Method, *, symmetric: bool) -> dict[str, Range]:
        """The range of every tensor by one method."""
        return {name: find_range(each, method, symmetric=symmetric) for name, each in self.histograms.items()}


def calibrate(model: onnx.ModelProto, tensors: Sequence[str], batches: Iterable[Float32]) -> Calibration:
    """Run windows through an fp32 graph and count the values of some of its tensors.

    Parameters
    ----------
    tensors
        Float tensors of the graph, its input included.
    batches
        float32 (count, *shape), of any counts.

    Raises
    ------
    CalibrationError
        There is no window, one has another shape or type, or a tensor takes values that are not finite.
    """
    name = model.graph.input[0].name
    computed = [each for each in tensors if each != name]
    session = _session(model, computed)
    histograms = {each: Histogram() for each in tensors}
    shape = tuple(each.dim_value for each in model.graph.input[0].type.tensor_type.shape.dim)[1:]
    digest = hashlib.sha256(repr(shape).encode())
    is_alone = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1
    count, size = 0, 1 if is_alone else 2
    source = _Windows(batches, shape)
    while (chunk := source.take(size)).shape[0]:
        rows = chunk.shape[0]
        digest.update(chunk.tobytes())
        # One row alone may take another matrix kernel than many: run it twice, count it once.
        fed = chunk if rows > 1 or is_alone else np.concatenate((chunk, chunk))
        values = dict(zip(computed, session.run(computed or None, {name: fed}), strict=False))
        for each, histogram in histograms.items():
            _count(each, histogram, chunk if each == name else np.asarray(values[each]), rows, fed.shape[0])
        size = 1 if is_alone else _chunk_size(sum(np.asarray(each).nbytes for each in values.values()) // fed.shape[0])
        count += rows
    if count == 0:
        raise CalibrationError("calibration: found no window, wanted at least one")
    return Calibration(histograms, count, digest.hexdigest())


def _count(name: str, histogram: Histogram, values: Float32, rows: int, fed: int) -> None:
    try:
        histogram.add(values[:rows] if values.ndim and values.shape[0] == fed else values)
    except CalibrationError as error:
        raise CalibrationError(f"calibration: tensor {name}: {error}") from error


def _chunk_size(bytes_per_window: int) -> int:
    return int(np.clip(_CHUNK_BYTES // max(1, bytes_per_window), 2, _LARGEST_CHUNK))


def _session(model: onnx.ModelProto, tensors: list[str]) -> ort.InferenceSession:
    """A session that gives inner tensors beside the graph's outputs."""
    exposed = copy_model(model)
    there = {each.name for each in exposed.graph.output}
    exposed.graph.output.extend(
        helper.make_tensor_value_info(each, TensorProto.FLOAT, None) for each in tensors if each not in there
    )
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(exposed.SerializeToString(), options, providers=["CPUExecutionProvider"])


class _Windows:
    """Windows taken in numbers of our own choice, however they arrive."""

    def __init__(self, batches: Iterable[Float32], shape: tuple[int, ...]) -> None:
        self._batches: Iterator[Float32] = iter(batches)
        self._batch: Float32 = np.empty((0, *shape), np.float32)
        self._taken = 0

    def take(self, count: int) -> Float32:
        """As many windows as wanted, fewer only at the end."""
        parts: list[Float32] = [self._batch[:0]]
        while count > 0 and self._has_more():
            part = self._batch[self._taken : self._taken + count]
            self._taken += part.shape[0]
            count -= part.shape[0]
            parts.append(part)
        return np.concatenate(parts)

    def _has_more(self) -> bool:
        while self._taken >= self._batch.shape[0]:
            batch = next(self._batches, None)
            if batch is None:
                return False
            if batch.dtype != np.float32 or batch.shape[1:] != self._batch.shape[1:]:
                raise CalibrationError(
                    f"calibration: found windows of {batch.dtype} {batch.shape[1:]}, "
                    f"wanted float32 {self._batch.shape[1:]}"
                )
            self._batch, self._taken = batch, 0
        return True
