"""Triggered waveforms outlive a kill: whole where the source sends again or goes on, else a part."""

from __future__ import annotations

import asyncio
import io
import signal
import socket
from pathlib import Path
from typing import Any

import daemon_rig as rig
import numpy as np
import obspy
import packets
import pytest
from daemon_process import daemon_of
from hypothesis import given, settings
from hypothesis import strategies as st
from mosquitto_broker import free_port

from seisedge.edge import StationId
from seisedge.edge.daemon.config import parse_config
from seisedge.edge.daemon.results import Stamps, Statement
from seisedge.edge.daemon.service import Service
from seisedge.edge.daemon.snippets import Snippet
from seisedge.edge.daemon.station import Station
from seisedge.edge.daemon.store import Entry
from seisedge.edge.daemon.traces import Traces
from seisedge.edge.times import parse_time
from seisedge.firmware_bridge import Packet
from seisedge.firmware_bridge.frame import encode_frame

BEFORE_S, AFTER_S = 5, 30
PICK_NS = packets.START_NS + 11_500_000_000
SINK = '[[sink]]\ntype = "waveform"\nfolder = "{folder}/cuts"\nbefore_s = {before}\nafter_s = {after}\n'


def sink(folder: Path) -> str:
    return SINK.format(folder=folder, before=BEFORE_S, after=AFTER_S)


def finals(folder: Path) -> list[dict[str, Any]]:
    return [row for row in rig.rows_of(folder) if row["status"] == "final"]


def cut_of(folder: Path, row: dict[str, Any]) -> Path | None:
    return next(iter((folder / "cuts").glob(f"*_{row['id']}.mseed")), None)


def assert_whole(path: Path, row: dict[str, Any], sent: list[Packet], hole: tuple[int, int] = (0, 0)) -> None:
    """Each component's samples around the pick as they were sent, but for a hole between two times."""
    stream = obspy.read(str(path)).merge()
    assert sorted(trace.stats.channel[-1] for trace in stream) == ["E", "N", "Z"]
    for trace in stream:
        mine = [each for each in sent if each.source_id.endswith(trace.stats.channel[-1])]
        whole = np.concatenate([each.samples for each in sorted(mine, key=lambda each: each.starttime_ns)])
        pick = (parse_time(row["time"]) - packets.START_NS) / 1e7  # samples
        first, stop = (int(np.ceil(pick + 100 * each - 1e-6)) for each in (-BEFORE_S, AFTER_S))
        first = max(0, first)
        times = packets.START_NS + np.arange(first, stop) * 10**7
        may_lack = (times >= hole[0]) & (times < hole[1])
        lacks, found = np.ones(stop - first, np.bool_), np.zeros(stop - first, np.int32)
        lacks[: trace.stats.npts] = np.ma.getmaskarray(trace.data)
        found[: trace.stats.npts] = np.ma.getdata(trace.data)
        assert not (lacks & ~may_lack).any()
        np.testing.assert_array_equal(found[~lacks], whole[first:stop][~lacks])


@settings(deadline=None, max_examples=30)
@given(late=st.lists(st.integers(0, 4_000), min_size=180, max_size=180))
def test_a_cut_waits_for_channels_and_packets_that_are_late(late: list[int]) -> None:
    """However packets overtake each other within the wait, the waveform is whole; and it is cut within the wait."""
    sent = rig.stream(samples=100, seconds=60)
    order = sorted(zip(late, sent, strict=True), key=lambda each: each[1].starttime_ns + each[0] * 10**6)
    entry, newest_ns = cut_from([each[1] for each in order])
    stream = obspy.read(io.BytesIO(entry.content or b""))
    assert [trace.stats.npts for trace in stream] == [100 * (BEFORE_S + AFTER_S)] * 3
    assert newest_ns < PICK_NS + (AFTER_S + 5 + 1) * 10**9


def test_a_cut_waits_no_longer_for_a_dead_channel() -> None:
    died_ns = PICK_NS + 10**9
    sent = [each for each in rig.stream(seconds=60) if each.source_id[-1] != "Z" or each.starttime_ns < died_ns]
    entry, newest_ns = cut_from(sent)
    npts = {trace.stats.channel: trace.stats.npts for trace in obspy.read(io.BytesIO(entry.content or b""))}
    assert npts == {"HHE": 3500, "HHN": 3500, "HHZ": 600}
    assert 0 <= newest_ns - (PICK_NS + (AFTER_S + 5) * 10**9) < 10**9


def cut_from(sent: list[Packet]) -> tuple[Entry, int]:
    """Push packets until the waveform around a pick is cut; with the time of the newest sample by then."""
    name, stamps = StationId("XX", "AAA", "", "HH"), Stamps(0, 0, 0, 0)
    pick = Statement("00", 0, "final", "pick", name, "P", PICK_NS, PICK_NS, 0.9, "", {}, stamps)
    station = Station(name, Traces(120.0), wait_ns=5 * 10**9)
    station.snippets.append(Snippet.around(pick, BEFORE_S, AFTER_S, 0))
    for packet in sent:
        station.push(packet, 0)
        for entry in station.cut():
            return entry, station.newest_ns
    raise AssertionError("not cut")


def test_a_kill_between_the_pick_and_its_last_sample(tmp_path: Path, tiny_path: Path) -> None:
    """Datagrams are not sent again: what came before the kill must have been kept."""
    sent, port, udp = rig.stream(samples=100), free_port(), free_port()
    url = f"udp://127.0.0.1:{udp}?format=native&station=XX.AAA"
    text = rig.config_text(tmp_path, tiny_path, sink(tmp_path)).replace("fake.mseed", url)
    config = tmp_path / "daemon.toml"
    config.write_text(text.replace("127.0.0.1:0", f"127.0.0.1:{port}"), encoding="utf-8")
    numbered = list(enumerate(sent))
    killed_at = 3 * 30

    async def part(given: list[tuple[int, Packet]], done: Any, number: signal.Signals) -> None:
        async with daemon_of(config, port) as daemon:
            await daemon.until_answering()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.connect(("127.0.0.1", udp))
                for at, packet in given:
                    sender.send(encode_frame(rig.frame_of(packet, at)))
                    await asyncio.sleep(0)
            await rig.until(done)
            await daemon.end(number)

    asyncio.run(part(numbered[:killed_at], lambda: bool(finals(tmp_path)), signal.SIGKILL))
    row = finals(tmp_path)[0]
    assert parse_time(row["time"]) + AFTER_S * 10**9 > packets.START_NS + 30 * 10**9  # its end had not come
    assert cut_of(tmp_path, row) is None
    asyncio.run(part(numbered[killed_at:], lambda: cut_of(tmp_path, row) is not None, signal.SIGTERM))
    path = cut_of(tmp_path, row)
    assert path is not None
    newest = parse_time(row["sample_time"]) // 10**9 * 10**9 + 10**9  # of the packet that made it final
    assert_whole(path, row, sent, (newest, packets.START_NS + 30 * 10**9))


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_stop_between_the_pick_and_its_last_sample(
    tmp_path: Path, tiny_path: Path, monkeypatch: pytest.MonkeyPatch, *, comes_back: bool
) -> None:
    """A source that goes on where it was is read again; of one that stays silent there is a part, after an hour."""
    sent = rig.stream(samples=100)
    text = rig.config_text(tmp_path, tiny_path, sink(tmp_path))
    monkeypatch.setattr("seisedge.edge.daemon.service._GIVE_UP_EVERY", 1)
    clock = rig.SteppedClock()

    async def run(given: list[Packet], done: Any, *, skip_s: int = 0) -> None:
        rig.feed(monkeypatch, given, live=True)
        service = Service(parse_config(text, "x"), clock=clock)
        task = asyncio.ensure_future(service.run())
        clock.skip_ns += skip_s * 10**9
        await rig.until(done)
        service.stop()
        assert await task == 0

    asyncio.run(run(sent[:90], lambda: bool(finals(tmp_path))))
    row = finals(tmp_path)[0]
    assert cut_of(tmp_path, row) is None
    if comes_back:
        asyncio.run(run(sent, lambda: cut_of(tmp_path, row) is not None))
    else:
        asyncio.run(run([], lambda: cut_of(tmp_path, row) is not None, skip_s=3601))
    path = cut_of(tmp_path, row)
    assert path is not None
    if comes_back:
        assert_whole(path, row, sent)
    else:
        assert_whole(path, row, sent, (packets.START_NS + 30 * 10**9, 1 << 62))
