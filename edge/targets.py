"""The classes of processors that an artefact may be made for, and which of them this machine is.

Integers are not the same everywhere: without VNNI an x86 adds products of u8 and s8 in 16 bits that saturate, and
the same file that is right elsewhere is silently wrong there.
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Literal

ProcessorTarget = Literal["x86-vnni", "x86-avx2", "arm", "tensorrt"]
Target = Literal["any", "x86-vnni", "x86-avx2", "arm", "tensorrt"]
"""`any` is what floats get: they are right on every processor."""

_RUN_BY: dict[ProcessorTarget, tuple[Target, ...]] = {
    "x86-vnni": ("x86-vnni", "x86-avx2", "any"),  # sums that fit 16 bits fit 32
    "x86-avx2": ("x86-avx2", "any"),
    "arm": ("arm", "any"),
}


def host_target(machine: str | None = None, cpuinfo: str | None = None) -> ProcessorTarget | None:
    """The class of a processor, of this one unless told; None where it belongs to none."""
    machine = (platform.machine() if machine is None else machine).lower()
    if machine in {"aarch64", "arm64"}:
        return "arm"
    if machine not in {"x86_64", "amd64"}:
        return None
    flags = set((_cpuinfo() if cpuinfo is None else cpuinfo).split())
    return "x86-vnni" if flags & {"avx512_vnni", "avx_vnni"} else "x86-avx2"


def runs_on(target: Target, host: ProcessorTarget | None) -> bool:
    """Whether a processor computes what an artefact for `target` was verified for."""
    return target in runs_by_preference(host)


def runs_by_preference(host: ProcessorTarget | None) -> tuple[Target, ...]:
    """The targets whose artefacts a processor runs, its own class first, floats last."""
    return ("any",) if host is None else _RUN_BY.get(host, ("any",))


def _cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""  # no Linux: what is right without VNNI is right on every x86
