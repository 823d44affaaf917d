"""The command `edge-bench`."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import click

from . import models
from .bench.archive import ArchiveOptions, bench_archive
from .bench.capacity import CapacityOptions, bench_capacity
from .bench.chain import SOURCES, ChainOptions, bench_chain
from .bench.compare import differences, lines
from .bench.environment import environment
from .bench.link import Link
from .bench.models import bench_models
from .bench.outputs import Outputs, plain
from .bench.peers import bench_peers
from .bench.report import Report, noise_line, read_report
from .bench.run import Advance, Settings
from .errors import SeisedgeError, UsageError
from .interrupt import StopSignal
from .session import Engine, Provider

_INTERRUPTED = 130

_EPILOG = """\b
Examples:
  edge-bench models                             embedded models beside their documented budgets
  edge-bench models my.onnx --provider cuda --html report.html
  edge-bench chain --record day.mseed --loss 0.01 --jitter 0.05 --check
  edge-bench capacity --stride 10               how many stations this machine holds
  edge-bench archive --quick                    hours of data per second
  edge-bench compare before.json after.json

\b
Exit codes: 0 done; 1 a budget was missed and --check was given, or an artefact could not be used; 2 the command was
wrong; 130 stopped with Ctrl-C.
"""


def _examples(*lines: str) -> str:
    """An epilog of a sub-command."""
    return "\b\nExamples:\n" + "".join(f"  {line}\n" for line in lines)


@click.group(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="seisedge")
def main() -> None:
    """Measure models on this machine: latency, whole chain, capacity, archives, peers."""


def _measuring(make: Callable[..., Report]) -> Callable[..., None]:
    """Give a sub-command the options, the progress bar and the end that all of them have."""

    @click.option(
        "--quick", is_flag=True, help="Seconds instead of minutes; the report says that its confidence is low."
    )
    @click.option("--record", type=click.Path(path_type=Path), help="Replay this miniSEED instead of a made record.")
    @click.option("--provider", type=click.Choice(["cpu", "cuda", "tensorrt"]), default="cpu", show_default=True)
    @click.option("--threads", type=click.IntRange(1, 1024), default=1, show_default=True, help="Of ONNX Runtime.")
    @click.option("--spinning", is_flag=True, help="Let waiting threads keep their core busy.")
    @click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the report as JSON.")
    @click.option("--markdown", "markdown_path", type=click.Path(path_type=Path), help="Write it as Markdown.")
    @click.option("--html", "html_path", type=click.Path(path_type=Path), help="Write it as one page with plots.")
    @click.option("--check", is_flag=True, help="End with 1 when a budget is missed.")
    @click.option("--quiet", "-q", is_flag=True, help="No progress bar and no tables.")
    @functools.wraps(make)
    def command(  # noqa: PLR0913 - one parameter per option
        *,
        quick: bool,
        figure_s: float | None = None,
        record: Path | None,
        provider: str,
        threads: int,
        spinning: bool,
        json_path: Path | None,
        markdown_path: Path | None,
        html_path: Path | None,
        check: bool,
        quiet: bool,
        **options: Any,  # noqa: ANN401 - the sub-command's own
    ) -> None:
        engine = Engine(cast("Provider", provider), threads, spinning)
        settings = Settings(quick=quick, seconds=figure_s, record=record, engine=engine)
        outputs = Outputs(json_path, markdown_path, html_path)
        progress = _Progress(hidden=quiet or not sys.stderr.isatty())
        with _errors(), progress:
            outputs.check(record)
            report = make(settings, progress.tell, **options)
        with _errors():
            try:  # files first: a pager that closes its end must not cost them
                outputs.write(report)
            finally:
                for line in plain(report) if not quiet else ():
                    click.echo(line)
        sys.exit(1 if check and not report.passed else 0)

    return command


_figure_seconds = click.option(
    "--seconds",
    "figure_s",
    type=click.FloatRange(0.01, 86_400),
    help="Most seconds for each figure.  [default: 20, quick 1]",
)


@main.command(
    "models",
    epilog=_examples(
        "edge-bench models",
        "edge-bench models mine.onnx --provider cuda --html report.html",
        "edge-bench models --check --quick           ends with 1 when a budget is missed",
    ),
)
@click.argument("artefacts", nargs=-1, metavar="[ARTEFACT|NAME]...")
@_figure_seconds
@_measuring
def _models(settings: Settings, advance: Advance, artefacts: tuple[str, ...]) -> Report:
    """Time artefacts, all embedded models if none is given, beside their documented budgets."""
    return bench_models(artefacts, settings, advance)


@main.command(
    "chain",
    epilog=_examples(
        "edge-bench chain --record day.mseed --loss 0.01 --jitter 0.05 --reorder 0.01",
        "edge-bench chain --source seedlink --packet 1 --budgets mine.toml --check",
    ),
)
@click.option("--model", default=models.DEFAULT, show_default=True, help="Embedded model, or an artefact.")
@click.option("--stride", type=click.IntRange(min=1), help="Samples from window to window.")
@click.option("--length", type=click.FloatRange(1), help="Seconds of the replay, which takes as long.")
@click.option("--packet", default=0.25, show_default=True, type=click.FloatRange(0.001, 600), help="Seconds of data.")
@click.option("--delay", default=0.02, show_default=True, type=click.FloatRange(0), help="Least seconds of the link.")
@click.option("--jitter", default=0.01, show_default=True, type=click.FloatRange(0), help="Mean seconds on top.")
@click.option("--loss", default=0.0, type=click.FloatRange(0, 1), help="Share of packets that never come.")
@click.option("--reorder", default=0.0, type=click.FloatRange(0, 1), help="Share that comes after the next one.")
@click.option("--seed", default=1, show_default=True, type=int, help="Of losses, jitter and reordering.")
@click.option(
    "--reorder-wait", default=5.0, show_default=True, type=click.FloatRange(0), help="Seconds of the aligner."
)
@click.option(
    "--source",
    "sources",
    multiple=True,
    type=click.Choice(SOURCES),
    help="How packets come; may be given again.  [default: each in turn]",
)
@click.option("--budgets", type=click.Path(path_type=Path), help="TOML with budgets of your own.")
@_measuring
def _chain(settings: Settings, advance: Advance, **options: Any) -> Report:  # noqa: ANN401 - one per option
    """Replay a record at its own pace: from the capture of a sample to the published pick.

    udp-datacast, udp-native and seedlink send from a process of their own over the loopback interface.
    """
    link = Link(
        options["packet"], options["delay"], options["jitter"], options["loss"], options["reorder"], options["seed"]
    )
    chosen = ChainOptions(
        options["model"],
        link,
        options["length"],
        options["stride"],
        options["reorder_wait"],
        options["budgets"],
        options["sources"] or SOURCES,
    )
    return bench_chain(chosen, settings, advance)


@main.command(
    "capacity",
    epilog=_examples(
        "edge-bench capacity --model seismo-performer --stride 10", "edge-bench capacity --packet 0.25 --latency 0.5"
    ),
)
@click.option("--model", default=models.DEFAULT, show_default=True, help="Embedded model, or an artefact.")
@click.option("--stride", type=click.IntRange(min=1), help="Samples from window to window.")
@click.option("--packet", "packet_s", default=1.0, show_default=True, type=click.FloatRange(0.01, 60), help="Seconds.")
@click.option("--latency", "latency_s", default=1.0, show_default=True, type=click.FloatRange(0.001), help="Most, p99.")
@click.option("--length", "seconds", type=click.FloatRange(0.1), help="Seconds of a trial.")
@_measuring
def _capacity(settings: Settings, advance: Advance, **options: Any) -> Report:  # noqa: ANN401 - one per option
    """Search how many stations one process holds in real time."""
    return bench_capacity(CapacityOptions(**options), settings, advance)


@main.command(
    "archive",
    epilog=_examples(
        "edge-bench archive seismo-performer",
        "edge-bench archive convnetquake-int8.onnx --hours 720 --jobs 2   all of its 30 days",
    ),
)
@click.argument("artefacts", nargs=-1, metavar="[ARTEFACT|NAME]...")
@click.option("--hours", type=click.FloatRange(0.01, 8784), help="Length of the archive.  [default: 24, quick 1]")
@click.option("--jobs", "-j", type=click.IntRange(1, 1024), help="Threads.  [default: one per core]")
@click.option("--batch", default=128, show_default=True, type=click.IntRange(1, 65536), help="Windows per call.")
@_measuring
def _archive(settings: Settings, advance: Advance, artefacts: tuple[str, ...], **options: Any) -> Report:  # noqa: ANN401
    """Scan archives made of a record: hours of data per second, and the sources' own long runs."""
    return bench_archive(ArchiveOptions(artefacts, **options), settings, advance)


@main.command(
    "peers",
    epilog=_examples(
        "edge-bench peers seismo-performer --batch 8", "edge-bench peers --without torch.compile --json peers.json"
    ),
)
@click.argument("artefacts", nargs=-1, metavar="[ARTEFACT|NAME]...")
@click.option("--batch", default=1, show_default=True, type=click.IntRange(1, 4096), help="Windows in a call.")
@click.option("--without", multiple=True, metavar="PEER", help='Leave one out, such as "torch.compile".')
@_figure_seconds
@_measuring
def _peers(
    settings: Settings, advance: Advance, artefacts: tuple[str, ...], batch: int, without: tuple[str, ...]
) -> Report:
    """Time the same weights and record through the alternatives that are installed, in turns."""
    return bench_peers(artefacts, batch, settings, advance, without=without)


@main.command("compare", epilog=_examples("edge-bench compare before.json after.json --all"))
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option("--all", "everything", is_flag=True, help="Show what differs by no more than noise, too.")
def _compare(before: Path, after: Path, everything: bool) -> None:  # noqa: FBT001 - a flag of the command line
    """Compare two reports of --json."""
    with _errors():
        first, second = read_report(before), read_report(after)
        if first.command != second.command:
            raise UsageError(f"found a report of {first.command} and one of {second.command}, wanted two of one kind")
    for report in (first, second):
        click.echo(f"{report.created}: {report.environment.get('CPU', '')}: {noise_line(report.noise)}")
    for line in lines(differences(first, second), everything=everything):
        click.echo(line)


@main.command("env", epilog=_examples("edge-bench env"))
def _env() -> None:
    """Show what figures of this machine depend on."""
    for key, value in environment().items():
        click.echo(f"{key:<16} {value}")


class _errors:  # noqa: N801 - reads as a word behind `with`
    """Turns the runtime's errors into one line and an exit code."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, SeisedgeError):
            click.echo(f"edge-bench: {error}", err=True)
            sys.exit(error.exit_code)
        if isinstance(error, KeyboardInterrupt):
            click.echo("edge-bench: stopped", err=True)
            sys.exit(_INTERRUPTED)


class _Progress:
    """A bar on the terminal, with what is measured now; also where Ctrl-C comes out."""

    def __init__(self, *, hidden: bool) -> None:
        self._hidden, self._shown, self._began = hidden, 0.0, time.monotonic()
        self._stack, self._stop = ExitStack(), StopSignal()

    def __enter__(self) -> None:
        self._stack.enter_context(self._stop)

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        if not self._hidden:
            click.echo("\r\x1b[K", nl=False, err=True)

    def tell(self, text: str, share: float) -> None:
        """Show it, ten times a second at most."""
        self._stop.check()
        now = time.monotonic()
        if self._hidden or now - self._shown < 0.1:
            return
        self._shown = now
        done = round(24 * share)
        bar = "#" * done + "-" * (24 - done)
        click.echo(f"\r\x1b[K[{bar}] {share:4.0%} {now - self._began:5.0f} s  {text}", nl=False, err=True)
