"""Picks of records that are done, on disk: a stopped evaluation goes on, and a wider one is quick."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TextIO

from .cases import Case, CaseSet
from .pickers import Check, Found, Picker

_FORMAT = 1


class PickStore:
    """One file per picker and set, a line per record.

    Parameters
    ----------
    folder
        Where; None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def load(self, picker: Picker, cases: CaseSet) -> dict[str, Found]:
        """Give what is known, by the record's id. A line that was cut off in writing counts as not there."""
        path = self._path(picker, cases)
        known: dict[str, Found] = {}
        if path is None or not path.is_file():
            return known
        for line in path.read_text(encoding="utf-8").splitlines():
            if (row := _read_line(line)) is not None and all(len(each) == len(picker.grid) for each in row[1].values()):
                known[row[0]] = row[1]
        return known

    def open(self, picker: Picker, cases: CaseSet) -> TextIO | None:
        """Open the file to add to."""
        path = self._path(picker, cases)
        if path is None:
            return None
        path.parent.mkdir(parents=True, exist_ok=True)
        is_cut_off = path.is_file() and not path.read_bytes().endswith(b"\n")
        file = path.open("a", encoding="utf-8")
        if is_cut_off:
            file.write("\n")
        return file

    def _path(self, picker: Picker, cases: CaseSet) -> Path | None:
        if self._folder is None:
            return None
        return self._folder / f"{picker.digest[:24]}-{cases.digest[:24]}-{_FORMAT}.jsonl"


def _read_line(line: str) -> tuple[str, Found] | None:
    try:
        row = json.loads(line)
        return str(row["id"]), {
            str(phase): [[(int(time), float(probability)) for time, probability in each] for each in grid]
            for phase, grid in row["picks"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def pick_all(
    picker: Picker,
    cases: CaseSet,
    store: PickStore,
    *,
    jobs: int = 1,
    check: Check = lambda: None,
    advance: Callable[[Case], None] = lambda _: None,
) -> list[Found]:
    """Give the picks of every record, in order.

    Parameters
    ----------
    jobs
        Threads, a record each.
    check
        Called within records and after each; what it raises (Ctrl-C) ends the work, and records that are done are kept.
    advance
        Called after every record.
    """
    known = store.load(picker, cases)
    left = [case for case in cases.cases if case.id not in known]
    for case in cases.cases:
        if case.id in known:
            advance(case)
    file = store.open(picker, cases) if left else None
    try:
        for case, found in _picked(picker, left, jobs, check):
            known[case.id] = found
            if file is not None:
                file.write(json.dumps({"id": case.id, "picks": found}, separators=(",", ":")) + "\n")
                file.flush()
            advance(case)
            check()
    finally:
        if file is not None:
            file.close()
    return [known[case.id] for case in cases.cases]


def _picked(picker: Picker, cases: list[Case], jobs: int, check: Check) -> Iterator[tuple[Case, Found]]:
    if jobs == 1:
        yield from ((case, picker.pick(case, check)) for case in cases)
        return
    with ThreadPoolExecutor(jobs, "records") as pool:
        try:
            yield from zip(cases, pool.map(lambda case: picker.pick(case, check), cases), strict=True)
        finally:
            pool.shutdown(cancel_futures=True)
