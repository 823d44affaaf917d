"""Check `edge-scan` with the Python of an environment that holds the base install alone.

`make test-install` makes that environment. Writes a synthetic record with pymseed, scans it with the embedded model,
and looks at what the runtime imported.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from pymseed import DataEncoding, MS3Record

FORBIDDEN = ("torch", "onnx", "onnxscript", "scipy", "obspy", "matplotlib", "h5py", "numba", "llvmlite", "pycparser")
PROBE = """
import sys, seisedge.edge.scan_cli
from seisedge import kernels
print(kernels.compilation().kind, *sys.modules)
"""
START_NS = 1_700_000_000_000_000_000


def write_record(path: Path) -> None:
    """One minute of three components: noise, and from second 30 on a hundred times as much."""
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        for component in "ZNE":
            samples = rng.normal(0, 50, 6000)
            samples[3000:] *= 100
            record = MS3Record(reclen=512, encoding=DataEncoding.STEIM2)
            record.sourceid = f"FDSN:XX_TEST__H_H_{component}"
            record.starttime = START_NS
            record.samprate = 100.0
            with record.with_datasamples(samples.astype(np.int32), "i") as filled:
                file.writelines(filled.generate())


def main() -> int:
    """Scan, and say what is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "record.mseed"
        write_record(record)
        command = Path(sys.executable).parent / "edge-scan"
        scan = subprocess.run([command, record], check=False, capture_output=True, text=True)
    sys.stdout.write(scan.stdout + scan.stderr)
    if scan.returncode != 0 or "1 station" not in scan.stderr:
        sys.stdout.write(f"edge-scan: found exit code {scan.returncode}, wanted 0 and a summary\n")
        return 1
    loaded = subprocess.run([sys.executable, "-c", PROBE], check=True, capture_output=True, text=True).stdout.split()
    if loaded.pop(0) != "ahead":
        sys.stdout.write("kernels: found no library in the installed package, wanted one\n")
        return 1
    if heavy := [name for name in FORBIDDEN if name in loaded]:
        sys.stdout.write(f"edge-scan imports {', '.join(heavy)}: wanted none of {', '.join(FORBIDDEN)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
