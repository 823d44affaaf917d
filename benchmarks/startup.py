"""From the start of a process to the first result of a network, and its memory, for each compilation: `make startup`.

    python benchmarks/startup.py [--runs N]

A process imports the runtime, opens the U-Net of the registry (random weights; exported here the first time), puts
30 seconds of int32 on three components through its steps, and runs it. The time is from before the process is made to
after the output is there, beside it the processor time, which other load touches less; the memory is the largest
resident set. Files are in the page cache, numba's too after a first run. The three compilations take turns with a
process that has NumPy and ONNX Runtime alone, which runs the same network on zeros: medians. Writes
benchmarks/results/startup.json and the table of docs/kernels.md.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "build" / "startup" / "unet.onnx"
RESULT = Path(__file__).parent / "results" / "startup.json"
DOCS = ROOT / "docs" / "kernels.md"
FLOOR = "floor"
KINDS = {
    "ahead": "ahead of time",
    "jit": "JIT, cached",
    "plain": "none: Python",
    FLOOR: "NumPy and ONNX Runtime alone, no seisedge",
}
CHILD = """
import pathlib, sys, time
import numpy as np
from seisedge.edge import OrtSession, Preprocess
session = OrtSession(pathlib.Path(sys.argv[1]))
manifest = session.manifest
preprocess = Preprocess(manifest)
counts = np.arange(3 * manifest.window_samples, dtype=np.int32).reshape(3, -1) % 977
stream = preprocess.record(counts, manifest.sampling_rate)
session.run(preprocess.windows(stream, count=1, stride=1))
print(time.monotonic_ns())
"""
# The same network on zeros: what no package around it can go below.
FLOOR_CHILD = """
import sys, time
import numpy as np
import onnxruntime as ort
options = ort.SessionOptions()
options.intra_op_num_threads = 1
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
given = session.get_inputs()[0]
shape = [size if isinstance(size, int) else 1 for size in given.shape]
session.run(None, {given.name: np.zeros(shape, np.float32)})
print(time.monotonic_ns())
"""


@click.command(help=__doc__)
@click.option("--runs", default=15, show_default=True, help="Processes of each compilation.")
def main(runs: int) -> None:
    """Measure, print, keep."""
    if not MODEL.is_file():
        MODEL.parent.mkdir(parents=True, exist_ok=True)
        export = [str(Path(sys.executable).with_name("edge-export")), "export", "unet", "--untrained", "0"]
        subprocess.run([*export, "-o", str(MODEL)], check=True)
    times: dict[str, list[tuple[float, float, float]]] = {kind: [] for kind in KINDS}
    for number in range(runs + 1):
        for kind, found in times.items():
            result = first_result(kind)
            if number:  # the first one fills the caches
                found.append(result)
    rows = {
        kind: {
            "ms": round(statistics.median(ms for ms, _, _ in each)),
            "cpu_ms": round(statistics.median(cpu_ms for _, cpu_ms, _ in each)),
            "mb": round(max(mb for _, _, mb in each)),
        }
        for kind, each in times.items()
    }
    for kind, row in rows.items():
        click.echo(f"{KINDS[kind]:<42}{row['ms']:>6} ms {row['cpu_ms']:>6} ms of CPU {row['mb']:>5} MB")
    RESULT.write_text(json.dumps({"runs": runs, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    if DOCS.is_file():
        DOCS.write_text(filled(DOCS.read_text(encoding="utf-8"), rows), encoding="utf-8")


def first_result(kind: str) -> tuple[float, float, float]:
    """Milliseconds to the first result, those of processor time, and the largest resident set in MiB."""
    start = time.monotonic_ns()
    process = subprocess.Popen(
        [sys.executable, "-c", FLOOR_CHILD if kind == FLOOR else CHILD, str(MODEL)],
        env=os.environ | {"SEISEDGE_KERNELS": "" if kind == FLOOR else kind},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        end = int(process.stdout.read())
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise click.ClickException(f"{kind}: exit code {process.returncode}")
    return (end - start) / 1e6, 1e3 * (usage.ru_utime + usage.ru_stime), usage.ru_maxrss / 1024


def filled(text: str, rows: dict[str, dict[str, int]]) -> str:
    """The page with its table made anew."""
    lines = ["| kernels | start to first result, ms | processor time, ms | resident, MB |", "|---|---:|---:|---:|"]
    lines += [f"| {KINDS[kind]} | {row['ms']:,} | {row['cpu_ms']:,} | {row['mb']} |" for kind, row in rows.items()]
    table = "<!-- table startup -->\n" + "\n".join(lines) + "\n<!-- end -->"
    return re.sub(r"<!-- table startup -->\n.*?<!-- end -->", lambda _: table, text, flags=re.DOTALL)


if __name__ == "__main__":
    main()
