"""Files, folders, SDS archives, growing files and pipes as sources."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import packets
import pytest
from packets import START_NS, packet

from seisedge.edge.errors import DataError, UsageError
from seisedge.edge.sources import open_source, parse_url
from seisedge.edge.sources.files import FileSource
from seisedge.firmware_bridge import Packet, decode_record

T = TypeVar("T")
COUNTS = np.random.default_rng(13).integers(-30_000, 30_000, 2000).astype(np.int32)
RECORDS = packets.records(packet(COUNTS))
DAY_NS = 86_400_000_000_000


def run(work: Coroutine[Any, Any, T]) -> T:
    async def limited() -> T:
        return await asyncio.wait_for(work, 20)

    return asyncio.run(limited())


def packets_of(url: str, resume: str | None = None) -> list[Packet]:
    async def gather() -> list[Packet]:
        return [each async for each in open_source(url, resume=resume).packets()]

    return run(gather())


def joined(found: list[Packet]) -> list[int]:
    return [int(each) for part in found for each in part.samples]


def test_a_file_gives_its_packets_in_order_of_time(tmp_path: Path) -> None:
    path = tmp_path / "day.mseed"
    path.write_bytes(b"".join(reversed(RECORDS)))
    assert joined(packets_of(str(path))) == COUNTS.tolist()


def test_a_span_is_cut_out_to_the_sample(tmp_path: Path) -> None:
    path = tmp_path / "day.mseed"
    path.write_bytes(b"".join(RECORDS))
    found = packets_of(f"file:{path}?start=2020-09-13T12:26:41&end=2020-09-13T12:26:45.5&streams=XX_TEST:HHZ")
    assert joined(found) == COUNTS[100:550].tolist()


def test_an_archive_goes_on_behind_a_position(tmp_path: Path) -> None:
    path = tmp_path / "day.mseed"
    path.write_bytes(b"".join(RECORDS))

    async def first() -> tuple[list[Packet], str | None]:
        source = FileSource(parse_url(str(path)))
        assert source.position is None
        found: list[Packet] = []
        async with aclosing(source.packets()) as received:
            async for each in received:
                found.append(each)
                if len(found) == 3:
                    break
        return found, source.position

    found, position = run(first())
    assert joined(found + packets_of(str(path), position)) == COUNTS.tolist()
    with pytest.raises(UsageError, match="wanted one of this source"):
        packets_of(str(path), '{"done": -1}')


def sds(root: Path) -> None:
    for day in range(3):
        for channel in ("HHZ", "HHN"):
            start = START_NS // DAY_NS * DAY_NS + day * DAY_NS
            each = packet(COUNTS, start_ns=start, component=channel[-1])
            folder = root / "2020" / "XX" / "TEST" / f"{channel}.D"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"XX.TEST..{channel}.D.2020.{257 + day}").write_bytes(b"".join(packets.records(each)))
    (root / "notes.txt").write_text("not data", encoding="utf-8")


def test_an_sds_archive_gives_streams_and_days(tmp_path: Path) -> None:
    sds(tmp_path)
    assert len(joined(packets_of(f"sds:{tmp_path}"))) == 6 * 2000
    found = packets_of(f"sds:{tmp_path}?streams=XX_TEST:HHZ&start=2020-09-14&end=2020-09-15")
    assert joined(found) == COUNTS.tolist()
    assert {each.source_id[-1] for each in found} == {"Z"}
    with pytest.raises(DataError, match="found no miniSEED of the wanted streams and times"):
        packets_of(f"sds:{tmp_path}?streams=GE_APE")


def test_a_folder_is_an_archive(tmp_path: Path) -> None:
    sds(tmp_path)
    assert len(joined(packets_of(str(tmp_path)))) == 6 * 2000


def test_a_growing_file_is_followed_and_read_anew_when_it_was_cut(tmp_path: Path) -> None:
    path = tmp_path / "growing.mseed"
    path.write_bytes(RECORDS[0] + RECORDS[1][:100])
    steps = [RECORDS[1][100:] + RECORDS[2], b"", RECORDS[3], None, RECORDS[4]]

    async def grow(_: float) -> None:
        await asyncio.sleep(0)
        step = steps.pop(0)
        if step is None:
            os.truncate(path, 0)
        else:
            with path.open("ab") as file:
                file.write(step)

    async def scenario() -> list[Packet]:
        source = FileSource(parse_url(f"file:{path}?follow=yes"), sleep=grow)
        found: list[Packet] = []
        async with aclosing(source.packets()) as received:
            async for each in received:
                found.append(each)
                if len(found) == 5:
                    assert source.position == f'{{"done": {len(RECORDS[4])}}}'
                    return found
        return found

    assert joined(run(scenario())) == joined([decode_record(each) for each in RECORDS[:5]])


def test_a_pipe_gives_packets_as_they_come_and_ends_with_its_writer(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)

    async def scenario() -> list[Packet]:
        source = FileSource(parse_url(str(path)))
        reading = asyncio.ensure_future(anext_of(source))
        await asyncio.sleep(0)
        with path.open("wb", buffering=0) as pipe:
            pipe.write(b"".join(RECORDS[:3]))
        found = await reading
        assert source.position is None
        return found

    async def anext_of(source: FileSource) -> list[Packet]:
        return [each async for each in source.packets()]

    assert joined(run(scenario())) == joined([decode_record(each) for each in RECORDS[:3]])


def test_damage_is_counted_and_the_rest_comes(tmp_path: Path) -> None:
    path = tmp_path / "growing.mseed"
    path.write_bytes(RECORDS[0] + b"\xff" * 300 + RECORDS[1] + RECORDS[2][:200])

    async def scenario() -> None:
        source = FileSource(parse_url(f"file:{path}?follow=yes"), sleep=stop)
        found: list[Packet] = []

        async def gather() -> None:
            async for each in source.packets():
                found.append(each)  # noqa: PERF401 - kept when the wait ends it

        with pytest.raises(KeyError):
            await gather()
        assert joined(found) == joined([decode_record(each) for each in RECORDS[:2]])
        assert source.counts.damaged == 1
        assert "wanted a record" in source.counts.last_problem

    async def stop(_: float) -> None:
        raise KeyError

    run(scenario())


def test_inputs_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("station,time\n" * 100, encoding="utf-8")
    for url, wanted in {
        "nowhere.mseed": "no such file or folder",
        f"file:{tmp_path}?follow=yes": "wanted one",
        f"file:{text}?folow=yes": "did you mean 'follow'",
        f"file:{text}?format=csv": "unknown format 'csv'",
    }.items():
        with pytest.raises(UsageError, match=wanted):
            packets_of(url)
    with pytest.raises(DataError, match="wanted one of miniseed"):
        packets_of(str(text))
