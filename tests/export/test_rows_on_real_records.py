"""Rows other than Performer's, from real records to results: known picks, gaps, other rates, packets in any order."""

from __future__ import annotations

from pathlib import Path

import packets
import pytest
import torch
from packets import Cutting
from shared_data import SHARED, needs_shared

from seisedge.edge import Detection, OrtSession, Pick, Result, Scanner, ScanOptions
from seisedge.edge.times import parse_time
from seisedge.export.artefact import Source, export_fp32
from seisedge.export.registry import find
from seisedge.export.weights import load_weights

pytestmark = needs_shared

MSEED = SHARED / "mseed"
PUBLISHED = {
    "gpd-original": SHARED / "weights" / "gpd_tflite" / "gpd_v2.tflite",
    "convnetquake-wenchuan": SHARED / "weights" / "convnetquake_wenchuan_mit" / "model-10534.index",
}


def exported(name: str, folder: Path) -> OrtSession:
    """The row with its published weights, or with random ones of seed 3."""
    torch.manual_seed(3)
    module, path = find(name).build(), folder / f"{name}.onnx"
    if name in PUBLISHED:
        load_weights(PUBLISHED[name], module)
    export_fp32(module, find(name).recipe, Source("1", "0" * 64, "not stated", "not stated", "not stated"), path)
    return OrtSession(path)


def scanned(session: OrtSession, *paths: Path) -> list[Result]:
    scanner = Scanner(session, ScanOptions())
    found: list[Result] = []
    for station in scanner.index(paths):
        scanner.scan(station, found.extend)
    return found


def test_gpd_picks_the_documented_event(tmp_path: Path) -> None:
    """By others, behind the same 3 to 20 Hz: P at 12:35:55.6, S at 12:36:04.4."""
    picks = scanned(exported("gpd-original", tmp_path), MSEED / "nysh_20210401")
    best = {
        phase: max((each for each in picks if isinstance(each, Pick) and each.phase_hint == phase),
                   key=lambda each: each.probability)
        for phase in ("P", "S")
    }  # fmt: skip
    for phase, known in {"P": "2021-04-01T12:35:55.6", "S": "2021-04-01T12:36:04.4"}.items():
        assert abs(best[phase].time_ns - parse_time(known)) <= 0.1 * packets.NANOSECONDS  # a window each 0.1 s
        assert best[phase].probability > 0.999


def test_convnetquake_of_another_region_detects_more_after_the_mainshock_than_before(tmp_path: Path) -> None:
    session = exported("convnetquake-wenchuan", tmp_path)
    paths = (MSEED / "ridgecrest_20190704").glob("CI.CLC.*.mseed")
    found = [each for each in scanned(session, *paths) if isinstance(each, Detection)]
    mainshock = parse_time("2019-07-04T17:33:49")
    after = sum(each.time_ns > mainshock for each in found)
    assert after >= 5
    assert len(found) - after < after  # some of them foreshocks, of which the largest had magnitude 4
    assert all(each.endtime_ns - each.time_ns >= 29 * packets.NANOSECONDS for each in found)


@pytest.mark.parametrize(
    "name", ["unet-z", "convnetquake", "earthquake-cnn", pytest.param("spec-cnn", marks=pytest.mark.long)]
)
def test_gaps_rates_and_any_order_of_real_packets(name: str, tmp_path: Path) -> None:
    """200 Hz, twelve pieces, a gap of 44 minutes, ragged starts: every row resamples and none invents a window."""
    session = exported(name, tmp_path)
    low = dict.fromkeys(session.manifest.postprocess.thresholds, 0.2)
    results = 0
    for station in packets.stations_of(MSEED / "gaps_8D.RAW2_CH.SENIN_200hz.mseed", session.manifest.components):
        if station.refused is not None:
            continue
        feed = packets.packets_of(station)
        wanted = packets.pick_feed(session, packets.in_order(feed, 1000), thresholds=low, at_least=16)
        found = packets.pick_feed(session, packets.shuffled(feed, Cutting(2, longest_s=30.0)), thresholds=low)
        assert found == wanted
        results += len(wanted.picks)
    assert results or name == "unet-z"  # whose window is longer than every piece
