"""Records that travel as one packet, and windows that threads work on, give the picks of one record after the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import packets
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packets import START_NS
from shared_data import SHARED, needs_shared

from seisedge.edge import OrtSession, Preprocess, Result, Scanner, ScanOptions, StationPicker
from seisedge.edge.archive_index import index_paths
from seisedge.edge.archive_packets import read_packets
from seisedge.edge.classify import thresholds_with
from seisedge.edge.stations import group_stations
from seisedge.edge.stretches import overlapping
from seisedge.firmware_bridge import Packet

THRESHOLDS = {"P": 0.5, "S": 0.5}


def archive(folder: Path, rng: np.random.Generator, *, drop: float, twice: float, rate: float = 100.0) -> Path:
    """Three components of ninety seconds with bursts; records are lost, come twice or stand in another place."""
    npts = round(90 * rate)
    envelope = 20 + 8000 * (np.sin(np.arange(npts) / rate / 3) ** 40)
    parts: list[bytes] = []
    for component in "NEZ":
        samples = (rng.standard_normal(npts) * envelope).astype(np.int32)
        whole = Packet(f"FDSN:XX_TEST__H_H_{component}", START_NS, rate, samples)
        records = packets.records(whole)
        kept = [record for record in records if rng.random() >= drop]
        kept += [record for record in kept if rng.random() < twice]
        parts += kept
    path = folder / "day.mseed"
    path.write_bytes(b"".join(parts))
    return path


def picks_of(path: Path, session: OrtSession, *, joined: bool, problems: list[str]) -> list[Result]:
    station = group_stations(index_paths((path,)).traces, session.manifest.components)[0]
    picker = StationPicker(
        session,
        Preprocess(session.manifest),
        station.id,
        stride=10,
        thresholds=thresholds_with(session.manifest, THRESHOLDS),
    )
    results: list[Result] = []
    for component, packet, _ in read_packets(station.traces, problems.append, joined=joined):
        results += picker.push(component, packet)
    return [*results, *picker.finish()]


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.03]), st.sampled_from([0.0, 0.05]))
def test_joined_records_give_the_same_picks(
    tmp_path_factory: pytest.TempPathFactory, tiny_session: OrtSession, seed: int, drop: float, twice: float
) -> None:
    path = archive(tmp_path_factory.mktemp("joined"), np.random.default_rng(seed), drop=drop, twice=twice)
    found = [picks_of(path, tiny_session, joined=joined, problems=[]) for joined in (True, False)]
    assert found[0] == found[1]
    assert found[0]


def test_a_damaged_record_is_a_gap_either_way(tmp_path: Path, tiny_session: OrtSession) -> None:
    path = archive(tmp_path, np.random.default_rng(1), drop=0, twice=0)
    content = bytearray(path.read_bytes())
    content[5 * 512 + 64 : 6 * 512] = b"\xff" * 448
    path.write_bytes(bytes(content))
    told: list[list[str]] = [[], []]
    found = [picks_of(path, tiny_session, joined=bool(k), problems=told[k]) for k in (0, 1)]
    assert found[0] == found[1]
    assert told[0] == told[1]
    assert "byte 2560" in told[0][0]


def test_records_that_join_on_are_one_packet(tmp_path: Path) -> None:
    path = archive(tmp_path, np.random.default_rng(2), drop=0, twice=0)
    traces = [(0, trace) for trace in index_paths((path,)).traces[:1]]
    (joined,) = read_packets(traces, print, joined=True)
    apart = list(read_packets(traces, print))
    assert len(apart) > 10
    np.testing.assert_array_equal(joined[1].samples, np.concatenate([packet.samples for _, packet, _ in apart]))
    assert joined[2] == sum(size for _, _, size in apart)


def test_a_rate_whose_period_is_no_whole_number_joins_nothing(tmp_path: Path) -> None:
    path = archive(tmp_path, np.random.default_rng(2), drop=0, twice=0, rate=99.9)
    traces = [(0, trace) for trace in index_paths((path,)).traces[:1]]
    found = [[packet.starttime_ns for _, packet, _ in read_packets(traces, print, joined=k)] for k in (True, False)]
    assert found[0] == found[1]


def test_traces_of_a_component_that_share_time_are_found() -> None:
    spans = [(0, 0, 10), (0, 20, 30), (1, 5, 25), (0, 8, 9), (0, 30, 40), (2, 0, 1)]
    assert overlapping(spans) == {0, 3, 1, 4}


def scan(path: Path, session: OrtSession, jobs: int, batch: int) -> tuple[list[Result], int]:
    scanner = Scanner(session, ScanOptions(thresholds=THRESHOLDS, stride=10, jobs=jobs, batch=batch))
    results: list[Result] = []
    for station in scanner.index((path,)):
        scanner.scan(station, results.extend)
    return results, scanner.report.windows


@pytest.mark.parametrize("jobs", [2, 5])
def test_threads_give_the_same_picks_in_the_same_order(tmp_path: Path, tiny_session: OrtSession, jobs: int) -> None:
    path = archive(tmp_path, np.random.default_rng(3), drop=0.02, twice=0)
    wanted = scan(path, tiny_session, 1, 128)
    assert wanted[0]
    for batch in (1, 7, 128):
        assert scan(path, tiny_session, jobs, batch) == wanted


@needs_shared
def test_threads_and_joined_records_on_a_real_archive(published_session: OrtSession) -> None:
    path = SHARED / "mseed" / "salton_20201001"
    wanted = scan(path, published_session, 1, 128)
    assert scan(path, published_session, 3, 64) == wanted
    assert wanted[1] > 1000
