"""What every sub-command of `edge-export` shares: its errors as one line, its examples, a file's name."""

from __future__ import annotations

import functools
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

from seisedge.edge.errors import SeisedgeError, UsageError

from .errors import ExportError, UnknownModelError

P = ParamSpec("P")
R = TypeVar("R")

FILE = click.Path(path_type=Path)


def examples(*commands: str) -> str:
    """Give the end of a `--help`: one command a line, which click leaves as they stand."""
    return "\n".join(("\b", "Examples:", *(f"  {command}" for command in commands)))


def reports_errors(command: Callable[P, R]) -> Callable[P, R]:
    """One line on stderr and the right exit code, instead of a traceback, for what a user can put right."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except SeisedgeError as error:
            code, message = error.exit_code, str(error)
        except ExportError as error:
            code, message = (2 if isinstance(error, UnknownModelError) else 1), str(error)
        except OSError as error:  # a disk that is full, a folder that is not there
            code, message = 1, f"{error.filename or 'a file'}: {error.strerror or error}"
        click.echo(f"edge-export: {message}", err=True)
        sys.exit(code)

    return wrapped


def require_writable(folder: Path, option: str) -> None:
    """Make a folder, and see whether files can be made in it: before the work, not behind it.

    Raises
    ------
    UsageError
        They cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(f"{option}: {folder}: found no folder to write to ({error.strerror})") from error


def require_output(output: Path, inputs: Iterable[tuple[str, Path | None]], *, beside: tuple[str, ...] = ()) -> None:
    """Before the work: that what is written has a place, and is nothing that is read.

    Parameters
    ----------
    inputs
        What a file is to the command (its option), and the file.
    beside
        Suffixes of what is written beside `output`.

    Raises
    ------
    UsageError
        It has none, or is.
    """
    made = {each.resolve() for each in (output, *(output.with_suffix(suffix) for suffix in beside))}
    for option, path in inputs:
        if path is not None and path.resolve() in made:
            raise UsageError(f"--output {output}: would overwrite {option} {path}, wanted another name")
    if output.exists() and not output.is_file():
        raise UsageError(f"--output {output}: found no regular file, wanted one, or a new name")
    require_writable(output.parent, "--output")
