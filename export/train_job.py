"""One training from data to artefact: read, fit, choose thresholds, export, record."""

from __future__ import annotations

import dataclasses
import hashlib
import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from seisedge.edge.manifest import Manifest, Provenance, Threshold, Verification
from seisedge.edge.preprocess import Preprocess
from seisedge.edge.session import OrtSession

from .artefact import UNQUANTIZED, Source, export_fp32, tool_versions
from .dataset import read_labelled
from .evaluate import best_threshold, curves, manual, score
from .registry import Model
from .train import TrainOptions, TrainRecord, train
from .weights import save_weights


class TrainJob:
    """Fits a model of the registry on `labelled_train` and looks at `labelled_val`.

    Parameters
    ----------
    model
        Which network and recipe.
    data
        Folder with both sets.
    seed, epochs, threads
        What the result depends on.

    Raises
    ------
    TrainingDataError
        The data are not there or not in their form.
    """

    def __init__(self, model: Model, data: Path, *, seed: int, epochs: int, threads: int) -> None:
        torch.set_num_threads(threads)
        torch.manual_seed(seed)
        self._model = model
        self._options = TrainOptions(seed=seed, epochs=epochs)
        self._preprocess = Preprocess(_draft(model))
        self._training = read_labelled(data / "labelled_train.npz", self._preprocess)
        self._validation = read_labelled(data / "labelled_val.npz", self._preprocess)
        self._network: nn.Module = model.build()
        self._curve: list[dict[str, float]] = []
        self._seconds = 0.0

    def describe(self) -> str:
        """What will be trained on what, for a person."""
        return (
            f"{self._model.name}: {self._model.parameters:,} parameters, {len(self._training.windows)} windows "
            f"for training, {len(self._validation.windows)} for validation, {self._options.epochs} epochs"
        )

    def fit(self, progress: Callable[[dict[str, float]], None]) -> None:
        """Train."""
        began = time.perf_counter()
        self._network, self._curve = train(
            self._network,
            self._preprocess,
            (self._training, self._validation),
            self._options,
            progress=progress,
        )
        self._seconds = time.perf_counter() - began

    def write(self, path: Path, *, command: str) -> TrainRecord:
        """Write the artefact, its weights (`.npz`) and its record (`.json`) beside each other."""
        weights = path.with_suffix(".npz")
        save_weights(weights, self._network)
        source = Source(
            version=f"{len(self._curve)}-epochs-seed-{self._options.seed}",
            weights_digest=_digest(weights),
            training_data=f"{len(self._training.windows)} labelled windows, sha256 {self._training.digest[:16]}",
            licence="MIT",
            citation="seisedge",
        )
        export_fp32(self._network, self._model.recipe, source, path)
        thresholds, scores = self._evaluate(path)
        recipe = dataclasses.replace(
            self._model.recipe,
            postprocess=dataclasses.replace(self._model.recipe.postprocess, thresholds=thresholds),
        )
        export_fp32(self._network, recipe, source, path, quality=scores)
        record = TrainRecord(
            model=self._model.name,
            command=command,
            options=self._options,
            data_digests={"labelled_train.npz": self._training.digest, "labelled_val.npz": self._validation.digest},
            windows={"training": len(self._training.windows), "validation": len(self._validation.windows)},
            versions=tool_versions(),
            hardware=f"{platform.machine()}, {torch.get_num_threads()} thread(s)",
            seconds=round(self._seconds, 1),
            curve=self._curve,
            scores=scores,
        )
        record.write(path.with_suffix(".json"))
        return record

    def _evaluate(self, path: Path) -> tuple[dict[str, Threshold], dict[str, float]]:
        """Thresholds chosen on the training set, and what they give on validation."""
        session = OrtSession(path)
        seen, unseen = (curves(session, each.windows) for each in (self._training, self._validation))
        thresholds = {phase: best_threshold(session.manifest, seen, phase) for phase in ("P", "S")}
        scores: dict[str, float] = {}
        for phase, threshold in thresholds.items():
            for name, part in (("validation", unseen), ("validation_manual", manual(unseen))):
                result = score(session.manifest, part, phase, threshold)
                scores[f"{name}_{phase}_f1"] = round(result.f1, 4)
                scores[f"{name}_{phase}_precision"] = round(result.precision, 4)
                scores[f"{name}_{phase}_recall"] = round(result.recall, 4)
                scores[f"{name}_{phase}_residual_s"] = round(result.residual_s, 4)
        return thresholds, scores


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _draft(model: Model) -> Manifest:
    """A manifest without weights, from which training takes its preprocessing."""
    return model.recipe.manifest(
        version="draft",
        quantization=UNQUANTIZED,
        verification=Verification(0, 1, (), 0.0, {}, {}),
        provenance=Provenance("", "", "", "", {}),
    )
