"""Weights of a network in a file: our own `.npz`, and whatever can be imported."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from .errors import WeightError
from .networks.convnetquake import ConvNetQuake
from .weights_convnetquake import load_tensorbundle_weights, load_variables
from .weights_keras import load_keras_weights
from .weights_named import Rename, load_named
from .weights_report import ImportReport
from .weights_safetensors import is_safetensors, read_safetensors
from .weights_tensorbundle import is_checkpoint
from .weights_tflite import load_tflite_weights
from .weights_torch import read_torch

Array = NDArray[np.generic]

_MAX_BYTES = 1 << 30
_FORMATS = "npz, torch state_dict, safetensors, Keras HDF5, TensorFlow checkpoint (.index), TFLite"


@dataclass(frozen=True)
class Loaded:
    """What was loaded: the file's SHA-256, and what became of each tensor."""

    digest: str
    report: ImportReport


def load_weights(path: Path, module: nn.Module, renames: Sequence[Rename] = ()) -> Loaded:
    """Load a weight file into a network, all of it or nothing. What it is, its content tells, not its name.

    Parameters
    ----------
    path
        `.npz`, what `torch.save` wrote of a state_dict, safetensors, Keras HDF5, the `.index` of a TensorFlow
        checkpoint or its name without that, TFLite.
    renames
        For files with a state_dict's names.

    Raises
    ------
    WeightError
        The file cannot be read, or its tensors are not those of the network.
    """
    index = path.with_name(f"{path.name}.index")
    if not path.is_file() and index.is_file():
        path = index
    if not path.is_file():
        raise WeightError(f"{path}: no such file")
    if (size := path.stat().st_size) > _MAX_BYTES:
        raise WeightError(f"{path}: found {size} bytes, wanted {_MAX_BYTES} at most")
    return Loaded(hashlib.sha256(path.read_bytes()).hexdigest(), _load(path, module, renames))


def save_weights(path: Path, module: nn.Module) -> None:
    """Write the network's tensors under their `state_dict` names."""
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in module.state_dict().items()}
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _load(path: Path, module: nn.Module, renames: Sequence[Rename]) -> ImportReport:
    with path.open("rb") as file:
        start = file.read(16)
    if start.startswith(b"\x89HDF"):
        return load_keras_weights(path, module)
    if start[4:8] == b"TFL3":
        return load_tflite_weights(path, module)
    if is_checkpoint(path):
        return load_tensorbundle_weights(path, module)
    if start.startswith(b"PK"):
        tensors = _read_npz(path) if _is_npz(path) else read_torch(path)
    elif is_safetensors(path, start):
        tensors = read_safetensors(path)
    elif start.startswith(b"\x80"):  # torch before 1.6
        tensors = read_torch(path)
    else:
        raise WeightError(f"{path}: found no weights that are known, wanted one of: {_FORMATS}")
    if isinstance(module, ConvNetQuake) and any("/" in name for name in tensors):
        return load_variables(path, tensors, module)
    return load_named(path, tensors, module, renames)


def _is_npz(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(each.endswith(".npy") for each in archive.namelist())
    except zipfile.BadZipFile as error:
        raise WeightError(f"{path}: found a damaged archive ({error}), wanted npz or a file of torch.save") from error


def _read_npz(path: Path) -> dict[str, Array]:
    with zipfile.ZipFile(path) as archive:
        if (size := sum(each.file_size for each in archive.infolist())) > _MAX_BYTES:
            raise WeightError(f"{path}: found {size} bytes unpacked, wanted {_MAX_BYTES} at most")
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: np.asarray(file[name]) for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise WeightError(f"{path}: found no readable npz ({error}), wanted one without pickles") from error
