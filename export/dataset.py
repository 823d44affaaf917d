"""Labelled windows for training: read from disk, brought through the runtime's own stream steps.

The form is one `.npz` and one `.csv` with a row per window, in the same order. Arrays of the `.npz`: `samples`
(all windows one behind the other, each component after component, Z, N, E), `start`, `n`, `fs`, `p_sample`,
`s_sample` (fractional, -1 where there is none), `group`, `id`. Columns of the CSV that are used: `s_status`,
`channels`, `other_picks`, and, where there are such, `network`, `station`, and for judging `p_origin`, `s_origin`
(`manual` for an analyst's; that of P serves both; without it all are), `source`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seisedge.edge.errors import DataError
from seisedge.edge.manifest import Manifest
from seisedge.edge.preprocess import Preprocess

from .errors import TrainingDataError
from .stored import ORDER, Arrays, Rows, numbers, read_arrays, read_table, stored_record

Float32 = npt.NDArray[np.float32]

_NO_NUMBERS = "found samples that are not finite (NaN, or too large for float32)"


@dataclass(frozen=True)
class LabelledWindow:
    """One window at the model's rate, behind the stream steps.

    Attributes
    ----------
    samples
        float32 (component, npts), in the manifest's order; missing components are zeros.
    arrivals
        Phase → sample of its onset, fractional.
    others
        Samples of further arrivals, whose phase is not to be learnt nor to be called noise.
    unlabelled_from
        From this sample on something is there that was not labelled; None where nothing is.
    station
        `NETWORK.STATION`; empty where the file does not say.
    is_accelerometer
        Its channels are an accelerometer's: instrument code N, or none as of a MEMS sensor.
    """

    id: str
    group: str
    samples: Float32
    arrivals: dict[str, float]
    others: tuple[float, ...]
    unlabelled_from: float | None
    station: str = ""
    is_accelerometer: bool = False


@dataclass(frozen=True)
class LabelledSet:
    """Windows of one file, its SHA-256, and how many windows could not be used and why."""

    windows: tuple[LabelledWindow, ...]
    digest: str
    refused: dict[str, int]

    def unused(self, manifest: Manifest) -> Iterator[str]:
        """Say for a person which windows the model cannot take, and of which its normalisation leaves nothing."""
        for why, windows in self.refused.items():
            yield f"{windows:,} windows left out: {why}"
        added = [each.params.get("eps", 0.0) for each in manifest.steps if each.op.startswith("normalise")]
        least = max((each for each in added if isinstance(each, float)), default=0.0)
        small = sum(float(each.samples.std(axis=1).max()) < least for each in self.windows)
        if small:
            yield (
                f"{small:,} windows have a standard deviation below {least:g}, which {manifest.name} adds to what it "
                "divides by: next to nothing is left of them. It wants counts, not m/s"
            )


def read_labelled(path: Path, preprocess: Preprocess) -> LabelledSet:
    """Read `path` (`.npz`) and the `.csv` beside it.

    Raises
    ------
    TrainingDataError
        A file is missing, or not in the documented form.
    """
    table = path.with_suffix(".csv")
    arrays = read_arrays(path, "p_sample", "s_sample", "group")
    rows = read_table(table, "s_status", "channels", "other_picks")
    if len(rows) != len(arrays["start"]):
        raise TrainingDataError(f"{table}: found {len(rows)} rows, wanted {len(arrays['start'])} as in {path.name}")
    refused: dict[str, int] = {}
    windows = tuple(_windows(arrays, rows, preprocess, refused))
    return LabelledSet(windows, hashlib.sha256(path.read_bytes()).hexdigest(), refused)


def stored_columns(manifest: Manifest) -> list[int]:
    """Where the manifest's components stand in files of records, under their own names or those they stand for.

    Raises
    ------
    TrainingDataError
        One of them is not there.
    """
    places = {manifest.components.aliases.get(letter, letter): place for place, letter in enumerate(ORDER)}
    if missing := [letter for letter in manifest.components.order if letter not in places]:
        raise TrainingDataError(
            f"{manifest.name}: found labelled windows of {', '.join(ORDER)}, wanted a component {missing[0]!r}"
        )
    return [places[letter] for letter in manifest.components.order]


def _windows(
    arrays: Arrays,
    rows: Rows,
    preprocess: Preprocess,
    refused: dict[str, int],
) -> Iterator[LabelledWindow]:
    columns = stored_columns(preprocess.manifest)
    rate = preprocess.manifest.sampling_rate
    for index, row in enumerate(rows):
        name, source_rate, stored = stored_record(arrays, index)
        try:
            samples = preprocess.record(np.ascontiguousarray(stored[columns], np.float32), source_rate)
        except DataError as error:
            refused[str(error)] = refused.get(str(error), 0) + 1
            continue
        if not np.isfinite(samples).all():  # one of them would spoil all weights
            refused[_NO_NUMBERS] = refused.get(_NO_NUMBERS, 0) + 1
            continue
        scale = rate / source_rate
        places = {phase: float(arrays[f"{phase.lower()}_sample"][index]) for phase in ("P", "S")}
        yield LabelledWindow(
            id=name,
            group=str(arrays["group"][index]),
            samples=samples,
            arrivals={phase: place * scale for phase, place in places.items() if place >= 0},
            others=tuple(each * scale for each in numbers(row["other_picks"])),
            unlabelled_from=places["P"] * scale if row["s_status"] == "unlabelled" else None,
            station=".".join(filter(None, (row.get("network"), row.get("station")))),
            is_accelerometer=all(each[1:2] in {"", "N"} for each in row["channels"].split(",")),
        )
