"""What a freshly trained artefact is worth, and its thresholds: through the runtime's windows, session and rules.

Thresholds are chosen on records that were trained on, figures are those of others.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from seisedge.edge.manifest import Threshold
from seisedge.edge.preprocess import Preprocess
from seisedge.edge.session import OrtSession

from .crops import Float32
from .dataset import LabelledSet
from .errors import TrainingDataError
from .evaluate import best_threshold, curves, manual, score
from .event_scores import EventScore
from .lessons import maker_of
from .objectives import objective_of
from .records import Record
from .synthetic import synthetic_set
from .task_metric import waveform_metric
from .train_options import ExampleOptions

Thresholds = dict[str, Threshold]
Scores = dict[str, float]
Judge = Callable[[Path], tuple[Thresholds, Scores]]

EVENTS = "validation_event_"
"""What the names of an event detector's scores begin with."""
_DRAWN = 400
"""Windows that events are judged by: half of them at an arrival."""
_SYNTHETIC, _SYNTHETIC_SEED = 64, 8128
_PART = 8


def judge_picks(sets: tuple[LabelledSet, LabelledSet]) -> Judge:
    """Precision, recall, F1 and residual of every picked phase, of all labels and of the analysts' alone."""

    def judge(path: Path) -> tuple[Thresholds, Scores]:
        session = OrtSession(path)
        manifest = session.manifest
        seen, unseen = (curves(session, each.windows) for each in sets)
        thresholds = {phase: best_threshold(manifest, seen, phase) for phase in manifest.picked_labels}
        scores: Scores = {}
        for phase, threshold in thresholds.items():
            for name, part in (("validation", unseen), ("validation_manual", manual(unseen))):
                result = score(manifest, part, phase, threshold)
                scores[f"{name}_{phase}_f1"] = round(result.f1, 4)
                scores[f"{name}_{phase}_precision"] = round(result.precision, 4)
                scores[f"{name}_{phase}_recall"] = round(result.recall, 4)
                if result.hits:  # otherwise there is none, and JSON has no NaN
                    scores[f"{name}_{phase}_residual_s"] = round(result.residual_s, 4)
        return thresholds, scores

    return judge


def judge_events(sets: tuple[tuple[Record, ...], tuple[Record, ...]], options: ExampleOptions) -> Judge:
    """Precision and recall over windows that hold an event, and as many that hold none, by the rules of training.

    The windows are drawn once, from records as they are; one that is too short stands in noise.
    """

    def judge(path: Path) -> tuple[Thresholds, Scores]:
        session = OrtSession(path)
        seen, unseen = (_event_probabilities(session, each, options) for each in sets)
        grid = [step / 20 for step in range(2, 20)]
        on = max(grid, key=lambda each: EventScore.of(*seen, each).f1)
        thresholds = {label: Threshold(on, on) for label in session.manifest.picked_labels}
        return thresholds, {"threshold": on, **EventScore.of(*unseen, on).figures(EVENTS)}

    return judge


def _event_probabilities(
    session: OrtSession, records: tuple[Record, ...], options: ExampleOptions
) -> tuple[Float32, Float32]:
    """Probability of an event in each window, and whether it holds one."""
    manifest = session.manifest
    preprocess, objective = Preprocess(manifest), objective_of(manifest, options)
    maker = maker_of(manifest, records, options.unchanged(), objective)
    rng, events = np.random.default_rng(0), [manifest.outputs[0].labels.index(each) for each in manifest.picked_labels]
    said: list[Float32] = []
    held: list[Float32] = []
    for _ in range(_DRAWN // _PART):
        samples, targets, weights = maker.batch(_PART, rng)
        inputs = np.concatenate([preprocess.windows(np.ascontiguousarray(x), count=1, stride=1) for x in samples])
        known = weights[:, 0] > 0
        said.append(session.run(inputs)[0][known][:, events].sum(axis=1))
        held.append(targets[known, 0])
    found, wanted = np.concatenate(said), np.concatenate(held)
    if not wanted.any() or wanted.all():
        raise TrainingDataError(
            f"{manifest.name}: found {int(wanted.sum())} events in {wanted.size} windows, wanted both"
        )
    return found, wanted


def judge_waveforms() -> Judge:
    """Correlation with the true waveforms and mean squared error, on a synthetic set that no training draws."""

    def judge(path: Path) -> tuple[Thresholds, Scores]:
        data, session = synthetic_set(_SYNTHETIC, _SYNTHETIC_SEED), OrtSession(path)
        found = np.concatenate([session.run(data.stations[at : at + _PART])[0] for at in range(0, _SYNTHETIC, _PART)])
        figures = {
            "mean_squared_error": float(np.square(found - data.sources).mean()),
            **waveform_metric(data)(session),
        }
        return {}, {f"synthetic_{name}": round(value, 5) for name, value in figures.items()}

    return judge
