"""The daemon as a whole, on made-up stations: the offline picks, restarts, reloads, and what may go wrong."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import daemon_rig as rig
import numpy as np
import packets
import pytest

from seisedge.edge import OrtSession
from seisedge.edge.daemon.config import parse_config
from seisedge.edge.daemon.service import Service
from seisedge.edge.daemon.sinks import SinkError
from seisedge.edge.daemon.store import Store
from seisedge.edge.errors import UsageError
from seisedge.edge.times import parse_time


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("samples", [25, 7000])
def test_the_final_picks_are_those_of_the_offline_pipeline(
    tmp_path: Path,
    tiny_path: Path,
    tiny_session: OrtSession,
    monkeypatch: pytest.MonkeyPatch,
    samples: int,
    workers: int,
) -> None:
    sent = rig.stream(("AAA", "BBB", "CCC"), samples=samples)
    rig.feed(monkeypatch, sent)
    text = rig.config_text(tmp_path, tiny_path).replace("[daemon]", f"[daemon]\nworkers = {workers}")
    rig.replay(parse_config(text, "x"))
    rows = rig.rows_of(tmp_path)
    assert rig.published_picks(rows) == rig.wanted_picks(tiny_session, sent)
    assert len(rig.published_picks(rows)) >= 9


@pytest.mark.parametrize("said", [False, True])
def test_nothing_waits_for_components_that_a_station_does_not_have(
    tmp_path: Path, tiny_path: Path, tiny_session: OrtSession, monkeypatch: pytest.MonkeyPatch, *, said: bool
) -> None:
    """The picks are those of a station that has a vertical alone, also where horizontals come."""
    sent = rig.stream()
    vertical = [each for each in sent if each.source_id.endswith("Z")]
    rig.feed(monkeypatch, sent if said else vertical)
    part = '[[station]]\nmatch = "*"\ncomponents = "Z"\n' if said else ""
    rig.replay(rig.config_of(tmp_path, tiny_path, part))
    rows = rig.rows_of(tmp_path)
    wanted = rig.wanted_picks(tiny_session, vertical)
    assert rig.published_picks(rows) == wanted
    assert len(wanted) >= 3


def test_a_station_that_lacks_what_its_model_needs_is_refused(tmp_path: Path, tiny_path: Path) -> None:
    text = rig.config_text(tmp_path, tiny_path, '[[station]]\nmatch = "*"\ncomponents = "NE"\n')
    with pytest.raises(UsageError, match=r"station\[0\].components: found 'NE', wanted Z at least: model tiny needs"):
        Service(parse_config(text, "x"))


def test_a_pick_is_provisional_first_and_every_id_is_closed_once(
    tmp_path: Path, tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.feed(monkeypatch, rig.stream())
    rig.replay(rig.config_of(tmp_path, tiny_path))
    by_id: dict[str, list[dict[str, Any]]] = {}
    for row in rig.rows_of(tmp_path):
        by_id.setdefault(row["id"], []).append(row)
    for rows in by_id.values():
        assert [row["revision"] for row in rows] == list(range(len(rows)))
        assert [row["status"] for row in rows[:-1]] == ["provisional"] * (len(rows) - 1)
        assert rows[-1]["status"] == "final"
    first = [rows[0] for rows in by_id.values() if rows[0]["status"] == "provisional"]
    assert first
    for row in first:
        chain = ("packet_arrival", "window_ready", "inference_done", "published")
        assert [row[key] for key in chain] == sorted(row[key] for key in chain)
        assert row["time"] <= row["sample_time"]
    late = [row for row in rig.rows_of(tmp_path) if row["status"] == "final" and not row["warm_up"]]
    assert all(row["amplitude"] > 20 and row["snr"] > 0 for row in late if row["phase_hint"] == "P")
    assert late


def test_a_restart_loses_and_repeats_nothing(
    tmp_path: Path, tiny_path: Path, tiny_session: OrtSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = rig.stream(seconds=70)
    config = parse_config(rig.config_text(tmp_path, tiny_path).replace("[daemon]", "[daemon]\nhistory_s = 20.0"), "x")

    async def part(stop_after: int) -> None:
        opened = rig.feed(monkeypatch, sent[:stop_after], live=True)
        service = Service(config)
        task = asyncio.ensure_future(service.run())
        await rig.until(lambda: bool(opened) and opened[0].position == str(stop_after))
        await rig.until(lambda: service.workers[0].inbox.depth() == 0)
        service.stop()
        assert await task == 0
        assert int(opened[0].position or 0) == stop_after

    for stop_after in (300, 480, 700):
        asyncio.run(part(stop_after))
    opened = rig.feed(monkeypatch, sent)
    rig.replay(config)
    assert opened[0].counts.packets < len(sent) / 2  # it went on, and did not begin anew
    rows = rig.rows_of(tmp_path)
    wanted = rig.wanted_picks(tiny_session, sent)
    found = rig.published_picks(rows)
    assert [each[:3] for each in found] == [each[:3] for each in wanted]
    assert len({row["id"] for row in rows}) == len(wanted)


def test_statements_wait_for_a_sink_that_is_down_and_come_again_after_a_restart(
    tmp_path: Path, tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = rig.stream()
    rig.feed(monkeypatch, sent)
    (tmp_path / "picks.jsonl").mkdir()  # a file of that name cannot be made
    config = rig.config_of(tmp_path, tiny_path)

    async def run() -> int:
        service = Service(config)
        task = asyncio.ensure_future(service.run())
        await rig.until(lambda: all(each.ended for each in service.intakes) and bool(service.intakes))
        await rig.until(lambda: service.workers[0].inbox.depth() == 0 and not service.deliveries["jsonl"].counts.is_up)
        service.stop()
        await task
        return service.publisher.counts.get(("pick", "provisional"), 0)

    assert asyncio.run(run()) > 0
    (tmp_path / "picks.jsonl").rmdir()
    rig.feed(monkeypatch, sent[-3:])
    rig.replay(config)
    rows = rig.rows_of(tmp_path)
    assert len({row["id"] for row in rows}) >= 3
    assert len({(row["id"], row["revision"]) for row in rows}) == len(rows)


def test_a_reload_goes_on_with_the_same_streams(
    tmp_path: Path, tiny_path: Path, tiny_session: OrtSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = rig.stream()
    half = len(sent) // 2
    text = rig.config_text(tmp_path, tiny_path)

    async def run() -> None:
        opened = rig.feed(monkeypatch, sent[:half], live=True)
        service = Service(parse_config(text, "x"), until_end=False)
        task = asyncio.ensure_future(service.run())
        await rig.until(lambda: bool(opened) and opened[0].position == str(half))
        more = f'[[sink]]\ntype = "csv"\npath = "{tmp_path}/picks.csv"\n'
        assert await service.reload(lambda: parse_config(text + more, "x"))
        opened[0].add(sent[half:])
        await rig.until(lambda: opened[0].position == str(len(sent)) and service.workers[0].inbox.depth() == 0)
        assert opened[0].counts.connects == 1
        assert all(each.counts.connects == 0 for each in opened[1:])  # only looked at
        service.stop()
        await task
        for worker in service.workers:
            worker.finish()
        await asyncio.to_thread(lambda: None)

    asyncio.run(run())
    wanted = rig.wanted_picks(tiny_session, sent)
    found = rig.published_picks(rig.rows_of(tmp_path))
    assert set(found) <= set(wanted)
    assert len(found) >= len(wanted) - 3  # the last ones were open when it stopped
    assert len((tmp_path / "picks.csv").read_text(encoding="utf-8").splitlines()) > 1


def test_a_reload_says_that_a_station_has_a_vertical_alone(
    tmp_path: Path, tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its windows no longer wait for the horizontals; a reload that changes nothing keeps the stream."""
    sent = [each for each in rig.stream() if each.source_id.endswith("Z")]
    text = rig.config_text(tmp_path, tiny_path)
    said = text + '[[station]]\nmatch = "*"\ncomponents = "Z"\n'

    async def run() -> None:
        opened = rig.feed(monkeypatch, sent[:160], live=True)
        async with rig.live(text) as service:
            worker = service.workers[0]
            await rig.until(lambda: opened[0].position == "160")
            await rig.idle(service)
            assert worker.windows <= (4000 - 400 - 500) // 10 + 1  # five seconds behind the newest sample
            (station,) = worker.stations.values()
            before = station.pipelines["tiny"]
            assert await service.reload(lambda: parse_config(text, "x"))
            await rig.idle(service)
            assert station.pipelines["tiny"] is before
            assert await service.reload(lambda: parse_config(said, "x"))
            await rig.idle(service)
            assert station.pipelines["tiny"] is not before
            windows = worker.windows
            opened[0].add(sent[160:164])
            await rig.until(lambda: worker.windows == windows + 10)

    asyncio.run(run())


def zeros(session: OrtSession, windows: Any) -> Any:
    del session
    return [np.zeros((len(windows), 3), np.float32)]


@pytest.mark.parametrize("fault", ["model gone", "model damaged", "other numbers", "no toml", "another state"])
def test_what_is_wrong_at_a_reload_leaves_the_old_configuration(
    tmp_path: Path, tiny_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(tiny_path.read_bytes())
    text = rig.config_text(tmp_path, model)

    def breaking() -> Any:
        if fault == "model gone":
            model.unlink()
        elif fault == "model damaged":
            content = bytearray(model.read_bytes())
            content[200] ^= 1
            model.write_bytes(content)
        elif fault == "other numbers":
            monkeypatch.setattr(OrtSession, "run", zeros)
        elif fault == "no toml":
            return parse_config("[[", "x")
        else:
            return parse_config(text.replace("/state", "/other"), "x")
        return parse_config(text, "x")

    async def run() -> None:
        rig.feed(monkeypatch, rig.stream(), live=True)
        service = Service(parse_config(text, "x"))
        task = asyncio.ensure_future(service.run())
        await rig.until(lambda: bool(service.intakes) and service.workers[0].inbox.depth() == 0)
        before = service.sessions, service.config
        assert not await service.reload(breaking)
        assert (service.sessions, service.config) == before
        assert service.last_reload_problem
        service.stop()
        assert await task == 0

    asyncio.run(run())


def test_a_batch_that_the_machine_cannot_take_is_cut_up(
    tmp_path: Path, tiny_path: Path, tiny_session: OrtSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = OrtSession.run

    def short_of_memory(self: OrtSession, windows: Any) -> Any:
        if len(windows) > 3:
            raise MemoryError
        return run(self, windows)

    sent = rig.stream(("AAA", "BBB"), samples=400)
    rig.feed(monkeypatch, sent)

    def prepare(service: Service) -> None:
        monkeypatch.setattr(OrtSession, "run", short_of_memory)
        assert service.workers[0].failed_windows == 0

    service = rig.replay(rig.config_of(tmp_path, tiny_path), prepare)
    monkeypatch.setattr(OrtSession, "run", run)
    assert service.workers[0].failed_windows == 0
    assert rig.published_picks(rig.rows_of(tmp_path)) == rig.wanted_picks(tiny_session, sent)


def test_single_windows_that_fail_are_gaps_and_are_counted(
    tmp_path: Path, tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: OrtSession, windows: Any) -> Any:
        del self, windows
        raise MemoryError

    rig.feed(monkeypatch, rig.stream())
    service = rig.replay(rig.config_of(tmp_path, tiny_path), lambda _: monkeypatch.setattr(OrtSession, "run", fails))
    assert service.workers[0].failed_windows > 100
    assert rig.rows_of(tmp_path) == []


def test_a_full_disk_stops_no_pick(
    tmp_path: Path, tiny_path: Path, tiny_session: OrtSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Store, *arguments: Any) -> None:
        del arguments
        if not self.is_memory:
            raise sqlite3.OperationalError("database or disk is full")

    add = Store.add

    def add_or_fail(self: Store, *arguments: Any) -> None:
        full(self)
        add(self, *arguments)

    monkeypatch.setattr(Store, "add", add_or_fail)
    sent = rig.stream()
    rig.feed(monkeypatch, sent)
    service = rig.replay(rig.config_of(tmp_path, tiny_path))
    assert not service.outbox.is_durable
    assert service.outbox.counts.last_problem.endswith("database or disk is full")
    assert rig.published_picks(rig.rows_of(tmp_path)) == rig.wanted_picks(tiny_session, sent)


def test_a_state_folder_that_cannot_be_written_stops_no_pick(
    tmp_path: Path, tiny_path: Path, tiny_session: OrtSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state").write_text("a file where the folder should be", encoding="utf-8")
    sent = rig.stream()
    rig.feed(monkeypatch, sent)
    service = rig.replay(rig.config_of(tmp_path, tiny_path))
    assert not service.outbox.is_durable
    assert rig.published_picks(rig.rows_of(tmp_path)) == rig.wanted_picks(tiny_session, sent)


@pytest.mark.parametrize("step_h", [-1, 1])
def test_a_step_of_the_clock_changes_no_pick(
    tmp_path: Path, tiny_path: Path, tiny_session: OrtSession, monkeypatch: pytest.MonkeyPatch, step_h: int
) -> None:
    sent = rig.stream()
    clock = rig.SteppedClock()

    async def run() -> None:
        opened = rig.feed(monkeypatch, sent[:420], live=True)
        service = Service(rig.config_of(tmp_path, tiny_path), clock=clock)
        task = asyncio.ensure_future(service.run())
        await rig.until(lambda: bool(opened) and opened[0].position == "420")
        clock.step_ns += step_h * 3_600_000_000_000
        opened[0].add(sent[420:])
        await rig.until(lambda: opened[0].position == str(len(sent)) and service.workers[0].inbox.depth() == 0)
        service.stop()
        await task

    asyncio.run(run())
    found = rig.published_picks(rig.rows_of(tmp_path))
    assert set(found) <= set(rig.wanted_picks(tiny_session, sent))
    assert len(found) >= 3


def test_stations_beyond_the_bound_are_refused(
    tmp_path: Path, tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.feed(monkeypatch, rig.stream(("AAA", "BBB", "CCC"), seconds=20))
    text = rig.config_text(tmp_path, tiny_path).replace("[daemon]", "[daemon]\nmax_stations = 2")
    service = rig.replay(parse_config(text, "x"))
    assert len(service.workers[0].stations) == 2
    assert service.stations.refused == 20 * 4 * 3


def test_a_sink_that_fails_holds_up_no_other(
    tmp_path: Path, tiny_path: Path, tiny_session: OrtSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = rig.stream()
    rig.feed(monkeypatch, sent)
    more = '[[sink]]\ntype = "udp"\nhost = "localhost"\nport = 9\nname = "broken"\n'
    from seisedge.edge.daemon.sinks.udp import UdpSender  # noqa: PLC0415 - patched here

    def refuse(self: UdpSender, items: Any) -> None:
        del self, items
        raise SinkError("no")

    monkeypatch.setattr(UdpSender, "deliver", refuse)
    monkeypatch.setattr("seisedge.edge.daemon.service._DRAIN_S", 0.1)
    service = rig.replay(rig.config_of(tmp_path, tiny_path, more))
    assert rig.published_picks(rig.rows_of(tmp_path)) == rig.wanted_picks(tiny_session, sent)
    assert service.deliveries["broken"].counts.failures > 0


def test_what_a_gap_closes_is_not_marked_as_the_start_of_the_stream_behind_it(
    tmp_path: Path, tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gap = [packets.START_NS + round(second * 1e9) for second in (43.5, 54)]
    sent = [each for each in rig.stream(bursts=(41.5, 57.5)) if not gap[0] <= each.starttime_ns < gap[1]]
    rig.feed(monkeypatch, sent)
    text = rig.config_text(tmp_path, tiny_path).replace("[daemon]", "[daemon]\nwarm_up_s = 10.0")
    rig.replay(parse_config(text, "x"))
    final = [row for row in rig.rows_of(tmp_path) if row["status"] == "final"]
    marks: dict[bool, list[bool]] = {True: [], False: []}
    for row in final:
        behind = parse_time(row["time"]) - packets.START_NS
        if behind > 20_000_000_000:
            marks[behind > 50_000_000_000].append(row["warm_up"])
    assert marks[False]
    assert not any(marks[False])
    assert marks[True]
    assert all(marks[True][:1])
