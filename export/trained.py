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

from .artefact import Source, export_fp32, tool_versions
from .judges import Judge
from .registry import Model
from .train_options import TrainOptions
from .weights import save_weights


@dataclass
class TrainRecord:
    """How a model came to be: enough to train it again and to know what to expect.

    Attributes
    ----------
    weights_digest
        SHA-256 of the weights (`.npz`) that came of it, by which who trains it again knows them.
    """

    model: str
    command: str
    options: TrainOptions
    data_digests: dict[str, str]
    windows: dict[str, int]
    versions: dict[str, str]
    hardware: str
    weights_digest: str
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
    training_data
        In words, for the manifest.
    data_digests
        Name → SHA-256 of what it depends on.
    windows
        How many records were trained on, and how many it is judged by.
    """

    model: Model
    network: nn.Module
    options: TrainOptions
    version: str
    curve: list[dict[str, float]]
    seconds: float
    training_data: str
    data_digests: dict[str, str]
    windows: dict[str, int]


def write_trained(trained: Trained, judge: Judge, path: Path, *, command: str) -> TrainRecord:
    """Write the artefact, its weights (`.npz`) and its record (`.json`) beside each other.

    The judge chooses the thresholds and gives the scores.
    """
    weights = path.with_suffix(".npz")
    save_weights(weights, trained.network)
    source = Source(
        version=trained.version,
        weights_digest=hashlib.sha256(weights.read_bytes()).hexdigest(),
        training_data=trained.training_data,
        licence="MIT",
        citation="seisedge",
    )
    recipe = trained.model.recipe
    export_fp32(trained.network, recipe, source, path)
    thresholds, scores = judge(path)
    postprocess = dataclasses.replace(recipe.postprocess, thresholds=thresholds)
    export_fp32(trained.network, dataclasses.replace(recipe, postprocess=postprocess), source, path, quality=scores)
    record = TrainRecord(
        model=trained.model.name,
        command=command,
        options=trained.options,
        data_digests=trained.data_digests,
        windows=trained.windows,
        versions=tool_versions(),
        hardware=f"{platform.machine()}, {torch.get_num_threads()} thread(s)",
        weights_digest=source.weights_digest,
        seconds=round(trained.seconds, 1),
        curve=trained.curve,
        scores=scores,
    )
    record.write(path.with_suffix(".json"))
    return record
