"""`edge-export import-weights`: published weights → this package's own form."""

from __future__ import annotations

from pathlib import Path

import click

from seisedge.edge.errors import UsageError

from .command_errors import FILE, reports_errors
from .registry import find


@click.command("import-weights")
@click.argument("model")
@click.argument("source", type=FILE)
@click.option("--output", "-o", required=True, type=FILE, help="Weights as .npz.")
@reports_errors
def import_weights(model: str, source: Path, output: Path) -> None:
    """Read published weights (Keras HDF5, or .npz) into MODEL and write them as .npz."""
    from .weights import load_weights, save_weights  # noqa: PLC0415 - keeps `list` and `--help` quick

    if output.suffix != ".npz":
        raise UsageError(f"output {output}: found suffix {output.suffix!r}, wanted .npz")
    network = find(model).build()
    loaded = load_weights(source, network)
    save_weights(output, network)
    for line in loaded.tensors:
        click.echo(line)
    click.echo(f"{output}: {len(loaded.tensors)} tensors of {model}, from {source} (sha256 {loaded.digest[:16]})")
