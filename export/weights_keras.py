"""Read published Keras weights (`save_weights`, HDF5) into our networks.

A file is matched by structure: the order of its layers and variables, the kind of each variable and its
shape. Layer names are of no use, since Keras numbers them from whatever else the session had built: what is
`dense_32` in one file is `dense` in the next. What a name does say is what kind of variable it ends in
(`kernel`, `moving_mean`) and, inside an attention, which of three equal matrices it is (`query/kernel`). The
order comes from the attributes `layer_names` and `weight_names`; HDF5 itself lists its groups alphabetically,
where `block_10` stands before `block_9`.

Nothing is loaded unless everything fits: a missing, surplus or misshapen tensor raises `WeightError`.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from difflib import SequenceMatcher
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import nn

from ._keras_layouts import F32Array, TensorSpec, keras_slots
from .errors import WeightError
from .weights_report import ImportReport, MatchedTensor, require_complete

_ATTENTION_ROLES = ("query", "key", "value", "output_transform")
_NUMBERED = re.compile(r"(?P<base>.*?)(?:_(?P<number>\d+))?")


def load_keras_weights(path: Path, module: nn.Module) -> ImportReport:
    """Load the Keras weight file `path` into `module`, a `SeismoPerformer` or `SpecCnn`.

    The module keeps its mode, device and precision. Raises `WeightError`, and leaves the module as it was,
    for a file that is absent, damaged or not HDF5, for tensors that are not exactly the network's (order,
    kind, shape, float32, finite values), and for a network without a known Keras layout. The HDF5 library can
    hang or crash on a file whose metadata were changed: import files whose digest you know.
    """
    slots = {slot.spec.path: slot for slot in keras_slots(module)}
    with _open(path) as file:
        report = _compare(path, file, module)
        require_complete(report)
        values = {match.module_path: _values(path, file, match.file_path) for match in report.matched}
    state = module.state_dict()
    for target, array in values.items():
        state[target] = torch.from_numpy(np.array(slots[target].convert(array), order="C"))
    module.load_state_dict(state)
    return report


def compare_keras_weights(path: Path, module: nn.Module) -> ImportReport:
    """Say how the tensors of `path` correspond to those of `module`, loading nothing.

    Raises `WeightError` only where the file cannot be read; what does not fit is in the report.
    """
    with _open(path) as file:
        return _compare(path, file, module)


@contextmanager
def _open(path: Path) -> Generator[h5py.File, None, None]:
    """Open for reading; what h5py finds wrong, now or later, becomes one line.

    On damaged metadata h5py raises all four of these (seen when bytes were changed at random).
    """
    if not path.is_file():
        raise WeightError(f"{path}: found no file, wanted a Keras weight file")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except WeightError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        reason = " ".join(_printable(str(error)).split())
        raise WeightError(f"{path}: wanted a whole HDF5 file of Keras weights, found: {reason}") from error


def _compare(path: Path, file: h5py.File, module: nn.Module) -> ImportReport:
    listed = _listed_tensors(path, file)
    tensors = sorted(listed, key=lambda spec: not spec.is_trained)
    wanted = sorted((slot.spec for slot in keras_slots(module)), key=lambda spec: not spec.is_trained)
    blocks = SequenceMatcher(
        None,
        [(spec.kind, spec.shape) for spec in tensors],
        [(spec.kind, spec.shape) for spec in wanted],
        autojunk=False,
    ).get_matching_blocks()
    pairs = [(tensors[block.a + i], wanted[block.b + i]) for block in blocks for i in range(block.size)]
    taken, filled = {tensor.path for tensor, _ in pairs}, {spec.path for _, spec in pairs}
    unlisted = _unlisted_tensors(file, {tensor.path for tensor in listed})
    return ImportReport(
        path=path,
        network=type(module).__name__,
        matched=tuple(MatchedTensor(tensor.path, spec.path, tensor.shape) for tensor, spec in pairs),
        missing=tuple(spec for spec in wanted if spec.path not in filled),
        surplus=(*(tensor for tensor in tensors if tensor.path not in taken), *unlisted),
    )


def _listed_tensors(path: Path, file: h5py.File) -> list[TensorSpec]:
    """All tensors in the model's order."""
    tensors: list[TensorSpec] = []
    for layer in _names(path, file, "layer_names"):
        group = file.get(layer)
        if not isinstance(group, h5py.Group):
            raise WeightError(f"{path}: layer {layer!r} is in `layer_names`: found no group, wanted one")
        for weight in _names(path, group, "weight_names"):
            dataset = _dataset(path, group, weight)
            tensors.append(TensorSpec(f"/{layer}/{weight}", _kind(weight), _shape(dataset)))
    _require_ascending_numbers(path, tensors)
    return tensors


def _unlisted_tensors(file: h5py.File, listed: set[str]) -> list[TensorSpec]:
    """Give the tensors that no layer lays claim to; a file of `save_weights` has none."""
    unlisted: list[TensorSpec] = []

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset) and f"/{name}" not in listed:
            unlisted.append(TensorSpec(_printable(f"/{name}"), _printable(_kind(name)), _shape(item)))

    file.visititems(visit)
    return unlisted


def _names(path: Path, group: h5py.Group, attribute: str) -> list[str]:
    """Read a list of names; older files hold bytes, newer ones text, empty ones an array of no type."""
    if attribute not in group.attrs:
        raise WeightError(f"{path}: {group.name}: found no attribute {attribute!r}, wanted that of Keras' save_weights")
    raw = np.asarray(group.attrs[attribute]).ravel().tolist()
    names = [name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in raw]
    odd = [name for name in names if not name.isprintable()]
    if odd:
        raise WeightError(f"{path}: {group.name}: found {odd[0]!a} in {attribute!r}, wanted printable names")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise WeightError(f"{path}: {group.name}: found {twice[0]!r} twice in {attribute!r}, wanted each name once")
    return names


def _dataset(path: Path, group: h5py.Group, name: str) -> h5py.Dataset:
    dataset = group.get(name)
    if isinstance(dataset, h5py.Dataset):
        return dataset
    raise WeightError(f"{path}: {group.name}: found no tensor {name!r}, wanted it as `weight_names` says")


def _printable(text: str) -> str:
    """Escape what is not ASCII; a damaged name may hold half characters that no terminal takes."""
    return text.encode("ascii", "backslashreplace").decode("ascii")


def _shape(dataset: h5py.Dataset) -> tuple[int, ...]:
    return tuple(int(size) for size in dataset.shape or ())


def _kind(name: str) -> str:
    """Give the kind of variable that a path ends in: "kernel", or "query/kernel" inside an attention."""
    *owners, variable = name.split("/")
    variable = variable.split(":")[0]
    return f"{owners[-1]}/{variable}" if owners and owners[-1] in _ATTENTION_ROLES else variable


def _require_ascending_numbers(path: Path, tensors: list[TensorSpec]) -> None:
    """Refuse a file whose listed order contradicts Keras' numbers: two equal layers may then be exchanged."""
    last: dict[str, tuple[int, str]] = {}
    owners = dict.fromkeys(owner for tensor in tensors for owner in tensor.path.split("/")[1:-1])
    for owner in owners:
        match = _NUMBERED.fullmatch(owner)
        base, number = (match["base"], int(match["number"] or 0)) if match else (owner, 0)
        before, name = last.get(base, (-1, ""))
        if number < before:
            raise WeightError(f"{path}: ambiguous order of layers: found {name!r} before {owner!r}, wanted ascending")
        last[base] = (number, owner)


def _values(path: Path, file: h5py.File, name: str) -> F32Array:
    dataset = _dataset(path, file, name)
    if dataset.dtype != np.float32:
        raise WeightError(f"{path}: {name}: found type {dataset.dtype}, wanted float32")
    values = np.asarray(dataset[()], dtype=np.float32)
    if not np.isfinite(values).all():
        raise WeightError(f"{path}: {name}: found NaN or infinity, wanted finite weights")
    return values
