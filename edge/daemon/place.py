"""Where in the configuration stands what is refused."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from seisedge.edge.errors import SeisedgeError


@contextmanager
def at(start: str) -> Generator[None, None, None]:
    """Put a place, with what is between it and the message, before that of an error.

    Raises
    ------
    SeisedgeError
        What was raised, of the same kind: the exit code stays.
    """
    try:
        yield
    except SeisedgeError as error:
        raise type(error)(f"{start}{error}") from error
