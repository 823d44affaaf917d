"""The command `edge-bridge replay`: the packets of files, sent again as a sensor would."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import click

from seisedge.firmware_bridge import Packet, encode_records

from .errors import UsageError
from .replay import ReplayCounts, ReplayOptions, replay
from .senders import sender_to
from .sources import Source, SourceUrl, open_source
from .sources.formats import FORMATS, Encoder
from .sources.urls import parse_url

_SECONDS = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}
_FORMATS = ("mseed", "mseed3", *(name for name, each in FORMATS.items() if each.encoder is not None))


@click.command(name="replay")
@click.argument("files", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--to", "target", required=True, help="udp://HOST:PORT, tcp://HOST:PORT, serial:/dev/…, datalink://HOST.")
@click.option(
    "--format", "kind", default="mseed", show_default=True, type=click.Choice(_FORMATS), help="Bytes to send."
)
@click.option(
    "--speed", default=1.0, show_default=True, type=click.FloatRange(min=0), help="Times real time; 0: at once."
)
@click.option(
    "--packet-seconds", default=0.25, show_default=True, type=click.FloatRange(min=0), help="Longest; 0: as is."
)
@click.option("--drop", default="0", metavar="P", help="Lose this part of the packets, such as 1%.")
@click.option("--reorder", default="0", metavar="P", help="Let this part of them change places with the next.")
@click.option("--jitter", default="0", metavar="TIME", help="Send each late by up to this, such as 20ms.")
@click.option("--seed", default=0, show_default=True, help="Of all chance.")
@click.option("--now", is_flag=True, help="Move the times of the data so that they begin now.")
def replay_command(  # noqa: PLR0913, PLR0917 - one parameter per option
    files: tuple[str, ...],
    target: str,
    kind: str,
    speed: float,
    packet_seconds: float,
    drop: str,
    reorder: str,
    jitter: str,
    seed: int,
    now: bool,  # noqa: FBT001 - a flag of the command line
) -> None:
    """Send the packets of files again, as a sensor would: paced, with loss, jitter and reordering if wanted."""
    options = ReplayOptions(
        speed=speed,
        packet_s=packet_seconds,
        drop=_part("drop", drop),
        reorder=_part("reorder", reorder),
        jitter_s=_time("jitter", jitter),
        seed=seed,
    )
    counts = ReplayCounts()
    try:
        for file in files:
            asyncio.run(_replay(open_source(file), target, kind, options, counts, now=now))
    finally:
        if counts.sent + counts.dropped:
            _say_sent(counts)


def _say_sent(counts: ReplayCounts) -> None:
    lost = f", {counts.dropped} dropped, {counts.reordered} reordered" if counts.dropped + counts.reordered else ""
    click.echo(f"{counts.sent} packets sent, {counts.sent_bytes:,} bytes{lost}", err=True)


async def _replay(
    source: Source, target: str, kind: str, options: ReplayOptions, counts: ReplayCounts, *, now: bool
) -> None:
    to, size = parse_url(target), _bytes_of(source)
    async with sender_to(to, _encoder(kind, to)) as send:
        hidden = not sys.stderr.isatty()
        with click.progressbar(length=size or 1, label=source.url, file=sys.stderr, hidden=hidden) as bar:
            packets = _shown(source, bar, size, now=now)
            await replay(packets, options, send, clock=time.monotonic, sleep=asyncio.sleep, counts=counts)


async def _shown(
    source: Source,
    bar: Any,  # noqa: ANN401 - click's bar
    size: int | None,
    *,
    now: bool,
) -> AsyncGenerator[Packet, None]:
    """Yield a source's packets; moved in time if wanted; the bar shows bytes of `size`, or counts packets."""
    shift_ns: int | None = None
    shown = 0
    async with aclosing(cast("AsyncGenerator[Packet, None]", source.packets())) as packets:
        async for packet in packets:
            if shift_ns is None:
                shift_ns = time.time_ns() - packet.starttime_ns if now else 0
            if size is None:
                bar.length = source.counts.packets + 1  # how many there will be is not known
            done = source.counts.packets if size is None else min(source.counts.received_bytes, size)
            bar.update(done - shown)
            shown = done
            yield replace(packet, starttime_ns=packet.starttime_ns + shift_ns)


def _bytes_of(source: Source) -> int | None:
    """Size of a source that is one regular file; None of any other."""
    url = parse_url(source.url)
    path = Path(url.path)
    return path.stat().st_size or None if url.scheme == "file" and url.path != "-" and path.is_file() else None


def _encoder(kind: str, to: SourceUrl) -> Encoder:
    if kind in {"mseed", "mseed3"}:
        return lambda packet: encode_records(packet, version=2 if kind == "mseed" else 3)
    make = FORMATS[kind].encoder
    if make is None:
        raise UsageError(f"--format {kind}: found a format that is only read")
    return make(to.scheme == "udp")


def _part(option: str, text: str) -> float:
    """Read `1%` or `0.01`."""
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UsageError(f"--{option}: found {text!r}, wanted a part such as 1% or 0.01")
    return value


def _time(option: str, text: str) -> float:
    """Read `20ms`, `0.02` or `1s`."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?)\s*(s|ms|us)?", text)
    if match is None:
        raise UsageError(f"--{option}: found {text!r}, wanted a time such as 20ms or 0.02")
    return float(match[1]) * _SECONDS[match[2] or ""]
