"""The trainer of models that give probabilities per sample: examples drawn anew for every step, and a running average.

Between the steps the network is run over records without arrivals; where it picks, the next examples look twice.
The state is kept in a file, so that a training goes on where it was stopped.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from seisedge.edge.manifest import Manifest
from seisedge.edge.preprocess import Preprocess

from .errors import TrainingDataError
from .examples import ExampleMaker, ExampleOptions
from .records import Record

Float32 = npt.NDArray[np.float32]
Progress = Callable[[dict[str, float]], None]

_LOSS_SCALE = 50.0  # an onset fills a hundredth of a window
_SMOOTHING = 0.99
_FALSE_PICK = 0.2
_FAR_S = 1.5  # from an arrival, for a pick to be false
_EDGE = 300  # samples at a window's ends in which no pick is called false


@dataclass(frozen=True)
class PickerOptions:
    """What the result depends on, besides data and versions.

    Attributes
    ----------
    steps, batch
        Updates of the weights, and examples in each.
    average
        Share of the running average that each step keeps; the average is what is shipped.
    window_samples
        Of an example; the network has no length of its own, and the recipe's window may be shorter.
    mine_every, mined_records
        Steps from search to search for false picks, and how many records are searched.
    taught
        Share of the loss that teachers have: what they make of the very example, as it was changed. An arrival that
        noise buried is a label still, and not one that they would pick; where nothing is known they know something.
    """

    seed: int = 0
    steps: int = 12000
    batch: int = 64
    window_samples: int = 3072
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    average: float = 0.999
    warm_up: float = 0.08
    mine_every: int = 1000
    mined_records: int = 250
    taught: float = 0.5
    examples: ExampleOptions = field(default_factory=ExampleOptions)


class PickerTraining:
    """One training: its network, its average, and how far it is.

    Parameters
    ----------
    module
        With a method `logits`: (B, component, sample) to (B, phase, sample).
    preprocess
        Of the recipe; its window steps are what examples go through.
    records
        What examples are drawn from.
    teachers
        Networks of the same inputs and outputs; the mean of their probabilities teaches (Hinton et al., "Distilling
        the knowledge in a neural network", 2015; Beyer et al., "Knowledge distillation: a good teacher is patient and
        consistent", 2022).
    """

    def __init__(
        self,
        module: nn.Module,
        preprocess: Preprocess,
        records: tuple[Record, ...],
        options: PickerOptions,
        teachers: tuple[nn.Module, ...] = (),
    ) -> None:
        manifest = _manifest_of_examples(preprocess.manifest, options.window_samples)
        self._preprocess, self._records, self._options = Preprocess(manifest), records, options
        self._rate, self._width = manifest.sampling_rate, manifest.window_samples
        self._maker = ExampleMaker(
            records,
            options.examples,
            width=self._width,
            rate=self._rate,
            labels=manifest.outputs[0].labels,
            vertical=manifest.components.order.index("Z"),
        )
        self._module, self._teachers = module, tuple(each.eval() for each in teachers)
        self._average = torch.optim.swa_utils.AveragedModel(
            module,
            multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(options.average),  # type: ignore[no-untyped-call]  # torch
            use_buffers=True,
        )
        self._optimiser = torch.optim.AdamW(
            module.parameters(), options.learning_rate, weight_decay=options.weight_decay
        )
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser, options.learning_rate, total_steps=options.steps, pct_start=options.warm_up
        )
        self.false_picks: list[tuple[Record, int]] = []
        """Where the last search found picks of nothing: (record, sample)."""
        self.step = 0
        self.curve: list[dict[str, float]] = []

    @property
    def trained(self) -> nn.Module:
        """The running average of the weights, ready to be used."""
        module: nn.Module = self._average.module
        return module.eval()

    def run(self, progress: Progress = lambda _: None, *, report_every: int = 100, keep: Path | None = None) -> None:
        """Train to the last step; Ctrl-C ends early, and what was learnt stays.

        Parameters
        ----------
        progress
            Gets a row every `report_every` steps: step, loss, seconds, false_picks.
        keep
            File for the state, written with every search for false picks and at the end.
        """
        began, loss = time.perf_counter(), 0.0
        try:
            for batch in self._batches():
                found = self._update(*batch)
                loss = found if not loss else _SMOOTHING * loss + (1 - _SMOOTHING) * found
                if self.step % self._options.mine_every == 0:
                    self.search_false_picks()
                    self.save(keep)
                if self.step % report_every == 0 or self.step == self._options.steps:
                    row = {"step": float(self.step), "loss": loss, "seconds": round(time.perf_counter() - began, 1)}
                    self.curve.append({**row, "false_picks": float(len(self.false_picks))})
                    progress(self.curve[-1])
        except KeyboardInterrupt:
            if not self.step:
                raise
        self.save(keep)

    def _batches(self) -> Iterator[tuple[torch.Tensor, ...]]:
        """Batches of the steps that are left, each drawn from its own seed while the one before it is learnt."""
        with ThreadPoolExecutor(1) as pool:
            waiting: Future[tuple[torch.Tensor, ...]] = pool.submit(self._batch, self.step)
            for step in range(self.step, self._options.steps):
                ready = waiting.result()
                self._maker.false_picks = self.false_picks  # here, where no batch is being drawn: the same in every run
                if step + 1 < self._options.steps:
                    waiting = pool.submit(self._batch, step + 1)
                yield ready

    def _batch(self, step: int) -> tuple[torch.Tensor, ...]:
        rng = np.random.default_rng((self._options.seed, step))
        samples, targets, weights = self._maker.batch(self._options.batch, rng)
        return self._inputs(samples), torch.from_numpy(targets), torch.from_numpy(weights)

    def _inputs(self, samples: Float32) -> torch.Tensor:
        """Through the runtime's own window steps: (example, component, sample)."""
        built = [self._preprocess.windows(np.ascontiguousarray(each), count=1, stride=1)[0] for each in samples]
        return torch.from_numpy(np.stack(built))

    def _update(self, inputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> float:
        self._module.train()
        loss = self._loss(_logits(self._module, inputs), inputs, targets, weights) * _LOSS_SCALE
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        nn.utils.clip_grad_norm_(self._module.parameters(), 1.0)
        self._optimiser.step()
        self._schedule.step()
        self._average.update_parameters(self._module)
        self.step += 1
        return float(loss.detach())

    def _loss(
        self, scores: torch.Tensor, inputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor
    ) -> torch.Tensor:
        """Cross-entropy with the labels where they are known, and with what the teachers say everywhere."""
        errors = functional.binary_cross_entropy_with_logits(scores, targets, reduction="none")
        labelled = (errors * weights).mean()
        if not self._teachers:
            return labelled
        with torch.no_grad():
            said = torch.stack([torch.sigmoid(_logits(each, inputs)) for each in self._teachers]).mean(dim=0)
        taught = functional.binary_cross_entropy_with_logits(scores, said)
        return (1 - self._options.taught) * labelled + self._options.taught * taught

    def search_false_picks(self) -> None:
        """Run the average over records that are no labelled events, and remember where it picks nothing."""
        quiet = [each for each in self._records if each.kind != "event" and each.samples.shape[1] >= self._width]
        rng = np.random.default_rng((self._options.seed, self.step, 1))
        chosen = rng.permutation(len(quiet))[: self._options.mined_records]
        self.false_picks = [(quiet[index], at) for index in chosen for at in self._false_picks_of(quiet[index])]

    @torch.inference_mode()
    def _false_picks_of(self, record: Record) -> Iterator[int]:
        starts = range(0, record.samples.shape[1] - self._width + 1, self._width // 2)
        inputs = self._inputs(np.stack([record.samples[:, at : at + self._width] for at in starts]))
        probability = torch.sigmoid(_logits(self.trained, inputs)).numpy()[:, :, _EDGE:-_EDGE]
        for start, rows in zip(starts, probability, strict=True):
            for row in rows:
                at = start + _EDGE + int(row.argmax())
                if row.max() > _FALSE_PICK and not _is_known(record, at, _FAR_S * self._rate):
                    yield at

    def save(self, path: Path | None) -> None:
        """Write the state, whole or not at all."""
        if path is None:
            return
        draft = path.with_suffix(".new")
        torch.save(
            {
                "options": asdict(self._options),
                "step": self.step,
                "curve": self.curve,
                "module": self._module.state_dict(),
                "average": self._average.state_dict(),
                "optimiser": self._optimiser.state_dict(),
                "schedule": self._schedule.state_dict(),
            },
            draft,
        )
        draft.replace(path)

    def load(self, path: Path) -> None:
        """Go on where the training that wrote `path` stood; the false picks are searched anew.

        Raises
        ------
        TrainingDataError
            The file is no state of a training with these options.
        """
        state: dict[str, Any] = torch.load(path, weights_only=True)
        if state.get("options") != asdict(self._options):
            raise TrainingDataError(f"{path}: found a training with other options, wanted the same: start afresh")
        self._module.load_state_dict(state["module"])
        self._average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._schedule.load_state_dict(state["schedule"])
        self.step, self.curve = int(state["step"]), list(state["curve"])
        self.search_false_picks()


def _manifest_of_examples(manifest: Manifest, width: int) -> Manifest:
    """Give the manifest with windows of another length."""
    shape = tuple(width if size == manifest.window_samples else size for size in manifest.input.shape)
    return dataclasses.replace(manifest, window_samples=width, input=dataclasses.replace(manifest.input, shape=shape))


def _is_known(record: Record, at: int, far: float) -> bool:
    """Whether a sample is near an arrival, or where nothing is known."""
    if any(abs(at - place) < far for _, place in record.arrivals):
        return True
    return any(start <= at <= stop for _, start, stop in record.unknown)


def _logits(module: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    logits = getattr(module, "logits", None)
    if logits is None:
        raise TypeError(f"{type(module).__name__} has no method logits: it cannot be trained")
    scores: torch.Tensor = logits(inputs)
    return scores
