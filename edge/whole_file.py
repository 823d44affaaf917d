"""Files that appear whole or not at all: a loss of power in the middle leaves the old one."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


def write_whole(content: bytes, path: Path) -> None:
    """Write a file that appears whole or not at all, its folder with it."""
    with whole_file(path) as draft:
        draft.write_bytes(content)


@contextmanager
def whole_file(path: Path) -> Generator[Path, None, None]:
    """Give a name beside `path` to write to; what stands there at the end becomes `path`, at once.

    A link stays one: the file that it names is replaced.

    Raises
    ------
    OSError
        `path` is there and no regular file, or nothing can be written beside it.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():  # the name of a device or a folder would become a file's
        raise OSError(errno.EINVAL, "found no regular file, wanted one to replace", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    draft = Path(name)
    try:
        yield draft
        put_in_place(draft, path, 0o644)
    finally:
        draft.unlink(missing_ok=True)


def put_in_place(draft: Path, path: Path, mode: int) -> None:
    """Give a file that is written another one's name, once it is on the disk.

    Raises
    ------
    OSError
        It cannot.
    """
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    draft.chmod(mode)
    draft.replace(path)
