"""What every sub-command of `edge-export` shares: its errors as one line, its examples, a file's name."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

from seisedge.edge.errors import SeisedgeError

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
        click.echo(f"edge-export: {message}", err=True)
        sys.exit(code)

    return wrapped
