"""The stub driver, compiled, and the stand-in for TensorRT in its place."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fake_tensorrt import Behaviour, make_tensorrt

SOURCE = Path(__file__).parent / "libcuda_stub.c"


def compile_driver(folder: Path, **defines: int) -> str:
    """A libcuda whose memory is the host's; `GPUS=0` has no GPU, `FAIL=100` does not start."""
    name = "-".join(["libcuda", *(f"{key}{value}" for key, value in defines.items())])
    path = folder / f"{name}.so"
    flags = [f"-D{key}={value}" for key, value in defines.items()]
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", *flags, "-o", path, SOURCE], check=True)
    return str(path)


def live_allocations(driver: str) -> int:
    """How many buffers of the stub driver were not given back."""
    return int(ctypes.CDLL(driver).stub_live())


@contextmanager
def tensorrt_is(behaviour: Behaviour | None) -> Generator[None, None, None]:
    """Put the stand-in where `import tensorrt` finds it; None: there is none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "tensorrt", None if behaviour is None else make_tensorrt(behaviour))
        yield
