"""How well an artefact picks labelled windows, through the runtime's own windows, session and postprocess."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from seisedge.edge.manifest import Manifest, Threshold
from seisedge.edge.picks import Pick, StationId
from seisedge.edge.postprocess import postprocess_of
from seisedge.edge.preprocess import Preprocess
from seisedge.edge.runs import Clock
from seisedge.edge.session import Session
from seisedge.edge.times import NANOSECONDS

from .dataset import LabelledWindow
from .evaluation.matching import match
from .evaluation.scores import Score

Float32 = npt.NDArray[np.float32]

_TOLERANCE_S = 0.5
_EDGE_S = 0.5  # arrivals whose window does not fit into the record with this margin are not scored
_NOWHERE = StationId("XX", "NONE", "", "HH")


@dataclass(frozen=True)
class Curve:
    """A labelled window and what the model gave for the consecutive windows of its record.

    Attributes
    ----------
    outputs
        Each (window, …), in the manifest's order.
    before
        Samples that were put before the record, so that its start is seen too.
    """

    window: LabelledWindow
    outputs: list[Float32]
    before: int = 0


def curves(session: Session, windows: tuple[LabelledWindow, ...]) -> list[Curve]:
    """The model's probabilities over each labelled window, at the manifest's stride."""
    preprocess = Preprocess(session.manifest)
    manifest = session.manifest
    found: list[Curve] = []
    for window in windows:
        record, count, before = _laid_out(manifest, window.samples)
        if count < 1:
            continue
        inputs = preprocess.windows(record, count=count, stride=manifest.stride_samples)
        found.append(Curve(window, session.run(inputs), before))
    return found


def _laid_out(manifest: Manifest, samples: Float32) -> tuple[Float32, int, int]:
    """Give the record, how many windows it has, and how many samples stand before it.

    Where a model says something of each sample, silence around the record lets all of it be seen, however long the
    model's window is.
    """
    npts, width, stride = samples.shape[1], manifest.window_samples, manifest.stride_samples
    if manifest.outputs[0].kind != "sample_probability":
        return samples, (npts - width) // stride + 1, 0
    before, behind = manifest.postprocess.blinding_samples
    count = max(0, -((width - before - behind - npts) // stride)) + 1
    record = np.zeros((len(samples), (count - 1) * stride + width), np.float32)
    record[:, before : before + npts] = samples - samples.mean(axis=1, keepdims=True)
    return record, count, before


def score(manifest: Manifest, found: list[Curve], phase: str, threshold: Threshold) -> Score:
    """Pick every curve and match with the labels; a pick near an arrival of unknown phase is not counted."""
    hits, false_picks, missed = 0, 0, 0
    residuals: list[float] = []
    for curve in found:
        onsets = _onsets(manifest, curve, phase, threshold)
        arrival = curve.window.arrivals.get(phase)
        labels = [] if arrival is None else [arrival]
        pairs = _matched(manifest, onsets, labels)
        if arrival is not None and _fits(manifest, curve.window, arrival):
            hits += len(pairs)
            missed += not pairs
            residuals += [(onsets[i] - labels[j]) / manifest.sampling_rate for i, j in pairs]
        taken = {i for i, _ in pairs}
        rest = [each for i, each in enumerate(onsets) if i not in taken]
        false_picks += sum(1 for each in rest if not _excused(manifest, curve.window, each))
    return Score(hits, false_picks, missed, tuple(residuals))


def _onsets(manifest: Manifest, curve: Curve, phase: str, threshold: Threshold) -> list[float]:
    """Picked samples of one phase."""
    picker = postprocess_of(
        manifest, _NOWHERE, model_digest="", thresholds={phase: threshold}, stride=manifest.stride_samples
    )
    clock = Clock(0, 0, _rate(manifest))
    results = [*picker.push(0, clock, curve.outputs), *picker.finish()]
    picks = [each for each in results if isinstance(each, Pick)]
    return [pick.time_ns * manifest.sampling_rate / NANOSECONDS - curve.before for pick in picks]


def _matched(manifest: Manifest, onsets: list[float], labels: list[float]) -> list[tuple[int, int]]:
    picks, wanted = ([round(each * NANOSECONDS / manifest.sampling_rate) for each in side] for side in (onsets, labels))
    return match(picks, wanted, round(_TOLERANCE_S * NANOSECONDS))


def _rate(manifest: Manifest) -> Fraction:
    return Fraction(manifest.sampling_rate)


def _samples(manifest: Manifest) -> float:
    return _TOLERANCE_S * manifest.sampling_rate


def _fits(manifest: Manifest, window: LabelledWindow, arrival: float) -> bool:
    """Whether the model ever sees the arrival at its reference sample."""
    margin = _EDGE_S * manifest.sampling_rate
    if manifest.outputs[0].kind == "sample_probability":
        return bool(margin <= arrival <= window.samples.shape[1] - margin)
    reference = manifest.outputs[0].reference_sample or 0
    behind = window.samples.shape[1] - (manifest.window_samples - reference)
    return bool(reference + margin <= arrival <= behind - margin)


def _excused(manifest: Manifest, window: LabelledWindow, onset: float) -> bool:
    """A pick at an arrival whose phase is not known, or where labels are known to be missing."""
    if any(abs(onset - other) <= 2 * _samples(manifest) for other in window.others):
        return True
    return window.unlabelled_from is not None and onset > window.unlabelled_from
