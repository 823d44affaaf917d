"""`edge-export train`: labelled windows → a trained artefact with its record."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from seisedge.edge.errors import UsageError

from .cli_parts import FILE, examples, reports_errors

if TYPE_CHECKING:  # torch comes with them
    from .picker_job import PickerJob
    from .records import Continuous
    from .registry import Model
    from .train_job import TrainJob

_EPOCHS, _STEPS = 120, 12000


@click.command(
    epilog=examples(
        "edge-export train seismo-performer --data labelled/ -o mine.onnx",
        "edge-export train spec-cnn --data labelled/ --epochs 40 --threads 2 -o mine.onnx",
        "edge-export train edge-picker --data labelled/ --continuous cx/,,2014-05-01T09:00 --state cx.pt -o mine.onnx",
    )
)
@click.argument("model")
@click.option("--data", required=True, type=FILE, help="Folder with labelled_train.npz/.csv, labelled_val.npz/.csv.")
@click.option("--output", "-o", required=True, type=FILE, help="The artefact, .onnx; its record stands beside it.")
@click.option("--seed", default=0, show_default=True)
@click.option("--threads", default=1, show_default=True, type=click.IntRange(min=1))
@click.option("--epochs", type=click.IntRange(min=1), help=f"Of a model of classes per window. [default: {_EPOCHS}]")
@click.option("--steps", type=click.IntRange(min=1), help=f"Of a model of values per sample. [default: {_STEPS}]")
@click.option(
    "--continuous",
    multiple=True,
    metavar="FOLDER[,START[,END]]",
    help="Archive with picks_consensus.csv, the times in ISO 8601; may be given again. Values per sample only.",
)
@click.option("--mems", type=FILE, help="Long int16 records (.npz) with NAME_picks.csv. Values per sample only.")
@click.option("--leave-out", default="", metavar="ID,...", help="Records of --mems whose ids begin so are not used.")
@click.option("--state", type=FILE, help="File for the state: a stopped training goes on. Values per sample only.")
@reports_errors
def train(  # noqa: PLR0913, PLR0917 - one parameter per option
    model: str,
    data: Path,
    output: Path,
    seed: int,
    threads: int,
    epochs: int | None,
    steps: int | None,
    continuous: tuple[str, ...],
    mems: Path | None,
    leave_out: str,
    state: Path | None,
) -> None:
    """Fit MODEL on labelled windows and write an artefact with its training record.

    Ctrl-C ends the training early and exports what was learnt.
    """
    from .registry import find  # noqa: PLC0415 - torch comes with it

    row = find(model)
    if row.recipe.outputs[0].kind == "sample_probability":
        if epochs is not None:
            raise UsageError(f"--epochs: {model} gives values per sample, wanted --steps")
        archives = tuple(_archive(each) for each in continuous)
        left_out = tuple(filter(None, leave_out.split(",")))
        length = steps or _STEPS
        job: PickerJob | TrainJob = _picker_job(row, data, archives, mems, left_out, seed, length, threads, state)
    else:
        given = {"--steps": steps, "--continuous": continuous, "--mems": mems, "--state": state}
        if stranger := next((name for name, value in given.items() if value), None):
            raise UsageError(f"{stranger}: {model} gives classes per window, which are trained by --epochs alone")
        length = epochs or _EPOCHS
        job = _class_job(row, data, seed, length, threads)
    _run(job, output, length)


def _archive(text: str) -> Continuous:
    from .records import Continuous  # noqa: PLC0415

    folder, start, end = [*text.split(","), "", ""][:3]
    return Continuous(Path(folder), start, end)


def _class_job(model: Model, data: Path, seed: int, epochs: int, threads: int) -> TrainJob:
    from .train_job import TrainJob  # noqa: PLC0415

    return TrainJob(model, data, seed=seed, epochs=epochs, threads=threads)


def _picker_job(  # noqa: PLR0913, PLR0917 - what the command was given
    model: Model,
    data: Path,
    archives: tuple[Continuous, ...],
    mems: Path | None,
    left_out: tuple[str, ...],
    seed: int,
    steps: int,
    threads: int,
    state: Path | None,
) -> PickerJob:
    from .picker_job import PickerData, PickerJob  # noqa: PLC0415
    from .train_picker import PickerOptions  # noqa: PLC0415

    wanted = PickerData(data, archives, mems, left_out)
    return PickerJob(model, wanted, PickerOptions(seed=seed, steps=steps), threads=threads, state=state)


def _run(job: PickerJob | TrainJob, output: Path, length: int) -> None:
    click.echo(job.describe())
    with click.progressbar(length=length, label="training", file=sys.stderr) as bar:

        def advance(row: dict[str, float]) -> None:
            done = int(row.get("step", row.get("epoch", 0)))
            checked = f", validation {row['validation_loss']:.4f}" if "validation_loss" in row else ""
            bar.label = f"loss {row['loss']:.4f}{checked}"
            bar.update(done - bar.pos)

        job.fit(advance)
    command = " ".join(["edge-export", *sys.argv[1:]])
    record = job.write(output, command=command)
    for name, value in record.scores.items():
        click.echo(f"{name:<28}{value:>10.4f}")
    click.echo(f"{output}: {output.stat().st_size:,} bytes, fp32")
