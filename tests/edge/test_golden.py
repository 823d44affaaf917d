"""The published networks through the runtime give the published numbers, and the NYSH event its picks."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import artefacts
import numpy as np
import packets
import pytest
from packets import NANOSECONDS
from shared_data import SHARED, needs_shared

from seisedge.edge import OrtSession, Preprocess, StationStream
from seisedge.edge.times import index_at, parse_time
from seisedge.firmware_bridge import Packet

pytestmark = needs_shared

NYSH = SHARED / "mseed" / "nysh_20210401"

# Window (start sample in the cut) → P, S, noise; ../shared/design/models.md, A2 §2.13.
GOLDEN = {
    "performer-v1": {
        0: (0.047724, 0.007946, 0.944330),
        1350: (0.999934, 0.000026, 0.000040),
        2230: (0.000161, 0.999677, 0.000162),
        3000: (0.006590, 0.360560, 0.632850),
    },
    "performer-v2.1": {
        0: (0.056827, 0.025666, 0.917507),
        1350: (0.999935, 0.000035, 0.000031),
        2230: (0.000123, 0.999509, 0.000368),
        3000: (0.004658, 0.188325, 0.807017),
    },
    "spec-cnn-v1": {
        0: (0.003148, 0.000421, 0.996431),
        1350: (1.0, 0.0, 0.0),
        2230: (0.000001, 0.999995, 0.000004),
        3000: (0.006860, 0.713101, 0.280039),
    },
    "spec-cnn-v2.1": {
        0: (0.001101, 0.000187, 0.998712),
        1350: (0.999996, 0.0, 0.000004),
        2230: (0.000001, 0.999972, 0.000027),
        3000: (0.000894, 0.137806, 0.861300),
    },
}


def detrended(packet: Packet) -> Packet:
    """The cut with its least-squares line removed, behind one zero: the table's filter starts from rest.

    A stream starts as if its first sample had always been there, which for a zero is the same thing.
    """
    times = np.arange(packet.samples.size)
    line = np.polynomial.Polynomial.fit(times, packet.samples, 1)(times)
    samples = np.concatenate(([0.0], packet.samples - line)).astype(np.float32)
    before_ns = packet.starttime_ns - round(NANOSECONDS / packet.sampling_rate)
    return Packet(packet.source_id, before_ns, packet.sampling_rate, samples)


@pytest.mark.parametrize("name", artefacts.PUBLISHED)
def test_published_weights_give_the_golden_probabilities(name: str, artefact_folder: Path) -> None:
    session = OrtSession(artefacts.export_published(name, artefact_folder))
    assert session.check_golden() < 1e-4
    preprocess = Preprocess(session.manifest)
    stream = StationStream(preprocess, stride=10)
    (station,) = packets.stations_of(NYSH, session.manifest.components)
    cut = packets.stretches(packets.packets_of(station))
    for component, packet in cut:
        stream.push(component, detrended(packet))
    stream.flush()
    origin = index_at(cut[0][1].starttime_ns, stream.cutter.rate)
    found: dict[int, np.ndarray[tuple[int, ...], np.dtype[np.float32]]] = {}
    while block := stream.cutter.take(128):
        windows = preprocess.windows(block.samples, count=block.count, stride=10)
        for index, row in enumerate(session.run(windows)[0]):
            found[(block.number + index) * 10 - origin] = row
    assert len(found) == 361
    for start, wanted in GOLDEN[name].items():
        np.testing.assert_allclose(found[start], wanted, atol=2e-4)


def run_edge_scan(*arguments: str | Path) -> list[dict[str, str]]:
    command = [sys.executable, "-c", "from seisedge.edge.scan_cli import main; main()"]
    done = subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(done.stdout.splitlines()))


def assert_nysh(rows: list[dict[str, str]]) -> None:
    picks = {row["phase_hint"]: row for row in rows}
    assert len(rows) == 2
    for phase, time in (("P", "2021-04-01T12:35:55.5"), ("S", "2021-04-01T12:36:04.4")):
        assert abs(parse_time(picks[phase]["time"]) - parse_time(time)) <= 0.3 * NANOSECONDS
        assert float(picks[phase]["probability"]) > 0.99
        named = [picks[phase][key] for key in ("network", "station", "location", "channel")]
        assert named == ["IM", "NYSH", "00", "EH"]


def test_edge_scan_picks_nysh_from_raw_counts(published_path: Path) -> None:
    assert_nysh(run_edge_scan(NYSH, "--model", published_path))


def test_headers_and_not_file_names_decide_the_components(published_path: Path, tmp_path: Path) -> None:
    names = ["c.mseed", "a.mseed", "b.mseed"]
    for source, name in zip(sorted(NYSH.glob("*EH*")), names, strict=True):
        shutil.copy(source, tmp_path / name)
    renamed = run_edge_scan(*(tmp_path / name for name in names), "--model", published_path)
    assert renamed == run_edge_scan(NYSH, "--model", published_path)
