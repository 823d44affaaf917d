"""Picks that others made, from a file."""

from __future__ import annotations

import csv
import hashlib
import math
from dataclasses import dataclass, field
from pathlib import Path

from seisedge.edge.errors import UsageError
from seisedge.edge.times import NANOSECONDS, parse_time

from .cases import Case
from .pickers import GRID, PHASES, Check, Found, go_on


@dataclass(frozen=True)
class FilePicker:
    """Picks from a CSV file, at one low threshold; at higher ones they are filtered by their probability.

    Rows of a labelled or MEMS record have `id` and `seconds` from its first sample; those of an archive `network`,
    `station` and `time`, as `edge-scan` writes them. All have `phase_hint` and `probability`.
    """

    name: str
    path: Path
    grid: tuple[float, ...] = GRID
    phases: tuple[str, ...] = PHASES
    is_probability: bool = True
    digest: str = field(init=False)
    source: str = field(init=False)
    _rows: dict[str, list[tuple[str, float, int, float]]] = field(init=False, default_factory=dict)

    @property
    def family(self) -> str:
        """Its name: what made it is not known."""
        return self.name

    def __post_init__(self) -> None:
        """Read the file.

        Raises
        ------
        UsageError
            It is not there, or not in its form.
        """
        if not self.path.is_file():
            raise UsageError(f"--picks {self.name}: {self.path}: no such file")
        for name in ("digest", "source"):
            object.__setattr__(self, name, hashlib.sha256(self.path.read_bytes()).hexdigest())
        with self.path.open(encoding="utf-8", newline="") as text:
            reader = csv.DictReader(text)
            names = set(reader.fieldnames or ())
            if missing := {"phase_hint", "probability"} - names:
                raise UsageError(f"{self.path}: missing column {min(missing)!r}")
            if not ({"id", "seconds"} <= names or {"network", "station", "time"} <= names):
                raise UsageError(f"{self.path}: found no columns id and seconds, nor network, station and time")
            for number, row in enumerate(reader, 2):
                self._take(row, number)

    def own_threshold(self, phase: str) -> int:
        """Give the place of the lowest one: the file is taken as it is."""
        del phase
        return 0

    def _take(self, row: dict[str, str], number: int) -> None:
        try:
            probability = float(row["probability"])
            if row.get("seconds"):
                key, seconds, time_ns = row["id"], float(row["seconds"]), 0
            else:
                key, seconds, time_ns = f"{row['network']}.{row['station']}", math.nan, parse_time(row["time"])
        except (ValueError, KeyError) as error:
            raise UsageError(f"{self.path}: line {number}: {error}") from error
        self._rows.setdefault(key, []).append((row["phase_hint"], seconds, time_ns, probability))

    def pick(self, case: Case, check: Check = go_on) -> Found:
        """Give a record's picks."""
        check()
        rows = self._rows.get(case.id) or self._rows.get(f"{case.station.network}.{case.station.station}", [])
        found: Found = {phase: [[] for _ in self.grid] for phase in self.phases}
        for phase, seconds, time_ns, probability in sorted(rows, key=lambda row: (row[2], row[1])):
            time = time_ns if math.isnan(seconds) else case.start_ns + round(seconds * NANOSECONDS)
            if phase in found:
                for number, on in enumerate(self.grid):
                    if probability >= on:
                        found[phase][number].append((time, probability))
        return found
