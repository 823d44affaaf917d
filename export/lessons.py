"""What a training consists of: a loss, what draws the examples, and what draws those that are only looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from seisedge.edge.manifest import Manifest

from .crops import Float32
from .examples import ExampleMaker
from .held_out import split_records
from .objective_waveforms import WaveformObjective
from .objectives import Loss, Objective, objective_of
from .records import Record
from .synthetic import SyntheticMaker
from .train_options import ExampleOptions, TrainOptions


class Maker(Protocol):
    """Draws examples: samples (example, component, sample), targets and weights as the loss wants them."""

    def batch(self, count: int, rng: np.random.Generator) -> tuple[Float32, Float32, Float32]:
        """Draw `count` of them."""
        ...


@dataclass(frozen=True)
class Lesson:
    """What one model is taught with.

    Attributes
    ----------
    examples, held_out
        Draw examples to learn from, and those that are only looked at; None where there are none.
    records
        What is learnt from.
    objective
        None where nothing is picked.
    """

    loss: Loss
    examples: Maker
    held_out: Maker | None
    records: tuple[Record, ...] = ()
    objective: Objective | None = None


def lesson_of(manifest: Manifest, records: tuple[Record, ...], options: TrainOptions) -> Lesson:
    """Choose by the manifest's outputs; an inversion's data are synthetic, and its records are not looked at.

    Raises
    ------
    TrainingDataError
        The records hold nothing to learn.
    """
    if manifest.task == "waveform_inversion":
        return Lesson(WaveformObjective(), SyntheticMaker(), SyntheticMaker())
    objective = objective_of(manifest, options.examples)
    kept, held = split_records(records, options.held_out)
    others = maker_of(manifest, held, options.examples, objective) if held else None
    return Lesson(objective, maker_of(manifest, kept, options.examples, objective), others, kept, objective)


def maker_of(
    manifest: Manifest, records: tuple[Record, ...], options: ExampleOptions, objective: Objective
) -> ExampleMaker:
    """Draw from records what a manifest's windows hold."""
    return ExampleMaker(
        records,
        options,
        objective,
        width=manifest.window_samples,
        rate=manifest.sampling_rate,
        vertical=manifest.components.order.index("Z"),
    )
