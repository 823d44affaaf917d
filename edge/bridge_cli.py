"""The command `edge-bridge`: look at, record, replay and convert what sensors and servers send."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import ExitStack, aclosing, contextmanager
from pathlib import Path
from typing import cast

import click

from seisedge.firmware_bridge import Packet

from .bridge_cli_replay import replay_command
from .errors import SeisedgeError, UsageError
from .output_file import replacing, require_apart
from .packet_lines import json_line, text_line
from .recorder import Recorder
from .server_info import info_lines
from .sources import Source, SourceCounts, open_source
from .sources.urls import parse_url

_INTERRUPTED = 130
_WATCH_S = 0.5
_SIZES = {"": 1, "k": 1000, "M": 1000**2, "G": 1000**3}

_EPILOG = """\b
Examples:
  edge-bridge "seedlink://geofon.gfz.de?streams=GE_APE:BH?"      print packets as they come
  edge-bridge seedlink://rs.local --record shake.mseed           record until Ctrl-C
  edge-bridge day.mseed --json | head                            look into a file
  edge-bridge info seedlink://geofon.gfz.de                      stations of a server
  edge-bridge replay day.mseed --to tcp://localhost:4000 --speed 10 --drop 1% --jitter 20ms
  edge-bridge replay day.mseed --to udp://localhost:8888 --format datacast
  edge-bridge convert growing.mseed day.mseed3
  edge-bridge convert "file:day.frames?station=CH.HOME&channels=HNZ,HNN,HNE" day.mseed

\b
A SOURCE is a file, a folder, - (stdin) or a URL: seedlink:// seedlinks:// datalink:// sds: file:
udp:// tcp:// serial: mqtt:// palert://. Quote URLs with ? or &.
Exit codes: 0 done; 1 the input failed or some of it was damaged; 2 the command was wrong; 130 stopped with Ctrl-C
(what was recorded is kept).
"""


class _Commands(click.Group):
    """`edge-bridge SOURCE` is `edge-bridge listen SOURCE`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            args = ["listen", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="seisedge")
def cli() -> None:
    """Look at, record, replay and convert what sensors and servers send. A SOURCE alone is printed."""


cli.add_command(replay_command)


@cli.command(short_help="print packets as they come, or record them (the default)")
@click.argument("source")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--samples", is_flag=True, help="With --json: the samples as well.")
@click.option(
    "--record",
    type=click.Path(path_type=Path),
    help="Write to a .mseed (2), .mseed3, .frames (native) or .datacast file; one that is there is appended to.",
)
@click.option("--encoding", help="steim2, steim1, int16, int32 or float32; the sensor's own type without it.")
@click.option("--rotate", metavar="SIZE", help="Begin another file at this size, such as 100M.")
@click.option("--count", type=click.IntRange(min=1), help="Stop after so many packets.")
def listen(  # noqa: PLR0913, PLR0917 - one parameter per option
    source: str,
    as_json: bool,  # noqa: FBT001 - a flag of the command line
    samples: bool,  # noqa: FBT001 - a flag of the command line
    record: Path | None,
    encoding: str | None,
    rotate: str | None,
    count: int | None,
) -> None:
    """Print the packets of SOURCE, or record them."""
    opened = open_source(source)
    if record is None and (encoding or rotate):
        raise UsageError("--encoding, --rotate: found no --record, wanted it with them")
    with ExitStack() as stack:
        if record is not None:
            require_apart(parse_url(source), record, rotates=bool(rotate))
            recorder = stack.enter_context(_recording(record, encoding, _size(rotate) if rotate else None))
            take = recorder.write
        else:

            def take(packet: Packet) -> None:
                click.echo(json_line(packet, samples=samples) if as_json else text_line(packet))

        asyncio.run(_listen(opened, take, count))
    _finish(opened.counts)


@contextmanager
def _recording(path: Path, encoding: str | None, rotate_bytes: int | None = None) -> Generator[Recorder, None, None]:
    """Open a recorder; say in the end what it holds, after Ctrl-C too."""
    recorder = Recorder(path, encoding=encoding, rotate_bytes=rotate_bytes)
    try:
        with recorder:
            yield recorder
    finally:
        click.echo(f"{path}: {recorder.packets} packets, {recorder.bytes:,} bytes", err=True)


@contextmanager
def _replacing(path: Path, encoding: str | None) -> Generator[Recorder, None, None]:
    """Open a recorder of what a file is replaced with; the file stays where that fails, is stopped, or is nothing."""
    with replacing(path) as draft, Recorder(draft, encoding=encoding) as recorder:
        yield recorder
    size = f", {recorder.bytes:,} bytes" if recorder.bytes else ": the file stays as it was"
    click.echo(f"{path}: {recorder.packets} packets{size}", err=True)


async def _listen(source: Source, take: Callable[[Packet], None], count: int | None) -> None:
    watch = asyncio.ensure_future(_watch(source))
    try:
        async with aclosing(cast("AsyncGenerator[Packet, None]", source.packets())) as packets:
            taken = 0
            async for packet in packets:
                take(packet)
                taken += 1  # the source's own count runs ahead: one message gives several packets
                if taken == count:
                    return
    finally:
        watch.cancel()


async def _watch(source: Source) -> None:
    """Tell of each new problem, also while nothing comes."""
    told = ""
    while True:
        if source.counts.last_problem != told:
            told = source.counts.last_problem
            click.echo(f"edge-bridge: {told}", err=True)
        await asyncio.sleep(_WATCH_S)


@cli.command()
@click.argument("source")
@click.option("--raw", is_flag=True, help="The server's answer as it is: XML or JSON.")
@click.option("--item", default="STREAMS", show_default=True, help="What to ask for: ID, STATIONS, STREAMS, …")
def info(source: str, raw: bool, item: str) -> None:  # noqa: FBT001 - a flag of the command line
    """List what a SeedLink or DataLink server has."""
    for line in asyncio.run(info_lines(source, item, raw=raw)):
        click.echo(line)


@cli.command()
@click.argument("source")
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--encoding", help="For miniSEED: steim2, steim1, int16, int32 or float32; the sensor's type without it.")
@click.option("--force", is_flag=True, help="Replace OUTPUT where it is there already, once all is written.")
def convert(source: str, output: Path, encoding: str | None, force: bool) -> None:  # noqa: FBT001 - a flag
    """Write the packets of SOURCE to OUTPUT as its suffix says: .mseed (2), .mseed3, .frames, .datacast."""
    opened = open_source(source)
    require_apart(parse_url(source), output)
    is_there = output.exists()
    if is_there and not force:
        raise UsageError(f"{output}: is there already, wanted --force to replace it")
    with (_replacing if is_there else _recording)(output, encoding) as recorder:
        asyncio.run(_listen(opened, recorder.write, None))
    _finish(opened.counts)


def _finish(counts: SourceCounts) -> None:
    """Say what was lost; the exit code is then 1."""
    if counts.damaged:
        click.echo(f"edge-bridge: {counts.damaged} damaged; the last one: {counts.last_problem}", err=True)
        sys.exit(1)


def _size(text: str) -> int:
    """Read `100M`."""
    match = re.fullmatch(r"(\d+)([kMG]?)B?", text)
    if match is None or int(match[1]) == 0:
        raise UsageError(f"--rotate: found {text!r}, wanted a size such as 100M")
    return int(match[1]) * _SIZES[match[2]]


def main(arguments: list[str] | None = None) -> None:
    """Run the command, with the process's arguments or these; errors become one line and an exit code."""
    try:
        cli(arguments, standalone_mode=False)
    except SeisedgeError as error:
        click.echo(f"edge-bridge: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader of our output has gone: `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort):
        click.echo("edge-bridge: stopped", err=True)
        sys.exit(_INTERRUPTED)
