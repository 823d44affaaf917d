"""What every sub-command of `edge-export` shares: its errors as one line, its examples, a file's name."""

from __future__ import annotations

import functools
import sys
import tempfile
from collections.abc import Callable
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
