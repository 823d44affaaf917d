"""The trainer of every model: examples drawn anew for every step, and a running average of the weights.

Between the steps the network is run over records without arrivals; where it picks, the next examples look twice. Where
groups are held out it is looked at by them, the best state is kept, and a training that gets no better ends. The state
is kept in a file, so that a training goes on where it was stopped, to the bit as if it had never been.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import nn

from seisedge.edge.interrupt import StopSignal
from seisedge.edge.preprocess import Preprocess

from .crops import Float32
from .errors import TrainingDataError
from .examples import ExampleMaker
from .lessons import Maker, lesson_of
from .looks import Batch, Looks
from .mining import FalsePicks, Place
from .recipe import with_window
from .records import Record
from .rounding import rounded
from .train_options import TrainOptions
from .train_state import State, read_state, write_state

Progress = Callable[[dict[str, float]], None]

_SMOOTHING = 0.99
_LOOKED_AT = 4  # batches of examples of the groups that are held out


class Training:
    """One training: its network, its average, and how far it is.

    Parameters
    ----------
    module
        With a method `logits` as its kind of output wants it, see `objectives`.
    preprocess
        Of the recipe; its window steps are what examples go through.
    records
        What examples are drawn from; none for an inversion, whose data are synthetic.
    teachers
        Networks of the same inputs and outputs; the mean of their probabilities teaches (Hinton et al., "Distilling
        the knowledge in a neural network", 2015; Beyer et al., "Knowledge distillation: a good teacher is patient and
        consistent", 2022).
    device
        Where the network is trained; what is shipped is on the processor.

    Attributes
    ----------
    data
        Digests of what the records were read from: a state of other data is refused.

    Raises
    ------
    TrainingDataError
        The records hold nothing to learn.
    UsageError
        Examples have another length than the network's windows, and it takes no other.
    """

    def __init__(
        self,
        module: nn.Module,
        preprocess: Preprocess,
        records: tuple[Record, ...],
        options: TrainOptions,
        teachers: tuple[nn.Module, ...] = (),
        *,
        device: str = "cpu",
    ) -> None:
        width = options.width_for(preprocess.manifest)
        self._preprocess = Preprocess(with_window(preprocess.manifest, width))
        self._options, self._device = options, torch.device(device)
        self._lesson = lesson_of(self._preprocess.manifest, records, options)
        self._mine = self._searcher(width)
        self._module = module.to(self._device)
        self._teachers = tuple(each.eval().to(self._device) for each in teachers)
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
        self._found: list[Place] = []
        self._drawn_with: list[Place] = []
        held_out = self._lesson.held_out
        draw = None if held_out is None else lambda: self._held_out(held_out)
        self._looks = Looks(self._lesson.loss, draw, options, self._device)
        self._loss = 0.0
        self.data: dict[str, str] = {}
        self.step = 0
        self.curve: list[dict[str, float]] = []

    def _searcher(self, width: int) -> FalsePicks | None:
        lesson = self._lesson
        if lesson.objective is None:
            return None
        return FalsePicks(lesson.records, lesson.objective, self._inputs, width)

    @property
    def trained(self) -> nn.Module:
        """The best state where one was looked for, else the running average of the weights; ready to be used."""
        module: nn.Module = self._average.module
        best, _, _ = self._looks.best
        if best is not None:
            module = copy.deepcopy(module)
            module.load_state_dict(best)
        return module.eval()

    @property
    def seconds(self) -> float:
        """What it has taken up to the last row of the curve, in all its runs."""
        return self.curve[-1]["seconds"] if self.curve else 0.0

    @property
    def false_picks(self) -> list[tuple[Record, int]]:
        """Where the last search found picks of nothing: (record, sample)."""
        return [] if self._mine is None else self._mine.records_of(self._found)

    def run(self, progress: Progress = lambda _: None, *, report_every: int = 100, keep: Path | None = None) -> None:
        """Train to the last step; Ctrl-C ends early, and what was learnt stays.

        Parameters
        ----------
        progress
            Gets a row every `report_every` steps: step, loss, seconds, false_picks, and validation_loss where there
            was a look.
        keep
            File for the state, written with every search for false picks, with every look and at the end.
        """
        began = time.perf_counter() - self.seconds
        options = self._options
        try:
            with StopSignal() as stop:
                for batch in self._batches():
                    self._take_in(self._update(*batch))
                    looked = self._looks.look(self._average.module, self.step)
                    searches = options.mine_every > 0 and self.step % options.mine_every == 0
                    if searches:
                        self.search_false_picks()
                    if looked or self.step % report_every == 0 or self.step == options.steps:
                        self._note(round(time.perf_counter() - began, 1), looked)
                        progress(self.curve[-1])
                    if looked or searches:  # the state has the row of its step: a power cut leaves no hole in the curve
                        self.save(keep)
                    stop.check()  # between two steps, where the state is whole
        except KeyboardInterrupt:
            if not self.step:
                raise
        self.save(keep)

    def _take_in(self, found: float) -> None:
        if not math.isfinite(found):
            raise TrainingDataError(f"step {self.step}: found a loss of {found}: a smaller learning_rate may help")
        self._loss = found if not self._loss else _SMOOTHING * self._loss + (1 - _SMOOTHING) * found

    def _note(self, seconds: float, looked: dict[str, float]) -> None:
        row = {"step": float(self.step), "loss": self._loss, "seconds": seconds}
        self.curve.append({**row, "false_picks": float(len(self._found)), **looked})

    def _batches(self) -> Iterator[Batch]:
        """Batches of the steps that are left, each drawn from its own seed while the one before it is learnt."""
        with ThreadPoolExecutor(1) as pool:
            waiting: Future[Batch] = pool.submit(self._batch, self.step)
            for step in range(self.step, self._options.steps):
                if self._looks.is_done(self.step):
                    break
                ready = waiting.result()
                self._draw_with(self._found)  # here, where no batch is being drawn: the same in every run
                if step + 1 < self._options.steps:
                    waiting = pool.submit(self._batch, step + 1)
                yield ready

    def _draw_with(self, found: list[Place]) -> None:
        self._drawn_with = found
        if isinstance(self._lesson.examples, ExampleMaker) and self._mine is not None:
            self._lesson.examples.false_picks = self._mine.records_of(found)

    def _batch(self, step: int) -> Batch:
        return self._drawn(self._lesson.examples, np.random.default_rng((self._options.seed, step)))

    def _drawn(self, maker: Maker, rng: np.random.Generator) -> Batch:
        samples, targets, weights = maker.batch(self._options.batch, rng)
        return self._inputs(samples), torch.from_numpy(targets), torch.from_numpy(weights)

    def _inputs(self, samples: Float32) -> torch.Tensor:
        """Through the runtime's own window steps: (example, component, sample)."""
        built = [self._preprocess.windows(np.ascontiguousarray(each), count=1, stride=1)[0] for each in samples]
        return torch.from_numpy(np.stack(built)).to(self._device)

    def _update(self, *batch: torch.Tensor) -> float:
        self._module.train()
        for each in self._module.modules():
            if isinstance(each, nn.Dropout):
                each.train(self._options.dropout)
        with rounded(self._module, on=self.step >= self._options.rounded_from * self._options.steps):
            loss = self._loss_of(*(each.to(self._device) for each in batch)) * self._lesson.loss.scale
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        nn.utils.clip_grad_norm_(self._module.parameters(), 1.0)
        self._optimiser.step()
        self._schedule.step()
        self._average.update_parameters(self._module)
        self.step += 1
        return float(loss.detach())

    def _loss_of(self, inputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """The loss against the labels where they are known, and against what the teachers say everywhere."""
        loss = self._lesson.loss
        scores = loss.scores(self._module, inputs)
        labelled = loss.loss(scores, targets, weights)
        if not self._teachers:
            return labelled
        with torch.no_grad():
            said = [loss.scores(each, inputs) for each in self._teachers]
        return (1 - self._options.taught) * labelled + self._options.taught * loss.taught(scores, said)

    def _held_out(self, held_out: Maker) -> list[Batch]:
        rng = np.random.default_rng((self._options.seed, 0, 1))
        return [self._drawn(held_out, rng) for _ in range(_LOOKED_AT)]

    def search_false_picks(self) -> None:
        """Run the average over records that are no labelled events, and remember where it picks nothing."""
        if self._mine is not None:
            rng = np.random.default_rng((self._options.seed, self.step, 1))
            self._found = self._mine.search(self._average.module.eval(), self._options.mined_records, rng)

    def save(self, path: Path | None) -> None:
        """Write the state, whole or not at all."""
        if path is None:
            return
        state = {
            "options": asdict(self._options),
            "step": self.step,
            "loss": self._loss,
            "data": self.data,
            "curve": self.curve,
            "module": self._module.state_dict(),
            "average": self._average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "schedule": self._schedule.state_dict(),
            "false_picks": self._found,
            "drawn_with": self._drawn_with,
            "random": torch.get_rng_state(),
            "best": self._looks.best,
        }
        write_state(path, state)

    def load(self, path: Path) -> None:
        """Go on where the training that wrote `path` stood.

        Raises
        ------
        TrainingDataError
            The file is no state of a training of this network with these options.
        WeightError
            It is damaged.
        """
        state = read_state(path, self._options, self.data, self._device)
        try:
            self._take(state)
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            why = str(error).partition("\n")[0]
            raise TrainingDataError(f"{path}: found no state of a training of this model ({why})") from error

    def _take(self, state: State) -> None:
        self._module.load_state_dict(state["module"])
        self._average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._schedule.load_state_dict(state["schedule"])
        self.step, self.curve = int(state["step"]), list(state["curve"])
        self._loss = float(state.get("loss", 0.0))  # an older trainer kept none
        if "random" not in state:  # of an older trainer: the false picks are searched anew
            self.search_false_picks()
            return
        self._found = [tuple(each) for each in state["false_picks"]]
        self._draw_with([tuple(each) for each in state["drawn_with"]])
        torch.set_rng_state(state["random"].cpu())
        best, loss, step = state["best"]
        self._looks.best = best, float(loss), int(step)
