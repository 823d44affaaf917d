"""One row of the registry in every precision and for every target: what `make zoo` measures."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from seisedge.edge.manifest import Postprocess
from seisedge.edge.targets import ProcessorTarget

from .artefact import Source, export_fp32, tensors_digest
from .export_job import ChecksError, require_passed
from .gate import Bench, GateError, Report, Row, Wanted
from .gate_contest import open_to_judge
from .gate_figures import Stopwatch, describe_machine
from .quantize import TARGETS, QuantizationError, require_host_target
from .quantize_job import Sources, quantise_artefact, sources_of
from .registry import Model
from .verify import verify
from .weights import load_weights

Precision = Literal["fp32", "fp16", "int8"]

_MOST_WINDOWS = 32
_WATCH = Stopwatch(seconds=1.0, fewest=5, longest_s=4.0)
_LARGE_BATCH = 64


@dataclass(frozen=True)
class Weights:
    """A file of weights and who trained them; without a file, random ones of a seed."""

    path: Path | None
    text: str
    seed: int = 0
    postprocess: Postprocess | None = None
    """The thresholds that were chosen for these weights; None for the recipe's."""


@dataclass(frozen=True)
class Entry:
    """One precision of one row for one target.

    Attributes
    ----------
    error
        Largest and root-mean-square difference: of fp32 from torch, of others from fp32.
    latency_ms
        Windows in a batch → median time; empty where this machine is not of the target's class.
    ratio
        The same over fp32's.
    verdict
        `passed`, or why there is no file.
    """

    precision: Precision
    target: str
    scheme: str
    size: int
    error: tuple[float, float]
    task: dict[str, float]
    latency_ms: dict[int, float]
    ratio: dict[int, float]
    verdict: str


@dataclass(frozen=True)
class ZooRow:
    """All that was found of a model."""

    model: str
    parameters: int
    weights: str
    machine: str
    seconds: float
    chosen: str
    entries: list[Entry] = field(default_factory=list[Entry])


def examine(model: Model, weights: Weights, data: tuple[Path, ...], labelled: Path | None, folder: Path) -> ZooRow:
    """Export a model in every form into `folder`; a form that fails leaves its figures and no file.

    Raises
    ------
    WeightError, VerificationError, TrainingDataError
        The weights or the data cannot be used.
    """
    began = time.monotonic()
    torch.manual_seed(weights.seed)
    network = model.build()
    digest = tensors_digest(network) if weights.path is None else load_weights(weights.path, network).digest
    source = Source("zoo", digest, weights.text, "not stated", "not stated")
    recipe = dataclasses.replace(model.recipe, postprocess=weights.postprocess or model.recipe.postprocess)
    fp32 = folder / "fp32.onnx"
    export_fp32(network, recipe, source, fp32)
    checked = _checked(fp32, network)
    sources = sources_of(fp32, data, labelled, is_trained=weights.path is not None, most=_MOST_WINDOWS)
    auto = _gated(fp32, folder / "auto.onnx", Wanted("auto", require_host_target()), sources)
    others = list(_for_other_machines(fp32, folder, sources))
    row = auto.rows[0]
    return ZooRow(
        model=model.name,
        parameters=model.parameters,
        weights=weights.text,
        machine=describe_machine(),
        seconds=round(time.monotonic() - began, 1),
        chosen=auto.chosen.name if auto.chosen else "none",
        entries=[
            dataclasses.replace(checked, task=row.task, latency_ms=_with_large_batch(row, fp32, sources)),
            _host_int8(auto),
            *others,
        ],
    )


def _checked(fp32: Path, network: nn.Module) -> Entry:
    checks = tuple(verify(fp32, network, ()))
    worst = max(check.found for check in checks if "torch" in check.name)
    verdict = "passed"
    try:
        require_passed(checks, fp32.name)
    except ChecksError as error:
        verdict = str(error)
    return Entry("fp32", "any", "", fp32.stat().st_size, (worst, float("nan")), {}, {}, {}, verdict)


def _for_other_machines(fp32: Path, folder: Path, sources: Sources) -> Iterator[Entry]:
    yield _entry(_gated(fp32, folder / "fp16.onnx", Wanted("fp16", "tensorrt"), sources), "fp16", "any")
    for target in TARGETS:
        if target != require_host_target():
            yield _int8(fp32, folder, target, sources)


def _int8(fp32: Path, folder: Path, target: ProcessorTarget, sources: Sources) -> Entry:
    return _entry(_gated(fp32, folder / f"int8-{target}.onnx", Wanted("int8", target), sources), "int8", target)


def _gated(fp32: Path, output: Path, wanted: Wanted, sources: Sources) -> Report:
    try:
        return quantise_artefact(fp32, output, wanted, sources, bench=Bench(watch=_WATCH))
    except GateError as error:
        return error.report
    except QuantizationError as error:  # a graph without an operator that can take it
        return Report(
            "", wanted.precision, wanted.target, "", wanted.is_timed, {}, (Row("", "", "failed", str(error)),)
        )


def _host_int8(auto: Report) -> Entry:
    """Of the int8 forms for this machine: the chosen one, else the fastest of those that were timed."""
    rows = [row for row in auto.rows if row.precision == "int8"]
    chosen = [row for row in rows if row.verdict == "chosen"]
    timed = sorted((row for row in rows if 1 in row.latency_ratio), key=lambda row: row.latency_ratio[1])
    best = next(iter([*chosen, *timed, *rows]), None)
    if best is None:
        return Entry("int8", auto.target, "", 0, (float("nan"),) * 2, {}, {}, {}, "no operator that can take it")
    return _from_row(best, "int8", auto.target)


def _entry(report: Report, precision: Precision, target: str) -> Entry:
    row = report.chosen or next((row for row in report.rows if row.precision == precision), report.rows[-1])
    return _from_row(row, precision, target)


def _from_row(row: Row, precision: Precision, target: str) -> Entry:
    return Entry(
        precision=precision,
        target=target,
        scheme=row.name,
        size=row.size,
        error=(row.max_error, row.rms_error),
        task=row.task,
        latency_ms=row.latency_ms,
        ratio=row.latency_ratio,
        verdict="passed" if row.verdict == "chosen" else row.reason,
    )


def _with_large_batch(row: Row, fp32: Path, sources: Sources) -> dict[int, float]:
    """The times of fp32; a large batch that took too long to race is run once."""
    if _LARGE_BATCH in row.latency_ms:
        return row.latency_ms
    windows = sources.windows[np.arange(_LARGE_BATCH) % len(sources.windows)]
    session = open_to_judge(fp32)
    began = time.perf_counter()
    session.run(windows)
    return {**row.latency_ms, _LARGE_BATCH: 1e3 * (time.perf_counter() - began)}
