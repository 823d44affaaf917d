"""Objects for microcontrollers: how a float comes in."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("llvmlite")

from seisedge.kernels._emit import FIRMWARE, Module, emit_object
from seisedge.kernels._kernel import KERNELS
from seisedge.kernels._signature import parse_signature

DOUBLED = "define float @doubled(float %x) {\n  %y = fadd float %x, %x\n  ret float %y\n}\n"


@pytest.mark.skipif(shutil.which("readelf") is None, reason="needs readelf, which comes with GCC")
@pytest.mark.parametrize("name", ["cortex-m4", "cortex-m33", "armv7"])
def test_arm_passes_floats_in_the_fpus_registers(name: str, tmp_path: Path) -> None:
    path = tmp_path / "doubled.o"
    module = Module("doubled", KERNELS[0], parse_signature("f4(f4)"), DOUBLED)
    path.write_bytes(emit_object(module, FIRMWARE[name]))
    said = subprocess.run(["readelf", "-A", path], check=True, capture_output=True, text=True).stdout
    assert "Tag_ABI_VFP_args: VFP registers" in said
