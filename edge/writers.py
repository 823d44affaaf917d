"""Picks and detections → files: CSV, JSON lines, Seismo-Performer's text form, told apart by the file's suffix."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Protocol, TextIO

from .detections import Detection
from .errors import DataError, UsageError
from .picks import PICK_FIELDS, Pick

_DECIMALS = 6  # of probabilities: finer than any two machines agree on


class PickFormat(Protocol):
    """How one pick, or one detection, becomes text."""

    def header(self, file: TextIO, fields: tuple[str, ...]) -> None:
        """Write what stands before the first one."""
        ...

    def write(self, file: TextIO, pick: Pick | Detection) -> None:
        """Write one pick."""
        ...


class _Csv:
    def header(self, file: TextIO, fields: tuple[str, ...]) -> None:
        csv.writer(file, lineterminator="\n").writerow(fields)

    def write(self, file: TextIO, pick: Pick | Detection) -> None:
        csv.writer(file, lineterminator="\n").writerow(_row(pick).values())


class _JsonLines:
    def header(self, file: TextIO, fields: tuple[str, ...]) -> None:
        pass

    def write(self, file: TextIO, pick: Pick | Detection) -> None:
        file.write(json.dumps(_row(pick), ensure_ascii=False) + "\n")


class _PerformerText:
    """`STATION PHASE PROBABILITY dd.mm.yyyy HH:MM:SS.ffffff`.

    The probability is floored to four digits and the seconds lose their trailing zeros, as Seismo-Performer
    v1.1 prints them (jamm1985/seismo-performer, utils/scan_tools.py).
    """

    def header(self, file: TextIO, fields: tuple[str, ...]) -> None:
        pass

    def write(self, file: TextIO, pick: Pick | Detection) -> None:
        if not isinstance(pick, Pick):
            raise UsageError("output: found a detection, wanted a pick for the form .txt")
        microseconds = (pick.time_ns + 500) // 1000
        moment = datetime.fromtimestamp(microseconds // 1_000_000, timezone.utc)
        fraction = f".{microseconds % 1_000_000:06d}".rstrip("0").rstrip(".")
        probability = math.floor(pick.probability * 1e4) / 1e4
        file.write(
            f"{pick.station.station} {pick.phase_hint} {probability:.4f} "
            f"{moment:%d.%m.%Y} {moment:%H:%M:%S}{fraction}\n"
        )


_FORMATS: dict[str, type[PickFormat]] = {".csv": _Csv, ".jsonl": _JsonLines, ".txt": _PerformerText}


def _row(pick: Pick | Detection) -> dict[str, str | int | float | None]:
    row = pick.as_row()
    row["probability"] = round(pick.probability, _DECIMALS)
    return row


class PickWriter(AbstractContextManager["PickWriter"]):
    """Writes picks, or detections, as they come; what was written stays, whatever happens later.

    Parameters
    ----------
    path
        Its suffix chooses the format: `.csv`, `.jsonl`, `.txt`. None writes CSV to standard output.
    fields
        Names of the columns.

    Raises
    ------
    UsageError
        Another suffix, or a file that cannot be created.
    """

    def __init__(self, path: Path | None, fields: tuple[str, ...] = PICK_FIELDS) -> None:
        suffix = ".csv" if path is None else path.suffix.lower()
        if suffix not in _FORMATS:
            raise UsageError(f"output {path}: found suffix {suffix!r}, wanted one of {', '.join(_FORMATS)}")
        self._format = _FORMATS[suffix]()
        self._path = path
        try:
            self._file = sys.stdout if path is None else path.open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise UsageError(f"output {path}: cannot be written: {error.strerror}") from error
        self._format.header(self._file, fields)

    def write(self, picks: Sequence[Pick | Detection]) -> None:
        """Write picks; they are with the operating system when this returns.

        Raises
        ------
        DataError
            The file takes no more: a full disk. What it has stays.
        """
        try:
            for pick in picks:
                self._format.write(self._file, pick)
            if picks:
                self._file.flush()
        except OSError as error:
            if self._path is None:
                raise  # a reader that had enough: click ends the command quietly
            raise self._unwritten(error) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._path is not None:
            try:
                self._file.close()
            except OSError as failure:
                if error is None:  # otherwise `write` has told it
                    raise self._unwritten(failure) from failure

    def _unwritten(self, failure: OSError) -> DataError:
        return DataError(f"output {self._path}: cannot be written: {failure.strerror}")
