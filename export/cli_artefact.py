"""`edge-export export`, `quantize` and `verify`: weights → artefact, and what is checked of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from seisedge.edge.session import OrtSession
from seisedge.edge.targets import ProcessorTarget

from .command_errors import FILE, reports_errors
from .errors import ExportError
from .registry import find

if TYPE_CHECKING:
    from .candidates import Precision


@click.command()
@click.argument("model")
@click.option("--weights", required=True, type=FILE, help=".npz, or a published file that can be imported.")
@click.option("--output", "-o", required=True, type=FILE, help="The artefact, .onnx.")
@click.option("--version", default="1", show_default=True, help="Version of the weights, for the manifest.")
@click.option("--training-data", default="not stated", show_default=True, help="For the manifest.")
@click.option("--licence", default="not stated", show_default=True, help="Of the weights, for the manifest.")
@click.option("--citation", default="not stated", show_default=True, help="For the manifest.")
@reports_errors
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
    export_fp32(network, row.recipe, source, output)
    try:
        _print_checks(output, network, ())
    except ExportError:
        output.unlink()
        raise
    click.echo(f"{output}: {output.stat().st_size:,} bytes, fp32")


@click.command()
@click.argument("artefact", type=FILE)
@click.option("--output", "-o", required=True, type=FILE, help="The new artefact, .onnx; its report stands beside it.")
@click.option("--precision", default="auto", show_default=True, type=click.Choice(["fp16", "int8", "auto"]))
@click.option(
    "--target",
    default="host",
    show_default=True,
    type=click.Choice(["host", "x86-vnni", "x86-avx2", "arm", "tensorrt"]),
    help="The class of machines that will run it; only a file for this one can be timed here.",
)
@click.option("--data", type=FILE, multiple=True, help="miniSEED files or folders: ranges and errors are from them.")
@click.option("--labelled", type=FILE, help="Labelled windows (.npz): what is picked may not get worse.")
@reports_errors
def quantize(
    artefact: Path, output: Path, precision: Precision, target: str, data: tuple[Path, ...], labelled: Path | None
) -> None:
    """Make an fp32 ARTEFACT smaller and faster, if it stays as good: int8, fp16, or whatever is best here (auto).

    Every candidate is compared with fp32 on real windows and, with --labelled, on what it picks; on this machine
    they are timed in turns. Where none passes no file is written, and the exit code is 1.
    """
    from .gate import GateError, Wanted  # noqa: PLC0415 - keeps `list` and `--help` quick
    from .quantize import require_host_target  # noqa: PLC0415
    from .quantize_job import Sources, quantise_artefact  # noqa: PLC0415

    chosen = require_host_target() if target == "host" else cast("ProcessorTarget", target)
    try:
        report = quantise_artefact(artefact, output, Wanted(precision, chosen), Sources(data, labelled))
    except GateError as error:
        for line in error.report.lines():
            click.echo(line)
        raise
    for line in report.lines():
        click.echo(line)
    click.echo(f"{output}: {output.stat().st_size:,} bytes")


@click.command()
@click.argument("artefact", type=FILE)
@click.option("--weights", type=FILE, help="Compare with torch: the weights that the artefact was made from.")
@click.option("--data", type=FILE, multiple=True, help="miniSEED files or folders: compare on their windows too.")
@reports_errors
def verify(artefact: Path, weights: Path | None, data: tuple[Path, ...]) -> None:
    """Check an artefact on this machine: golden input, batch sizes, and torch when WEIGHTS are given."""
    from .weights import load_weights  # noqa: PLC0415 - keeps `list` and `--help` quick

    network = None
    if weights is not None:
        network = find(OrtSession(artefact).manifest.name).build()
        load_weights(weights, network)
    _print_checks(artefact, network, data)


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
