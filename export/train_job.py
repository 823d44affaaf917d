"""One training of a model of classes per window, from data to artefact."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from seisedge.edge.manifest import Manifest, Provenance, Verification
from seisedge.edge.preprocess import Preprocess

from .artefact import UNQUANTIZED
from .dataset import read_labelled
from .registry import Model
from .train import TrainOptions, train
from .trained import Trained, TrainRecord, write_trained


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
        self._preprocess = Preprocess(draft_manifest(model))
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
        trained = Trained(
            model=self._model,
            network=self._network,
            options=self._options,
            version=f"{len(self._curve)}-epochs-seed-{self._options.seed}",
            curve=self._curve,
            seconds=self._seconds,
        )
        return write_trained(trained, (self._training, self._validation), path, command=command)


def draft_manifest(model: Model) -> Manifest:
    """A manifest without weights, from which training takes its preprocessing."""
    return model.recipe.manifest(
        version="draft",
        quantization=UNQUANTIZED,
        verification=Verification(0, 1, (), 0.0, {}, {}),
        provenance=Provenance("", "", "", "", {}),
    )
