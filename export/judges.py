"""What a freshly trained artefact is worth, and its thresholds: through the runtime's windows, session and rules.

Thresholds are chosen on records that were trained on, figures are those of others.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from seisedge.edge.classify import thresholds_with
from seisedge.edge.manifest import Threshold
from seisedge.edge.preprocess import Preprocess
from seisedge.edge.session import OrtSession

from .crops import Float32
from .errors import TrainingDataError
from .evaluation.cases import CaseSet, only
from .evaluation.pick_store import PickStore, pick_all
from .evaluation.pickers import ArtefactPicker, Found
from .evaluation.scores import Score
from .evaluation.sweep import best_threshold, sweep
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
_MANUAL = "manual"
_DRAWN = 400
"""Windows that events are judged by: half of them at an arrival."""
_SYNTHETIC, _SYNTHETIC_SEED = 64, 8128
_PART = 8


class PicksJudge:
    """Precision, recall, F1 and residual of every picked phase, of all labels and of the analysts' alone.

    As `edge-export evaluate` has them: records go through the runtime's own stream, and the threshold of a phase is
    chosen on the analysts' labels of what was trained on, where there are some of this phase; else on all.

    Parameters
    ----------
    training, validation
        Records with labels.
    """

    def __init__(self, training: CaseSet, validation: CaseSet) -> None:
        labels = [label for case in training.cases for label in case.labels]
        by_analysts = {label.phase for label in labels if label.origin == _MANUAL}
        self._origins = {each.phase: _MANUAL if each.phase in by_analysts else None for each in labels}
        wanted = set(self._origins.values()) or {None}
        self._training = only(training, _MANUAL) if wanted == {_MANUAL} else training
        self._validation = validation
        self.records = len(self._training.cases) + len(validation.cases)
        """How many it will pick."""

    def __call__(self, path: Path, advance: Callable[[], None] = lambda: None) -> tuple[Thresholds, Scores]:
        """Judge an artefact; `advance` is called behind each record."""
        session = OrtSession(path)
        picker = ArtefactPicker(session.manifest.name, session)

        def pick(cases: CaseSet) -> list[Found]:
            return pick_all(picker, cases, PickStore(None), advance=lambda _: advance())

        picked = {case.id: each for case, each in zip(self._training.cases, pick(self._training), strict=True)}
        parts = {origin: only(self._training, origin) for origin in map(self._origins.get, picker.phases)}
        swept = {
            origin: sweep(picker, part, [picked[case.id] for case in part.cases]) for origin, part in parts.items()
        }
        places = {phase: best_threshold(swept[self._origins.get(phase)].scores(phase)) for phase in picker.phases}
        found = {case.id: each for case, each in zip(self._validation.cases, pick(self._validation), strict=True)}
        scores: Scores = {}
        for name, origin in (("validation", None), ("validation_manual", _MANUAL)):
            part = only(self._validation, origin)
            judged = sweep(picker, part, [found[case.id] for case in part.cases])
            for phase, place in places.items():
                scores |= _figures(f"{name}_{phase}", judged.score(phase, place))
        chosen = {phase: picker.grid[place] for phase, place in places.items()}
        return thresholds_with(session.manifest, chosen), scores


def _figures(name: str, score: Score) -> Scores:
    found = {"f1": score.f1, "precision": score.precision, "recall": score.recall}
    if score.hits:  # otherwise there is none, and JSON has no NaN
        found["residual_s"] = score.residual_s
    return {f"{name}_{what}": round(value, 4) for what, value in found.items()}


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
