"""Names of a package that are imported when they are asked for: a process starts with the files that it uses alone."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping


def imported(package: str, homes: Mapping[str, str], name: str) -> object:
    """Give what a package's `__getattr__` (PEP 562) was asked for, and keep it there.

    Parameters
    ----------
    homes
        Name → the module that has it, relative to the package.

    Raises
    ------
    AttributeError
        The package has no such name.
    """
    if name not in homes:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    found: object = getattr(importlib.import_module(f".{homes[name]}", package), name)
    setattr(sys.modules[package], name, found)
    return found
