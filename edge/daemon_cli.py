"""The command `edge-daemon`."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import json
import logging
import os
import signal
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import click

from .daemon.config import Config, SourcePart, read_config
from .daemon.config_text import config_text
from .daemon.intake import require_possible
from .daemon.log import set_up_log
from .daemon.possible import require_files, require_sinks, require_sources, require_writable
from .daemon.service import Service
from .daemon.sessions import load_sessions
from .daemon.sink_config import FileSink
from .daemon.status_text import status_lines
from .errors import SecretFileError, SeisedgeError, UsageError

_EPILOG = """\b
Examples:
  edge-daemon init seedlink://geofon.gfz.de:18000?streams=CX_PB01:HH? > daemon.toml
  edge-daemon check daemon.toml
  edge-daemon run daemon.toml
  edge-daemon status
  edge-daemon replay daemon.toml day.mseed --output picks.jsonl

\b
Exit codes: 0 all went well; 1 something did not (one line on stderr says what); 2 the command or the
configuration was wrong.
"""
_SWITCH_S = 0.0005
_RELOAD_S, _LOOK_S = 120.0, 0.1
_DEFAULT_URL = "http://127.0.0.1:8600"


@click.group(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="seisedge")
def main() -> None:
    """Pick seismic phases on live data, for years."""


@main.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--log", default="text", type=click.Choice(["text", "json"]), help="Form of the log on stderr.")
@click.option("--verbose", "-v", is_flag=True, help="More of it.")
def run(config: Path, log: str, verbose: bool) -> None:  # noqa: FBT001 - a flag of the command line
    """Run in the foreground until SIGTERM or Ctrl-C. SIGHUP reloads CONFIG."""
    set_up_log(log, verbose=verbose)
    _guarded(lambda: _serve(read_config(config), config))


@main.command()
@click.argument("config", type=click.Path(path_type=Path))
def check(config: Path) -> None:
    """Read CONFIG, load its models, run their golden inputs, and look at the files that it names."""

    async def look() -> int:
        found = read_config(config)
        require_sources(found)
        require_sinks(found)
        closed = require_files(found)
        sessions = load_sessions(found)
        for line in closed:
            click.echo(f"edge-daemon: {line}", err=True)
        for name, session in sessions.items():
            click.echo(f"model {name}: {session.manifest.name}, {session.digest[:16]}, golden input as it should be")
        click.echo(f"{config}: {len(found.source)} sources, {len(found.model)} models, {len(found.sink)} sinks: good")
        return 0

    _guarded(look)


@main.command()
@click.argument("url")
@click.option("--state", default="/var/lib/seisedge", show_default=True, help="Folder of the outbox.")
def init(url: str, state: str) -> None:
    """Write a commented configuration for the source URL to standard output."""

    async def write() -> int:
        try:
            require_possible(SourcePart(url))
        except SecretFileError as error:  # a configuration comes before its secrets
            click.echo(f"edge-daemon: {error}: wanted before the daemon runs", err=True)
        click.echo(config_text(url, state=state), nl=False)
        return 0

    _guarded(write)


@main.command()
@click.option("--url", default=_DEFAULT_URL, show_default=True, help="Where the daemon listens.")
@click.option("--json", "as_json", is_flag=True, help="All of it, as JSON.")
def status(url: str, as_json: bool) -> None:  # noqa: FBT001 - a flag of the command line
    """Say how a running daemon is: stations, latency, gaps, queues, picks, machine."""

    async def show() -> int:
        found = _fetch(url)
        click.echo(json.dumps(found, indent=1) if as_json else "\n".join(status_lines(found)))
        return 0 if found["ok"] else 1

    _guarded(show)


@main.command(name="reload")
@click.option("--url", default=_DEFAULT_URL, show_default=True, help="Where the daemon listens.")
def reload_(url: str) -> None:
    """Let a running daemon read its configuration anew; what is wrong with it leaves the old one in force."""

    async def send() -> int:
        before = _fetch(url)
        try:
            os.kill(int(before["pid"]), signal.SIGHUP)
        except OSError as error:
            raise SeisedgeError(f"{url}: process {before['pid']} cannot be reached: {error.strerror}") from error
        after = await _reloaded(url, before)
        if after["refused_reloads"] > before["refused_reloads"]:
            raise SeisedgeError(f"the old configuration stays: {after['last_reload_problem']}")
        return 0

    _guarded(send)


@main.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("inputs", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--output", "-o", required=True, type=click.Path(path_type=Path), help="JSON lines or .csv.")
def replay(config: Path, inputs: tuple[str, ...], output: Path) -> None:
    """Run CONFIG's models and stations on recorded SOURCEs (files, folders, URLs) as fast as they come.

    CONFIG's own sources, sinks and state are left alone.
    """
    set_up_log("text", verbose=False)

    async def play() -> int:
        with tempfile.TemporaryDirectory() as state:
            return await _replay_of(read_config(config), inputs, output, state).run()

    _guarded(play)


def _replay_of(config: Config, inputs: tuple[str, ...], output: Path, state: str) -> Service:
    """Make what replays; what the output had is kept until nothing stands against it."""
    kind = "csv" if output.suffix == ".csv" else "jsonl"
    replayed = dataclasses.replace(
        config,
        source=tuple(SourcePart(each, when_full="wait") for each in inputs),
        sink=(FileSink(kind, path=str(output), rotate_megabytes=1 << 20, fsync=False),),
        daemon=dataclasses.replace(config.daemon, state=state),
        http=dataclasses.replace(config.http, listen=""),
    )
    for part in replayed.source:
        require_possible(part)
    try:
        require_writable(output)
    except OSError as error:
        raise UsageError(f"--output: {output}: cannot be written: {error.strerror}") from error
    service = Service(replayed, until_end=True)
    output.write_bytes(b"")  # it is there, whatever is found
    return service


def prepare_process() -> None:
    """Let nothing in Python hold up a pick.

    Threads give way after 5 ms by default, longer than a pick takes. And what was imported, a hundred thousand objects
    that stay, is taken from the garbage collector's rounds, each of which would stop all threads for it.
    """
    sys.setswitchinterval(_SWITCH_S)
    gc.collect()
    gc.freeze()


async def _serve(config: Config, path: Path) -> int:
    require_sources(config)
    service = Service(config)
    prepare_process()
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[bool]] = set()

    def on_hangup() -> None:
        task = asyncio.ensure_future(service.reload(lambda: read_config(path)))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGHUP, on_hangup)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.stop)
    logging.getLogger("seisedge.daemon").info("running: %d sources, %d sinks", len(config.source), len(config.sink))
    return await service.run()


def _guarded(task: Callable[[], Coroutine[Any, Any, int]]) -> None:
    """Run, and turn errors into one line and an exit code."""
    try:
        code = asyncio.run(task())
    except SeisedgeError as error:
        click.echo(f"edge-daemon: {error}", err=True)
        code = error.exit_code
    except BrokenPipeError:
        raise  # whoever read our output has seen enough: click ends quietly
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error) or type(error).__name__
        click.echo(f"edge-daemon: {what}", err=True)
        code = 1
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


async def _reloaded(url: str, before: dict[str, Any]) -> dict[str, Any]:
    """Wait until the daemon has taken or refused a configuration.

    Raises
    ------
    SeisedgeError
        It ended, or is silent.
    """
    for _ in range(round(_RELOAD_S / _LOOK_S)):
        await asyncio.sleep(_LOOK_S)
        after = _fetch(url)
        if after["pid"] != before["pid"]:
            raise SeisedgeError(f"{url}: the daemon ended at the reload, and process {after['pid']} answers now")
        if any(after[key] != before[key] for key in ("reloads", "refused_reloads")):
            return after
    raise SeisedgeError(f"{url}: no end of the reload within {_RELOAD_S:g} s")


def _fetch(url: str) -> dict[str, Any]:
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"--url: found {url!r}, wanted http://host:port")
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/status.json", timeout=5) as answer:  # noqa: S310 - see above
            found: dict[str, Any] = json.load(answer)
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise SeisedgeError(f"{url}: no daemon answers there: {reason}") from error
    return found


if __name__ == "__main__":
    main()
