"""An fp32 artefact → the best artefact of another precision: windows from archives, the gate, its report on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seisedge.edge.preprocess import Preprocess
from seisedge.edge.session import OrtSession, Session

from .dataset import LabelledWindow, read_labelled
from .errors import VerificationError
from .gate import Evidence, Report, Wanted, best_artefact
from .task_metric import pick_metric
from .verify import awkward_windows, real_windows

Float32 = npt.NDArray[np.float32]

_CALIBRATION_SHARE = 2  # every second real window makes the ranges, the others judge


@dataclass(frozen=True)
class Sources:
    """Where windows come from: miniSEED files or folders, and labelled windows to pick (None: no task metric)."""

    data: tuple[Path, ...]
    labelled: Path | None


def quantise_artefact(source: Path, output: Path, wanted: Wanted, sources: Sources) -> Report:
    """Write the best artefact of a precision, and the gate's report as JSON beside it.

    Raises
    ------
    GateError
        Nothing passed: no file is written, and the error has the figures.
    VerificationError
        No data were named, or they hold no window.
    """
    if not sources.data:
        raise VerificationError(f"{wanted.precision}: found no data, wanted miniSEED whose windows the model will see")
    preprocess = Preprocess(OrtSession(source).manifest)
    real = real_windows(preprocess, sources.data)
    evidence = Evidence(
        calibration=iter([real[::_CALIBRATION_SHARE]]),
        windows={"real windows": real[1::_CALIBRATION_SHARE], "awkward windows": awkward_windows(preprocess)},
        metric=_metric(preprocess, sources.labelled),
    )
    report = best_artefact(source, output, wanted, evidence)
    text = json.dumps(report.to_json(), indent=1)
    output.with_suffix(".report.json").write_text(text + "\n", encoding="utf-8")
    return report


def _metric(preprocess: Preprocess, labelled: Path | None) -> Callable[[Session], dict[str, float]] | None:
    if labelled is None:
        return None
    windows: tuple[LabelledWindow, ...] = read_labelled(labelled, preprocess).windows
    return pick_metric(windows)
