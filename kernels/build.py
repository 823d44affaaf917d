"""Compile the kernels ahead of time: `make kernels`, or `python -m seisedge.kernels.build`.

    python -m seisedge.kernels.build                       # the library of this machine, into the package
    python -m seisedge.kernels.build --machine aarch64     # of another one (needs aarch64-linux-gnu-ld)
    python -m seisedge.kernels.build --firmware DIR        # objects for microcontrollers, and a header for C

Needs numba and, for a library, a linker: `ld` of binutils.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import _ahead, _jit

if TYPE_CHECKING:
    from ._emit import Module


class BuildError(RuntimeError):
    """The library cannot be made on this machine."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Build what is asked for; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m seisedge.kernels.build", description=str(__doc__).split("\n\n")[0])
    parser.add_argument("--machine", default=platform.machine(), help="x86_64 or aarch64; default: this one")
    parser.add_argument("--output", type=Path, default=_ahead.FOLDER, help="folder of the library")
    parser.add_argument("--firmware", type=Path, help="folder for microcontrollers' objects, instead of a library")
    given = parser.parse_args(arguments)
    try:
        if given.firmware is None:
            written = [build_library(given.machine, given.output)]
        else:
            written = build_firmware(given.firmware)
    except BuildError as error:
        sys.stderr.write(f"kernels: {error}\n")
        return 1
    for path in written:
        sys.stdout.write(f"{path}: {path.stat().st_size:,} bytes\n")
    return 0


def build_library(machine: str, folder: Path) -> Path:
    """Write the shared library of a machine, all its levels in it; the path.

    Raises
    ------
    BuildError
        There is no such machine, or no linker for it.
    """
    from . import _emit  # noqa: PLC0415 - numba and LLVM

    if machine not in _emit.LEVELS:
        raise BuildError(f"machine: found {machine}, wanted one of {', '.join(_emit.LEVELS)}")
    linker = "ld" if machine == platform.machine() else f"{machine}-linux-gnu-ld"
    if shutil.which(linker) is None:
        raise BuildError(
            f"linker: found no {linker}, wanted it: apt-get install binutils-{machine.replace('_', '-')}-…"
        )
    modules = _emit.modules()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _ahead.library_name(machine)
    with tempfile.TemporaryDirectory() as name:
        objects = Path(name)
        for level, target in _emit.LEVELS[machine].items():
            for module in modules:
                written = _emit.emit_object(module, target, f"_{level}")
                (objects / f"{module.name}_{level}.o").write_bytes(written)
        _link(linker, sorted(objects.iterdir()), objects / path.name)
        # In one step: a process that has the old one open keeps it.
        path.with_suffix(".new").write_bytes(_ahead.sealed((objects / path.name).read_bytes()))
        path.with_suffix(".new").replace(path)
    return path


def _link(linker: str, objects: Sequence[Path], path: Path) -> None:
    command = [linker, "-shared", "-z", "noexecstack", "--strip-debug", "-soname", path.name, "-o", str(path)]
    done = subprocess.run([*command, *map(str, objects)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"{linker}: {done.stderr.strip()}")


def build_firmware(folder: Path) -> list[Path]:
    """Write the header, and an object of each kernel for each microcontroller; the paths."""
    from . import _emit, _header  # noqa: PLC0415 - numba and LLVM

    modules: list[Module] = _emit.modules()
    folder.mkdir(parents=True, exist_ok=True)
    header = folder / "seisedge_kernels.h"
    header.write_text(_header.header(modules), encoding="utf-8")
    written = [header]
    for name, target in _emit.FIRMWARE.items():
        (folder / name).mkdir(exist_ok=True)
        for module in modules:
            path = folder / name / f"{module.name}.o"
            path.write_bytes(_emit.emit_object(module, target))
            written.append(path)
    return written


if __name__ == "__main__":
    # Before numba is imported, and in a process of its own: numba reads it again whenever it compiles.
    os.environ.update(_jit.FOR_OTHERS)
    sys.exit(main())
