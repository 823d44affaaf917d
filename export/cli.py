"""The command `edge-export`."""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import sys
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

import click

from seisedge.edge import models
from seisedge.edge.errors import SeisedgeError, UsageError
from seisedge.edge.session import OrtSession

from .errors import ExportError, UnknownModelError
from .registry import REGISTRY, find

if TYPE_CHECKING:
    from .candidates import Precision
    from .quantize import Target

P = ParamSpec("P")
R = TypeVar("R")

_LIST_VERSION = 1
_EPILOG = """\b
Examples:
  edge-export list
  edge-export show seismo-performer
  edge-export import-weights seismo-performer w_model_performer_v2.0.h5 -o performer.npz
  edge-export export seismo-performer --weights performer.npz -o performer.onnx
  edge-export verify performer.onnx --weights performer.npz --data archive/
  edge-export quantize performer.onnx -o small.onnx --data archive/ --labelled labelled/labelled_val.npz
  edge-export train seismo-performer --data labelled/ -o mine.onnx
"""

_FILE = click.Path(path_type=Path)


def _reports_errors(command: Callable[P, R]) -> Callable[P, R]:
    """One line on stderr and the right exit code, instead of a traceback, for what a user can put right."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except SeisedgeError as error:
            code, message = error.exit_code, str(error)
        except ExportError as error:
            code, message = (2 if isinstance(error, UnknownModelError) else 1), str(error)
        click.echo(f"edge-export: {message}", err=True)
        sys.exit(code)

    return wrapped


@click.group(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="seisedge")
def main() -> None:
    """Train, import, export and verify models for the station."""


@main.command("list")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, versioned.")
@_reports_errors
def list_models(as_json: bool) -> None:  # noqa: FBT001 - a flag of the command line
    """List the models that can be built."""
    embedded = models.embedded_models()
    rows = [
        {
            "name": model.name,
            "system": model.recipe.system,
            "task": model.recipe.task,
            "parameters": model.parameters,
            "sampling_rate": model.recipe.sampling_rate,
            "window_samples": model.recipe.window_samples,
            "embedded": model.name in embedded,
            "budgets": [dataclasses.asdict(budget) for budget in model.recipe.budgets],
            "version": _LIST_VERSION,
        }
        for model in REGISTRY.values()
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    click.echo(f"{'name':<20}{'system':<36}{'task':<24}{'parameters':>12}  embedded")
    for row in rows:
        click.echo(
            f"{row['name']:<20}{row['system']:<36}{row['task']:<24}{row['parameters']:>12,}  "
            f"{'yes' if row['embedded'] else ''}"
        )


@main.command()
@click.argument("model")
@_reports_errors
def show(model: str) -> None:
    """Show a model's recipe, or an artefact's manifest, as JSON. MODEL is a name or an .onnx file."""
    if model in REGISTRY:
        click.echo(json.dumps(dataclasses.asdict(find(model).recipe), indent=1))
        return
    if not Path(model).is_file() and Path(model).suffix != ".onnx":
        find(model)
    session = OrtSession(models.find_model(model))
    value = {"digest": session.digest, **dataclasses.asdict(session.manifest)}
    click.echo(json.dumps(value, indent=1))


@main.command("import-weights")
@click.argument("model")
@click.argument("source", type=_FILE)
@click.option("--output", "-o", required=True, type=_FILE, help="Weights as .npz.")
@_reports_errors
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


@main.command()
@click.argument("model")
@click.option("--weights", required=True, type=_FILE, help=".npz, or a published file that can be imported.")
@click.option("--output", "-o", required=True, type=_FILE, help="The artefact, .onnx.")
@click.option("--version", default="1", show_default=True, help="Version of the weights, for the manifest.")
@click.option("--training-data", default="not stated", show_default=True, help="For the manifest.")
@click.option("--licence", default="not stated", show_default=True, help="Of the weights, for the manifest.")
@click.option("--citation", default="not stated", show_default=True, help="For the manifest.")
@_reports_errors
def export(  # noqa: PLR0913, PLR0917 - one parameter per option
    model: str, weights: Path, output: Path, version: str, training_data: str, licence: str, citation: str
) -> None:
    """Write MODEL with WEIGHTS as an ONNX artefact, and verify it."""
    from .artefact import Source, export_fp32  # noqa: PLC0415 - keeps `list` and `--help` quick
    from .weights import load_weights  # noqa: PLC0415

    row = find(model)
    network = row.build()
    loaded = load_weights(weights, network)
    source = Source(version, loaded.digest, training_data, licence, citation)
    with _quiet_exporter():
        export_fp32(network, row.recipe, source, output)
    try:
        _print_checks(output, network, ())
    except ExportError:
        output.unlink()
        raise
    click.echo(f"{output}: {output.stat().st_size:,} bytes, fp32")


@main.command()
@click.argument("artefact", type=_FILE)
@click.option("--output", "-o", required=True, type=_FILE, help="The new artefact, .onnx; its report stands beside it.")
@click.option("--precision", default="auto", show_default=True, type=click.Choice(["fp16", "int8", "auto"]))
@click.option(
    "--target",
    default="host",
    show_default=True,
    type=click.Choice(["host", "x86-vnni", "x86-avx2", "arm", "tensorrt"]),
    help="The class of machines that will run it; only a file for this one can be timed here.",
)
@click.option("--data", type=_FILE, multiple=True, help="miniSEED files or folders: ranges and errors are from them.")
@click.option("--labelled", type=_FILE, help="Labelled windows (.npz): what is picked may not get worse.")
@_reports_errors
def quantize(
    artefact: Path, output: Path, precision: Precision, target: str, data: tuple[Path, ...], labelled: Path | None
) -> None:
    """Make an fp32 ARTEFACT smaller and faster, if it stays as good: int8, fp16, or whatever is best here (auto).

    Every candidate is compared with fp32 on real windows and, with --labelled, on what it picks; on this machine
    they are timed in turns. Where none passes no file is written, and the exit code is 1.
    """
    from .gate import GateError, Wanted  # noqa: PLC0415 - keeps `list` and `--help` quick
    from .quantize import host_target  # noqa: PLC0415
    from .quantize_job import Sources, quantise_artefact  # noqa: PLC0415

    chosen = host_target() if target == "host" else cast("Target", target)
    try:
        report = quantise_artefact(artefact, output, Wanted(precision, chosen), Sources(data, labelled))
    except GateError as error:
        for line in error.report.lines():
            click.echo(line)
        raise
    for line in report.lines():
        click.echo(line)
    click.echo(f"{output}: {output.stat().st_size:,} bytes")


@main.command()
@click.argument("artefact", type=_FILE)
@click.option("--weights", type=_FILE, help="Compare with torch: the weights that the artefact was made from.")
@click.option("--data", type=_FILE, multiple=True, help="miniSEED files or folders: compare on their windows too.")
@_reports_errors
def verify(artefact: Path, weights: Path | None, data: tuple[Path, ...]) -> None:
    """Check an artefact on this machine: golden input, batch sizes, and torch when WEIGHTS are given."""
    from .weights import load_weights  # noqa: PLC0415 - keeps `list` and `--help` quick

    network = None
    if weights is not None:
        network = find(OrtSession(artefact).manifest.name).build()
        load_weights(weights, network)
    _print_checks(artefact, network, data)


@main.command()
@click.argument("model")
@click.option("--data", required=True, type=_FILE, help="Folder with labelled_train.npz/.csv, labelled_val.npz/.csv.")
@click.option("--output", "-o", required=True, type=_FILE, help="The artefact, .onnx; its record stands beside it.")
@click.option("--seed", default=0, show_default=True)
@click.option("--epochs", default=120, show_default=True, type=click.IntRange(min=1))
@click.option("--threads", default=1, show_default=True, type=click.IntRange(min=1))
@_reports_errors
def train(model: str, data: Path, output: Path, seed: int, epochs: int, threads: int) -> None:
    """Fit MODEL on labelled windows and write an artefact with its training record.

    Ctrl-C ends the training early and exports what was learnt.
    """
    from .train_job import TrainJob  # noqa: PLC0415 - keeps `list` and `--help` quick

    job = TrainJob(find(model), data, seed=seed, epochs=epochs, threads=threads)
    click.echo(f"{job.describe()}")
    with click.progressbar(length=epochs, label="training", file=sys.stderr) as bar:

        def advance(row: dict[str, float]) -> None:
            bar.label = f"loss {row['loss']:.4f}, validation {row['validation_loss']:.4f}"
            bar.update(1)

        job.fit(advance)
    with _quiet_exporter():
        record = job.write(output, command=f"edge-export train {model} --seed {seed} --epochs {epochs}")
    for name, value in record.scores.items():
        click.echo(f"{name:<28}{value:>10.4f}")
    click.echo(f"{output}: {output.stat().st_size:,} bytes, fp32")


def _print_checks(artefact: Path, network: object, data: tuple[Path, ...]) -> None:
    from torch import nn  # noqa: PLC0415 - keeps `list` and `--help` quick

    from .errors import VerificationError  # noqa: PLC0415
    from .verify import verify as run_checks  # noqa: PLC0415

    checks = run_checks(artefact, network if isinstance(network, nn.Module) else None, data)
    for check in checks:
        mark = "ok" if check.passed else "FAILED"
        click.echo(f"{mark:<8}{check.name:<58}{check.found:>12.3g}  (at most {check.bound:g})")
    if failed := [check for check in checks if not check.passed]:
        first = failed[0]
        raise VerificationError(f"{artefact}: {first.name}: found {first.found:.3g}, wanted at most {first.bound:g}")


@contextmanager
def _quiet_exporter() -> Generator[None, None, None]:
    """Leave out the exporter's own deprecation notes: they are none of the user's business."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
