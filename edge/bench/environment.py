"""What a figure was measured on: processor, its features and state, memory, libraries, kernels."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import distributions
from pathlib import Path

import onnxruntime as ort

from seisedge import kernels
from seisedge.edge.targets import host_target

_FEATURES = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx_vnni": "VNNI (AVX)",
    "avx512_vnni": "VNNI (AVX-512)",
    "avx512_bf16": "bfloat16",
    "amx_int8": "AMX int8",
    "asimd": "NEON",
    "asimddp": "dot product",
    "fphp": "half precision",
    "i8mm": "int8 matrix product",
    "sve": "SVE",
    "bf16": "bfloat16",
}
_LIBRARIES = ("seisedge", "numpy", "onnxruntime", "onnxruntime-gpu", "pymseed", "cffi", "tensorrt", "torch", "openvino")


def environment(root: Path = Path("/")) -> dict[str, str]:
    """Describe this machine, one line of text for each thing; what it does not tell is `unknown`."""
    cpuinfo = _read(root / "proc" / "cpuinfo")
    return {
        "CPU": cpu_name(cpuinfo),
        "cores": f"{os.cpu_count() or 0}, of which this process may use {len(os.sched_getaffinity(0))}",
        "features": ", ".join(_features(cpuinfo)) or "unknown",
        "artefact target": host_target() or "none",
        "governor": _read(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "unknown",
        "clock": _clock(root),
        "temperature": _temperature(root),
        "throttling": _throttling(root),
        "memory": _memory(root),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "Python": platform.python_version(),
        "libraries": ", ".join(_versions()),
        "providers": ", ".join(ort.get_available_providers()),
        "kernels": str(kernels.compilation()),
    }


def cpu_name(cpuinfo: str | None = None) -> str:
    """Name the processor: of x86 its model, of ARM boards the board."""
    text = _read(Path("/proc/cpuinfo")) if cpuinfo is None else cpuinfo
    match = re.search(r"^(?:model name|Model|Hardware)\s*:\s*(.+)$", text, re.MULTILINE)
    board = _read(Path("/proc/device-tree/model")).rstrip("\0")
    return (match[1].strip() if match else board) or platform.processor() or platform.machine()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _features(cpuinfo: str) -> list[str]:
    match = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    flags = set(match[1].split()) if match else set[str]()
    return list(dict.fromkeys(text for flag, text in _FEATURES.items() if flag in flags))


def _clock(root: Path) -> str:
    folder = root / "sys/devices/system/cpu/cpu0/cpufreq"
    now, most = _read(folder / "scaling_cur_freq"), _read(folder / "cpuinfo_max_freq")
    if now.isdigit() and most.isdigit():
        return f"{int(now) / 1e6:.2f} of {int(most) / 1e6:.2f} GHz"
    return "unknown"


def _temperature(root: Path) -> str:
    found = [_read(path) for path in sorted((root / "sys/class/thermal").glob("thermal_zone*/temp"))]
    degrees = [int(each) / 1000 for each in found if each.lstrip("-").isdigit()]
    return f"{max(degrees):.0f} °C, the hottest of {len(degrees)} zones" if degrees else "unknown"


def _throttling(root: Path) -> str:
    counts = (root / "sys/devices/system/cpu").glob("cpu*/thermal_throttle/core_throttle_count")
    found = [int(text) for path in counts if (text := _read(path)).isdigit()]
    return f"{sum(found)} times since the start" if found else "unknown"


def _memory(root: Path) -> str:
    fields = dict(re.findall(r"^(\w+):\s+(\d+) kB", _read(root / "proc/meminfo"), re.MULTILINE))
    if "MemTotal" not in fields:
        return "unknown"
    total, free = (int(fields.get(key, "0")) / 1e6 for key in ("MemTotal", "MemAvailable"))
    return f"{total:.1f} GB, of which {free:.1f} GB free"


def _versions() -> list[str]:
    installed = {each.name: each.version for name in _LIBRARIES for each in distributions(name=name)}
    return [f"{name} {version}" for name, version in installed.items()]
