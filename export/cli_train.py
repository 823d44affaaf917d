"""`edge-export train`: labelled windows → a trained artefact with its record."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seisedge.edge.errors import UsageError
from seisedge.edge.strict import read

from .cli_parts import FILE, examples, reports_errors, require_output, require_writable

if TYPE_CHECKING:  # torch comes with them
    from .registry import Model
    from .train_job import TrainJob
    from .train_options import TrainOptions


@click.command(
    epilog=examples(
        "edge-export train seismo-performer --data labelled/ -o mine.onnx",
        "edge-export train unet --data labelled/ --continuous cx/ --steps 2000 --state unet.pt -o unet.onnx",
        "edge-export train edge-picker --data labelled/ --continuous cx/,,2014-05-01T09:00 --state cx.pt -o mine.onnx",
        "edge-export train edge-picker --data labelled/ --teacher first.npz --teacher second.npz -o mine.onnx",
        "edge-export train earthquake-cnn --data labelled/ --accelerometers -o mems.onnx",
        "edge-export train deepquake --catalogue catalog.json --continuous mseed/ -o deepquake.onnx",
        "edge-export train source-inversion -o inversion.onnx",
    )
)
@click.argument("model")
@click.option("--data", type=FILE, help="Folder with labelled_train.npz/.csv, labelled_val.npz/.csv.")
@click.option("--output", "-o", required=True, type=FILE, help="The artefact, .onnx; its record stands beside it.")
@click.option("--seed", type=int, help="Another draw of everything. [default: that of --options, or 0]")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(min=1))
@click.option("--device", default="cpu", show_default=True, type=click.Choice(("cpu", "cuda")))
@click.option("--steps", type=click.IntRange(min=1), help="Updates of the weights. [default: by kind of output]")
@click.option(
    "--continuous",
    multiple=True,
    metavar="FOLDER[,START[,END]]",
    help="Archive with picks_consensus.csv, the times in ISO 8601; may be given again.",
)
@click.option("--catalogue", type=FILE, help="catalog.json with the P of --continuous, for events (see catalogue).")
@click.option("--mems", type=FILE, help="Long int16 records (.npz) with NAME_picks.csv.")
@click.option("--leave-out", default="", metavar="ID,...", help="Records of --mems whose ids begin so are not used.")
@click.option("--accelerometers", is_flag=True, help="Use accelerometers and MEMS sensors alone.")
@click.option("--teacher", multiple=True, type=FILE, help="Weights of MODEL that teach too; may be given again.")
@click.option("--start", type=FILE, help="Weights of MODEL to begin with: to go on with your records, or to round.")
@click.option("--options", type=FILE, help="JSON of options, as in a training's record.")
@click.option("--state", type=FILE, help="File for the state: a stopped training goes on.")
@reports_errors
def train(  # noqa: PLR0913, PLR0917 - one parameter per option
    model: str,
    data: Path | None,
    output: Path,
    seed: int | None,
    threads: int,
    device: str,
    steps: int | None,
    continuous: tuple[str, ...],
    catalogue: Path | None,
    mems: Path | None,
    leave_out: str,
    accelerometers: bool,  # noqa: FBT001 - a flag of the command line
    teacher: tuple[Path, ...],
    start: Path | None,
    options: Path | None,
    state: Path | None,
) -> None:
    """Fit MODEL and write an artefact with its training record.

    What is learnt follows from the outputs of MODEL's recipe: picks per sample, with time offsets or without, a phase
    at the middle of a window, an event in it, waveforms. Waveforms are learnt from a synthetic set, all else from
    --data and, if given, --continuous and --mems; events also from --continuous and --catalogue alone.
    Ctrl-C ends the training early and exports what was learnt.
    """
    from .records import Continuous  # noqa: PLC0415 - torch comes with these
    from .registry import find  # noqa: PLC0415
    from .train_job import TrainJob  # noqa: PLC0415
    from .training_data import TrainingData  # noqa: PLC0415

    row = find(model)
    if data is None and catalogue is None and row.recipe.task != "waveform_inversion":
        raise UsageError(f"--data: missing, wanted labelled windows for {model}")
    read_too = [("--start", start), ("--options", options), ("--catalogue", catalogue), ("--mems", mems)]
    _check_outputs(output, state, [*read_too, ("--state", state), *(("--teacher", each) for each in teacher)])
    archives, left_out = tuple(map(Continuous.parse, continuous)), tuple(filter(None, leave_out.split(",")))
    wanted = TrainingData(data, archives, catalogue, mems, left_out, accelerometers, teacher, start)
    chosen = _options(row, options, seed, steps)
    job = TrainJob(row, wanted, chosen, threads=threads, state=state, device=device)
    _run(job, output, chosen.steps)


def _check_outputs(output: Path, state: Path | None, inputs: list[tuple[str, Path | None]]) -> None:
    """Before hours of training: that what it writes has a place, and is not what it reads."""
    if output.suffix != ".onnx":
        raise UsageError(f"--output: found {output}, wanted a name that ends in .onnx")
    require_output(output, inputs, beside=(".npz", ".json", ".eval.json"))
    if state is not None:
        require_writable(state.parent, "--state")


def _options(model: Model, path: Path | None, seed: int | None, steps: int | None) -> TrainOptions:
    """What the file says over the defaults of the model's kind, the command's own options over both."""
    from .train_job import draft_manifest  # noqa: PLC0415
    from .train_options import TrainOptions, default_options  # noqa: PLC0415

    given: dict[str, Any] = {}
    if path is not None:
        try:
            given |= json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError) as error:
            raise UsageError(f"{path}: found no JSON object ({error}), wanted options of a training") from error
    given |= {name: each for name, each in (("seed", seed), ("steps", steps)) if each is not None}
    length = given.get("steps")
    defaults = default_options(draft_manifest(model), length if isinstance(length, int) else None)
    chosen = dataclasses.asdict(defaults) | given
    if isinstance(examples := given.get("examples"), dict):
        chosen["examples"] = dataclasses.asdict(defaults.examples) | examples
    return read(TrainOptions, chosen, str(path or "options"))


def _run(job: TrainJob, output: Path, length: int) -> None:
    from .train_table import HEADER, TrainTable  # noqa: PLC0415

    click.echo(job.describe())
    click.echo(HEADER, err=True)
    table = TrainTable(length)
    job.fit(lambda row: click.echo(table.line(row), err=True))
    command = " ".join(["edge-export", *sys.argv[1:]])
    with click.progressbar(length=1, file=sys.stderr, label="judging") as bar:

        def judging(done: int, of: int) -> None:
            bar.length = of
            bar.update(done - bar.pos)

        record = job.write(output, command=command, judging=judging)
    for name, value in record.scores.items():
        click.echo(f"{name:<28}{value:>10.4f}")
    click.echo(f"{output}: {output.stat().st_size:,} bytes, fp32")
