"""Where a command will write: asked for before the work begins, so that no hour of it ends with "cannot be written"."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from .errors import UsageError


def require_outputs(outputs: Mapping[str, Path | None], inputs: Iterable[Path | None] = ()) -> None:
    """Refuse what could not be written, two outputs in one file, and an output over an input.

    Nothing is opened: a pipe would wait, a file would be emptied.

    Parameters
    ----------
    outputs
        By the option that names them; None for those that nobody asked for.
    inputs
        Files that are read; None for those that are not there. Folders among them are not looked into.

    Raises
    ------
    UsageError
        Naming the first one.
    """
    read = {identity(each) for each in inputs if each is not None}
    first_of: dict[str | tuple[int, int], str] = {}
    for option, path in outputs.items():
        if path is None:
            continue
        file = identity(path)
        first = first_of.setdefault(file, option)
        problem = _problem(path)
        if first != option:
            problem = f"found the file of --{first}, wanted another one"
        elif file in read and path.is_file():
            problem = "found the file that is read, wanted another one to write to"
        if problem:
            raise UsageError(f"--{option} {path}: {problem}")


def identity(path: Path) -> str | tuple[int, int]:
    """What all names of one file have in common: which one it is on which disk, or where it is going to be."""
    try:
        found = path.stat()
    except OSError:
        return os.path.realpath(path)
    return found.st_dev, found.st_ino


def _problem(path: Path) -> str:
    """Why it cannot be written; empty where it can."""
    folder = path.parent
    if str(path) == "-":
        return "found no name of a file, wanted one (/dev/stdout with --quiet for the standard output)"
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where a folder may not be searched
        return "found a folder, wanted a file to write to"
    if os.access(path, os.F_OK):
        return "" if os.access(path, os.W_OK) else "found a file that may not be written, wanted another one"
    if not os.path.isdir(folder):  # noqa: PTH112
        return f"found no folder {folder}, wanted one to write to"
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"found folder {folder} that may not be written to"
