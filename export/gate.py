"""The gate: no artefact leaves that is worse or slower than the fp32 one it was made from.

Candidates are compared with fp32 on the same windows: their outputs, the same bits in batches of any size, their
time on this machine in turns with fp32's, and what they are for (the task). The fastest that passes is written;
where nothing passes, nothing is.
"""

from __future__ import annotations

import dataclasses
import hashlib
import tempfile
from collections.abc import Iterable
from pathlib import Path

import onnx

from seisedge.edge.manifest import Manifest
from seisedge.edge.session import drawn
from seisedge.edge.targets import host_target

from .artefact import write_artefact
from .candidates import Candidate, list_candidates
from .errors import ExportError
from .gate_contest import Bench, Contest, Evidence, TaskMetric, Trial, Wanted, open_to_judge
from .gate_figures import golden_tolerance, golden_windows
from .gate_report import Report, Row
from .quantize import QuantizationError

__all__ = ["Bench", "Evidence", "GateError", "Report", "Row", "TaskMetric", "Wanted", "best_artefact", "gate"]


class GateError(ExportError):
    """No candidate passed; `report` has the figures."""

    def __init__(self, message: str, report: Report) -> None:
        super().__init__(message)
        self.report = report


def best_artefact(
    source: Path, output: Path, wanted: Wanted, evidence: Evidence, *, bench: Bench | None = None
) -> Report:
    """Make the candidates of a precision and write the best to `output`, which appears whole or not at all.

    Parameters
    ----------
    source
        The fp32 artefact, verified against torch.

    Raises
    ------
    GateError
        Nothing passed.
    CalibrationError, PrecisionError, QuantizationError
        The graph, the windows or the machine do not allow the precision.
    """
    if wanted.precision == "auto" and not wanted.is_timed:
        raise QuantizationError(
            f"auto for {wanted.target}: found {host_target()} here, and auto chooses by speed: "
            "name a precision, or run it on the target"
        )
    model = onnx.load_from_string(source.read_bytes())
    candidates = list_candidates(model, wanted.precision, wanted.target, evidence.calibration)
    return gate(source, output, wanted, evidence, candidates=candidates, bench=bench)


def gate(
    source: Path,
    output: Path,
    wanted: Wanted,
    evidence: Evidence,
    *,
    candidates: Iterable[Candidate],
    bench: Bench | None = None,
) -> Report:
    """Judge candidates and write the best; see `best_artefact`.

    Speed is measured where the target is this machine's class; for another, the order of the candidates decides.
    """
    with tempfile.TemporaryDirectory(prefix="seisedge-gate-") as folder:
        contest = Contest(source, Path(folder), wanted, evidence, bench or Bench())
        for candidate in candidates:
            contest.enter(candidate)
        best = contest.decide()
        report = contest.report()
        if best is None:
            raise GateError(_refusal(report), report)
        manifest = best.session.manifest if best is contest.fp32 else _final(best, contest.fp32)
        _write(best.path, manifest, output, rehearsal=Path(folder) / "final.onnx")
        return report


def _final(best: Trial, fp32: Trial) -> Manifest:
    """The manifest with golden output, tolerance and figures of this very graph."""
    session = open_to_judge(best.path)
    manifest = session.manifest
    old = manifest.verification
    golden = drawn(session.run(golden_windows(manifest))[0])
    is_fp32 = manifest.quantization.precision == "fp32"
    verification = dataclasses.replace(
        old,
        golden_output=tuple(float(value) for value in golden),
        tolerance=old.tolerance if is_fp32 else golden_tolerance(session, open_to_judge(fp32.path)),
        parity={**old.parity, "to_fp32_max_abs": best.row.max_error, "to_fp32_rms": best.row.rms_error},
        quality=best.row.task,
    )
    return dataclasses.replace(manifest, verification=verification)


def _write(graph: Path, manifest: Manifest, output: Path, *, rehearsal: Path) -> None:
    """Write the artefact beside the stage first, and check there the bytes that will be the file."""
    model = onnx.load_from_string(graph.read_bytes())
    write_artefact(model, manifest, rehearsal)
    session = open_to_judge(rehearsal)
    if session.manifest != manifest:
        raise RuntimeError("the manifest did not survive in the file")
    session.check_golden()
    write_artefact(model, manifest, output)
    if hashlib.sha256(output.read_bytes()).hexdigest() != session.digest:
        output.unlink()
        raise RuntimeError(f"{output}: the file is not what was checked")


def _refusal(report: Report) -> str:
    """One line: the candidate that came furthest, and what stopped it."""
    subject = f"{report.model}: {report.wanted} for {report.target}"
    rows = [row for row in report.rows[1:] if row.verdict == "failed"]
    if not rows:
        return f"{subject}: found no operator that can take it"
    furthest = max(rows, key=lambda row: (len(row.task), len(row.latency_ratio), row.batch_difference is not None))
    return f"{subject}: no candidate passed; {furthest.name}: {furthest.reason}"
