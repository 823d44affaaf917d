"""Holds what `make train-default` made against what is shipped: weights and graphs to the bit, and the scores.

    make -j2 train-default && python benchmarks/default_again.py

On the same kind of processor with the same PyTorch all are the same; elsewhere the last digits of a training move, and
the scores tell what became of them: an F1 must not have lost more than 0.01.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import onnx

ROOT = Path(__file__).parent.parent
PICKERS = ("edge-picker", "edge-picker-long")
LEAST = -0.01


def digest(path: Path) -> str:
    """SHA-256 of what an artefact computes, without its metadata; of any other file, of its bytes."""
    if path.suffix != ".onnx":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    graph = onnx.load(path).graph
    return hashlib.sha256(graph.SerializeToString(deterministic=True)).hexdigest()


def pairs(shipped: Path, again: Path) -> Iterator[tuple[str, Path, Path]]:
    """(name, shipped, trained again) of every file of the pickers, weights first."""
    for picker in PICKERS:
        names = [
            f"{picker}.npz",
            f"{picker}.onnx",
            *sorted(each.name for each in shipped.glob(f"{picker}.int8-*.onnx")),
        ]
        for name in names:
            yield name, shipped / name, again / name


def scores(folder: Path, picker: str) -> dict[str, float]:
    """Every F1 of a training's record."""
    record = json.loads((folder / f"{picker}.json").read_text(encoding="utf-8"))
    return {name: value for name, value in record["scores"].items() if name.endswith("_f1")}


@click.command()
@click.argument(
    "folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=ROOT / "build" / "train"
)
def main(folder: Path) -> None:
    """Compare the pickers in FOLDER (build/train) with those of edge/models."""
    shipped, fails = ROOT / "edge" / "models", False
    for name, one, other in pairs(shipped, folder):
        found = "missing" if not other.is_file() else "the same" if digest(one) == digest(other) else "other bits"
        fails |= found == "missing"
        click.echo(f"{name:<36}{found}")
    click.echo(f"{'F1 of the records':<36}{'shipped':>10}{'again':>10}")
    for picker in PICKERS:
        again = scores(folder, picker)
        for name, value in scores(shipped, picker).items():
            fails |= again[name] - value < LEAST
            click.echo(f"{picker + ' ' + name:<36}{value:>10.4f}{again[name]:>10.4f}")
    sys.exit(fails)


if __name__ == "__main__":
    main()
