"""`edge-export import-weights`: published weights, or a user's own → this package's form."""

from __future__ import annotations

from pathlib import Path

import click

from seisedge.edge.errors import UsageError

from .cli_parts import FILE, examples, reports_errors


@click.command(
    "import-weights",
    epilog=examples(
        "edge-export import-weights seismo-performer w_model_performer_v2.0.h5 -o performer.npz",
        r"edge-export import-weights gpd mine.pt --rename '^encoder\.=blocks.' -o gpd.npz",
    ),
)
@click.argument("model")
@click.argument("source", type=FILE)
@click.option("--output", "-o", required=True, type=FILE, help="Weights as .npz.")
@click.option(
    "--rename",
    "renames",
    multiple=True,
    metavar="REGEX=TEXT",
    help="Change names of the file's tensors to the network's; may be given several times.",
)
@reports_errors
def import_weights(model: str, source: Path, output: Path, renames: tuple[str, ...]) -> None:
    """Read weights into MODEL and write them as .npz.

    SOURCE is a state_dict that torch.save wrote, safetensors, .npz, Keras HDF5, a TensorFlow checkpoint (.index) or
    TFLite. Every tensor is listed: matched, missing or surplus. Where one does not fit, nothing is written and the
    exit code is 1. A pickle that would run code is refused.
    """
    from .registry import find  # noqa: PLC0415 - torch comes with it
    from .weights import load_weights, save_weights  # noqa: PLC0415
    from .weights_named import parse_rename  # noqa: PLC0415
    from .weights_report import WeightMismatchError  # noqa: PLC0415

    if output.suffix != ".npz":
        raise UsageError(f"output {output}: found suffix {output.suffix!r}, wanted .npz")
    network = find(model).build()
    try:
        loaded = load_weights(source, network, tuple(parse_rename(each) for each in renames))
    except WeightMismatchError as error:
        for line in error.report.lines():
            click.echo(line)
        raise
    save_weights(output, network)
    for line in loaded.report.lines():
        click.echo(line)
    count = len(loaded.report.matched)
    click.echo(f"{output}: {count} tensors of {model}, from {source} (sha256 {loaded.digest[:16]})")
