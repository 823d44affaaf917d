"""`edge-export train`: labelled windows → a trained artefact with its record."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .cli_parts import FILE, examples, reports_errors


@click.command(
    epilog=examples(
        "edge-export train seismo-performer --data labelled/ -o mine.onnx",
        "edge-export train spec-cnn --data labelled/ --epochs 40 --threads 2 -o mine.onnx",
    )
)
@click.argument("model")
@click.option("--data", required=True, type=FILE, help="Folder with labelled_train.npz/.csv, labelled_val.npz/.csv.")
@click.option("--output", "-o", required=True, type=FILE, help="The artefact, .onnx; its record stands beside it.")
@click.option("--seed", default=0, show_default=True)
@click.option("--epochs", default=120, show_default=True, type=click.IntRange(min=1))
@click.option("--threads", default=1, show_default=True, type=click.IntRange(min=1))
@reports_errors
def train(model: str, data: Path, output: Path, seed: int, epochs: int, threads: int) -> None:
    """Fit MODEL on labelled windows and write an artefact with its training record.

    Ctrl-C ends the training early and exports what was learnt.
    """
    from .registry import find  # noqa: PLC0415 - torch comes with it
    from .train_job import TrainJob  # noqa: PLC0415

    job = TrainJob(find(model), data, seed=seed, epochs=epochs, threads=threads)
    click.echo(f"{job.describe()}")
    with click.progressbar(length=epochs, label="training", file=sys.stderr) as bar:

        def advance(row: dict[str, float]) -> None:
            bar.label = f"loss {row['loss']:.4f}, validation {row['validation_loss']:.4f}"
            bar.update(1)

        job.fit(advance)
    record = job.write(output, command=f"edge-export train {model} --seed {seed} --epochs {epochs}")
    for name, value in record.scores.items():
        click.echo(f"{name:<28}{value:>10.4f}")
    click.echo(f"{output}: {output.stat().st_size:,} bytes, fp32")
