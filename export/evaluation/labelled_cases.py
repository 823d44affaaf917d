"""Labelled windows and long MEMS records, from their `.npz` and `.csv` files, as records to judge pickers on."""

from __future__ import annotations

import csv
import hashlib
import re
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seisedge.edge import StationId
from seisedge.edge.times import NANOSECONDS
from seisedge.export.errors import TrainingDataError
from seisedge.export.records import AGREED

from .cases import Case, CaseSet, Label, Unknown, around, sensor_of
from .embedding import ArrayTraces

_COMPONENTS = ("Z", "N", "E")
_APART_NS = 7200 * NANOSECONDS  # records stand that far apart, each at another place between two windows
_SHIFT_NS = 130_000_000
_ARRAYS = ("samples", "start", "n", "fs", "id")
_COLUMNS = ("channels", "s_status", "p_origin", "other_picks")

Arrays = dict[str, npt.NDArray[np.generic]]
Rows = list[dict[str, str]]


def labelled_cases(path: Path) -> CaseSet:
    """Read labelled windows: `path` (`.npz`) and the `.csv` beside it, as `export.dataset` describes them.

    Of the CSV, `source`, `network`, `station` and `s_origin` (else that of P) are used too where they are there.

    Raises
    ------
    TrainingDataError
        A file is missing, or not in the documented form.
    """
    arrays = _read_arrays(path, (*_ARRAYS, "p_sample", "s_sample", "group"))
    rows = _read_table(path.with_suffix(".csv"), _COLUMNS)
    if len(rows) != len(arrays["start"]):
        raise TrainingDataError(
            f"{path.with_suffix('.csv')}: found {len(rows)} rows, wanted {len(arrays['start'])} as in {path.name}"
        )
    cases = tuple(_labelled(path, arrays, index, row) for index, row in enumerate(rows))
    return CaseSet(path.stem, "labelled", cases, _digest(path, path.with_suffix(".csv")))


def _labelled(path: Path, arrays: Arrays, index: int, row: dict[str, str]) -> Case:
    name, rate, stored = _record(arrays, index)
    start_ns = index * (_APART_NS + _SHIFT_NS)
    arrived = {phase: float(arrays[f"{phase.lower()}_sample"][index]) for phase in ("P", "S")}
    arrived = {phase: sample for phase, sample in arrived.items() if sample >= 0}
    others = [float(each) for each in re.findall(r"[\d.]+", row["other_picks"])]
    end_ns = start_ns + _ns(stored.shape[1] - 1, rate)
    unknown = [around(None, start_ns + _ns(sample, rate)) for sample in others]
    if row["s_status"] == "unlabelled":  # an S is somewhere behind the P
        unknown.append(Unknown("S", start_ns + _ns(arrived.get("P", 0.0), rate), end_ns))
    channels = row["channels"].split(",")
    present = [place for place in range(3) if place < len(channels) and channels[place]]
    return Case(
        id=name,
        group=str(arrays["group"][index]),
        source=row.get("source") or path.stem,
        sensor=sensor_of(channels[0]),
        station=StationId(row.get("network") or "XX", row.get("station") or name, "", channels[0][:2]),
        start_ns=start_ns,
        end_ns=end_ns,
        labels=tuple(
            Label(phase, start_ns + _ns(sample, rate), row.get(f"{phase.lower()}_origin") or row["p_origin"])
            for phase, sample in arrived.items()
        ),
        unknown=tuple(unknown),
        traces=ArrayTraces(
            name,
            stored[present],
            tuple(_COMPONENTS[place] for place in present),
            rate,
            start_ns,
            (*arrived.values(), *others),
        ),
    )


def mems_cases(path: Path, chosen: tuple[str, ...] = ()) -> CaseSet:
    """Read long records of MEMS sensors: `path` (`.npz`: samples, start, n, fs, id), its picks in `NAME_picks.csv`.

    Picks on which at least three pickers agree are labels (origin `consensus`); around others nothing is judged.

    Parameters
    ----------
    chosen
        Beginnings of ids; empty for all records.

    Raises
    ------
    TrainingDataError
        A file is missing or not in its form, or no id begins so.
    """
    arrays = _read_arrays(path, _ARRAYS)
    table = path.with_name(f"{path.stem}_picks.csv")
    picks: dict[str, Rows] = {}
    for row in _read_table(table, ("id", "phase", "sample", "n_models")):
        picks.setdefault(row["id"], []).append(row)
    cases = [
        _mems(arrays, index, picks.get(str(name), []))
        for index, name in enumerate(arrays["id"])
        if not chosen or str(name).startswith(chosen)
    ]
    if not cases:
        raise TrainingDataError(f"{path}: found no record whose id begins with {', '.join(chosen)}")
    suffix = f" {','.join(chosen)}" if chosen else ""
    return CaseSet(path.stem + suffix, "mems", tuple(cases), _digest(path, table, suffix))


def _mems(arrays: Arrays, index: int, rows: Rows) -> Case:
    name, rate, stored = _record(arrays, index)
    start_ns = index * (_APART_NS + _SHIFT_NS)
    placed = [(row["phase"], float(row["sample"]), int(row["n_models"])) for row in rows]
    times = [(phase, start_ns + _ns(sample, rate), models) for phase, sample, models in placed]
    return Case(
        id=name,
        group=name.split("/")[0],
        source="mems",
        sensor="MEMS",
        station=StationId("XX", name, "", "HN"),
        start_ns=start_ns,
        end_ns=start_ns + _ns(stored.shape[1] - 1, rate),
        labels=tuple(Label(phase, time, "consensus") for phase, time, models in times if models >= AGREED),
        unknown=tuple(around(None, time) for _, time, models in times if models < AGREED),
        traces=ArrayTraces(name, stored, _COMPONENTS, rate, start_ns, tuple(sample for _, sample, _ in placed)),
    )


def _record(arrays: Arrays, index: int) -> tuple[str, float, npt.NDArray[np.float32] | npt.NDArray[np.int16]]:
    start, npts = int(arrays["start"][index]), int(arrays["n"][index])
    stored = arrays["samples"][start : start + 3 * npts].reshape(3, -1)
    if stored.dtype == np.int16:
        return str(arrays["id"][index]), float(arrays["fs"][index]), stored.astype(np.int16, copy=False)
    return str(arrays["id"][index]), float(arrays["fs"][index]), stored.astype(np.float32, copy=False)


def _ns(sample: float, rate: float) -> int:
    return round(sample / rate * NANOSECONDS)


def _read_arrays(path: Path, names: tuple[str, ...]) -> Arrays:
    if not path.is_file():
        raise TrainingDataError(f"{path}: no such file, wanted records (.npz)")
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:  # a broken file is closed too
            if missing := [name for name in names if name not in file.files]:
                raise TrainingDataError(f"{path}: missing array {missing[0]!r}")
            arrays = {name: np.asarray(file[name]) for name in names}
    except (zipfile.BadZipFile, ValueError, EOFError, OSError) as error:
        if isinstance(error, TrainingDataError):
            raise
        raise TrainingDataError(f"{path}: found no .npz file of arrays ({error})") from error
    _check_arrays(path, arrays)
    return arrays


def _check_arrays(path: Path, arrays: Arrays) -> None:
    sizes = {len(array) for name, array in arrays.items() if name != "samples"}
    if len(sizes) != 1:
        raise TrainingDataError(f"{path}: found arrays of {sorted(sizes)} records, wanted as many in each")
    if len(set(arrays["id"].tolist())) != len(arrays["id"]):
        raise TrainingDataError(f"{path}: found an id twice, wanted another for each record")
    ends = arrays["start"].astype(np.int64) + 3 * arrays["n"].astype(np.int64)
    if len(ends) and (ends.max() > arrays["samples"].size or arrays["start"].astype(np.int64).min() < 0):
        raise TrainingDataError(
            f"{path}: found {arrays['samples'].size} samples, wanted {ends.max()} for its longest record"
        )
    if len(ends) and not ((arrays["n"].astype(np.int64) > 1).all() and (arrays["fs"].astype(np.float64) > 0).all()):
        raise TrainingDataError(f"{path}: found a record of less than 2 samples or without a sampling rate")


def _read_table(path: Path, columns: tuple[str, ...]) -> Rows:
    if not path.is_file():
        raise TrainingDataError(f"{path}: no such file, wanted the table of the records beside it")
    with path.open(encoding="utf-8", newline="") as text:
        reader = csv.DictReader(text)
        rows = list(reader)
    if missing := [name for name in columns if name not in (reader.fieldnames or ())]:
        raise TrainingDataError(f"{path}: missing column {missing[0]!r}")
    return rows


def _digest(path: Path, table: Path, more: str = "") -> str:
    digest = hashlib.sha256(more.encode())
    for each in (path, table):
        digest.update(each.read_bytes())
    return digest.hexdigest()
