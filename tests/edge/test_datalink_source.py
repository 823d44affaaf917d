"""DataLink over real sockets: nothing lost or repeated over connections, and results written into a ring."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import packets
import pytest
from datalink_server import ring_of
from hypothesis import given, settings
from hypothesis import strategies as st
from packets import packet

from seisedge.edge.errors import DataError, UsageError
from seisedge.edge.sources import open_source, parse_url
from seisedge.edge.sources.connection import Backoff
from seisedge.edge.sources.datalink import DataLinkSource
from seisedge.edge.sources.datalink_writer import DataLinkWriter
from seisedge.firmware_bridge import Packet, decode_record

T = TypeVar("T")
COUNTS = np.random.default_rng(12).integers(-30_000, 30_000, 1500).astype(np.int32)
RECORDS = [*packets.records(packet(COUNTS)), *packets.records(packet(COUNTS, component="N"))]
CONTENT = b"".join(RECORDS)
WANTED = [(each.source_id, each.starttime_ns) for each in map(decode_record, RECORDS)]


async def at_once(_: float) -> None:
    await asyncio.sleep(0)


def run(work: Coroutine[Any, Any, T]) -> T:
    async def limited() -> T:
        return await asyncio.wait_for(work, 20)

    return asyncio.run(limited())


def source_of(port: int, options: str = "", resume: str | None = None) -> DataLinkSource:
    return DataLinkSource(parse_url(f"datalink://localhost:{port}{options}"), resume, backoff=Backoff(sleep=at_once))


async def take(source: DataLinkSource, count: int) -> list[tuple[str, int]]:
    found: list[Packet] = []
    async with aclosing(source.packets()) as received:
        async for each in received:
            found.append(each)
            if len(found) == count:
                break
    return [(each.source_id, each.starttime_ns) for each in found]


@settings(max_examples=25)
@given(cuts=st.lists(st.integers(0, 9000), min_size=1, max_size=4), first=st.integers(1, len(WANTED) - 1))
def test_a_stream_cut_at_any_byte_loses_and_repeats_nothing(cuts: list[int], first: int) -> None:
    async def scenario() -> None:
        async with ring_of(CONTENT) as server:
            server.cut_after = [*cuts]
            before = source_of(server.port, "?match=XX_.*/MSEED")
            found = await take(before, first)
            found += await take(source_of(server.port, resume=before.position), len(WANTED) - first)
            assert found == WANTED

    run(scenario())


def test_streams_are_chosen_and_others_rejected() -> None:
    async def scenario() -> None:
        async with ring_of(CONTENT) as server:
            server.add("XX_TEST/JSON", 1 << 60, 1 << 60, b"{}")
            found = await take(source_of(server.port, "?match=XX_TEST&reject=.*HHN/"), len(WANTED) // 2)
            assert {name[-1] for name, _ in found} == {"Z"}
            assert await take(source_of(server.port, "?start=2020-09-13T12:26:45"), 1) == WANTED[-9:-8]
            with pytest.raises(UsageError, match="wanted a regular expression"):
                source_of(server.port, "?match=(")

    run(scenario())


def test_a_silent_ring_is_asked_for_a_sign_of_life_and_left_if_it_gives_none() -> None:
    async def scenario() -> None:
        async with ring_of(CONTENT) as server:
            source = source_of(server.port, "?keepalive=0.05")
            task = asyncio.ensure_future(take(source, len(WANTED) + 1))
            while sum(each.startswith("ID ") for each in server.commands) < 4:  # noqa: ASYNC110 - of another task
                await asyncio.sleep(0.01)
            assert (server.connections, source.counts.damaged) == (1, 0)
            server.says_its_name = False
            while server.connections < 2:  # noqa: ASYNC110 - of another task
                await asyncio.sleep(0.01)
            assert source.counts.last_problem.endswith("the server has gone silent")
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    run(scenario())


def test_a_ring_that_has_moved_on_is_read_from_its_start() -> None:
    async def scenario() -> None:
        async with ring_of(CONTENT) as server:
            source = source_of(server.port, resume='{"packet_id": 1, "packettime_ns": 0}')
            del server.ring[:3]
            assert await take(source, len(WANTED) - 3) == WANTED[3:]
            assert source.counts.last_problem == "packet 1 has left the ring: went on with the earliest one"

    run(scenario())


def test_a_ring_that_counts_from_the_last_packet_repeats_nothing() -> None:
    async def scenario() -> None:
        async with ring_of(CONTENT) as server:
            server.repeats_last, server.cut_after = True, [3000, 2000]
            assert await take(source_of(server.port), len(WANTED)) == WANTED
            assert server.connections == 3

    run(scenario())


def test_a_token_is_needed_where_the_server_wants_one(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("a.b.c", encoding="utf-8")

    async def scenario() -> None:
        async with ring_of(CONTENT) as server:
            server.token = "a.b.c"  # noqa: S105 - what the test server wants
            assert await take(source_of(server.port, f"?token_file={token}"), 1) == WANTED[:1]
            token.write_text("wrong", encoding="utf-8")
            with pytest.raises(DataError, match="AUTHORIZATION: the server refuses: token refused"):
                await take(source_of(server.port, f"?token_file={token}"), 1)
            assert b"XX_TEST__HHZ/MSEED" in await open_info(server.port)

    async def open_info(port: int) -> bytes:
        async with ring_of(CONTENT) as other:
            assert other.port != port
            return await source_of(other.port).info("STREAMS")

    run(scenario())


def test_what_is_written_is_in_the_ring_and_acknowledged() -> None:
    async def scenario() -> None:
        async with ring_of() as server, DataLinkWriter("localhost", server.port) as ring:
            assert await ring.write("XX_TEST__HHZ/MSEED", 1_000, 2_000, RECORDS[0]) == 1
            assert await ring.write("XX_TEST/JSON", 1_000, 2_000, b"{}") == 2
            assert [(each.stream_id, each.payload) for each in server.ring] == [
                ("XX_TEST__HHZ/MSEED", RECORDS[0]),
                ("XX_TEST/JSON", b"{}"),
            ]
            assert server.connections == 1

    run(scenario())


def test_a_refused_packet_is_told_in_the_servers_words_and_a_lost_server_is_dialled_again() -> None:
    async def scenario() -> None:
        async with ring_of() as server:
            ring = DataLinkWriter("localhost", server.port)
            server.accepts_writes = False
            with pytest.raises(DataError, match="Write permission denied"):
                await ring.write("XX_TEST/JSON", 0, 0, b"{}")
            server.accepts_writes = True
            await server.stop()
            with pytest.raises(OSError, match=r"."):
                await ring.write("XX_TEST/JSON", 0, 0, b"{}")
            with pytest.raises(OSError, match=r"."):
                await ring.write("XX_TEST/JSON", 0, 0, b"{}")
            await server.start()
            assert await ring.write("XX_TEST/JSON", 0, 0, b"{}") == 1
            await ring.close()

    run(scenario())


@pytest.mark.parametrize("position", ["", "{}", "7", '{"packet_id": "1", "packettime_ns": 0}'])
def test_positions_of_others_are_refused(position: str) -> None:
    with pytest.raises(UsageError, match="wanted one of this source"):
        open_source("datalink://host", resume=position)


def test_urls_that_make_no_sense_are_refused() -> None:
    for url, wanted in {"datalink:": "found no host", "datalink://host?matches=a": "unknown option 'matches'"}.items():
        with pytest.raises(UsageError, match=wanted):
            open_source(url)
