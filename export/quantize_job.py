"""An fp32 artefact → the best artefact of another precision, with the gate's report beside it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seisedge.edge.errors import ModelError
from seisedge.edge.preprocess import Preprocess
from seisedge.edge.session import OrtSession
from seisedge.edge.whole_file import write_whole

from .dataset import read_labelled
from .errors import VerificationError
from .gate import Bench, Evidence, Report, Wanted, best_artefact
from .synthetic import synthetic_set
from .task_metric import Metric, event_windows, metric_of, remembered, waveform_metric
from .verify import Check, awkward_windows, real_windows

Float32 = npt.NDArray[np.float32]

_CALIBRATION_SHARE = 2  # every second real window makes the ranges, the others judge
_REACH = 8.0
_SYNTHETIC_WINDOWS = 32
_SYNTHETIC_SEED = 1

REPORT_VERSION = 1


@dataclass(frozen=True)
class Sources:
    """What a model is calibrated with and judged by.

    Attributes
    ----------
    windows
        Network input, float32 (count, *shape).
    metric
        None where there is nothing to measure the task by, or the weights are not trained.
    """

    windows: Float32
    metric: Metric | None


def sources_of(
    artefact: Path, data: tuple[Path, ...], labelled: Path | None, *, is_trained: bool = True, most: int = 256
) -> Sources:
    """Read what a model needs: windows of miniSEED, or of the synthetic set for an inversion.

    Parameters
    ----------
    artefact
        The fp32 artefact.
    data
        miniSEED files or folders.
    labelled
        Labelled windows (.npz and .csv); None leaves out the task.
    is_trained
        Whether the task is worth measuring.
    most
        At most so many windows of the data.

    Raises
    ------
    ModelError
        The artefact is not in fp32.
    VerificationError
        No data were named, or they hold no window, or nothing but silence.
    TrainingDataError
        The labelled windows cannot be used.
    """
    preprocess = _preprocess_of(artefact)
    if preprocess.manifest.task == "waveform_inversion" and not data:
        drawn = synthetic_set(_SYNTHETIC_WINDOWS, _SYNTHETIC_SEED)
        return Sources(drawn.stations, waveform_metric(drawn) if is_trained else None)
    if not data:
        raise VerificationError(f"{preprocess.manifest.name}: found no data, wanted miniSEED of the kind it will see")
    real = real_windows(preprocess, data, most=most)
    if sum(bool(np.ptp(each)) for each in real) < _CALIBRATION_SHARE:
        raise VerificationError(
            f"{', '.join(map(str, data))}: found silence alone, wanted records of a sensor that works"
        )
    if labelled is None:
        return Sources(real, None)
    records = read_labelled(labelled, preprocess).windows
    events = event_windows(preprocess, records, most=len(real))
    mixed = np.stack([real[: len(events)], events], axis=1).reshape(-1, *real.shape[1:])  # halves hold as much of each
    return Sources(mixed[:most], remembered(metric_of(preprocess, records)) if is_trained else None)


def _preprocess_of(artefact: Path) -> Preprocess:
    manifest = OrtSession(artefact).manifest
    if manifest.quantization.precision != "fp32":
        precision = manifest.quantization.precision
        raise ModelError(f"{artefact}: found an artefact in {precision}, wanted that in fp32 which it was made from")
    return Preprocess(manifest)


def quantise_artefact(
    source: Path,
    output: Path,
    wanted: Wanted,
    sources: Sources,
    *,
    checks: tuple[Check, ...] = (),
    bench: Bench | None = None,
) -> Report:
    """Write the best artefact of a precision, and beside it a report: the gate's, and what was checked before.

    Raises
    ------
    GateError
        Nothing passed: no file is written, and the error has the figures.
    CalibrationError, PrecisionError, QuantizationError
        The graph, the windows or the machine do not allow the precision.
    """
    real = sources.windows
    if len(real) < _CALIBRATION_SHARE:
        raise VerificationError(f"{source}: found {len(real)} windows, wanted some for the ranges and others to judge")
    preprocess = _preprocess_of(source)
    evidence = Evidence(
        calibration=iter([real[::_CALIBRATION_SHARE]]),
        windows={"real windows": real[1::_CALIBRATION_SHARE], "awkward windows": _within_reach(preprocess, real)},
        metric=sources.metric,
    )
    report = best_artefact(source, output, wanted, evidence, bench=bench)
    write_report(output, checks, report)
    return report


def _within_reach(preprocess: Preprocess, real: Float32) -> Float32:
    """The awkward windows that integers with the range of real windows can speak of at all.

    A normalisation that keeps the mean makes numbers of thousands of a sensor that stands far from zero, where real
    windows have tens: of those an integer says no more than that they are large.
    """
    awkward = awkward_windows(preprocess)
    largest = np.abs(awkward).reshape(len(awkward), -1).max(axis=1)
    within: Float32 = awkward[largest <= _REACH * np.abs(real).max()]
    return within


def write_report(artefact: Path, checks: tuple[Check, ...], report: Report | None) -> None:
    """Write `<artefact>.report.json`: what was checked of the fp32 form, and the gate's report where it had a say."""
    value = {
        "version": REPORT_VERSION,
        "checks": [asdict(each) for each in checks],
        "gate": None if report is None else report.to_json(),
    }
    write_whole((json.dumps(value, indent=1) + "\n").encode(), artefact.with_suffix(".report.json"))
