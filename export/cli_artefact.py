"""`edge-export export`, `quantize` and `verify`: weights → artefact, and what is checked of it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

import click

from seisedge.edge.classify import read_thresholds, thresholds_with
from seisedge.edge.errors import UsageError
from seisedge.edge.session import OrtSession
from seisedge.edge.targets import ProcessorTarget

from .cli_parts import FILE, examples, reports_errors, require_output

if TYPE_CHECKING:
    from torch import nn

    from .candidates import Precision
    from .gate import Report
    from .registry import Model
    from .verify import Check


_TARGET = click.option(
    "--target",
    default="host",
    show_default=True,
    type=click.Choice(["host", *get_args(ProcessorTarget)]),
    help="The processors that int8 is for; only a file for this machine's can be timed here.",
)
_REPORT = (".report.json",)
_DATA = click.option("--data", type=FILE, multiple=True, help="miniSEED files or folders of the kind it will see.")
_LABELLED = click.option("--labelled", type=FILE, help="Labelled windows (.npz and .csv): the task may not get worse.")


@click.command(
    epilog=examples(
        "edge-export export gpd --weights gpd.npz -o gpd.onnx",
        "edge-export export gpd --weights gpd.npz --precision auto --data archive/ --labelled val.npz -o gpd.onnx",
        "edge-export export gpd --weights gpd.npz --precision int8 --target arm --data archive/ -o gpd-arm.onnx",
    )
)
@click.argument("model")
@click.option("--weights", type=FILE, help=".npz, or a published file that can be imported.")
@click.option("--untrained", type=int, metavar="SEED", help="Random weights instead: for tests and timing only.")
@click.option("--output", "-o", required=True, type=FILE, help="The artefact, .onnx; its report stands beside it.")
@click.option("--precision", default="fp32", show_default=True, type=click.Choice(["fp32", "fp16", "int8", "auto"]))
@_TARGET
@_DATA
@_LABELLED
@click.option("--threshold", default="", metavar="LABEL:P,...", help="In place of the recipe's: such as P:0.55,S:0.35.")
@click.option("--version", default="1", show_default=True, help="Version of the weights, for the manifest.")
@click.option("--training-data", default="not stated", show_default=True, help="For the manifest.")
@click.option("--licence", default="not stated", show_default=True, help="Of the weights, for the manifest.")
@click.option("--citation", default="not stated", show_default=True, help="For the manifest.")
@reports_errors
def export(  # noqa: PLR0913, PLR0917 - one parameter per option
    model: str,
    weights: Path | None,
    untrained: int | None,
    output: Path,
    precision: str,
    target: str,
    data: tuple[Path, ...],
    labelled: Path | None,
    threshold: str,
    version: str,
    training_data: str,
    licence: str,
    citation: str,
) -> None:
    """Write MODEL with its weights as a verified artefact; where a check fails, no file is written."""
    from .artefact import Source  # noqa: PLC0415 - keeps `--help` quick
    from .export_job import Job, export_artefact  # noqa: PLC0415
    from .gate import Wanted  # noqa: PLC0415
    from .registry import find  # noqa: PLC0415
    from .train_job import draft_manifest  # noqa: PLC0415

    if (weights is None) == (untrained is None):
        raise UsageError("weights: wanted one of --weights FILE and --untrained SEED")
    require_output(output, [("--weights", weights), ("--labelled", labelled)], beside=_REPORT)
    row = find(model)
    network, digest = _network(row, weights, untrained)
    if untrained is not None:
        training_data = f"none: random weights, seed {untrained}"
    draft = draft_manifest(row)
    thresholds = thresholds_with(draft, read_thresholds(threshold, draft.picked_labels))
    recipe = replace(row.recipe, postprocess=replace(row.recipe.postprocess, thresholds=thresholds))
    source = Source(version, digest, training_data, licence, citation)
    wanted = None if precision == "fp32" else Wanted(cast("Precision", precision), _processors(target))
    job = Job(network, recipe, source, wanted, data, labelled, is_trained=untrained is None)
    with showing_figures():
        outcome = export_artefact(job, output)
    show_checks(outcome.checks)
    _show_report(outcome.report)
    click.echo(f"{output}: {output.stat().st_size:,} bytes")


@click.command(
    epilog=examples(
        "edge-export quantize picker.onnx -o small.onnx --data archive/ --labelled val.npz",
        "edge-export quantize picker.onnx --precision int8 --target arm --data archive/ -o picker-pi.onnx",
        "edge-export quantize picker.onnx --precision fp16 --target tensorrt --data archive/ -o picker-jetson.onnx",
    )
)
@click.argument("artefact", type=FILE)
@click.option("--output", "-o", required=True, type=FILE, help="The new artefact, .onnx; its report stands beside it.")
@click.option("--precision", default="auto", show_default=True, type=click.Choice(["fp16", "int8", "auto"]))
@_TARGET
@_DATA
@_LABELLED
@reports_errors
def quantize(
    artefact: Path, output: Path, precision: Precision, target: str, data: tuple[Path, ...], labelled: Path | None
) -> None:
    """Make an fp32 ARTEFACT smaller and faster, if it stays as good: int8, fp16, or whatever is best here (auto).

    Every candidate is compared with fp32 on real windows and, with --labelled, on what it picks; on this machine
    they are timed in turns. Where none passes no file is written, and the exit code is 1.
    """
    from .gate import Wanted  # noqa: PLC0415 - keeps `list` and `--help` quick
    from .quantize_job import quantise_artefact, sources_of  # noqa: PLC0415

    wanted = Wanted(precision, _processors(target))
    require_output(output, [("the artefact", artefact), ("--labelled", labelled)], beside=_REPORT)
    with showing_figures():
        report = quantise_artefact(artefact, output, wanted, sources_of(artefact, data, labelled))
    _show_report(report)
    click.echo(f"{output}: {output.stat().st_size:,} bytes")


@click.command(
    epilog=examples(
        "edge-export verify picker.onnx", "edge-export verify performer.onnx --weights performer.npz --data archive/"
    )
)
@click.argument("artefact", type=FILE)
@click.option("--weights", type=FILE, help="Compare with torch: the weights that the artefact was made from.")
@click.option("--data", type=FILE, multiple=True, help="miniSEED files or folders: compare on their windows too.")
@reports_errors
def verify(artefact: Path, weights: Path | None, data: tuple[Path, ...]) -> None:
    """Check an artefact on this machine: golden input, batch sizes, and torch when WEIGHTS are given."""
    from .export_job import require_passed  # noqa: PLC0415 - keeps `--help` quick
    from .registry import find  # noqa: PLC0415
    from .verify import verify as run_checks  # noqa: PLC0415

    manifest = OrtSession(artefact).manifest
    if weights is not None and manifest.quantization.precision != "fp32":
        found = manifest.quantization.precision
        raise UsageError(f"--weights: found an artefact in {found}, which differs from torch by design, wanted fp32")
    network = None if weights is None else _network(find(manifest.name), weights, None)[0]
    checks = tuple(run_checks(artefact, network, data))
    show_checks(checks)
    require_passed(checks, str(artefact))


def _network(row: Model, weights: Path | None, seed: int | None) -> tuple[nn.Module, str]:
    """Give the network with its weights, and their digest."""
    import torch  # noqa: PLC0415 - keeps `list` and `--help` quick

    from .artefact import tensors_digest  # noqa: PLC0415
    from .weights import load_weights  # noqa: PLC0415

    torch.manual_seed(seed or 0)
    network = row.build()
    if weights is not None:
        return network, load_weights(weights, network).digest
    return network, tensors_digest(network)


def _processors(target: str) -> ProcessorTarget:
    from .quantize import require_host_target  # noqa: PLC0415 - keeps `list` and `--help` quick

    return require_host_target() if target == "host" else cast("ProcessorTarget", target)


@contextmanager
def showing_figures() -> Generator[None, None, None]:
    """Show what was measured of an artefact that is refused."""
    from .export_job import ChecksError  # noqa: PLC0415 - keeps `list` and `--help` quick
    from .gate import GateError  # noqa: PLC0415

    try:
        yield
    except GateError as error:
        _show_report(error.report)
        raise
    except ChecksError as error:
        show_checks(error.checks)
        raise


def show_checks(checks: Sequence[Check]) -> None:
    """Show each check on a line: passed or not, its name, its figure, the bound."""
    for check in checks:
        mark = "ok" if check.passed else "FAILED"
        click.echo(f"{mark:<8}{check.name:<58}{check.found:>12.3g}  (at most {check.bound:.3g})")


def _show_report(report: Report | None) -> None:
    for line in () if report is None else report.lines():
        click.echo(line)
