"""What was recorded is read back as it came: a sensor whose rate is not what it says leaves no gaps in its file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import packets
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_data import SHARED, needs_shared
from wire_laws import decode_all

from seisedge.edge.aligner import Aligner, Chunk
from seisedge.edge.archive_index import index_paths
from seisedge.edge.archive_packets import read_packets
from seisedge.edge.recorder import Recorder
from seisedge.firmware_bridge import Packet
from seisedge.firmware_bridge.grillo import grillo_decoder

NAME = "FDSN:XX_ONE__H_N_Z"


def drifting(said: float, true: float, npts: int, count: int) -> list[Packet]:
    """Packets of a sensor that says a rate and has another, each with the time that it really has."""
    samples = np.arange(npts * count, dtype=np.int32) % 97
    starts = (packets.START_NS + round(at * npts * 1e9 / true) for at in range(count))
    return [Packet(NAME, start, said, samples[at * npts : (at + 1) * npts]) for at, start in enumerate(starts)]


@settings(deadline=None, max_examples=25)
@given(off=st.floats(-0.004, 0.004), npts=st.integers(10, 100), said=st.sampled_from([31.25, 100.0, 126.3]))
def test_a_rate_that_is_a_little_off_leaves_no_gap(
    tmp_path_factory: pytest.TempPathFactory, off: float, npts: int, said: float
) -> None:
    sent = drifting(said, said * (1 + off), npts, 4000 // npts)
    path = tmp_path_factory.mktemp("drift") / "day.mseed"
    with Recorder(path) as recorder:
        for packet in sent:
            recorder.write(packet)
    aligner, found = aligned(path)
    assert (aligner.counts.gap_count, aligner.counts.overlap_count) == (0, 0)
    np.testing.assert_array_equal(
        np.concatenate([each.samples for each in found]), np.concatenate([each.samples for each in sent])
    )
    last_ns = sent[-1].starttime_ns
    assert abs(found[-1].starttime_ns + found[-1].samples.size * 1e9 / said - last_ns - npts * 1e9 / said) < 1e9 / said


@needs_shared
def test_a_real_sensor_has_the_gaps_of_its_packets_in_its_recording(tmp_path: Path) -> None:
    """It says 125 Hz and has 126.2, and its clock was set three times."""
    found, _ = decode_all(grillo_decoder, [(SHARED / "mems" / "grillo_125hz_20200604.json").read_bytes()])
    sent = [each for each in found if each.source_id.endswith("Z")]
    path = tmp_path / "sensor.mseed"
    with Recorder(path) as recorder:
        for packet in sent:
            recorder.write(replace(packet, source_id=NAME))
    live = Aligner(1)
    for packet in sent:
        live.push(0, packet)
    live.flush()
    read, _ = aligned(path)
    for what in ("gap_count", "overlap_count", "rate_changes", "samples"):
        assert getattr(read.counts, what) == getattr(live.counts, what), what


def aligned(path: Path) -> tuple[Aligner, list[Chunk]]:
    """What the aligner makes of a file of one channel."""
    aligner = Aligner(1)
    traces = [(0, each) for each in index_paths((path,)).traces]
    found = read_packets(traces, pytest.fail, joined=True)
    return aligner, [*(chunk for _, packet, _ in found for chunk in aligner.push(0, packet)), *aligner.flush()]


def test_nothing_leaves_no_file(tmp_path: Path) -> None:
    path, kept = tmp_path / "none.mseed", tmp_path / "kept.mseed"
    Recorder(path).close()
    assert not path.exists()
    with Recorder(kept) as recorder:
        recorder.write(drifting(100.0, 100.0, 10, 1)[0])
    size = kept.stat().st_size
    Recorder(kept).close()
    assert kept.stat().st_size == size > 0
