"""Trains a shipped picker again for its first steps, by its record's command, and compares the losses with the record.

A training says its loss every hundred steps, and the record beside the artefact keeps them to the last digit. Equal
losses mean equal data, examples, order and updates so far; on another processor or PyTorch the last digits move.

    python benchmarks/retrain.py edge-picker-long --points 3

The teachers that a command names have to stand where it says (`make train-default` makes them).
"""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

MODELS = Path(__file__).parent.parent / "edge" / "models"


def first_points(record: dict[str, Any], folder: Path, points: int) -> list[dict[str, float]]:
    """Run the record's command and interrupt it after so many points of its curve; give those."""
    command = shlex.split(record["command"])[1:]
    options, output = folder / "options.json", folder / "again.onnx"
    options.write_text(json.dumps(record["options"]), encoding="utf-8")
    for flag, path in (("--options", options), ("--state", folder / "again.pt"), ("-o", output)):
        command[command.index(flag) + 1] = str(path)
    program = str(Path(sys.executable).parent / "edge-export")
    process = subprocess.Popen([program, *command], stderr=subprocess.PIPE, text=True)
    seen = 0
    for line in process.stderr or ():
        click.echo(line.rstrip(), err=True)
        seen += (line.split() or ["-"])[0].replace(",", "").isdigit()
        if seen == points:
            process.send_signal(signal.SIGINT)
            break
    process.communicate()
    curve: list[dict[str, float]] = json.loads(output.with_suffix(".json").read_text(encoding="utf-8"))["curve"]
    return curve[:points]


@click.command()
@click.argument("model")
@click.option("--points", default=3, show_default=True, help="Hundreds of steps.")
def main(model: str, points: int) -> None:
    """Train MODEL again for a while and compare."""
    record = json.loads((MODELS / f"{model}.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        again = first_points(record, Path(folder), points)
    same = True
    click.echo("  step     loss of the record            loss now")
    for then, now in zip(record["curve"], again, strict=False):
        same &= then["loss"] == now["loss"]
        click.echo(f"{then['step']:6.0f} {then['loss']:22.15g} {now['loss']:22.15g}")
    click.echo("the same bits" if same else "NOT the same bits")
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
