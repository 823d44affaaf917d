"""`edge-export recipe` and `wrap`: a user's own network becomes an artefact."""

from __future__ import annotations

from pathlib import Path

import click

from seisedge.edge import models
from seisedge.edge.errors import UsageError
from seisedge.edge.session import OrtSession

from .cli_artefact import show_checks, showing_figures
from .cli_parts import FILE, examples, reports_errors, require_output


@click.command(
    epilog=examples(
        "edge-export recipe inception -o mine.toml",
        "edge-export wrap mine.onnx --recipe mine.toml -o artefact.onnx",
    )
)
@click.argument("model")
@click.option("--output", "-o", type=FILE, help="The recipe, .toml; one that is there already stays. Default: stdout.")
@reports_errors
def recipe(model: str, output: Path | None) -> None:
    """Write the recipe of MODEL, a name or an artefact, as commented TOML: a start for one's own."""
    from .recipe_toml import recipe_of, write_recipe  # noqa: PLC0415 - keeps `--help` quick
    from .registry import REGISTRY, find  # noqa: PLC0415 - torch comes with it

    if model in REGISTRY or Path(model).suffix != ".onnx":
        text = write_recipe(find(model).recipe)
    else:
        text = write_recipe(recipe_of(OrtSession(models.find_model(model), any_target=True).manifest))
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError(f"{output}: is there already, wanted a new file: somebody may have edited it") from error
    click.echo(f"{output}: edit it to say what your network is fed, then `edge-export wrap`")


@click.command(
    epilog=examples(
        "edge-export wrap picker.onnx --recipe picker.toml -o artefact.onnx",
        "edge-export wrap picker.onnx --recipe picker.toml --data archive/ --licence MIT -o artefact.onnx",
    )
)
@click.argument("graph", type=FILE, metavar="MODEL.onnx")
@click.option("--recipe", "recipe_file", required=True, type=FILE, help="What it is fed and what it gives, .toml.")
@click.option("--output", "-o", required=True, type=FILE, help="The artefact, .onnx; its report stands beside it.")
@click.option("--data", type=FILE, multiple=True, help="miniSEED files or folders: check on their windows too.")
@click.option("--version", default="1", show_default=True, help="Version of the weights, for the manifest.")
@click.option("--training-data", default="not stated", show_default=True, help="For the manifest.")
@click.option("--licence", default="not stated", show_default=True, help="Of the weights, for the manifest.")
@click.option("--citation", default="not stated", show_default=True, help="For the manifest.")
@reports_errors
def wrap(  # noqa: PLR0913, PLR0917 - one parameter per option
    graph: Path,
    recipe_file: Path,
    output: Path,
    data: tuple[Path, ...],
    version: str,
    training_data: str,
    licence: str,
    citation: str,
) -> None:
    """Turn any ONNX file into a verified artefact by a recipe; where a check fails, no file is written.

    The file is taken as a stranger's: no tensor in another file, no operator of its own. Its outputs must be what
    the recipe says, finite and of the same bits in batches of any size that the artefact will allow.
    """
    from .artefact import Source  # noqa: PLC0415 - keeps `list` and `--help` quick
    from .foreign_graph import read_graph  # noqa: PLC0415
    from .recipe_toml import read_recipe  # noqa: PLC0415
    from .wrap import wrap as run_wrap  # noqa: PLC0415

    require_output(output, [("MODEL.onnx", graph), ("--recipe", recipe_file)], beside=(".report.json",))
    wanted = read_recipe(recipe_file)
    foreign = read_graph(graph)
    source = Source(version, foreign.digest, training_data, licence, citation)
    with showing_figures():
        checks = run_wrap(foreign, wanted, source, output, data)
    show_checks(checks)
    click.echo(f"{output}: {output.stat().st_size:,} bytes")
