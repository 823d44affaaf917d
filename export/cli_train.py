"""`edge-export train`: labelled windows → a trained artefact with its record."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from seisedge.edge.errors import UsageError
from seisedge.edge.strict import read

from .cli_parts import FILE, examples, reports_errors

if TYPE_CHECKING:  # torch comes with them
    from .picker_job import PickerJob
    from .records import Continuous
    from .registry import Model
    from .train_job import TrainJob
    from .train_picker import PickerOptions

_EPOCHS, _STEPS = 120, 12000


@click.command(
    epilog=examples(
        "edge-export train seismo-performer --data labelled/ -o mine.onnx",
        "edge-export train spec-cnn --data labelled/ --epochs 40 --threads 2 -o mine.onnx",
        "edge-export train edge-picker --data labelled/ --continuous cx/,,2014-05-01T09:00 --state cx.pt -o mine.onnx",
        "edge-export train edge-picker --data labelled/ --teacher first.npz --teacher second.npz -o mine.onnx",
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
@click.option("--teacher", multiple=True, type=FILE, help="Weights of MODEL that teach too; may be given again.")
@click.option("--options", type=FILE, help="JSON of options, as in a training's record. Values per sample only.")
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
    teacher: tuple[Path, ...],
    options: Path | None,
    state: Path | None,
) -> None:
    """Fit MODEL on labelled windows and write an artefact with its training record.

    Ctrl-C ends the training early and exports what was learnt.
    """
    from .picker_job import PickerData, PickerJob  # noqa: PLC0415 - torch comes with it
    from .registry import find  # noqa: PLC0415

    row = find(model)
    if row.recipe.outputs[0].kind == "sample_probability":
        if epochs is not None:
            raise UsageError(f"--epochs: {model} gives values per sample, wanted --steps")
        archives = tuple(_archive(each) for each in continuous)
        left_out = tuple(filter(None, leave_out.split(",")))
        wanted = PickerData(data, archives, mems, left_out, teacher)
        chosen = _options(options, seed, steps)
        length = chosen.steps
        job: PickerJob | TrainJob = PickerJob(row, wanted, chosen, threads=threads, state=state)
    else:
        given: dict[str, object] = {"--steps": steps, "--continuous": continuous, "--mems": mems, "--state": state}
        given |= {"--teacher": teacher, "--options": options}
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


def _options(path: Path | None, seed: int, steps: int | None) -> PickerOptions:
    """What the file says, the command's own options first."""
    from .train_picker import PickerOptions  # noqa: PLC0415

    given: dict[str, object] = {"steps": _STEPS}
    if path is not None:
        try:
            given |= json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError) as error:
            raise UsageError(f"{path}: found no JSON object ({error}), wanted options of a training") from error
    given |= {"seed": seed} | ({"steps": steps} if steps else {})
    return read(PickerOptions, given, str(path))


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
