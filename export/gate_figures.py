"""What the gate measures of an artefact: its distance from fp32, what batches do to it, its time."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from seisedge.edge.manifest import Manifest
from seisedge.edge.session import Session

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

BATCHES = (1, 2, 7)

_PART = 8
_VISIT_S = 2e-3  # a session runs at least that long before it is another one's turn
_MOST_CALLS = 50
_JITTER = 1e-6  # relative; how far apart the float parts of two processors may be
_JITTERED = 3
_GOLDEN_FLOOR = 1e-3  # as far as one int8 file may differ between processors


@dataclass(frozen=True)
class Errors:
    """Largest and root-mean-square difference from fp32's outputs."""

    largest: float
    rms: float


def run_in_parts(session: Session, windows: Float32) -> list[Float32]:
    """All outputs, from a few windows at a time: a session keeps the memory of its largest batch."""
    parts = [session.run(windows[at : at + _PART]) for at in range(0, len(windows), _PART)]
    return [np.concatenate(each) for each in zip(*parts, strict=True)]


def output_scales(manifest: Manifest, outputs: list[Float32]) -> list[float]:
    """The unit of each output's errors: one for probabilities, else the root mean square of what fp32 gives."""
    return [
        1.0 if each.kind.endswith("probability") else max(_rms(values), float(np.finfo(np.float32).tiny))
        for each, values in zip(manifest.outputs, outputs, strict=True)
    ]


def output_errors(wanted: list[Float32], found: list[Float32], scales: list[float]) -> Errors:
    """The worst output's errors, in units of its scale."""
    pairs = list(zip(wanted, found, scales, strict=True))
    largest = max(float(np.abs(b - a).max(initial=0)) / scale for a, b, scale in pairs)
    return Errors(largest, max(_rms(b - a) / scale for a, b, scale in pairs))


def batch_difference(session: Session, windows: Float32) -> float:
    """Largest difference between a window's outputs in batches of 1, 2, 7 and all."""
    whole = session.run(windows)
    worst = 0.0
    for size in BATCHES:
        parts = [session.run(windows[at : at + size]) for at in range(0, len(windows), size)]
        for output, rows in zip(whole, zip(*parts, strict=True), strict=True):
            worst = max(worst, float(np.abs(np.concatenate(rows) - output).max(initial=0)))
    return worst


def golden_windows(manifest: Manifest) -> Float32:
    """The golden input, as `Verification` defines it."""
    golden = manifest.verification
    shape = (golden.golden_windows, *manifest.input.shape)
    return np.random.default_rng(golden.golden_seed).standard_normal(shape, dtype=np.float32)


def golden_tolerance(session: Session, fp32: Session) -> float:
    """How far from its golden output a form of a model may be on another device.

    Integers are exact everywhere, but the float operators beside them differ by some 1e-6 between processors, which
    tips a value over to the next of the 256 levels now and then: four times what such a jitter of the input changes
    here. Half precision is rounded in other places on every GPU: four times its distance from fp32 here. Never less
    than 1e-3, in the output's scale.
    """
    windows = golden_windows(session.manifest)
    wanted = fp32.run(windows)
    found = session.run(windows)[0]
    changes = [0.0]
    if session.manifest.quantization.precision == "fp16":
        changes.append(float(np.abs(found - wanted[0]).max(initial=0)))
    else:
        rng = np.random.default_rng(session.manifest.verification.golden_seed)
        for _ in range(_JITTERED):
            jitter = np.float32(_JITTER) * rng.standard_normal(windows.shape, dtype=np.float32)
            changes.append(float(np.abs(session.run(windows + windows * jitter)[0] - found).max(initial=0)))
    return max(_GOLDEN_FLOOR * output_scales(session.manifest, wanted)[0], 4 * max(changes))


@dataclass(frozen=True)
class Stopwatch:
    """How time is measured.

    Attributes
    ----------
    clock
        Seconds.
    seconds
        Spent on each session and batch size, about.
    fewest, most
        Rounds; in each round every session has its turn.
    longest_s
        A batch that would take longer is not measured.
    """

    clock: Callable[[], float] = time.perf_counter
    seconds: float = 1.5
    fewest: int = 7
    most: int = 61
    longest_s: float = 2.0


@dataclass(frozen=True)
class Lap:
    """Median time of a run, and the median over the rounds of its ratio to the first session's."""

    milliseconds: float
    ratio: float


def race(sessions: Sequence[Session], windows: Float32, batch: int, watch: Stopwatch) -> list[Lap]:
    """Time sessions in turns, so that whatever else the machine does hits all alike; none where it takes too long."""
    fed = np.ascontiguousarray(windows[np.arange(batch) % len(windows)])
    alone = [_timed(session, fed[:2], watch) for session in sessions]
    if batch > 2 and max(alone) * batch / 2 > watch.longest_s:
        return []
    for session in sessions:
        session.run(fed)
    rough = [min(_timed(session, fed, watch) for _ in range(2)) for session in sessions]
    calls = [int(np.clip(np.ceil(_VISIT_S / max(each, 1e-9)), 1, _MOST_CALLS)) for each in rough]
    visit = max(each * count for each, count in zip(rough, calls, strict=True))
    rounds = int(np.clip(watch.seconds / max(visit, 1e-9), watch.fewest, watch.most))
    times: Float64 = np.empty((rounds, len(sessions)))
    for turn in range(rounds):
        for start in range(len(sessions)):
            place = (start + turn) % len(sessions)
            each = [_timed(sessions[place], fed, watch) for _ in range(calls[place])]
            times[turn, place] = np.median(each)
    ratios = np.median(times / times[:, :1], axis=0)
    return [Lap(1e3 * float(each), float(ratio)) for each, ratio in zip(np.median(times, axis=0), ratios, strict=True)]


def describe_machine() -> str:
    """Processor, what runs the model, and how many threads do."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    name = next(names, platform.processor() or platform.machine())
    return f"{name}, ONNX Runtime {ort.__version__}, one thread"


def _timed(session: Session, windows: Float32, watch: Stopwatch) -> float:
    began = watch.clock()
    session.run(windows)
    return watch.clock() - began


def _rms(values: Float32) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64)))) if values.size else 0.0
