"""One training of a model of probabilities per sample, from data to artefact."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from seisedge.edge.preprocess import Preprocess

from .dataset import read_labelled
from .records import Continuous, Record, continuous_records, labelled_records, mems_records
from .registry import Model
from .train_job import draft_manifest
from .train_picker import PickerOptions, PickerTraining, Progress
from .trained import Trained, TrainRecord, write_trained
from .weights import load_weights


@dataclass(frozen=True)
class PickerData:
    """What a picker is trained with.

    Attributes
    ----------
    labelled
        Folder with both labelled sets.
    continuous
        Archives with consensus picks.
    mems
        Long records of MEMS sensors, `.npz` with its picks beside it; None for none.
    left_out
        Beginnings of the ids of those that are kept for validation.
    teachers
        Files of weights of the same network, whose outputs teach beside the labels.
    """

    labelled: Path
    continuous: tuple[Continuous, ...] = ()
    mems: Path | None = None
    left_out: tuple[str, ...] = ()
    teachers: tuple[Path, ...] = ()


class PickerJob:
    """Fits a model of the registry on records and looks at `labelled_val`.

    Parameters
    ----------
    state
        File by which a training that was stopped goes on; None keeps none.

    Raises
    ------
    TrainingDataError
        The data are not there or not in their form, or the state is of another training.
    WeightError
        A teacher's file holds no weights of this network.
    """

    def __init__(
        self, model: Model, data: PickerData, options: PickerOptions, *, threads: int, state: Path | None
    ) -> None:
        torch.set_num_threads(threads)
        torch.manual_seed(options.seed)
        self._model, self._options, self._state = model, options, state
        self._preprocess = Preprocess(draft_manifest(model))
        self._sets = (
            read_labelled(data.labelled / "labelled_train.npz", self._preprocess),
            read_labelled(data.labelled / "labelled_val.npz", self._preprocess),
        )
        self._records = tuple(self._read(data))
        self._more_data = _digests(data)
        network, teachers = model.build(), tuple(_teacher(model, each) for each in data.teachers)
        self._training = PickerTraining(network, self._preprocess, self._records, options, teachers)
        if state is not None and state.exists():
            self._training.load(state)
        self._seconds = 0.0

    @property
    def done(self) -> int:
        """Steps that are behind us."""
        return self._training.step

    def describe(self) -> str:
        """What will be trained on what, for a person."""
        rate = self._preprocess.manifest.sampling_rate
        hours = sum(each.samples.shape[1] for each in self._records) / rate / 3600
        name, count = self._model.name, self._model.parameters
        resumed = f", going on behind step {self.done}" if self.done else ""
        return (
            f"{name}: {count:,} parameters, {len(self._records):,} records of {hours:.1f} h "
            f"for training, {len(self._sets[1].windows)} windows for validation, {self._options.steps:,} steps{resumed}"
        )

    def fit(self, progress: Progress) -> None:
        """Train."""
        began = time.perf_counter()
        self._training.run(progress, keep=self._state)
        self._seconds = time.perf_counter() - began

    def write(self, path: Path, *, command: str) -> TrainRecord:
        """Write the artefact, its weights (`.npz`) and its record (`.json`) beside each other."""
        trained = Trained(
            model=self._model,
            network=self._training.trained,
            options=self._options,
            version=f"{self._training.step}-steps-seed-{self._options.seed}",
            curve=self._training.curve,
            seconds=self._seconds,
            more_data=self._more_data,
        )
        return write_trained(trained, self._sets, path, command=command)

    def _read(self, data: PickerData) -> Iterator[Record]:
        yield from labelled_records(self._sets[0], self._preprocess.manifest.sampling_rate)
        for archive in data.continuous:
            yield from continuous_records(archive, self._preprocess)
        if data.mems is not None:
            yield from mems_records(data.mems, self._preprocess, left_out=data.left_out)


def _teacher(model: Model, weights: Path) -> nn.Module:
    network = model.build()
    load_weights(weights, network)
    return network


def _digests(data: PickerData) -> dict[str, str]:
    found = {archive.folder.name: _digest_of(sorted(archive.folder.glob("*"))) for archive in data.continuous}
    if data.mems is not None:
        found[data.mems.name] = _digest_of([data.mems])
    return found | {f"teacher {each.name}": _digest_of([each]) for each in data.teachers}


def _digest_of(paths: list[Path]) -> str:
    """SHA-256 of the files one behind the other."""
    digest = hashlib.sha256()
    for path in paths:
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()
