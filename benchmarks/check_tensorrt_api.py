"""Does every name of TensorRT that we use exist, from the oldest version to the newest? `make tensorrt-api`.

    python benchmarks/check_tensorrt_api.py

Fetches NVIDIA's real Python bindings (1 MB each, from PyPI) into build/, gives them three empty libraries in the place
of TensorRT's own (they want nine functions to load, and are never called), and looks up `tensorrt_api.USED` in them.
It builds and runs nothing: that needs a GPU. Needs gcc.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from seisedge.edge.tensorrt_api import USED

BUILD = Path(__file__).resolve().parents[1] / "build" / "tensorrt"
WHEELS = {"10.3.0": "cu12", "10.13.2.6": "cu12", "10.16.1.11": "cu13", "11.0.0.114": "cu13", "11.4.0.106": "cu13"}
LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser")
FUNCTIONS = (
    "createInferBuilder_INTERNAL",
    "createInferRefitter_INTERNAL",
    "createInferRuntime_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL",
    "createNvOnnxParser_INTERNAL",
    "getBuilderPluginRegistry",
    "getNvOnnxParserVersion",
    "getPluginRegistry",
    "initLibNvInferPlugins",
)
LOOK = """
import json, sys
import tensorrt_bindings as trt
def exists(path):
    found = trt
    for name in path.split("."):
        if not hasattr(found, name):
            return False
        found = getattr(found, name)
    return True
used = json.loads(sys.argv[1])
wanted = [path for name in used for path in (name, *(f"{name}.{member}" for member in used[name]))]
missing = [path for path in wanted if not exists(path)]
print(json.dumps([trt.__version__, missing]))
"""


def main() -> int:
    """Look into every version; 1 where a name is missing, 2 where none could be fetched."""
    outcomes = [check(version, kind) for version, kind in WHEELS.items()]
    if all(outcome is None for outcome in outcomes):
        return 2
    return int(any(outcome is False for outcome in outcomes))


def check(version: str, kind: str) -> bool | None:
    """Whether a version has every name; None where it cannot be had."""
    folder = BUILD / version
    if not (folder / "tensorrt_bindings").is_dir() and not fetch(version, kind, folder):
        print(f"skipped {version:<14} pip has no wheel of it for this Python")
        return None
    libraries = stub_libraries(folder, version.partition(".")[0])
    environment = {**os.environ, "PYTHONPATH": str(folder), "LD_LIBRARY_PATH": str(libraries)}
    command = [sys.executable, "-c", LOOK, json.dumps(USED)]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if shown.returncode != 0:
        print(f"FAILED  {version:<14} {shown.stderr.strip().splitlines()[-1]}")
        return False
    found, missing = json.loads(shown.stdout)
    count = sum(map(len, USED.values())) + len(USED)
    print(f"{'FAILED' if missing else 'ok':<7} {found:<14} {count} names" + "".join(f", no {each}" for each in missing))
    return not missing


def fetch(version: str, kind: str, folder: Path) -> bool:
    """Unpack the wheel of the bindings."""
    name = f"tensorrt-{kind}-bindings=={version}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    if subprocess.run([*command, "--dest", str(folder), name], stderr=subprocess.DEVNULL, check=False).returncode:
        return False
    for wheel in folder.glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(folder)
    return True


def stub_libraries(folder: Path, major: str) -> Path:
    """Libraries with the functions' names, so that the loader is content."""
    source = "\n".join(f"void *{name}(void) {{ return 0; }}" for name in FUNCTIONS)
    libraries = folder / "lib"
    libraries.mkdir(parents=True, exist_ok=True)
    for name in LIBRARIES:
        soname = f"lib{name}.so.{major}"
        command = ["gcc", "-shared", "-fPIC", "-x", "c", "-", f"-Wl,-soname,{soname}", "-o", str(libraries / soname)]
        subprocess.run(command, input=source, text=True, check=True)
    return libraries


if __name__ == "__main__":
    sys.exit(main())
