"""A real record through SeedLink: the final picks are those of `edge-scan` on the files, bit for bit."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import daemon_rig as rig
import pytest
from seedlink_server import SeedLinkServer
from shared_data import SHARED, needs_shared

from seisedge.edge import Pick, Result, Scanner, ScanOptions, models
from seisedge.edge.daemon.config import parse_config
from seisedge.edge.daemon.service import Service
from seisedge.edge.session import OrtSession
from seisedge.edge.times import format_time
from seisedge.firmware_bridge import read_headers

CX = SHARED / "mseed" / "cx_20140501"
BYTES = 300_000  # of each file: about 20 minutes


def cut(folder: Path) -> list[Path]:
    """The first whole records of each of PB01's files."""
    found: list[Path] = []
    for path in sorted(CX.glob("*PB01*")):
        content = path.read_bytes()[: BYTES // 512 * 512]
        target = folder / path.name
        target.write_bytes(content)
        found.append(target)
    return found


def scanned(paths: list[Path]) -> list[tuple[Any, ...]]:
    scanner = Scanner(OrtSession(models.find_model("seismo-performer")), ScanOptions())
    results: list[Result] = []
    for station in scanner.index(tuple(paths)):
        scanner.scan(station, results.extend)
    return sorted(
        (each.station.station, each.phase_hint, format_time(each.time_ns), round(each.probability, 6))
        for each in results
        if isinstance(each, Pick)
    )


def by_time(paths: list[Path]) -> bytes:
    """All records in the order in which they end, as a live server has them."""
    records: list[tuple[int, bytes]] = []
    for path in paths:
        content = path.read_bytes()
        records += [
            (each.endtime_ns, content[each.offset : each.offset + each.length]) for each in read_headers(content)
        ]
    return b"".join(record for _, record in sorted(records, key=lambda each: each[0]))


def config(folder: Path, url: str) -> str:
    return f"""
[daemon]
state = "{folder}/state"
[http]
listen = ""
[[source]]
url = "{url}"
[[sink]]
type = "jsonl"
path = "{folder}/picks.jsonl"
fsync = false
"""


@needs_shared
@pytest.mark.parametrize("interrupted", [False, True])
def test_seedlink(tmp_path: Path, *, interrupted: bool) -> None:
    paths = cut(tmp_path)
    content = by_time(paths)
    records = len(list(read_headers(content)))

    async def run() -> None:
        server = SeedLinkServer(content)
        if interrupted:
            server.cut_after = [100_000, 333_333, None]
        await server.start()
        service = Service(parse_config(config(tmp_path, f"{server.url}?streams=CX_PB01"), "x"), until_end=True)
        task = asyncio.ensure_future(service.run())
        await rig.until(lambda: bool(service.intakes) and service.intakes[0].source.counts.packets >= records)
        await rig.until(lambda: service.workers[0].inbox.depth() == 0)
        for each in service.tasks.values():
            each.cancel()
        assert await task == 0
        await server.stop()
        assert server.connections == (3 if interrupted else 1)

    asyncio.run(run())
    wanted = scanned(paths)
    assert rig.published_picks(rig.rows_of(tmp_path)) == wanted
    assert len(wanted) > 10
