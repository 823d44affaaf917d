"""`edge-bench models`: every artefact, stage by stage, at batch 1 and in batches, beside its documented budgets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seisedge.edge.manifest import Budget, Manifest
from seisedge.edge.models import embedded_models, find_model
from seisedge.edge.session import OrtSession, Session
from seisedge.edge.tensorrt_session import TensorRtSession

from .figures import PERCENTILES, Figure, distribution, queries_wanted, unsure
from .first_result import FirstResult, first_result
from .records import Record
from .report import Report, Row, Section, Verdict
from .run import Advance, Settings, Watch
from .stages import STAGES, StagedModel

BATCHES = (1, 8, 32, 64, 128)
_DAY_S = 86_400
_LATENCY = ("p50", "p90", "p99", "p99.9")

Times = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """A model's times.

    Attributes
    ----------
    manifest
        Of the artefact.
    single
        Seconds (query, stage) at batch 1.
    batched
        Batch → median seconds (stage,) for one window.
    """

    manifest: Manifest
    single: Times
    batched: dict[int, Times]

    @property
    def best_batch(self) -> int:
        """The one with the least time for a window."""
        return min(self.batched, key=lambda batch: float(self.batched[batch].sum()))


def bench_models(names: tuple[str, ...], settings: Settings, advance: Advance) -> Report:
    """Measure artefacts, given by path or by the name of an embedded model; all embedded ones where none is given.

    Raises
    ------
    UsageError
        There is no such artefact, or ONNX Runtime lacks the provider.
    ModelError, ManifestError
        An artefact cannot be used.
    """
    paths = [find_model(name) for name in names] or list(embedded_models().values())
    sessions = [open_session(path, settings) for path in paths]
    watch = Watch(settings)
    latency: list[Row] = []
    stages: list[Row] = []
    sweep: list[Row] = []
    verdicts: list[Verdict] = []
    notes: list[str] = []
    for place, (path, session) in enumerate(zip(paths, sessions, strict=True)):
        name = title(session.manifest, settings)

        def tell(text: str, share: float = place / len(paths)) -> None:
            advance(text, share)

        measured = measure(session, watch.open_record(session.manifest.components), settings, tell)
        start = first_result(path, settings.engine) if path.suffix != ".plan" else None
        latency.append(_latency_row(name, measured, path.stat().st_size, start))
        stages.append(_stage_row(name, measured))
        sweep += _sweep_rows(name, measured)
        verdicts += [_verdict(name, budget, measured) for budget in session.manifest.budgets]
        if missing := unsure(len(measured.single)):
            wanted = ", ".join(f"{each} {queries_wanted(float(each[1:])):,}" for each in missing)
            notes.append(f"{name}: {len(measured.single):,} queries, too few for {wanted}: low confidence")
    return watch.report("models", _sections(latency, stages, sweep), verdicts, notes=notes)


def title(manifest: Manifest, settings: Settings) -> str:
    """`seismo-performer fp32`, with the provider where that is not the CPU."""
    form = manifest.quantization
    target = "" if form.target == "any" else f" {form.target}"
    provider = "" if settings.engine.provider == "cpu" else f" on {settings.engine.provider}"
    return f"{manifest.name} {form.precision}{target}{provider}"


def open_session(path: Path, settings: Settings) -> Session:
    """Open an artefact, or a TensorRT engine with its sidecar."""
    if path.suffix == ".plan":
        return TensorRtSession(path)
    return OrtSession(path, engine=settings.engine)


def measure(session: Session, record: Record, settings: Settings, advance: Callable[[str], None]) -> Measured:
    """Measure at batch 1 and in batches.

    As many queries at batch 1 as MLPerf's early stopping wants for p99.9, as far as the time allows.
    """
    staged = StagedModel(session, record, settings.clock)
    name = title(session.manifest, settings)
    most = queries_wanted(PERCENTILES[-1])
    single = np.array(list(_timed(staged, 1, most, settings.limit_s, settings, advance)), np.float64) / 1e9
    batched: dict[int, Times] = {1: np.median(single, axis=0)}
    for batch in BATCHES[1:]:
        if float(single.sum(axis=1).mean()) * batch > settings.limit_s:
            break
        advance(f"{name}, batch {batch}")
        times = np.array(list(_timed(staged, batch, 200, settings.limit_s / 4, settings, advance)), np.float64)
        batched[batch] = np.median(times, axis=0) / 1e9 / batch
    return Measured(session.manifest, single, batched)


def _timed(
    staged: StagedModel, batch: int, most: int, limit_s: float, settings: Settings, advance: Callable[[str], None]
) -> Iterator[tuple[int, int, int]]:
    """Queries until there are `most`, or the time is up and there are three; the first two warm up."""
    queries = staged.queries(batch)
    name = title(staged.manifest, settings)
    next(queries)
    if most > 3:
        next(queries)
    end = settings.clock() + round(limit_s * 1e9)
    for count, times in enumerate(queries, start=1):
        yield times
        if count % 64 == 0:
            advance(name)
        if count >= most or (settings.clock() >= end and count >= 3):
            return


def _latency_row(name: str, measured: Measured, size: int, start: FirstResult | None) -> Row:
    total = measured.single.sum(axis=1)
    figures = distribution(total, "s")
    figures["queries"] = Figure(len(total), "")
    best = float(measured.batched[measured.best_batch].sum())
    figures["windows/s"] = Figure(1 / best, "")
    figures["artefact"] = Figure(size, "B")
    if start is not None:
        figures["first result"] = Figure(start.seconds, "s")
        figures["load"] = Figure(start.load_s, "s")
        figures["RSS"] = Figure(start.peak_bytes, "B")
    return Row(name, figures)


def _stage_row(name: str, measured: Measured) -> Row:
    figures: dict[str, Figure] = {}
    for number, stage in enumerate(STAGES):
        figures |= distribution(measured.single[:, number], "s", f"{stage} ")
    return Row(name, figures)


def _sweep_rows(name: str, measured: Measured) -> Iterator[Row]:
    for batch, times in measured.batched.items():
        figures = {stage: Figure(float(seconds), "s") for stage, seconds in zip(STAGES, times, strict=True)}
        figures["together"] = Figure(float(times.sum()), "s")
        figures["windows/s"] = Figure(1 / float(times.sum()), "")
        yield Row(f"{name}, batch {batch}", figures)


def _sections(latency: list[Row], stages: list[Row], sweep: list[Row]) -> list[Section]:
    columns = (*_LATENCY, "mean", "queries", "windows/s", "first result", "load", "RSS", "artefact")
    note = "Preprocessing, inference and postprocessing of one window together; windows/s at the best batch."
    apart = tuple(f"{stage} {each}" for stage in STAGES for each in ("p50", "p99"))
    return [
        Section("One window at a time", columns, tuple(latency), note, "ranges", _LATENCY),
        Section("Stages, one window at a time", apart, tuple(stages), "", "stack", tuple(f"{s} p50" for s in STAGES)),
        Section(
            "In batches, time for each window",
            (*STAGES, "together", "windows/s"),
            tuple(sweep),
            "Medians.",
            "stack",
            STAGES,
        ),
    ]


def _verdict(name: str, budget: Budget, measured: Measured) -> Verdict:
    found, measured_as = found_for(budget.covers, measured)
    return Verdict(name, budget.covers, budget.source, budget.not_documented, budget.seconds, found, measured_as)


def found_for(covers: str, measured: Measured) -> tuple[float, str]:
    """Give what a budget is compared with, in seconds, and in words.

    Whole runs are computed from the time for a window at the best batch; `edge-bench archive` runs them.
    """
    single, best = measured.single, measured.batched[measured.best_batch]
    if match := re.search(r"\(([\d,]+) windows\)", covers):
        windows = int(match[1].replace(",", ""))
        return float(best[1]) * windows, f"inference of {windows:,} windows, batch {measured.best_batch}"
    if match := re.match(r"(\d+) days?\b", covers):
        manifest = measured.manifest
        windows = round(int(match[1]) * _DAY_S * manifest.sampling_rate / manifest.stride_samples)
        return float(best.sum()) * windows, f"all stages of {windows:,} windows, batch {measured.best_batch}"
    if covers.startswith("one window per"):
        return float(np.percentile(single.sum(axis=1), 99)), "all stages, p99"
    if "slicing included" in covers:
        return float(single.sum(axis=1).mean()), "all stages, mean"
    if "mean" in covers:
        return float(single[:, 1].mean()), "inference, mean"
    return float(np.percentile(single[:, 1], 90)), "inference, p90"
