"""SIGKILL at random moments with a mosquitto broker that goes up and down: every pick is published, under one id.

PYTHONPATH=tests python benchmarks/daemon_kills.py [--kills 100] [--seed 0]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import artefacts
import click
from kill_runs import kill_runs


@click.command()
@click.option("--kills", default=100)
@click.option("--seed", default=0)
def main(kills: int, seed: int) -> None:
    """Kill, compare, say what was lost."""
    with tempfile.TemporaryDirectory() as folder:
        model = artefacts.write_tiny(Path(folder) / "tiny.onnx")
        report = asyncio.run(kill_runs(Path(folder), model, kills=kills, seed=seed))
    sys.stdout.write(f"{report}\n")
    sys.exit(1 if report["lost"] or report["strangers"] else 0)


if __name__ == "__main__":
    main()
