"""Picks on which several published pickers agree: labels of records that no analyst has read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from seisedge.edge.errors import UsageError
from seisedge.edge.times import parse_time

from .errors import TrainingDataError
from .stored import read_table

AGREED = 3
"""Pickers that must agree for a pick to be a label; with fewer, nothing is known there."""

Row = dict[str, str]
Key = TypeVar("Key", str, tuple[str, str])
Time = TypeVar("Time", int, float)


def archive_picks(path: Path) -> dict[tuple[str, str], list[tuple[str, int, int]]]:
    """Read an archive's table: (network, station) → (phase, time in ns, how many pickers agree).

    Raises
    ------
    TrainingDataError
        The file is missing, or not in its form (network, station, phase, time, n_models).
    """
    columns = ("network", "station", "phase", "time", "n_models")
    return _grouped(path, columns, lambda row: (row["network"], row["station"]), lambda row: parse_time(row["time"]))


def record_picks(path: Path) -> dict[str, list[tuple[str, float, int]]]:
    """Read the table of long records: id → (phase, sample, how many pickers agree).

    Raises
    ------
    TrainingDataError
        The file is missing, or not in its form (id, phase, sample, n_models).
    """
    columns = ("id", "phase", "sample", "n_models")
    return _grouped(path, columns, lambda row: row["id"], lambda row: float(row["sample"]))


def _grouped(
    path: Path, columns: tuple[str, ...], key: Callable[[Row], Key], time: Callable[[Row], Time]
) -> dict[Key, list[tuple[str, Time, int]]]:
    found: dict[Key, list[tuple[str, Time, int]]] = {}
    for line, row in enumerate(read_table(path, *columns), 2):
        try:
            pick = row["phase"], time(row), int(row["n_models"])
        except (ValueError, UsageError) as error:
            raise TrainingDataError(f"{path}: line {line}: {error}") from error
        found.setdefault(key(row), []).append(pick)
    return found
