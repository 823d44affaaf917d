"""Peak memory of exporting a model and of scanning with it: `make memory`.

    python benchmarks/memory.py [MODEL...]

Each command runs in a process of its own, with random weights and ten minutes of noise on three components, as
miniSEED; the peak is the resident set that the kernel counted. `spectrogram-cnn`, the largest row with 42 million
parameters, has to stay below 1 GiB. Writes benchmarks/results/memory.json.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import numpy as np
import obspy

RESULT = Path(__file__).parent / "results" / "memory.json"
LIMITS_MB = {"spectrogram-cnn": 1024}
DEFAULT = ("spectrogram-cnn", "inception", "seismo-performer")
COMMANDS = {"export": "seisedge.export.cli", "scan": "seisedge.edge.scan_cli"}


@click.command(help=__doc__)
@click.argument("models", nargs=-1, metavar="MODEL...")
def main(models: tuple[str, ...]) -> None:
    """Measure, print and keep; exit 1 where a limit is passed."""
    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_noise(folder / "noise")
        for model in models or DEFAULT:
            artefact = folder / f"{model}.onnx"
            exported = peak_mb("export", "export", model, "--untrained", "0", "-o", str(artefact))
            scanned = peak_mb("scan", str(folder / "noise"), "--model", str(artefact), "-o", str(folder / "out.jsonl"))
            found[model] = {"export_mb": exported, "scan_mb": scanned, "artefact_mb": artefact.stat().st_size >> 20}
            click.echo(f"{model:<20} export {exported:>5} MB, scan {scanned:>5} MB")
    RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    limits = {model: LIMITS_MB.get(model, 1 << 20) for model in found}
    sys.exit(any(max(found[model]["export_mb"], found[model]["scan_mb"]) > limits[model] for model in found))


def write_noise(folder: Path) -> None:
    """Ten minutes at 100 Hz, int32, of a station with three components."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for component in "ZNE":
        header = {"network": "XX", "station": "AAA", "channel": f"HH{component}", "sampling_rate": 100.0}
        trace = obspy.Trace(random.normal(0, 1000, 60_000).astype(np.int32), header)
        trace.write(str(folder / f"{component}.mseed"), format="MSEED")


def peak_mb(command: str, *arguments: str) -> int:
    """Largest resident set of one command, in MiB."""
    code = f"import sys; from {COMMANDS[command]} import main; sys.argv[0] = {command!r}; main()"
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise click.ClickException(f"{command} {' '.join(arguments)}: exit code {process.returncode}")
    return usage.ru_maxrss >> 10


if __name__ == "__main__":
    main()
