"""A C compiler for the encoder's tests; where the shared data must be there, so must it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from seisedge import firmware_bridge

COMPILER = shutil.which("gcc") or shutil.which("cc")
SOURCES = Path(firmware_bridge.__file__).parent / "c"
needs_compiler = pytest.mark.skipif(
    COMPILER is None and os.environ.get("SEISEDGE_NEED_SHARED") != "1", reason="there is no C compiler"
)
