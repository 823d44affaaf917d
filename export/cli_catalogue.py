"""`edge-export catalogue`: s-files of SEISAN → the catalogue that labels an archive."""

from __future__ import annotations

from pathlib import Path

import click

from .cli_parts import FILE, examples, reports_errors, require_output


@click.command(
    epilog=examples(
        "edge-export catalogue sfiles/ -o catalog.json",
        "edge-export catalogue select1.out select2.out -o catalog.json",
        "edge-export train deepquake --catalogue catalog.json --continuous mseed/ -o deepquake.onnx",
    )
)
@click.argument("sfiles", nargs=-1, required=True, type=FILE)
@click.option("--output", "-o", required=True, type=FILE, help="The catalogue, .json.")
@reports_errors
def catalogue(sfiles: tuple[Path, ...], output: Path) -> None:
    """Read SFILES (Nordic format; files, or folders of them) and write their events and P picks.

    Files without the header line of the picks are read too. A line that cannot be read is told on stderr, and loses
    nothing else.
    """
    from .catalogue import catalogue_of, write_catalogue  # noqa: PLC0415 - beside the other commands
    from .nordic import read_catalogue  # noqa: PLC0415

    require_output(output, [("the s-file", each) for each in sfiles])
    found = catalogue_of(read_catalogue(sfiles, lambda line: click.echo(f"edge-export: {line}", err=True)))
    write_catalogue(output, found)
    picks = [each for event in found.events for each in event.detections]
    stations = len({each.station for each in picks})
    click.echo(f"{output}: {len(found.events):,} events, {len(picks):,} P at {stations:,} stations")
