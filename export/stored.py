"""Files of records as they lie on disk: arrays in an `.npz`, a table beside them. Damaged ones are named.

Arrays: `samples` (all records one behind the other, each component after component, Z, N, E), and for each record
`start` (its first sample's place), `n` (samples of a component), `fs` (Hz), `id`.
"""

from __future__ import annotations

import csv
import math
import re
import zipfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .errors import TrainingDataError

ORDER = ("Z", "N", "E")
"""Components of a record, one behind the other."""

Arrays = dict[str, npt.NDArray[np.generic]]
Rows = list[dict[str, str]]

_ARRAYS = ("samples", "start", "n", "fs", "id")
_TEXTS, _WHOLE = {"id", "group"}, {"start", "n"}
_KINDS = {"text": "U", "whole numbers": "iu", "numbers": "iuf"}
# What zipfile and NumPy raise of files whose bytes were changed at random; of RuntimeError: encrypted, strange methods.
_DAMAGED = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, RuntimeError)


def read_arrays(path: Path, *more: str) -> Arrays:
    """Read the arrays of records, and `more` with a value for each of them.

    Raises
    ------
    TrainingDataError
        The file is missing, damaged, or not in the documented form.
    """
    if not path.is_file():
        raise TrainingDataError(f"{path}: no such file, wanted records (.npz)")
    names = (*_ARRAYS, *more)
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:  # a broken file is closed too
            found = {name: np.asarray(file[name]) for name in names if name in file.files}
    except _DAMAGED as error:
        raise TrainingDataError(f"{path}: found no .npz file of arrays ({error})") from error
    if missing := [name for name in names if name not in found]:
        raise TrainingDataError(f"{path}: missing array {missing[0]!r}")
    _check_kinds(path, found)
    _check_places(path, found)
    if late := [name for name in more if found[name].dtype.kind == "f" and np.isinf(found[name]).any()]:
        raise TrainingDataError(f"{path}: {late[0]}: found an infinite number, wanted samples")
    return found


def _check_kinds(path: Path, arrays: Arrays) -> None:
    for name, array in arrays.items():
        wanted = "text" if name in _TEXTS else "whole numbers" if name in _WHOLE else "numbers"
        if array.ndim != 1 or array.dtype.kind not in _KINDS[wanted]:
            raise TrainingDataError(
                f"{path}: {name}: found {array.dtype} in {array.ndim} dimensions, wanted a row of {wanted}"
            )
    sizes = {len(array) for name, array in arrays.items() if name != "samples"}
    if len(sizes) != 1:
        raise TrainingDataError(f"{path}: found arrays of {sorted(sizes)} records, wanted as many in each")


def _check_places(path: Path, arrays: Arrays) -> None:
    names, rates = arrays["id"].tolist(), arrays["fs"].tolist()
    if len(set(names)) != len(names):
        raise TrainingDataError(f"{path}: found an id twice, wanted another for each record")
    size = arrays["samples"].size  # Python's integers below: those of damaged files would overflow
    for name, start, npts, rate in zip(names, arrays["start"].tolist(), arrays["n"].tolist(), rates, strict=True):
        if not (npts > 1 and 0 < rate < math.inf):
            raise TrainingDataError(
                f"{path}: {name}: found {npts} samples at {rate} Hz, wanted two or more and a sampling rate"
            )
        if start < 0 or start + 3 * npts > size:
            raise TrainingDataError(
                f"{path}: {name}: found {size} samples, wanted its three times {npts} from {start} on"
            )


def stored_record(arrays: Arrays, index: int) -> tuple[str, float, npt.NDArray[np.generic]]:
    """Give id, sampling rate in Hz, and samples (3, npts) in `ORDER`, of the type in which they are stored."""
    start, npts = int(arrays["start"][index]), int(arrays["n"][index])
    samples = arrays["samples"][start : start + 3 * npts].reshape(3, -1)
    return str(arrays["id"][index]), float(arrays["fs"][index]), samples


def read_table(path: Path, *columns: str) -> Rows:
    """Read a CSV of which `columns` are used.

    Raises
    ------
    TrainingDataError
        The file is missing or no table, a column is missing, or a row ends before it.
    """
    if not path.is_file():
        raise TrainingDataError(f"{path}: no such file, wanted the table of the records beside it")
    try:
        with path.open(encoding="utf-8", newline="") as text:
            reader = csv.DictReader(text)
            rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise TrainingDataError(f"{path}: found no table ({error}), wanted CSV in UTF-8") from error
    if missing := [name for name in columns if name not in (reader.fieldnames or ())]:
        raise TrainingDataError(f"{path}: missing column {missing[0]!r}")
    for line, row in enumerate(rows, 2):
        if short := [name for name in columns if row[name] is None]:
            raise TrainingDataError(f"{path}: line {line}: found no {short[0]}")
    return rows


def numbers(text: str) -> list[float]:
    """Give the numbers in a field of a table that has none, one, or several of them."""
    return [float(each) for each in re.findall(r"\d+(?:\.\d+)?", text)]
