"""One training of a model of the registry, from data to artefact."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import numpy as np
import torch
from torch import nn

from seisedge.edge.errors import UsageError
from seisedge.edge.manifest import Manifest, Provenance, Verification
from seisedge.edge.preprocess import Preprocess

from .artefact import UNQUANTIZED
from .catalogue import Catalogue, read_catalogue_file
from .dataset import LabelledSet, read_labelled
from .errors import TrainingDataError
from .evaluation.cases import CaseSet
from .evaluation.labelled_cases import labelled_cases
from .event_scores import EventScore
from .first_guess import begin
from .held_out import split_records
from .judges import EVENTS, Judge, PicksJudge, judge_events, judge_waveforms
from .records import Record, continuous_records, labelled_records, mems_records
from .registry import Model
from .train import Progress, Training
from .train_options import TrainOptions
from .trained import Trained, TrainRecord, write_trained
from .training_data import TrainingData
from .weights import load_weights

Judging = Callable[[int, int], None]

_FILTERS = ("highpass", "bandpass")
_LABELLED = ("labelled_train.npz", "labelled_val.npz")
_KEPT = 0.2  # DeepQuake's split
_REPORT_EVERY, _REPORTS = 100, 50


class TrainJob:
    """Fits a model of the registry on records and looks at `labelled_val`.

    Parameters
    ----------
    state
        File by which a training that was stopped goes on; None keeps none.
    device
        `cpu`, or `cuda` for a GPU.

    Raises
    ------
    TrainingDataError
        The data are not there or not in their form, or the state is of another training.
    UsageError
        There is no such device.
    WeightError
        The file of a teacher or of the start holds no weights of this network.
    """

    def __init__(
        self,
        model: Model,
        data: TrainingData,
        options: TrainOptions,
        *,
        threads: int,
        state: Path | None,
        device: str = "cpu",
    ) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise UsageError("--device cuda: found no GPU that PyTorch can use, wanted cpu")
        torch.set_num_threads(threads)
        torch.manual_seed(options.seed)
        self._model, self._options, self._state = model, options, state
        self._preprocess = Preprocess(draft_manifest(model))
        self._labelled = data.labelled
        self._told: list[str] = []
        self._sets = self._read_labelled(data)
        self._records = tuple(self._records_of(data))
        self._others: tuple[Record, ...] = ()
        if data.catalogue is not None and self._sets is None:
            self._records, self._others = split_records(self._records, _KEPT)
        self._digests = data.digests(self._sets)
        start, manifest = data.start, self._preprocess.manifest
        network = begin(model, manifest, options) if start is None else _with_weights(model, start)
        teachers = tuple(_with_weights(model, each) for each in data.teachers)
        self._training = Training(network, self._preprocess, self._records, options, teachers, device=device)
        self._training.data = self._digests
        self._judge = self._judge_of()
        if state is not None and state.exists():
            self._training.load(state)

    @property
    def done(self) -> int:
        """Steps that are behind us."""
        return self._training.step

    def describe(self) -> str:
        """What will be trained on what, for a person."""
        rate = self._preprocess.manifest.sampling_rate
        hours = sum(each.samples.shape[1] for each in self._records) / rate / 3600
        resumed = f", going on behind step {self.done}" if self.done else ""
        records = f"{len(self._records):,} records of {hours:.1f} h" if self._records else "synthetic waveforms"
        validation = f", {len(self._sets[1].windows)} windows for validation" if self._sets else ""
        first = (
            f"{self._model.name}: {self._model.parameters:,} parameters, {records} for training{validation}, "
            f"{self._options.steps:,} steps{resumed}"
        )
        unused = (
            f"{name}: {line}"
            for name, found in zip(_LABELLED, self._sets or (), strict=False)
            for line in found.unused(self._preprocess.manifest)
        )
        return "\n".join([first, *unused, *self._told])

    def fit(self, progress: Progress) -> None:
        """Train."""
        often = max(1, min(_REPORT_EVERY, self._options.steps // _REPORTS))
        self._training.run(progress, report_every=often, keep=self._state)

    def write(self, path: Path, *, command: str, judging: Judging = lambda _done, _of: None) -> TrainRecord:
        """Write the artefact, its weights (`.npz`) and its record (`.json`) beside each other.

        Parameters
        ----------
        judging
            Called with how many records are judged, and how many there are.
        """
        trained = Trained(
            model=self._model,
            network=self._training.trained.cpu(),
            options=self._options,
            version=f"{self._training.step}-steps-seed-{self._options.seed}",
            curve=self._training.curve,
            seconds=self._training.seconds,
            training_data=self._in_words(),
            data_digests=self._digests,
            windows=self._counts(),
        )
        record = write_trained(trained, self._judge(judging), path, command=command)
        if self._model.recipe.task == "event_detection":
            self._write_evaluation(record, path.with_name(f"{path.stem}.eval.json"))
        return record

    def _write_evaluation(self, record: TrainRecord, path: Path) -> None:
        """Write what DeepQuake's evaluation says, with precision and recall the right way round."""
        recipe = self._model.recipe
        evaluation = EventScore.from_figures(record.scores, EVENTS).as_deepquake(
            model=recipe.name,
            window_s=round(recipe.window_samples / recipe.sampling_rate),
            components=len(recipe.components.order),
            classes=len(recipe.outputs[0].labels),
            dataset=", ".join(record.data_digests),
        )
        path.write_text(json.dumps(evaluation, indent=1) + "\n", encoding="utf-8")

    def _read_labelled(self, data: TrainingData) -> tuple[LabelledSet, LabelledSet] | None:
        if self._model.recipe.task == "waveform_inversion":
            return None
        if data.labelled is None:
            if data.catalogue is None or not data.continuous:
                raise TrainingDataError(
                    f"{self._model.name}: found no labels, wanted labelled windows, or an archive with its catalogue"
                )
            return None
        training, validation = (read_labelled(data.labelled / name, self._preprocess) for name in _LABELLED)
        for name, found in zip(_LABELLED, (training, validation), strict=True):
            if not found.windows and found.refused:
                raise TrainingDataError(f"{data.labelled / name}: found no window to use: {'; '.join(found.refused)}")
        if not data.accelerometers:
            return training, validation
        return _accelerometers(training), _accelerometers(validation)

    def _records_of(self, data: TrainingData) -> Iterator[Record]:
        if self._model.recipe.task == "waveform_inversion":
            return
        for record in self._read(data):
            yield record if self._is_filtered else _without_mean(record)

    def _read(self, data: TrainingData) -> Iterator[Record]:
        if self._sets is not None:
            yield from labelled_records(self._sets[0], self._preprocess.manifest.sampling_rate)
        catalogue = None if data.catalogue is None else self._read_catalogue(data.catalogue)
        for archive in data.continuous:
            yield from continuous_records(
                archive,
                self._preprocess,
                accelerometers=data.accelerometers,
                catalogue=catalogue,
                avoid_s=self._avoid_s,
                tell=self._told.append,
            )
        if data.mems is not None:
            yield from mems_records(data.mems, self._preprocess, left_out=data.left_out)

    @property
    def _avoid_s(self) -> tuple[float, float] | None:
        examples = self._options.examples
        is_detector = self._model.recipe.task == "event_detection"
        return (examples.avoid_before_s, examples.avoid_after_s) if is_detector else None

    def _read_catalogue(self, path: Path) -> Catalogue:
        if self._model.recipe.task != "event_detection":
            name, task = self._model.name, self._model.recipe.task
            raise TrainingDataError(f"{name}: found a catalogue, which knows no S, wanted none for {task}")
        return read_catalogue_file(path)

    @property
    def _is_filtered(self) -> bool:
        """Whether the stream steps take the sensor's offset away; else records are laid about zero."""
        return any(step.op in _FILTERS for step in self._preprocess.manifest.steps if step.scope == "stream")

    def _judge_of(self) -> Callable[[Judging], Judge]:
        """Give what will judge; before the training, so that what it lacks is said before."""
        if self._model.recipe.task == "waveform_inversion":
            return lambda _: judge_waveforms()
        if self._model.recipe.task == "event_detection":
            sets = self._judged_records()
            for name, records in zip(("training", "validation"), sets, strict=True):
                quiet = sum(each.kind == "continuous" or not each.arrivals for each in records)
                events = sum(bool(each.arrivals) for each in records)
                if not quiet or not events:
                    raise TrainingDataError(
                        f"{self._model.name}: {name}: found {events} records with an arrival and {quiet} with room for "
                        "noise, wanted both (of a catalogue whole hours are kept for validation)"
                    )
            return lambda _: judge_events(sets, self._options.examples)
        if self._sets is None:
            raise TrainingDataError(f"{self._model.name}: found no labelled windows, wanted some to judge its picks by")
        judge = PicksJudge(*self._cases(*self._sets))

        def counted(judging: Judging) -> Judge:
            done = count(1)
            return lambda path: judge(path, lambda: judging(next(done), judge.records))

        return counted

    def _cases(self, *sets: LabelledSet) -> Iterator[CaseSet]:
        """Give the labelled sets as records to pick, those that the model takes."""
        for name, each in zip(_LABELLED, sets, strict=True):
            taken = {window.id for window in each.windows}
            found = labelled_cases((self._labelled or Path()) / name)
            yield dataclasses.replace(found, cases=tuple(case for case in found.cases if case.id in taken))

    def _judged_records(self) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
        """Records that were trained on, and others."""
        if self._sets is None:
            return self._records, self._others
        validation = labelled_records(self._sets[1], self._preprocess.manifest.sampling_rate)
        others = tuple(each if self._is_filtered else _without_mean(each) for each in validation)
        return tuple(each for each in self._records if each.kind != "continuous"), others

    def _counts(self) -> dict[str, int]:
        if self._sets is None:
            return {"training": len(self._records), "validation": len(self._others)}
        return {"training": len(self._sets[0].windows), "validation": len(self._sets[1].windows)}

    def _in_words(self) -> str:
        if self._model.recipe.task == "waveform_inversion":
            return "synthetic: Ricker wavelets through fixed Green's functions (seisedge.export.synthetic)"
        found = {name: each for name, each in self._digests.items() if name != "labelled_val.npz"}
        labelled = found.pop("labelled_train.npz", None)
        data = [] if labelled is None else [f"{self._counts()['training']} labelled windows, sha256 {labelled[:16]}"]
        return "; ".join((*data, *(f"{name}, sha256 {each[:16]}" for name, each in found.items())))


def draft_manifest(model: Model) -> Manifest:
    """A manifest without weights, from which training takes its preprocessing."""
    return model.recipe.manifest(
        version="draft",
        quantization=UNQUANTIZED,
        verification=Verification(0, 1, (), 0.0, {}, {}),
        provenance=Provenance("", "", "", "", {}),
    )


def _without_mean(record: Record) -> Record:
    samples = record.samples - record.samples.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    return dataclasses.replace(record, samples=samples)


def _accelerometers(found: LabelledSet) -> LabelledSet:
    return dataclasses.replace(found, windows=tuple(each for each in found.windows if each.is_accelerometer))


def _with_weights(model: Model, weights: Path) -> nn.Module:
    network = model.build()
    load_weights(weights, network)
    return network
