"""What is left of a training: an artefact with thresholds of its own, its weights, and its record."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import nn

from seisedge.edge.manifest import Threshold
from seisedge.edge.session import OrtSession

from .artefact import Source, export_fp32, tool_versions
from .dataset import LabelledSet
from .evaluate import best_threshold, curves, manual, score
from .registry import Model
from .train import TrainOptions
from .train_picker import PickerOptions
from .weights import save_weights

Options = TrainOptions | PickerOptions
_PHASES = ("P", "S")


@dataclass
class TrainRecord:
    """How a model came to be: enough to train it again and to know what to expect."""

    model: str
    command: str
    options: Options
    data_digests: dict[str, str]
    windows: dict[str, int]
    versions: dict[str, str]
    hardware: str
    seconds: float = 0.0
    curve: list[dict[str, float]] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write the record as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Trained:
    """A network that was trained, and how.

    Attributes
    ----------
    version
        For the manifest: what tells it from other trainings.
    more_data
        Name → SHA-256 of what was trained on besides the labelled sets.
    """

    model: Model
    network: nn.Module
    options: Options
    version: str
    curve: list[dict[str, float]]
    seconds: float
    more_data: dict[str, str] = field(default_factory=dict[str, str])


def write_trained(trained: Trained, sets: tuple[LabelledSet, LabelledSet], path: Path, *, command: str) -> TrainRecord:
    """Write the artefact, its weights (`.npz`) and its record (`.json`) beside each other.

    The thresholds are chosen on the first set; the scores are those of the second.
    """
    training, validation = sets
    weights = path.with_suffix(".npz")
    save_weights(weights, trained.network)
    data = f"{len(training.windows)} labelled windows, sha256 {training.digest[:16]}"
    source = Source(
        version=trained.version,
        weights_digest=hashlib.sha256(weights.read_bytes()).hexdigest(),
        training_data="; ".join((data, *(f"{name}, sha256 {each[:16]}" for name, each in trained.more_data.items()))),
        licence="MIT",
        citation="seisedge",
    )
    recipe = trained.model.recipe
    export_fp32(trained.network, recipe, source, path)
    thresholds, scores = _evaluate(path, sets)
    postprocess = dataclasses.replace(recipe.postprocess, thresholds=thresholds)
    export_fp32(trained.network, dataclasses.replace(recipe, postprocess=postprocess), source, path, quality=scores)
    record = TrainRecord(
        model=trained.model.name,
        command=command,
        options=trained.options,
        data_digests={
            "labelled_train.npz": training.digest,
            "labelled_val.npz": validation.digest,
            **trained.more_data,
        },
        windows={"training": len(training.windows), "validation": len(validation.windows)},
        versions=tool_versions(),
        hardware=f"{platform.machine()}, {torch.get_num_threads()} thread(s)",
        seconds=round(trained.seconds, 1),
        curve=trained.curve,
        scores=scores,
    )
    record.write(path.with_suffix(".json"))
    return record


def _evaluate(path: Path, sets: tuple[LabelledSet, LabelledSet]) -> tuple[dict[str, Threshold], dict[str, float]]:
    """Thresholds chosen on the first set, and what they give on the second."""
    session = OrtSession(path)
    seen, unseen = (curves(session, each.windows) for each in sets)
    thresholds = {phase: best_threshold(session.manifest, seen, phase) for phase in _PHASES}
    scores: dict[str, float] = {}
    for phase, threshold in thresholds.items():
        for name, part in (("validation", unseen), ("validation_manual", manual(unseen))):
            result = score(session.manifest, part, phase, threshold)
            scores[f"{name}_{phase}_f1"] = round(result.f1, 4)
            scores[f"{name}_{phase}_precision"] = round(result.precision, 4)
            scores[f"{name}_{phase}_recall"] = round(result.recall, 4)
            if result.hits:  # otherwise there is none, and JSON has no NaN
                scores[f"{name}_{phase}_residual_s"] = round(result.residual_s, 4)
    return thresholds, scores
