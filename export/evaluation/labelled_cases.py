"""Labelled windows and long MEMS records, from their `.npz` and `.csv` files, as records to judge pickers on."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seisedge.edge import StationId
from seisedge.edge.times import NANOSECONDS
from seisedge.export.consensus import AGREED, record_picks
from seisedge.export.errors import TrainingDataError
from seisedge.export.stored import ORDER, Arrays, numbers, read_arrays, read_table, stored_record

from .cases import Case, CaseSet, Label, Unknown, around, sensor_of
from .embedding import ArrayTraces

_APART_NS = 7200 * NANOSECONDS  # records stand that far apart, each at another place between two windows
_SHIFT_NS = 130_000_000
_COLUMNS = ("channels", "s_status", "other_picks")
_ORIGIN = "manual"  # of labels whose table names none: those of who made it


def labelled_cases(path: Path) -> CaseSet:
    """Read labelled windows: `path` (`.npz`) and the `.csv` beside it, as `export.dataset` describes them.

    Of the CSV, `source`, `network`, `station`, `p_origin` and `s_origin` are used too where they are there.

    Raises
    ------
    TrainingDataError
        A file is missing, or not in the documented form.
    """
    arrays = read_arrays(path, "p_sample", "s_sample", "group")
    rows = read_table(path.with_suffix(".csv"), *_COLUMNS)
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
    others = numbers(row["other_picks"])
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
            Label(phase, start_ns + _ns(sample, rate), _origin(row, phase)) for phase, sample in arrived.items()
        ),
        unknown=tuple(unknown),
        traces=ArrayTraces(
            name,
            stored[present],
            tuple(ORDER[place] for place in present),
            rate,
            start_ns,
            (*arrived.values(), *others),
        ),
    )


def _origin(row: dict[str, str], phase: str) -> str:
    return row.get(f"{phase.lower()}_origin") or row.get("p_origin") or _ORIGIN


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
    arrays = read_arrays(path)
    table = path.with_name(f"{path.stem}_picks.csv")
    picks = record_picks(table)
    cases = [
        _mems(arrays, index, picks.get(str(name), []))
        for index, name in enumerate(arrays["id"])
        if not chosen or str(name).startswith(chosen)
    ]
    if not cases:
        raise TrainingDataError(f"{path}: found no record whose id begins with {', '.join(chosen)}")
    suffix = f" {','.join(chosen)}" if chosen else ""
    return CaseSet(path.stem + suffix, "mems", tuple(cases), _digest(path, table, suffix))


def _mems(arrays: Arrays, index: int, placed: list[tuple[str, float, int]]) -> Case:
    name, rate, stored = _record(arrays, index)
    start_ns = index * (_APART_NS + _SHIFT_NS)
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
        traces=ArrayTraces(name, stored, ORDER, rate, start_ns, tuple(sample for _, sample, _ in placed)),
    )


def _record(arrays: Arrays, index: int) -> tuple[str, float, npt.NDArray[np.float32] | npt.NDArray[np.int16]]:
    name, rate, stored = stored_record(arrays, index)
    if stored.dtype == np.int16:
        return name, rate, stored.astype(np.int16, copy=False)
    return name, rate, stored.astype(np.float32, copy=False)


def _ns(sample: float, rate: float) -> int:
    return round(sample / rate * NANOSECONDS)


def _digest(path: Path, table: Path, more: str = "") -> str:
    digest = hashlib.sha256(more.encode())
    for each in (path, table):
        digest.update(each.read_bytes())
    return digest.hexdigest()
