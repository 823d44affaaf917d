"""A network with its weights → a verified artefact of the wanted precision, or no file at all."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from seisedge.edge.whole_file import write_whole

from .artefact import Source, export_fp32
from .errors import VerificationError
from .gate import Report, Wanted
from .quantize_job import Sources, quantise_artefact, sources_of, write_report
from .recipe import Recipe
from .verify import Check, verify


class ChecksError(VerificationError):
    """An artefact failed its verification; `checks` has the figures."""

    def __init__(self, message: str, checks: tuple[Check, ...]) -> None:
        super().__init__(message)
        self.checks = checks


@dataclass(frozen=True)
class Job:
    """What to export.

    Attributes
    ----------
    network
        With its weights.
    wanted
        Precision and target; None for plain fp32.
    data
        miniSEED files or folders: what is verified and calibrated with.
    labelled
        Labelled windows by which the task is measured; None leaves it out.
    is_trained
        False where the weights are random, so that no task is measured.
    """

    network: nn.Module
    recipe: Recipe
    source: Source
    wanted: Wanted | None
    data: tuple[Path, ...]
    labelled: Path | None
    is_trained: bool = True


@dataclass(frozen=True)
class Outcome:
    """The checks of the fp32 form, and the gate's report where another precision was wanted."""

    checks: tuple[Check, ...]
    report: Report | None


def export_artefact(job: Job, output: Path, *, most_windows: int = 256) -> Outcome:
    """Export, verify and, where wanted, quantise; the report stands beside the artefact.

    Raises
    ------
    ChecksError
        The fp32 form is not what the network is: no file is written.
    GateError
        No form of the wanted precision passed: no file is written.
    """
    with tempfile.TemporaryDirectory(prefix="seisedge-export-") as folder:
        draft = Path(folder) / "fp32.onnx"
        export_fp32(job.network, job.recipe, job.source, draft)
        checks = tuple(verify(draft, job.network, job.data))
        require_passed(checks, str(output))
        if job.wanted is None:
            write_whole(draft.read_bytes(), output)
            write_report(output, checks, None)
            return Outcome(checks, None)
        sources: Sources = sources_of(draft, job.data, job.labelled, is_trained=job.is_trained, most=most_windows)
        return Outcome(checks, quantise_artefact(draft, output, job.wanted, sources, checks=checks))


def require_passed(checks: tuple[Check, ...], where: str) -> None:
    """Raise `ChecksError` unless every check passed; the message names the first that did not."""
    failed = [check for check in checks if not check.passed]
    if failed:
        first = failed[0]
        message = f"{where}: {first.name}: found {first.found:.3g}, wanted at most {first.bound:.3g}"
        raise ChecksError(message, checks)
