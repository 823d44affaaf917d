"""Tensors under the names of a `state_dict` → a network: what a user's own training saved."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ._keras_layouts import TensorSpec
from .errors import WeightError
from .weights_report import ImportReport, MatchedTensor, require_complete

Array = NDArray[np.generic]

_COUNTER = "num_batches_tracked"  # torch's own bookkeeping; no figure depends on it


@dataclass(frozen=True)
class Rename:
    """A regular expression that is searched in the names of a file, and what stands in its place."""

    pattern: re.Pattern[str]
    replacement: str


def parse_rename(text: str) -> Rename:
    """Read ``REGEX=REPLACEMENT``.

    Raises
    ------
    WeightError
        It has no ``=``, the expression is none, or the replacement names a group that it has not.
    """
    pattern, sign, replacement = text.partition("=")
    if not sign or not pattern:
        raise WeightError(f"rename: found {text!r}, wanted REGEX=REPLACEMENT, such as '^encoder\\.=blocks.'")
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError) as error:  # a count such as {99999999999}
        raise WeightError(f"rename {text!r}: found no regular expression ({error}), wanted one before '='") from error
    try:
        compiled.sub(replacement, "")  # reads the replacement even where nothing matches
    except (re.error, IndexError) as error:  # a group's number, a group's name
        raise WeightError(
            f"rename {text!r}: found the replacement {replacement!r} ({error}), wanted groups of its expression"
        ) from error
    return Rename(compiled, replacement)


def load_named(path: Path, tensors: dict[str, Array], module: nn.Module, renames: Sequence[Rename]) -> ImportReport:
    """Load tensors by their names, all of them or nothing.

    A first part that all names of the file share and the network's do not, such as `module.`, is left out. Floats of
    any size become float32. The module keeps its mode and device.

    Raises
    ------
    WeightError
        A tensor that holds NaN or infinity, or no numbers that weights can be.
    WeightMismatchError
        Tensors are missing, surplus or of another shape; the error's report names all.
    """
    wanted = module.state_dict()
    found = {name: (source, tensors[source]) for source, name in _names(tensors, wanted, renames, path).items()}
    fits = [name for name in wanted if name in found and found[name][1].shape == tuple(wanted[name].shape)]
    report = ImportReport(
        path=path,
        network=type(module).__name__,
        matched=tuple(
            MatchedTensor(found[name][0], name, found[name][1].shape, _note(found[name][1])) for name in fits
        ),
        missing=tuple(
            TensorSpec(name, "tensor", tuple(tensor.shape))
            for name, tensor in wanted.items()
            if name not in fits and not (name.endswith(_COUNTER) and name not in found)
        ),
        surplus=tuple(
            TensorSpec(source, "tensor", array.shape) for name, (source, array) in found.items() if name not in fits
        ),
    )
    require_complete(report)
    state = {name: _converted(path, *found[name]).to(wanted[name].dtype) for name in fits}
    module.load_state_dict({**wanted, **state})
    return report


def _names(
    tensors: dict[str, Array], wanted: dict[str, torch.Tensor], renames: Sequence[Rename], path: Path
) -> dict[str, str]:
    """Name in the file → name in the network."""
    names = {source: source for source in tensors}
    for rename in renames:
        names = {source: rename.pattern.sub(rename.replacement, name) for source, name in names.items()}
    while prefix := _shared_first_part(names.values(), wanted):
        names = {source: name.removeprefix(prefix) for source, name in names.items()}
    if len(set(names.values())) < len(names):
        raise WeightError(f"{path}: found two tensors of one name after renaming, wanted each name once")
    return names


def _shared_first_part(names: Iterable[str], wanted: Iterable[str]) -> str:
    """The first part, with its point, that all names share and none of the network's has."""
    heads = {name.partition(".")[0] if "." in name else "" for name in names}
    if len(heads) != 1 or "" in heads:
        return ""
    prefix = f"{heads.pop()}."
    return "" if any(name.startswith(prefix) for name in wanted) else prefix


def _note(array: Array) -> str:
    return "" if array.dtype in (np.dtype(np.float32), np.dtype(np.int64)) else f"{array.dtype} to float32"


def _converted(path: Path, source: str, array: Array) -> torch.Tensor:
    if source.endswith(_COUNTER) and np.issubdtype(array.dtype, np.integer):
        return torch.from_numpy(np.array(array, np.int64))
    if not np.issubdtype(array.dtype, np.floating):
        raise WeightError(f"{path}: {source}: found type {array.dtype}, wanted floats")
    values = np.array(array, np.float32, order="C")
    if not np.isfinite(values).all():
        raise WeightError(f"{path}: {source}: found NaN or infinity, wanted finite weights")
    return torch.from_numpy(values)
