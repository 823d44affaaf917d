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
from .daemon.log import set_up_log
from .daemon.service import Service
from .daemon.sessions import load_sessions
from .daemon.sink_config import FileSink
from .daemon.sinks import open_sink
from .errors import SeisedgeError, UsageError
from .sources import parse_url

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
        sessions = load_sessions(found)
        for part in found.sink:
            open_sink(part).close()
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
        parse_url(url)
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
        click.echo(json.dumps(found, indent=1) if as_json else "\n".join(_status_lines(found)))
        return 0 if found["ok"] else 1

    _guarded(show)


@main.command(name="reload")
@click.option("--url", default=_DEFAULT_URL, show_default=True, help="Where the daemon listens.")
def reload_(url: str) -> None:
    """Let a running daemon read its configuration anew; what is wrong with it leaves the old one in force."""

    async def send() -> int:
        os.kill(int(_fetch(url)["pid"]), signal.SIGHUP)
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
    output.write_bytes(b"")  # it is there, whatever is found

    async def play() -> int:
        with tempfile.TemporaryDirectory() as state:
            return await _replay(read_config(config), inputs, output, state)

    _guarded(play)


async def _replay(config: Config, inputs: tuple[str, ...], output: Path, state: str) -> int:
    kind = "csv" if output.suffix == ".csv" else "jsonl"
    replayed = dataclasses.replace(
        config,
        source=tuple(SourcePart(each, when_full="wait") for each in inputs),
        sink=(FileSink(kind, path=str(output), rotate_megabytes=1 << 20, fsync=False),),
        daemon=dataclasses.replace(config.daemon, state=state),
        http=dataclasses.replace(config.http, listen=""),
    )
    return await Service(replayed, until_end=True).run()


def prepare_process() -> None:
    """Let nothing in Python hold up a pick.

    Threads give way after 5 ms by default, longer than a pick takes. And what was imported, a hundred thousand objects
    that stay, is taken from the garbage collector's rounds, each of which would stop all threads for it.
    """
    sys.setswitchinterval(_SWITCH_S)
    gc.collect()
    gc.freeze()


async def _serve(config: Config, path: Path) -> int:
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
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


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


def _status_lines(found: dict[str, Any]) -> list[str]:
    published, outbox = found["published_s"], found["outbox"]
    lines = ["ok" if found["ok"] else "PROBLEMS:", *(f"  {each}" for each in found["problems"])]
    lines.append(
        f"up {_age(found['uptime_s'])}; packet to pick {_ms(published['p50'])} median, {_ms(published['p99'])} p99"
    )
    lines += [
        f"worker {number}: {each['queue']} packets wait, {each['windows']} windows, {each['failed_windows']} failed; "
        f"a call of the network {_ms(each['inference_s']['p50'])} median, {_ms(each['inference_s']['p99'])} p99"
        for number, each in enumerate(found["workers"], start=1)
    ]
    for each in found["stations"]:
        gaps = sum(model["gaps"] for model in each["models"].values())
        latency = "no data" if each["latency_s"] is None else f"data {_age(each['latency_s'])} old"
        refused = "".join(f"; {why}" for model in each["models"].values() for why in model["refused"])
        about = f"{latency}, {each['packets']} packets, {gaps} gaps, {_last(each['last_pick'])}{refused}"
        lines.append(f"station {each['id']}: {about}")
    for each in found["sources"]:
        overruns = f", {each['overruns']} overrun" if each["overruns"] else ""
        lines.append(
            f"source {each['name']}: {each['packets']} packets, {each['damaged']} damaged{overruns}, "
            f"{each['dropped']} dropped, {each['queue']} wait{_tail(each['last_problem'])}"
        )
    for each in found["sinks"]:
        state = "up" if each["up"] else "DOWN"
        lines.append(
            f"sink {each['name']}: {state}, {each['delivered']} delivered, {each['waiting']} wait"
            f"{_tail(each['last_problem'] if not each['up'] else '')}"
        )
    lines.append(f"outbox: {'on the disk' if outbox['durable'] else 'NOT DURABLE'}, {outbox['lost']} lost")
    return [*lines, _machine_line(found["machine"])]


def _machine_line(machine: dict[str, Any]) -> str:
    board = [f"memory {machine['rss_bytes'] / 1e6:.0f} MB"] if machine["rss_bytes"] else []
    if machine["disk_free_bytes"] is not None:
        board.append(f"disk {machine['disk_free_bytes'] / 1e9:.1f} GB left")
    if machine["temperature_c"] is not None:
        board.append(f"{machine['temperature_c']:.0f} °C")
    if machine["throttled"] is not None:
        board.append(", ".join(machine["throttling"]) or "not throttled")
    return "machine: " + ", ".join(board)


def _last(pick: dict[str, Any] | None) -> str:
    if pick is None:
        return "no pick yet"
    return f"last pick {pick['label']} {pick['time'][:22]}Z, probability {pick['probability']:.2f}, {pick['status']}"


def _age(seconds: float) -> str:
    """Write a length of time as a person says it."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.1f} ms"


def _tail(problem: str) -> str:
    return f"; {problem}" if problem else ""


if __name__ == "__main__":
    main()
