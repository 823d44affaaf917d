"""Stations that are never picked do not look healthy: the log, health and status say why."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from pathlib import Path
from typing import Any

import artefacts
import daemon_rig as rig
import packets
import pytest

from seisedge.edge.daemon import intake
from seisedge.edge.daemon.config import parse_config
from seisedge.edge.daemon.health import health_of, status_of
from seisedge.edge.daemon.intake import Stations
from seisedge.edge.daemon.service import Service
from seisedge.edge.daemon.status_text import status_lines
from seisedge.export.recipes import SEISMO_PERFORMER
from seisedge.firmware_bridge import Packet

LACKING = "found components Z, wanted Z, N, E: N, E missing"


@pytest.fixture
def strict_path(tmp_path: Path) -> Path:
    """A model that refuses a station without horizontals."""
    components = dataclasses.replace(SEISMO_PERFORMER.components, required=("Z", "N", "E"))
    return artefacts.write_tiny(tmp_path / "strict.onnx", artefacts.tiny_manifest(components=components))


def verticals(*names: str, seconds: int = 20) -> list[Packet]:
    return [each for each in rig.stream(names, seconds=seconds) if each.source_id.endswith("Z")]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


def status_after(text: str, packets_: int) -> dict[str, Any]:
    """Run a daemon until it has seen so many packets; how it says it is then."""

    async def run() -> dict[str, Any]:
        async with rig.live(text) as service:
            await rig.until(lambda: service.intakes[0].source.counts.packets == packets_)
            await rig.idle(service)
            return status_of(service)

    return asyncio.run(run())


def test_a_station_without_what_its_model_needs_is_told_once_its_data_have_come(
    tmp_path: Path, strict_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sent = verticals("AAA")

    async def run() -> None:
        opened = rig.feed(monkeypatch, sent[:19], live=True)
        async with rig.live(rig.config_text(tmp_path, strict_path)) as service:
            await rig.until(lambda: opened[0].position == "19")  # 4.75 s: the others may be late
            await rig.idle(service)
            assert health_of(service).ok
            opened[0].add(sent[19:])
            await rig.until(lambda: opened[0].position == str(len(sent)))
            await rig.idle(service)
            assert health_of(service).problems == (f"station XX.AAA..HH: model tiny: {LACKING}",)
            status = status_of(service)
            assert status["stations"][0]["models"]["tiny"]["windows"] == 0
            assert status["stations"][0]["models"]["tiny"]["refused"] == [LACKING]
            assert any(each.endswith(f"no pick yet; {LACKING}") for each in status_lines(status))

    asyncio.run(run())
    assert warnings(caplog) == [f"station XX.AAA..HH: model tiny: {LACKING}"]


def test_components_that_come_late_make_it_good(
    tmp_path: Path, strict_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    all_, lone = rig.stream(), verticals("AAA")
    late = [each for each in all_ if each.starttime_ns >= packets.START_NS + 20_000_000_000]
    rig.feed(monkeypatch, [*lone, *late])
    service = rig.replay(rig.config_of(tmp_path, strict_path))
    assert health_of(service).ok
    assert service.workers[0].windows > 100
    assert warnings(caplog) == [f"station XX.AAA..HH: model tiny: {LACKING}"]


@pytest.mark.parametrize("wait_s", [0.0, 5.0])
def test_a_station_that_is_whole_is_no_problem(
    tmp_path: Path, strict_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, wait_s: float
) -> None:
    rig.feed(monkeypatch, rig.stream(samples=700))  # the first packet is longer than what is waited for
    part = f'[[station]]\nmatch = "*"\nreorder_wait_s = {wait_s}\n'
    assert health_of(rig.replay(rig.config_of(tmp_path, strict_path, part))).ok
    assert warnings(caplog) == []


def test_a_sensor_of_another_kind_is_shown_but_no_problem(
    tmp_path: Path, tiny_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sound = [dataclasses.replace(each, source_id="FDSN:AM_R24FA_00_H_D_F") for each in verticals("AAA")]
    rig.feed(monkeypatch, sound, live=True)
    status = status_after(rig.config_text(tmp_path, tiny_path), len(sound))
    said = "found components none that the model knows, wanted Z: Z missing"
    assert status["ok"]
    assert status["stations"][0]["models"]["tiny"]["refused"] == [said]
    assert warnings(caplog) == [f"station AM.R24FA.00.HD: model tiny: {said}"]


def test_health_names_few_of_many(tmp_path: Path, strict_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("AAA", "BBB", "CCC", "DDD", "EEE")
    rig.feed(monkeypatch, verticals(*names))
    problems = health_of(rig.replay(rig.config_of(tmp_path, strict_path))).problems
    assert [each.partition(":")[0] for each in problems[:-1]] == [f"station XX.{name}..HH" for name in names[:3]]
    assert problems[-1] == "2 more stations lack components"


@pytest.mark.parametrize("all_", [False, True])
def test_a_station_that_matches_nothing_is_told_once_and_counted(
    tmp_path: Path, tiny_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, all_: bool
) -> None:
    rig.feed(monkeypatch, rig.stream(("AAA", "BBB"), seconds=20), live=True)
    more = '[[station]]\nmatch = "XX.AAA"\n' + ("" if all_ else '[[station]]\nmatch = "XX.B*"\n')
    status = status_after(rig.config_text(tmp_path, tiny_path, more), 480)
    left = ["XX.AAA..HH", "XX.BBB..HH"] if all_ else ["XX.AAA..HH"]
    assert warnings(caplog) == [
        f"station {each}: matches no [[station]] (NET.STA.LOC.CH with * and ?): left out" for each in left
    ]
    assert status["unmatched_stations"] == len(left)
    line = f"{len(left)} stations match no [[station]]; {len(left) * 240} packets left out"
    assert line in status_lines(status)
    assert status["problems"] == (["none of 2 stations matches a [[station]]"] if all_ else [])


def test_made_up_names_fill_neither_log_nor_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    text = '[[source]]\nurl = "x.mseed"\n[[station]]\nmatch = "AM.R24FA"\n'
    monkeypatch.setattr(intake, "_MOST_UNMATCHED", 90)
    stations = Stations(parse_config(text, str(tmp_path)), [])
    for number in range(200):
        assert stations.route(f"FDSN:XX_S{number}__H_H_Z") is None
    assert (stations.refused, len(stations.unmatched)) == (200, 90)
    assert len(warnings(caplog)) == 50
    assert warnings(caplog)[-1].endswith("left out, as may further ones, which are counted alone")
    stations.reconfigure(parse_config(text.replace("AM.R24FA", "XX.S1"), ""))
    assert not stations.unmatched


def test_a_reload_that_drops_nothing_says_nothing_again(
    tmp_path: Path, strict_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    text = rig.config_text(tmp_path, strict_path)

    async def run(service_text: str) -> Service:
        opened = rig.feed(monkeypatch, verticals("AAA"), live=True)
        async with rig.live(service_text) as service:
            await rig.until(lambda: opened[0].position == "80")
            await rig.idle(service)
            assert await service.reload(lambda: parse_config(service_text, "x"))
            opened[0].add(verticals("AAA", seconds=30)[80:])
            await rig.until(lambda: opened[0].position == "120")
            await rig.idle(service)
            return service

    assert not health_of(asyncio.run(run(text))).ok
    assert len(warnings(caplog)) == 1
