"""Weights of a network in a file: our own `.npz`, and whatever published format can be imported."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from .errors import WeightError
from .weights_keras import load_keras_weights


@dataclass(frozen=True)
class Loaded:
    """What was loaded: the file's SHA-256, and one line per tensor (where from → where to, shape)."""

    digest: str
    tensors: tuple[str, ...]


def load_weights(path: Path, module: nn.Module) -> Loaded:
    """Load a weight file into a network, all of it or nothing.

    Parameters
    ----------
    path
        `.npz` written by `save_weights`, or a Keras HDF5 file (`.h5`, `.hd5`, `.hdf5`).

    Raises
    ------
    WeightError
        The file cannot be read, or its tensors are not those of the network.
    """
    if not path.is_file():
        raise WeightError(f"{path}: no such file")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if path.suffix == ".npz":
        return Loaded(digest, _load_npz(path, module))
    if path.suffix in (".h5", ".hd5", ".hdf5"):
        report = load_keras_weights(path, module)
        return Loaded(digest, tuple(f"{each.file_path} → {each.module_path} {each.shape}" for each in report.matched))
    raise WeightError(f"{path}: found suffix {path.suffix!r}, wanted .npz, .h5, .hd5 or .hdf5")


def save_weights(path: Path, module: nn.Module) -> None:
    """Write the network's tensors under their `state_dict` names."""
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in module.state_dict().items()}
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _load_npz(path: Path, module: nn.Module) -> tuple[str, ...]:
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: np.asarray(file[name]) for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise WeightError(f"{path}: found no readable npz ({error}), wanted one without pickles") from error
    wanted = module.state_dict()
    for name, tensor in wanted.items():
        if name not in found:
            raise WeightError(f"{path}: missing tensor {name}, wanted shape {tuple(tensor.shape)}")
        if found[name].shape != tuple(tensor.shape):
            raise WeightError(f"{path}: {name}: found shape {found[name].shape}, wanted {tuple(tensor.shape)}")
    if surplus := sorted(found.keys() - wanted.keys()):
        raise WeightError(f"{path}: surplus tensor {surplus[0]}, which {type(module).__name__} does not have")
    module.load_state_dict({name: torch.from_numpy(array) for name, array in found.items()})
    return tuple(f"{name} → {name} {found[name].shape}" for name in wanted)
