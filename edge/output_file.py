"""Files that a command writes: never what it reads, and never gone before what replaces them is whole."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from .errors import SeisedgeError, UsageError
from .output_paths import identity
from .recorder import rotations
from .sources import SourceUrl
from .whole_file import put_in_place


def require_apart(url: SourceUrl, output: Path, *, rotates: bool = False) -> None:
    """Refuse to write into a source: into the very file, through a link too, or into its folder.

    A file of the folder that is new would be read as well, while it is written, or by the same command again.

    Parameters
    ----------
    rotates
        Whether `output` is the first of many files; none of them may be the source.

    Raises
    ------
    UsageError
        Naming the file.
    """
    read = Path("/dev/stdin" if url.path == "-" else url.path)
    if url.scheme != "file" or not read.exists():
        return
    for file in (output, *rotations(output)) if rotates else (output,):
        if identity(file) == identity(read):
            raise UsageError(f"{file}: found the file that is read, wanted another one to write to")
        if read.is_dir() and file.resolve().is_relative_to(read.resolve()):
            raise UsageError(f"{file}: found a file of the folder that is read, wanted another folder to write to")


@contextmanager
def replacing(path: Path) -> Generator[Path, None, None]:
    """Give an empty file beside `path` to write to, of the same suffix, that takes its place at the end.

    Where it fails, is stopped, or has nothing in it, `path` stays as it was. An error that names the other file names
    `path` instead.

    Raises
    ------
    UsageError
        There is no regular file, or none may be written beside it.
    """
    if not path.is_file():
        raise UsageError(f"{path}: found no regular file, wanted one to replace")
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    except OSError as error:
        raise UsageError(f"{path}: cannot be replaced: {error.strerror}") from error
    os.close(handle)
    draft = Path(name)
    try:
        yield draft
        if draft.exists() and draft.stat().st_size:
            _put_in_place(draft, path)
    except SeisedgeError as error:
        said = str(error).replace(str(draft), str(path))
        raise type(error)(f"{said}; the file stays as it was") from error
    finally:
        draft.unlink(missing_ok=True)


def _put_in_place(draft: Path, path: Path) -> None:
    try:
        put_in_place(draft, path, stat.S_IMODE(path.stat().st_mode))
    except OSError as error:
        raise UsageError(f"{path}: cannot be replaced: {error.strerror}") from error
