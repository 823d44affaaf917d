"""Read what `torch.save` wrote, as far as it is tensors: nothing in the file is run."""

from __future__ import annotations

import pickle
import struct
import warnings
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from .errors import WeightError

Array = NDArray[np.generic]

_LOAD_ERRORS = (  # seen when bytes of such files were changed at random
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    ValueError,
    KeyError,
    OSError,
    AttributeError,
    TypeError,
    IndexError,
    OverflowError,
    MemoryError,
    AssertionError,  # torch asserts of files
    struct.error,
)
_CODE_WORDS = ("GLOBAL", "reduce", "build", "newobj")  # of torch's own refusals
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "weights")
"""Keys under which checkpoints of training frameworks keep the network."""
_DEPTH = 5  # of such keys within each other: a mapping in a file may hold itself


def read_torch(path: Path) -> dict[str, Array]:
    """Read the tensors of a `state_dict`, or of a checkpoint that holds one.

    Raises
    ------
    WeightError
        The file is damaged, holds no tensors, or is a pickle that would run code.
    """
    tensors = _tensors(load_torch(path))
    if not tensors:
        raise WeightError(f"{path}: found no tensors in it, wanted a state_dict")
    return {name: _array(tensor) for name, tensor in tensors.items()}


def load_torch(path: Path, device: torch.device | None = None) -> object:
    """Load what the file holds, tensors on `device`.

    Raises
    ------
    WeightError
        The file is damaged, or is a pickle that would run code.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a damaged or strange pickle reminds torch
            value: object = torch.load(path, map_location=device or "cpu", weights_only=True)
    except _LOAD_ERRORS as error:
        raise WeightError(f"{path}: {_reason(error)}") from error
    return value


def _reason(error: Exception) -> str:
    """One line, for a user who has a file from somewhere."""
    text = " ".join(str(error).split())
    if isinstance(error, pickle.UnpicklingError) and any(word in text for word in _CODE_WORDS):
        return (
            "found a pickle that runs code when it is read, which is refused: where you trust it, save "
            "torch.save(model.state_dict(), FILE) there, or safetensors"
        )
    return f"found no whole file of torch.save ({text[:200]}), wanted one"


def _tensors(value: object, depth: int = _DEPTH) -> dict[str, torch.Tensor]:
    """The tensors of the part that is the network; where a mapping has no such part, its own."""
    if not isinstance(value, dict) or not depth:
        return {}
    mapping = cast("dict[object, object]", value)
    own = {str(name): each for name, each in mapping.items() if isinstance(each, torch.Tensor)}
    return next((found for key in _WRAPPERS if (found := _tensors(mapping.get(key), depth - 1))), own)


def _array(tensor: torch.Tensor) -> Array:
    plain = tensor.detach().float() if tensor.dtype == torch.bfloat16 else tensor.detach()
    return cast("Array", plain.contiguous().numpy())
