"""The command `edge-scan`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Protocol

import click

from . import models
from .archive_index import require_paths, total_bytes
from .classify import read_thresholds
from .detections import Detection
from .errors import SeisedgeError, UsageError
from .interrupt import StopSignal
from .output_paths import require_outputs
from .picks import Pick
from .postprocess import Result
from .scan import Scanner, ScanOptions
from .session import OrtSession
from .spool import STDIN, spooled
from .stations import Station
from .summary import report_json, summary_lines
from .times import parse_time
from .waveform_writer import open_writer

_INTERRUPTED = 130  # what a shell reports of a program that Ctrl-C ended

_EPILOG = """\b
Examples:
  edge-scan day.mseed                        picks of one file, as CSV on the screen
  edge-scan archive/ --output picks.jsonl    every station below a folder
  curl -s "$URL" | edge-scan -                what comes through a pipe
  edge-scan *.mseed --model my.onnx --threshold "P:0.95,S:0.9" --stride 10
  edge-scan archive/ --start 2021-04-01T12:35 --end 2021-04-01T12:40 --plot pictures/

\b
Exit codes: 0 all input was used; 1 some input could not be used (one line on stderr says which, and why;
what was found is kept); 2 the command was wrong; 130 stopped with Ctrl-C (what was found is kept).
"""


@click.command(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("inputs", nargs=-1, required=True, metavar="FILE|DIR|-...", type=click.Path(path_type=Path))
@click.option(
    "--model",
    default=None,
    help=f"Embedded model, or an .onnx artefact.  [default: {models.ARCHIVE}; {models.DEFAULT} for stations with less "
    "data than its window of 51.2 s]",
)
@click.option("--threshold", default="", metavar="LABEL:P,...", help='Such as "P:0.95,S:0.9"; one number is for all.')
@click.option("--stride", default=None, type=click.IntRange(min=1), help="Samples from window to window.")
@click.option("--channels", default="", metavar="NSLC,...", help="Input channels of an inversion, in its order.")
@click.option("--start", default=None, metavar="TIME", help="Use samples from this time on (ISO 8601, UTC).")
@click.option("--end", default=None, metavar="TIME", help="Use samples before this time.")
@click.option(
    "--output",
    "-o",
    default=None,
    type=click.Path(path_type=Path),
    help=".csv, .jsonl or .txt (Performer's form); waveforms: .mseed.",
)
@click.option("--report", default=None, type=click.Path(path_type=Path), help="Write the summary as JSON.")
@click.option(
    "--plot",
    default=None,
    type=click.Path(path_type=Path),
    help="Folder for a picture of each group of picks or detections.",
)
@click.option("--batch", default=128, show_default=True, type=click.IntRange(1, 65536), help="Windows per call.")
@click.option("--jobs", "-j", default=None, type=click.IntRange(1, 1024), help="Threads.  [default: one per core]")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar and no summary.")
@click.version_option(package_name="seisedge")
def main(  # noqa: PLR0913, PLR0917 - one parameter per option
    inputs: tuple[Path, ...],
    model: str | None,
    threshold: str,
    stride: int | None,
    channels: str,
    start: str | None,
    end: str | None,
    output: Path | None,
    report: Path | None,
    plot: Path | None,
    batch: int,
    jobs: int | None,
    quiet: bool,  # noqa: FBT001 - a flag of the command line
) -> None:
    """Pick seismic phases in miniSEED files, or in all files below a folder."""
    try:
        session = OrtSession(models.find_model(model or models.ARCHIVE))
        options = ScanOptions(
            thresholds=read_thresholds(threshold, session.manifest.picked_labels),
            stride=stride,
            **_read_span(start, end),
            batch=batch,
            jobs=jobs or len(os.sched_getaffinity(0)),
            channels=tuple(filter(None, (each.strip() for each in channels.split(",")))),
        )
        require_paths(tuple(path for path in inputs if path != STDIN))
        require_outputs({"output": output, "report": report}, inputs)
        for_short = None if model else lambda: OrtSession(models.find_model(models.DEFAULT))
        scanner = Scanner(session, options, for_short)
        with spooled(inputs, scanner.report.problems.append) as paths:
            code = _scan(scanner, paths, output=output, report=report, plot=plot, quiet=quiet)
    except SeisedgeError as error:
        click.echo(f"edge-scan: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        click.echo("edge-scan: stopped before the scan began", err=True)
        sys.exit(_INTERRUPTED)
    sys.exit(code)


def _scan(
    scanner: Scanner,
    inputs: tuple[Path, ...],
    *,
    output: Path | None,
    report: Path | None,
    plot: Path | None,
    quiet: bool,
) -> int:
    """Index, scan, report; the exit code."""
    painter = _painter(plot)
    interrupted = False
    with ExitStack() as stack:
        writer = stack.enter_context(open_writer(output, scanner.manifest))
        stop = stack.enter_context(StopSignal())
        stations: list[Station] = []
        try:
            with _bar(total_bytes(inputs), "reading headers", quiet=quiet) as bar:
                stations = scanner.index(inputs, _stoppable(bar.update, stop))
            with _bar(sum(each.size for each in stations), "scanning", quiet=quiet) as bar:
                for station in stations:
                    bar.label = str(station.id)
                    found: list[Pick | Detection] = []

                    def keep(results: list[Result], found: list[Pick | Detection] = found) -> None:
                        writer.write(results)
                        found += [each for each in results if isinstance(each, Pick | Detection)]

                    scanner.scan(station, keep, _stoppable(bar.update, stop))
                    painter(station, found)
        except KeyboardInterrupt:
            interrupted = True
    if not stations and not scanner.report.problems and not interrupted:
        scanner.report.problems.append(f"{', '.join(map(str, inputs))}: found no miniSEED file, wanted at least one")
    return _report(scanner, report, interrupted=interrupted, quiet=quiet)


def _report(scanner: Scanner, path: Path | None, *, interrupted: bool, quiet: bool) -> int:
    for problem in scanner.report.problems:
        click.echo(f"edge-scan: {problem}", err=True)
    if not quiet:
        for line in summary_lines(scanner.report):
            click.echo(line, err=True)
    if path is not None:
        try:
            path.write_text(json.dumps(report_json(scanner.report), indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"report {path}: cannot be written: {error.strerror}") from error
    if interrupted:
        click.echo("edge-scan: stopped; what was found so far is kept", err=True)
        return _INTERRUPTED
    return 1 if scanner.report.problems else 0


def _painter(folder: Path | None) -> Callable[[Station, list[Pick | Detection]], None]:
    """Give what draws a station's results when it is done, if pictures were asked for."""
    if folder is None:
        return lambda _station, _found: None
    from . import plot  # noqa: PLC0415 - matplotlib is no part of the base install

    plot.require_matplotlib()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"plot {folder}: cannot be written: {error.strerror}") from error

    def draw(station: Station, found: list[Pick | Detection]) -> None:
        for path in plot.draw_results(station, found, folder):
            click.echo(f"picture {path}", err=True)

    return draw


class _Bar(Protocol):
    """What is used of click's progress bar, whose type click does not export."""

    label: str

    def update(self, n_steps: int) -> None:
        """Go on by so many bytes."""
        ...


def _stoppable(update: Callable[[int], None], stop: StopSignal) -> Callable[[int], None]:
    """What advances the bar, and is where Ctrl-C comes out."""

    def advance(amount: int) -> None:
        stop.check()
        update(amount)

    return advance


def _bar(length: int, label: str, *, quiet: bool) -> AbstractContextManager[_Bar]:
    hidden = quiet or not sys.stderr.isatty()
    return click.progressbar(length=max(length, 1), label=label, file=sys.stderr, hidden=hidden)


def _read_span(start: str | None, end: str | None) -> dict[str, int]:
    span: dict[str, int] = {}
    if start is not None:
        span["starttime_ns"] = parse_time(start)
    if end is not None:
        span["endtime_ns"] = parse_time(end)
    if start is not None and end is not None and span["starttime_ns"] >= span["endtime_ns"]:
        raise UsageError(f"--start {start}, --end {end}: found no time between them, wanted start before end")
    return span
