"""Where a network takes nothing for something: records without labelled events are searched for its picks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn

from .crops import Float32
from .objectives import Objective
from .records import Record

_FALSE_PICK = 0.2

Place = tuple[int, int]
"""Place of a record among all, sample."""


class FalsePicks:
    """Searches records for picks of what is not there.

    Parameters
    ----------
    records
        Those that are no labelled events are searched.
    inputs
        Samples (window, component, sample) to the network's input.
    width
        Samples of a window.
    """

    def __init__(
        self,
        records: tuple[Record, ...],
        objective: Objective,
        inputs: Callable[[Float32], torch.Tensor],
        width: int,
    ) -> None:
        self._records, self._objective, self._inputs, self._width = records, objective, inputs, width
        places = range(len(records))
        self._quiet = [each for each in places if records[each].kind != "event" and self._is_long(records[each])]

    def search(self, module: nn.Module, count: int, rng: np.random.Generator) -> list[Place]:
        """Run the network over so many records, and tell where it picks nothing."""
        chosen = [self._quiet[each] for each in rng.permutation(len(self._quiet))[:count]]
        return [(place, at) for place in chosen for at in self._of(module, self._records[place])]

    def records_of(self, places: list[Place]) -> list[tuple[Record, int]]:
        """Give the records themselves."""
        return [(self._records[place], at) for place, at in places]

    def _is_long(self, record: Record) -> bool:
        return bool(record.samples.shape[1] >= self._width)

    @torch.inference_mode()
    def _of(self, module: nn.Module, record: Record) -> Iterator[int]:
        objective, width = self._objective, self._width
        starts = range(0, record.samples.shape[1] - width + 1, width // 2)
        inputs = self._inputs(np.stack([record.samples[:, at : at + width] for at in starts]))
        probability = objective.probability(objective.scores(module, inputs)).cpu().numpy()
        first = objective.reference
        if objective.margin is not None:
            first, probability = objective.margin, probability[:, :, objective.margin : -objective.margin]
        for start, rows in zip(starts, probability, strict=True):
            for row in rows:
                at = start + first + int(row.argmax())
                if row.max() > _FALSE_PICK and not objective.is_known(record, at):
                    yield at
