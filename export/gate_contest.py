"""fp32 and the candidates that would take its place, measured against each other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seisedge.edge.errors import DataError
from seisedge.edge.manifest import Manifest
from seisedge.edge.session import OrtSession, Session
from seisedge.edge.targets import ProcessorTarget, host_target

from .artefact import tool_versions, write_artefact
from .candidates import Candidate, Precision
from .gate_figures import (
    Errors,
    Stopwatch,
    batch_difference,
    describe_machine,
    output_errors,
    output_scales,
    race,
    run_in_parts,
)
from .gate_report import Report, Row, Verdict

Float32 = npt.NDArray[np.float32]
TaskMetric = Callable[[Session], dict[str, float]]
"""What an artefact is worth at its task: figures of which larger is better."""

TASK_SHARE = 0.99
"""A figure of the task may fall to this share of fp32's."""

BOUNDS = {"fp32": Errors(1e-5, 1e-6), "fp16": Errors(0.05, 0.005), "int8": Errors(0.5, 0.03)}
"""Errors of the outputs that a precision may have: the largest on every set of windows, the root mean square on the
first. On labelled windows the published Spec-CNN and Performer have 0.008 to 0.022 in sound int8, with up to 0.5 for a
window between two classes; beyond that something is broken. How good an artefact is, only its task can tell."""

GAIN = 0.98
"""`auto` leaves fp32 only for less than this share of its time: the rest is the noise of the measurement."""

BATCH_LOSS = 1.1
"""`auto` takes nothing that is slower than this in batches of 64: archives are scanned and stations served in them."""

_MOST_WINDOWS = 64  # of a set that are compared, evenly drawn
_BATCH_WINDOWS = 15  # of a set, in batches of 1, 2, 7 and all: whole batches and rests
_REPORTED_BATCH = 64
_TENSORRT_BATCHES = 1e-5  # its own kernels decide on the last bits; what can be seen here is a coupling of windows


@dataclass(frozen=True)
class Wanted:
    """What is asked for: a precision, or the best for this machine (`auto`), and a class of machines."""

    precision: Precision
    target: ProcessorTarget

    @property
    def is_timed(self) -> bool:
        """Whether this machine can say how fast it is."""
        return self.target != "tensorrt" and self.target == host_target()


@dataclass(frozen=True)
class Evidence:
    """What candidates are made from and judged by.

    Attributes
    ----------
    calibration
        Batches of network input for the ranges, read once.
    windows
        Name of a set → network input, float32 (count, *shape); the first set is timed.
    metric
        None where the weights are not trained.
    """

    calibration: Iterable[Float32]
    windows: dict[str, Float32]
    metric: TaskMetric | None


def open_to_judge(path: Path) -> OrtSession:
    """Open an artefact whatever processors it is for."""
    return OrtSession(path, any_target=True)


@dataclass(frozen=True)
class Bench:
    """What to run and to time artefacts with."""

    open_session: Callable[[Path], Session] = open_to_judge
    watch: Stopwatch = dataclasses.field(default_factory=Stopwatch)


class Trial:
    """A candidate on its way, or fp32 itself."""

    def __init__(self, path: Path, row: Row, session: Session) -> None:
        self.path = path
        self.row = row
        self._session: Session | None = session

    @property
    def session(self) -> Session:
        """The artefact, open."""
        if self._session is None:
            raise RuntimeError(f"{self.row.name}: the session is closed")
        return self._session

    @property
    def is_open(self) -> bool:
        """Whether it takes part at the moment."""
        return self._session is not None

    def open(self, session: Session) -> None:
        """Take part again."""
        self._session = session

    def close(self) -> None:
        """Give the memory back."""
        self._session = None

    def note(self, **figures: object) -> None:
        """Put figures into the row."""
        self.row = dataclasses.replace(self.row, **figures)  # type: ignore[arg-type]  # Row's own fields

    def lose(self, verdict: Verdict, reason: str) -> None:
        """Leave, with the reason."""
        self.note(verdict=verdict, reason=reason)
        self.close()


class Contest:
    """One run of the gate, in a folder of its own."""

    def __init__(self, source: Path, folder: Path, wanted: Wanted, evidence: Evidence, bench: Bench) -> None:
        self._folder = folder
        self._wanted = wanted
        self._metric = evidence.metric
        self._bench = bench
        self._windows = {name: evenly(windows, _MOST_WINDOWS) for name, windows in evidence.windows.items()}
        row = Row("fp32", "fp32", "reference", "", size=source.stat().st_size)
        self.fp32 = Trial(source, row, bench.open_session(source))
        self._outputs = {name: run_in_parts(self.fp32.session, windows) for name, windows in self._windows.items()}
        self._trials: list[Trial] = []
        self._families: dict[str, list[Trial]] = {}

    def enter(self, candidate: Candidate) -> None:
        """Write a candidate and compare its outputs."""
        path = self._folder / f"{len(self._trials)}.onnx"
        write_artefact(candidate.graph, self._draft(candidate), path)
        row = Row(candidate.name, candidate.quantization.precision, "failed", "", size=path.stat().st_size)
        try:
            trial = Trial(path, row, self._bench.open_session(path))
        except DataError as error:
            trial = Trial(path, row, self.fp32.session)
            trial.lose("failed", str(error).replace(str(path), "it"))
        else:
            self._compare(trial)
        self._trials.append(trial)
        if trial.is_open:
            trial.close()
            self._families.setdefault(candidate.family, []).append(trial)

    def _draft(self, candidate: Candidate) -> Manifest:
        """The manifest without the figures that are not known yet."""
        manifest = self.fp32.session.manifest
        return dataclasses.replace(
            manifest,
            input=dataclasses.replace(manifest.input, batch=candidate.batch or manifest.input.batch),
            quantization=candidate.quantization,
            provenance=dataclasses.replace(manifest.provenance, tools=tool_versions()),
        )

    def _compare(self, trial: Trial) -> None:
        """Errors on every set of windows; beyond the bounds on any, the candidate is out."""
        bounds = BOUNDS[trial.row.precision]
        broken = ""
        for place, (name, windows) in enumerate(self._windows.items()):
            wanted = self._outputs[name]
            scales = output_scales(self.fp32.session.manifest, wanted)
            errors = output_errors(wanted, run_in_parts(trial.session, windows), scales)
            trial.note(errors={**trial.row.errors, name: (errors.largest, errors.rms)})
            if not errors.largest <= bounds.largest:
                broken = f"{name}: found an error of {errors.largest:.2g}, wanted at most {bounds.largest:g}"
            elif place == 0 and not errors.rms <= bounds.rms:
                broken = f"{name}: found an rms error of {errors.rms:.2g}, wanted at most {bounds.rms:g}"
        if broken:
            trial.lose("failed", broken)

    def decide(self) -> Trial | None:
        """Put what is left through batches, time and task; None where nothing passes.

        The most accurate of a family is timed for all; where it fails the task, the next one has its turn.
        """
        families = [sorted(each, key=lambda trial: trial.row.rms_error) for each in self._families.values()]
        left = [each for each in families if self._has_free_windows(each[0])]
        if self._wanted.is_timed:
            self._time([each[0] for each in left])
            left = sorted((each for each in left if each[0].is_open), key=lambda each: each[0].row.latency_ratio[1])
        best = next((each for family in left for each in family if self._does_task(each, family[0])), None)
        if best is None and self._wanted.precision == "auto":
            best = self.fp32
        for family in families:
            self._explain(family, best)
        if best is not None:
            best.note(verdict="chosen")
        return best

    def _explain(self, family: list[Trial], best: Trial | None) -> None:
        """Say of those that were not tried to the end why they were not."""
        for trial in family:
            if trial is best or trial.row.reason:
                continue
            if best is not None and (family[0].is_open or best in family):
                how = "faster" if self._wanted.is_timed else "quantised further"
                reason = f"{best.row.name} passes and is " + ("as fast" if best in family else how)
                trial.lose("beaten", reason)
            else:
                trial.lose("beaten", f"stood for by {family[0].row.name}")

    def _has_free_windows(self, trial: Trial) -> bool:
        """Whether a window's output does not depend on the batch it travels in; opens the trial."""
        trial.open(self._bench.open_session(trial.path))
        windows = np.concatenate([evenly(each, _BATCH_WINDOWS) for each in self._windows.values()])
        difference = batch_difference(trial.session, windows)
        trial.note(batch_difference=difference)
        most = _TENSORRT_BATCHES if self._wanted.target == "tensorrt" else 0.0
        if not difference <= most:
            reason = f"outputs depend on the batch: found a difference of {difference:.2g}, wanted at most {most:g}"
            trial.lose("failed", reason)
        return trial.is_open

    def _time(self, rivals: list[Trial]) -> None:
        """Time rivals in turns with fp32; out are those that take too long."""
        self._race([self.fp32, *rivals], 1)
        for trial in rivals:
            self._race([self.fp32, trial], _REPORTED_BATCH)
            for each in (self.fp32, trial):  # anew: a session keeps the memory of its largest batch
                each.open(self._bench.open_session(each.path))
            at_most = {1: GAIN, _REPORTED_BATCH: BATCH_LOSS} if self._wanted.precision == "auto" else {1: 1.0}
            slow = [batch for batch, most in at_most.items() if not trial.row.latency_ratio.get(batch, 0) <= most]
            if slow:
                ratio, most = trial.row.latency_ratio[slow[0]], at_most[slow[0]]
                trial.lose("failed", f"batch of {slow[0]}: found {ratio:.3f} of fp32's time, wanted at most {most:g}")

    def _race(self, running: list[Trial], batch: int) -> None:
        windows = next(iter(self._windows.values()))
        laps = race([each.session for each in running], windows, batch, self._bench.watch)
        for trial, lap in zip(running, laps, strict=False):  # without laps, nothing is noted
            trial.note(
                latency_ms={**trial.row.latency_ms, batch: lap.milliseconds},
                latency_ratio={**trial.row.latency_ratio, batch: lap.ratio},
            )

    def _does_task(self, trial: Trial, leader: Trial) -> bool:
        """Whether a trial, put through batches and time first where only its leader was, is good at its task."""
        if trial is not leader:
            if not self._has_free_windows(trial):
                return False
            if self._wanted.is_timed:
                self._time([trial])
        if not trial.is_open:
            return False
        if self._metric is None:
            return True
        if not self.fp32.row.task:
            self.fp32.note(task=self._metric(self.fp32.session))
        trial.note(task=self._metric(trial.session))
        for name, wanted in self.fp32.row.task.items():
            found = trial.row.task.get(name, float("nan"))
            if not found >= TASK_SHARE * wanted:
                trial.lose("failed", f"{name}: found {found:.4f}, wanted {TASK_SHARE:.0%} of fp32's {wanted:.4f}")
                return False
        return True

    def report(self) -> Report:
        """All rows: fp32, then those that were measured further, then the rest."""
        ordered = sorted(self._trials, key=lambda each: each.row.batch_difference is None)
        return Report(
            model=self.fp32.session.manifest.name,
            wanted=self._wanted.precision,
            target=self._wanted.target,
            machine=describe_machine(),
            is_timed=self._wanted.is_timed,
            windows={name: len(each) for name, each in self._windows.items()},
            rows=tuple(each.row for each in (self.fp32, *ordered)),
        )


def evenly(windows: Float32, most: int) -> Float32:
    """At most so many windows, evenly drawn."""
    return windows[np.linspace(0, len(windows) - 1, min(most, len(windows))).round().astype(np.intp)]
