"""SeedLink over real sockets: cut anywhere and dialled again, nothing is lost or comes twice; TLS, log-in."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import packets
import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st
from packets import START_NS, packet
from seedlink_server import SeedLinkServer, serving

from seisedge.edge.errors import DataError, UsageError
from seisedge.edge.sources import open_source, parse_url
from seisedge.edge.sources.connection import Backoff
from seisedge.edge.sources.seedlink import SeedLinkSource
from seisedge.firmware_bridge import Packet

T = TypeVar("T")
COUNTS = np.random.default_rng(11).integers(-30_000, 30_000, 1200).astype(np.int32)
CONTENT = b"".join(
    [
        *packets.records(packet(COUNTS)),
        *packets.records(packet(COUNTS[:300], component="N")),
        *packets.records(packet(COUNTS, component="E"), length=1024),
        *packets.records(Packet("FDSN:GE_APE__B_H_Z", START_NS, 20.0, COUNTS[:500])),
    ]
)


async def at_once(seconds: float) -> None:
    """A wait that takes no time."""
    assert seconds > 0
    await asyncio.sleep(0)


def run(work: Coroutine[Any, Any, T]) -> T:
    async def limited() -> T:
        return await asyncio.wait_for(work, 20)

    return asyncio.run(limited())


def source_of(url: str, resume: str | None = None) -> SeedLinkSource:
    return SeedLinkSource(parse_url(url), resume, backoff=Backoff(sleep=at_once))


async def take(source: SeedLinkSource, count: int) -> list[Packet]:
    """The next packets; the connection is closed after them."""
    found: list[Packet] = []
    async with aclosing(source.packets()) as received:
        async for each in received:
            found.append(each)
            if len(found) == count:
                break
    return found


def names(found: list[Packet]) -> list[tuple[str, int, int]]:
    return [(each.source_id, each.starttime_ns, int(each.samples.sum())) for each in found]


async def all_of(server: SeedLinkServer, version: int) -> list[tuple[str, int, int]]:
    source = source_of(f"{server.url}?version={version}&fetch=yes")
    async with aclosing(source.packets()) as received:
        return names([each async for each in received])


@pytest.mark.parametrize("version", [3, 4])
@settings(max_examples=25)
@given(cuts=st.lists(st.integers(0, 9000), min_size=1, max_size=4))
def test_a_stream_cut_at_any_byte_loses_and_repeats_nothing(version: Literal[3, 4], cuts: list[int]) -> None:
    async def scenario() -> None:
        async with serving(CONTENT, versions=(version,)) as server:
            wanted = await all_of(server, version)
            server.cut_after = [*cuts]
            source = source_of(f"{server.url}?streams=XX_TEST,GE_APE")
            assert names(await take(source, len(wanted))) == wanted
            assert source.counts.packets == len(wanted)
            assert source.counts.damaged == 0

    run(scenario())


@pytest.mark.parametrize("version", [3, 4])
@settings(max_examples=10)
@given(first=st.integers(1, 12))
def test_a_new_process_goes_on_behind_the_position(version: Literal[3, 4], first: int) -> None:
    async def scenario() -> None:
        async with serving(CONTENT, versions=(version,)) as server:
            server.first_sequence = 0xFFFFFA  # the numbers of version 3 wrap on the way
            wanted = await all_of(server, version)
            url = f"{server.url}?streams=XX_*:HH?,GE_APE"
            before = source_of(url)
            assert before.position is None
            found = await take(before, first)
            after = source_of(url, before.position)
            found += await take(after, len(wanted) - first)
            assert names(found) == wanted

    run(scenario())


@pytest.mark.parametrize("version", [3, 4])
def test_a_server_that_counts_from_the_last_packet_repeats_nothing(version: Literal[3, 4]) -> None:
    async def scenario() -> None:
        async with serving(CONTENT, versions=(version,)) as server:
            wanted = await all_of(server, version)
            server.repeats_last, server.cut_after = True, [3000, 2000]
            source = source_of(f"{server.url}?streams=XX_TEST,GE_APE")
            assert names(await take(source, len(wanted))) == wanted
            assert server.connections == 4

    run(scenario())


def test_a_server_that_speaks_another_version_is_not_asked_by_the_old_numbers() -> None:
    async def scenario() -> None:
        async with serving(CONTENT, versions=(3,)) as server:
            position = json.dumps({"version": 4, "after": {"XX_TEST": 10**12, "XX_GONE": 10**12}})
            source = source_of(f"{server.url}?streams=XX_TEST:HHZ", position)
            assert len(await take(source, 2)) == 2
            assert "another version" in source.counts.last_problem
            assert "DATA" in server.commands
            assert not [each for each in server.commands if each.startswith("DATA ")]
            position = json.loads(source.position or "")
            assert (position["version"], set(position["after"])) == (3, {"XX_TEST"})

    run(scenario())


def test_channels_are_chosen_and_left_out() -> None:
    async def scenario() -> None:
        async with serving(CONTENT) as server:
            for version in (3, 4):
                source = source_of(f"{server.url}?streams=XX_TEST:HH?+!HHN&version={version}&fetch=yes")
                async with aclosing(source.packets()) as received:
                    found = {each.source_id[-1] async for each in received}
                assert found == {"Z", "E"}

    run(scenario())


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_side(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.mark.parametrize("how", ["password", "token"])
def test_tls_with_log_in(authority: trustme.CA, tmp_path: Path, how: str) -> None:
    secret, ca_file = tmp_path / "secret", tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    secret.write_text("open sesame\n".replace(" ", "-"), encoding="utf-8")

    async def scenario() -> None:
        async with serving(CONTENT, versions=(3, 4), tls=server_side(authority)) as server:
            server.user, server.password, server.token = "me", "open-sesame", "open-sesame"
            server.cut_after = [3000, None]
            at = f"me@localhost:{server.port}" if how == "password" else f"localhost:{server.port}"
            url = f"seedlinks://{at}?streams=XX_TEST:HHZ&ca_file={ca_file}&{how}_file={secret}"
            source = source_of(url)
            found = await take(source, len(packets.records(packet(COUNTS))))
            assert np.array_equal(np.concatenate([each.samples for each in found]), COUNTS)
            assert server.connections == 2
            assert "open-sesame" not in source.url + (source.position or "")
            secret.write_text("wrong", encoding="utf-8")
            with pytest.raises(DataError, match="AUTH: the server refuses: AUTH wrong name or password"):
                await take(source_of(url), 1)

    run(scenario())


def test_a_server_whose_certificate_nobody_vouches_for_is_not_talked_to(authority: trustme.CA) -> None:
    async def scenario() -> None:
        async with serving(CONTENT, tls=server_side(authority)) as server:
            source = source_of(f"{server.url}?streams=XX_TEST")
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(take(source, 1), 0.5)
            assert "CERTIFICATE_VERIFY_FAILED" in source.counts.last_problem
            assert server.commands == []

    run(scenario())


@pytest.mark.parametrize("version", [3, 4])
def test_a_silent_server_is_asked_for_a_sign_of_life_and_left_if_it_gives_none(version: Literal[3, 4]) -> None:
    async def scenario() -> None:
        async with serving(CONTENT, versions=(version,)) as server:
            source = source_of(f"{server.url}?streams=GE_APE&keepalive=0.05")
            task = asyncio.ensure_future(take(source, 99))
            await server.until(lambda: server.commands.count("INFO ID") == 3)
            assert (server.connections, source.counts.damaged) == (1, 0)  # its answers are signs of life, no damage
            server.answers_info = False
            await server.until(lambda: server.connections == 2)
            assert source.counts.last_problem.endswith("the server has gone silent")
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    run(scenario())


def test_a_server_that_never_says_hello_is_left() -> None:
    async def scenario() -> None:
        greeted, again = asyncio.Event(), asyncio.Event()

        async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            (again if greeted.is_set() else greeted).set()
            while await reader.read(100):
                pass
            writer.close()

        async with await asyncio.start_server(keep_silent, "localhost", 0) as server:
            source = source_of(f"seedlink://localhost:{server.sockets[0].getsockname()[1]}?keepalive=0.05")
            task = asyncio.ensure_future(take(source, 1))
            await again.wait()
            assert source.counts.last_problem.endswith("the server does not answer")
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    run(scenario())


def test_unknown_stations_are_told_in_the_servers_words_and_asked_for_again() -> None:
    async def scenario() -> None:
        async with serving(CONTENT) as server:
            source = source_of(f"{server.url}?streams=XX_NONE")
            task = asyncio.ensure_future(take(source, 1))
            await server.until(lambda: server.commands.count("HELLO") == 3)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert "STATION XX_NONE: the server refuses: ARGUMENTS no such station" in source.counts.last_problem

    run(scenario())


def test_start_times_and_info() -> None:
    async def scenario() -> None:
        async with serving(CONTENT) as server:
            for version in (3, 4):
                url = f"{server.url}?streams=XX_TEST:HHZ&version={version}&start=2020-09-13T12:26:45"
                found = await take(source_of(url), 1)
                assert found[0].starttime_ns >= START_NS + 5_000_000_000
                source = source_of(f"{server.url}?version={version}")
                assert b"GE" in await source.info("STATIONS")
                with pytest.raises(DataError, match="INFO NONSENSE: the server refuses"):
                    await source.info("NONSENSE")

    run(scenario())


def test_waits_grow_and_have_a_random_part_and_begin_again() -> None:
    waited: list[float] = []

    async def note(seconds: float) -> None:
        waited.append(seconds)

    async def scenario() -> None:
        backoff = Backoff(first_s=1, longest_s=8, jitter=lambda: 0.5, sleep=note)
        for _ in range(5):
            await backoff.wait()
        backoff.reset()
        await backoff.wait()

    run(scenario())
    assert waited == [0.75, 1.5, 3.0, 6.0, 6.0, 0.75]


BAD = {
    "seedlink://host?stations=XX_A": "unknown option 'stations'",
    "seedlink://host?streams=APE": "wanted NET_STA",
    "seedlink://host?streams=XX_A:$$": "wanted a channel",
    "seedlink://host?version=5": "wanted 3 or 4",
    "seedlink://host?fetch=perhaps": "wanted yes or no",
    "seedlink://host?keepalive=-1": "wanted a number of seconds",
    "seedlink://host?end=2024-01-01": "found end without start",
    "seedlink://me@host": "found one of user and password_file",
    "seedlink:": "found no host",
    "seedlinks://host?token_file=/nowhere": "token_file /nowhere: cannot be read",
    "seedlinks://host?ca_file=/nowhere": "ca_file /nowhere: cannot be read",
}


@pytest.mark.parametrize("url", BAD)
def test_urls_that_make_no_sense_are_refused(url: str) -> None:
    with pytest.raises(UsageError, match=BAD[url].replace("$", "\\$")):
        open_source(url)


def test_secrets_need_tls_and_one_line(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("one\ntwo\n", encoding="utf-8")
    with pytest.raises(UsageError, match="found 2 lines, wanted one"):
        open_source(f"seedlinks://host?token_file={secret}")
    secret.write_text("one", encoding="utf-8")
    with pytest.raises(UsageError, match="without TLS, wanted seedlinks://"):
        open_source(f"seedlink://host?token_file={secret}")


@pytest.mark.parametrize(
    "position", ["", "{}", "[]", '{"version": 5, "after": {}}', '{"version": 4, "after": {"A": "1"}}']
)
def test_positions_of_others_are_refused(position: str) -> None:
    with pytest.raises(UsageError, match="wanted one of this source"):
        open_source("seedlink://host", resume=position)


def test_a_position_is_json() -> None:
    position = json.dumps({"version": 4, "after": {"XX_TEST": 2**63}})
    assert open_source("seedlink://host?streams=XX_TEST", resume=position).position == position
