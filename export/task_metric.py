"""What an artefact is worth at its task, in figures of which larger is better: the gate compares them with fp32's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from seisedge.edge.manifest import Manifest
from seisedge.edge.preprocess import Preprocess
from seisedge.edge.session import Session

from .dataset import LabelledWindow
from .errors import TrainingDataError
from .evaluate import curves, score
from .synthetic import SyntheticSet

Float32 = npt.NDArray[np.float32]
Metric = Callable[[Session], dict[str, float]]

_WORST_RESIDUAL_S = 0.5  # of what counts as a hit
_BEFORE_ONSET = 0.25  # of a window: where an event stands in the window that is to detect it
_PART = 8  # windows in one call


def metric_of(preprocess: Preprocess, windows: tuple[LabelledWindow, ...]) -> Metric:
    """Choose the metric of a model's task.

    Raises
    ------
    TrainingDataError
        The windows hold nothing that this model can be measured by.
    """
    name, task = preprocess.manifest.name, preprocess.manifest.task
    if task == "waveform_inversion":
        raise TrainingDataError(f"{name}: found labelled onsets, and an inversion has none: leave them out")
    return event_metric(preprocess, windows) if task == "event_detection" else pick_metric(windows)


def remembered(metric: Metric) -> Metric:
    """Measure each artefact once: a gate asks for fp32's figures again for every target."""
    known: dict[str, dict[str, float]] = {}

    def measure(session: Session) -> dict[str, float]:
        if session.digest not in known:
            known[session.digest] = metric(session)
        return known[session.digest]

    return measure


def event_windows(preprocess: Preprocess, records: tuple[LabelledWindow, ...], *, most: int) -> Float32:
    """Network input with an event in it, at most so many windows; a record that is too short stands between silence."""
    width = preprocess.manifest.window_samples
    chosen = [each for each in records if each.arrivals]
    chosen = [chosen[place] for place in np.linspace(0, len(chosen) - 1, min(most, len(chosen))).astype(int)]
    if not chosen:
        raise TrainingDataError(f"{preprocess.manifest.name}: found no event among {len(records)} labelled windows")
    return np.concatenate([_window_of(preprocess, each, width) for each in chosen])


def pick_metric(windows: tuple[LabelledWindow, ...]) -> Metric:
    """Give the F1 of every picked label, and how well the hits are timed, at the manifest's thresholds.

    The timing is one less the mean absolute residual over the largest that counts as a hit, so that 99 % of it
    is a change of five milliseconds and not of one part in a hundred of a residual that may be nearly nothing.
    """

    def measure(session: Session) -> dict[str, float]:
        manifest = session.manifest
        found = curves(session, windows)
        figures: dict[str, float] = {}
        for label in manifest.picked_labels:
            result = score(manifest, found, label, manifest.postprocess.thresholds[label])
            figures[f"{label}_f1"] = result.f1
            figures[f"{label}_timing"] = 1 - result.residual_s / _WORST_RESIDUAL_S if result.hits else 0.0
        return figures

    return measure


def event_metric(preprocess: Preprocess, windows: tuple[LabelledWindow, ...]) -> Metric:
    """Give the shares of events that are detected and of noise that is not, one window of each record.

    Raises
    ------
    TrainingDataError
        No event, or no noise, is as long as the model's window.
    """
    width = preprocess.manifest.window_samples
    long = [each for each in windows if each.samples.shape[1] >= width]
    is_event = np.array([bool(each.arrivals) for each in long], bool)
    if not is_event.any() or is_event.all():
        raise TrainingDataError(
            f"{preprocess.manifest.name}: found {is_event.sum()} events and {(~is_event).sum()} windows of noise of at "
            f"least {width} samples at {preprocess.manifest.sampling_rate:g} Hz, wanted some of both"
        )
    inputs = np.concatenate([_window_of(preprocess, each, width) for each in long])

    def measure(session: Session) -> dict[str, float]:
        detected = _event_probability(session, inputs) >= _event_threshold(session.manifest)
        return {
            "events_detected": float(detected[is_event].mean()),
            "noise_left_alone": float((~detected[~is_event]).mean()),
        }

    return measure


def _window_of(preprocess: Preprocess, record: LabelledWindow, width: int) -> Float32:
    """Network input of the window whose first quarter ends at the onset, or that holds the whole record."""
    spare = record.samples.shape[1] - width
    if spare < 0:
        level = record.samples - record.samples.mean(axis=1, keepdims=True)
        return preprocess.windows(np.pad(level, ((0, 0), (-spare // 2, -spare - -spare // 2))), count=1, stride=1)
    onset = min(record.arrivals.values(), default=spare / 2 + _BEFORE_ONSET * width)
    start = int(np.clip(onset - _BEFORE_ONSET * width, 0, spare))
    return preprocess.windows(np.ascontiguousarray(record.samples[:, start : start + width]), count=1, stride=1)


def _event_probability(session: Session, inputs: Float32) -> Float32:
    labels = session.manifest.outputs[0].labels
    events = [labels.index(label) for label in session.manifest.picked_labels]
    parts = [session.run(inputs[at : at + _PART])[0] for at in range(0, len(inputs), _PART)]
    probability: Float32 = np.concatenate(parts)[:, events].sum(axis=1)
    return probability


def _event_threshold(manifest: Manifest) -> float:
    return min(each.on for each in manifest.postprocess.thresholds.values())


def waveform_metric(data: SyntheticSet) -> Metric:
    """Give the mean correlation of the waveforms with the true ones, over windows and sources."""
    wanted = data.sources - data.sources.mean(axis=1, keepdims=True)

    def measure(session: Session) -> dict[str, float]:
        parts = [session.run(data.stations[at : at + _PART])[0] for at in range(0, len(wanted), _PART)]
        found = np.concatenate(parts)
        found = found - found.mean(axis=1, keepdims=True)
        power = np.sqrt((found**2).sum(axis=1) * (wanted**2).sum(axis=1))
        return {
            "correlation": float(((found * wanted).sum(axis=1) / np.maximum(power, np.finfo(np.float32).tiny)).mean())
        }

    return measure
