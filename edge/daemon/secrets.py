"""Secrets come from files: of the administrator, or of systemd's credentials. They never stand in a message."""

from __future__ import annotations

import os
from pathlib import Path

from seisedge.edge.errors import UsageError

_LARGEST = 4096


def read_secret(name: str) -> str:
    """Read the first line of a file; a name without a folder is one of systemd's credentials where there are some.

    Raises
    ------
    UsageError
        The file cannot be read, or is no line of text.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(folder) / name if folder and "/" not in name else Path(name)
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        lines = content.decode().splitlines()
    except UnicodeDecodeError:
        raise UsageError(f"{path}: found no UTF-8 text, wanted a secret in one line") from None
    if len(content) > _LARGEST or not lines or not lines[0]:
        raise UsageError(f"{path}: found {len(content)} bytes, wanted a secret in one line")
    return lines[0]
