"""Does an int8 artefact give elsewhere what it gives here? On emulated processors: `make emulated`.

    python benchmarks/emulated_cpus.py [MODEL...]

Takes the int8 artefacts that `make zoo` left in build/zoo/ and runs each on this processor and, by qemu-user, on the
kind it is for: `x86-avx2` on a Haswell, which has AVX2 and no VNNI, and `arm` on a Cortex-A76. Only NumPy and ONNX
Runtime run there. The outputs of the golden input may differ by 1e-3 of their scale; beside the difference stands how
far int8 is from fp32 here, on the same input. Needs Debian's qemu-user, and benchmarks/arm64_root.sh once. A large
network takes minutes under emulation: not part of CI.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from seisedge.edge.manifest import Manifest
from seisedge.export.gate_contest import open_to_judge
from seisedge.export.gate_figures import golden_windows, output_errors, output_scales
from seisedge.export.synthetic import synthetic_set

Float32 = npt.NDArray[np.float32]

ROOT = Path(__file__).resolve().parents[1]
ZOO = ROOT / "build" / "zoo"
ARM = ROOT / "build" / "arm64-root"
RESULT = Path(__file__).parent / "results" / "emulated_cpus.json"
MOST = 1e-3

_THERE = """
import sys, numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
windows = numpy.load(sys.argv[2])
outputs = session.run(sys.argv[4].split(","), {session.get_inputs()[0].name: windows})
numpy.savez(sys.argv[3], *outputs)
"""


@dataclass(frozen=True)
class Machine:
    """An emulated processor and the command that runs its Python."""

    name: str
    command: tuple[str, ...]


MACHINES = {
    "x86-avx2": Machine("Haswell (AVX2, no VNNI)", ("qemu-x86_64", "-cpu", "Haswell", sys.executable)),
    "arm": Machine(
        "Cortex-A76",
        (
            "qemu-aarch64", "-cpu", "cortex-a76", "-L", str(ARM),
            "-E", f"PYTHONPATH={ARM}/site-packages", "-E", f"PYTHONHOME={ARM}/usr",
            f"{ARM}/usr/bin/python3.11",
        ),
    ),
}  # fmt: skip


@click.command(help=__doc__)
@click.argument("names", nargs=-1, metavar="MODEL...")
def main(names: tuple[str, ...]) -> None:
    """Compare, write the figures, and end with 1 where one is too large."""
    if not ARM.is_dir():
        raise click.ClickException(f"{ARM}: no such folder, wanted what benchmarks/arm64_root.sh makes")
    found = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.is_file() else {}
    for name in names or sorted(each.name for each in ZOO.iterdir()):
        for target, machine in MACHINES.items():
            path = ZOO / name / f"int8-{target}.onnx"
            if not path.is_file():
                continue
            error, own = differences(path, machine)
            found[f"{name} {target}"] = {"from here": error, "int8 from fp32": own}
            mark = "ok" if error <= MOST else "FAILED"
            figures = f"{error:>10.2g}  (at most {MOST:g}; int8 from fp32 {own:.2g})"
            click.echo(f"{mark:<8}{name:<24}{target:<10}{machine.name:<26}{figures}")
            RESULT.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    if any(not each["from here"] <= MOST for each in found.values()):
        sys.exit(1)


def inputs_of(manifest: Manifest) -> Float32:
    """The golden input; of an inversion, whose ranges noise exceeds, stations of the synthetic set."""
    if manifest.task == "waveform_inversion":
        return synthetic_set(8, 1).stations
    return golden_windows(manifest)


def differences(path: Path, machine: Machine) -> tuple[float, float]:
    """Largest difference of the outputs between this processor and an emulated one, in units of their scale.

    Then that between int8 and fp32 on this processor.
    """
    session = open_to_judge(path)
    manifest = session.manifest
    windows = inputs_of(manifest)
    windows = windows if manifest.input.batch != "one" else windows[:1]
    here = session.run(windows)
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "in.npy", Path(folder) / "out.npz"
        np.save(given, windows)
        names = ",".join(output.name for output in manifest.outputs)
        command = [*machine.command, "-c", _THERE, str(path), str(given), str(made), names]
        quiet = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        subprocess.run(command, check=True, env=quiet, stderr=subprocess.DEVNULL)
        with np.load(made) as file:
            there = [file[key] for key in file.files]
    exact = open_to_judge(path.with_name("fp32.onnx")).run(windows)
    scales = output_scales(manifest, exact)
    return output_errors(here, there, scales).largest, output_errors(exact, here, scales).largest


if __name__ == "__main__":
    main()
