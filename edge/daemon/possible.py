"""What a configuration names outside itself: whether its sources can be made, and its files written."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from seisedge.edge.errors import UsageError

from .config import Config
from .intake import require_possible
from .outbox import OUTBOX_NAME
from .place import at
from .sink_config import FileSink, QuakeMlSink, Sink, WaveformSink
from .sinks import open_sink


def require_sources(config: Config) -> None:
    """Refuse a source that can never run; nothing is opened.

    Raises
    ------
    SeisedgeError
        With the place in the configuration.
    """
    for number, part in enumerate(config.source):
        with at(config.place(f"source[{number}].url: ")):
            require_possible(part)


def require_sinks(config: Config, running: Collection[Sink] = ()) -> None:
    """Refuse a sink that cannot be made, but for those that run already; nothing is connected.

    Raises
    ------
    SeisedgeError
        With the place in the configuration.
    """
    for number, part in enumerate(config.sink):
        if part not in running:
            with at(config.place(f"sink[{number}]: ")):
                open_sink(part).close()


def require_files(config: Config) -> list[str]:
    """Refuse files and folders that cannot be written, and leave nothing behind.

    Returns
    -------
    list of str
        One line for each that the user of this process may not write. It is no error: the daemon has a user of its
        own where systemd starts it, whose folders are closed to others.

    Raises
    ------
    UsageError
        With the place in the configuration.
    """
    refused: list[str] = []
    for key, shown, path in _written(config):
        try:
            _require_makeable(path)
        except PermissionError:  # noqa: PERF203 - a handful
            refused.append(f"{config.place(key)}: {shown}: this user may not write there, the daemon's must")
        except OSError as error:
            found = f"{config.place(key)}: {shown}"
            raise UsageError(f"{found}: cannot be written: {error.strerror}") from error
    return refused


def require_writable(path: Path) -> None:
    """Try whether a file can be written, or made in its folder; nothing is changed.

    Raises
    ------
    OSError
        It cannot.
    """
    if path.exists():
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))  # a pipe that nobody reads holds up nobody
    else:
        tempfile.TemporaryFile(dir=path.parent).close()


def _require_makeable(path: Path) -> None:
    """Try whether a file can be written after its folder is made; what was made is taken away again."""
    made: list[Path] = []
    try:
        for folder in reversed(list(_missing(path.parent))):
            folder.mkdir()
            made.append(folder)
        require_writable(path)
    finally:
        for folder in reversed(made):
            with contextlib.suppress(OSError):  # somebody else writes there by now
                folder.rmdir()


def _missing(folder: Path) -> Iterator[Path]:
    """Give the folders that have to be made, the innermost first."""
    while not os.path.lexists(folder):
        yield folder
        folder = folder.parent


def _written(config: Config) -> Iterator[tuple[str, str, Path]]:
    """Give for each key that names a file or a folder: the key, what it names, and a file that may be written there."""
    yield "daemon.state", config.daemon.state, Path(config.daemon.state) / OUTBOX_NAME
    for number, part in enumerate(config.sink):
        if isinstance(part, FileSink):
            yield f"sink[{number}].path", part.path, Path(part.path)
        elif isinstance(part, QuakeMlSink | WaveformSink):
            yield f"sink[{number}].folder", part.folder, Path(part.folder) / ".seisedge"
