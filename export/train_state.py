"""The state of a training on disk: whole or not at all, and taken up by the training that wrote it alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from seisedge.edge.whole_file import whole_file

from .errors import TrainingDataError
from .train_options import TrainOptions
from .weights_torch import load_torch

State = dict[str, Any]


def write_state(path: Path, state: State) -> None:
    """Write a state; what was there before stays until this one is whole."""
    with whole_file(path) as draft:
        torch.save(state, draft)


def read_state(path: Path, options: TrainOptions, data: dict[str, str], device: torch.device) -> State:
    """Read a state that a training with these options wrote on these data.

    Parameters
    ----------
    data
        Name → digest of what is trained with; a state of an older trainer names none.

    Raises
    ------
    TrainingDataError
        The state is of another training.
    WeightError
        The file is damaged, or none of `torch.save`.
    """
    found = load_torch(path, device)
    state: State = found if isinstance(found, dict) else {}
    if "options" in state and not options.are_those(state["options"]):
        raise TrainingDataError(f"{path}: found a training with other options, wanted the same: start afresh")
    then = state.get("data", data)
    if other := sorted(name for name in {*data, *then} if data.get(name) != then.get(name)):
        raise TrainingDataError(f"{path}: found a training on another {other[0]}, wanted the same: start afresh")
    return state
