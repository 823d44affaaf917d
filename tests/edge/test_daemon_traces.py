"""What a station's recent samples give back does not depend on how they came: cut, late, twice, or out of order."""

from __future__ import annotations

import numpy as np
import packets
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisedge.edge.daemon.traces import Traces
from seisedge.firmware_bridge import Packet

NAME = "FDSN:XX_ONE__H_H_Z"
WHOLE = Packet(NAME, packets.START_NS, 100.0, np.arange(400, dtype=np.int32))
CUTS = st.lists(st.tuples(st.integers(0, 380), st.integers(1, 40)), min_size=1, max_size=30)


def runs(positions: set[int]) -> list[list[int]]:
    """The slow way: sample numbers that follow each other."""
    found: list[list[int]] = []
    for each in sorted(positions):
        if found and found[-1][-1] == each - 1:
            found[-1].append(each)
        else:
            found.append([each])
    return found


@settings(deadline=None, max_examples=150)
@given(cuts=CUTS, start=st.integers(-10, 400), length=st.integers(1, 400))
def test_pieces_are_the_runs_of_what_came(cuts: list[tuple[int, int]], start: int, length: int) -> None:
    traces = Traces(1000.0)
    for first, size in cuts:
        traces.add(WHOLE.cut(first, min(first + size, 400)))
    came = {place for first, size in cuts for place in range(first, min(first + size, 400))}
    pieces = list(traces.pieces(NAME, WHOLE.time_of(start), WHOLE.time_of(start + length)))
    assert [each.samples.tolist() for each in pieces] == runs(came & set(range(start, start + length)))
    for each in pieces:
        assert each.starttime_ns == WHOLE.time_of(int(each.samples[0]))


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("samples", [1, 25, 400])
def test_memory_is_that_of_the_samples(samples: int, times: int) -> None:
    """Minutes of small packets, even of doubled ones, are a few blocks, and what is too old goes."""
    traces = Traces(20.0)
    for number in range(24_000 // samples):
        start_ns = packets.START_NS + number * samples * 10_000_000
        for _ in range(times):
            traces.add(Packet(NAME, start_ns, 100.0, np.full(samples, number, np.int32)))
    kept = traces.packets()
    assert 2000 <= sum(each.samples.size for each in kept) <= 3000
    assert len(kept) <= 8
    assert all(each.samples.base is None or each.samples.base.size <= 2000 for each in kept)
    (piece,) = traces.pieces(NAME, 0, 1 << 62)
    assert piece.samples[-1] == 24_000 // samples - 1


def test_a_jump_into_the_past_or_another_rate_is_a_piece_of_its_own() -> None:
    traces = Traces(1000.0)
    traces.add(WHOLE.cut(100, 200))
    traces.add(Packet(NAME, WHOLE.time_of(200), 50.0, np.zeros(10, np.int32)))
    traces.add(Packet(NAME, WHOLE.time_of(220), 50.0, np.zeros(10, np.float32)))
    traces.add(WHOLE.cut(0, 50))
    pieces = list(traces.pieces(NAME, 0, 1 << 62))
    assert [(each.samples.size, each.sampling_rate, each.samples.dtype.name) for each in pieces] == [
        (50, 100.0, "int32"),
        (100, 100.0, "int32"),
        (10, 50.0, "int32"),
        (10, 50.0, "float32"),
    ]
