"""Every kind of packet has one documented outcome and a count; memory is bounded."""

# pyright: reportPrivateUsage=false
# (what is held is looked at to see that it is bounded)

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import packets
import pytest
from hypothesis import given
from hypothesis import strategies as st
from packets import NANOSECONDS, START_NS, Cutting, packet

from seisedge.edge import Aligner, AlignerCounts, Chunk, Span
from seisedge.firmware_bridge import Packet

RATE = 100.0
PERIOD_NS = 10_000_000


def ramp(first: int, npts: int, *, rate: float = RATE, off_ns: int = 0) -> Packet:
    """Samples whose values are their places counted from the start; `off_ns` moves their time."""
    start_ns = START_NS + round(first * NANOSECONDS / rate) + off_ns
    return packet(np.arange(first, first + npts, dtype=np.int32), start_ns=start_ns, rate=rate)


@dataclass
class Delivered:
    """What came out of an aligner: per component, the values and the places of restarts."""

    values: dict[int, list[int]] = field(default_factory=dict)
    restarts: dict[int, list[int]] = field(default_factory=dict)

    def add(self, chunks: list[Chunk]) -> None:
        for chunk in chunks:
            if chunk.restart:
                self.restarts.setdefault(chunk.component, []).append(int(chunk.samples[0]))
            self.values.setdefault(chunk.component, []).extend(int(value) for value in chunk.samples)


def align(*feed: Packet, components: int = 1, flush: bool = True) -> tuple[Delivered, AlignerCounts]:
    aligner = Aligner(components)
    delivered = Delivered()
    for each in feed:
        delivered.add(aligner.push(0, each))
    if flush:
        delivered.add(aligner.flush())
    return delivered, aligner.counts


def at(place: int) -> int:
    return START_NS + place * PERIOD_NS


# Records of 4 s; the first is settled once the station's data are 5 s further.
OPENING = [ramp(place, 400) for place in range(0, 2000, 400)]


def test_in_order_packets_are_delivered_at_once() -> None:
    aligner = Aligner(1)
    opening = Delivered()
    for each in OPENING[:3]:
        opening.add(aligner.push(0, each))
    assert opening.values == {0: list(range(1200))}
    assert [chunk.samples[0] for chunk in aligner.push(0, ramp(1200, 1))] == [1200]
    assert aligner.counts == AlignerCounts(packets=4, samples=1201)


def test_the_first_packet_waits_for_earlier_ones() -> None:
    aligner = Aligner(1)
    assert aligner.push(0, ramp(100, 100)) == []
    assert aligner.push(0, ramp(0, 100)) == []
    assert aligner.push(0, ramp(200, 299)) == []
    chunks = aligner.push(0, ramp(500, 1))
    assert [(chunk.samples[0], chunk.restart) for chunk in chunks] == [(0, True), (100, False), (200, False)]


def test_out_of_order_packets_are_put_in_order() -> None:
    delivered, counts = align(*OPENING[:2], ramp(1200, 400), ramp(800, 400))
    assert delivered.values == {0: list(range(1600))}
    assert delivered.restarts == {0: [0]}
    assert counts == AlignerCounts(packets=4, samples=1600)


def test_a_hole_becomes_a_gap_after_the_wait_and_not_before() -> None:
    aligner = Aligner(1)
    delivered = Delivered()
    for each in [*OPENING[:3], ramp(1300, 100), ramp(1400, 400)]:
        delivered.add(aligner.push(0, each))
    assert delivered.values == {0: list(range(1200))}
    delivered.add(aligner.push(0, ramp(1800, 1)))  # 5 s behind sample 1300
    assert delivered.values == {0: [*range(1200), *range(1300, 1801)]}
    assert delivered.restarts == {0: [0, 1300]}
    assert (aligner.counts.gap_count, aligner.counts.gaps) == (1, [Span(0, at(1200), at(1300))])


def test_duplicates_are_dropped_and_the_first_copy_counts() -> None:
    again = Packet(OPENING[1].source_id, OPENING[1].starttime_ns, RATE, np.zeros(400, np.int32))
    delivered, counts = align(*OPENING[:2], again, OPENING[2])
    assert delivered.values == {0: list(range(1200))}
    assert (counts.duplicate_samples, counts.late_samples, counts.samples) == (400, 0, 1200)
    assert (counts.overlap_count, counts.overlaps) == (1, [Span(0, at(400), at(800))])


def test_of_an_overlap_the_new_part_is_delivered() -> None:
    delivered, counts = align(*OPENING[:2], ramp(700, 200), ramp(900, 100))
    assert delivered.values == {0: list(range(1000))}
    assert delivered.restarts == {0: [0]}
    assert (counts.duplicate_samples, counts.overlaps) == (100, [Span(0, at(700), at(800))])


def test_neighbouring_overlaps_count_as_one() -> None:
    _, counts = align(*OPENING, ramp(0, 400), ramp(400, 400), ramp(1600, 100))
    assert (counts.overlap_count, counts.duplicate_samples) == (2, 900)
    assert counts.overlaps == [Span(0, at(0), at(800)), Span(0, at(1600), at(1700))]


def test_late_packets_behind_a_declared_gap_are_dropped() -> None:
    delivered, counts = align(*OPENING[:3], ramp(1300, 400), ramp(1700, 400), ramp(2100, 100), ramp(1200, 100))
    assert delivered.restarts == {0: [0, 1300]}
    assert (counts.late_samples, counts.duplicate_samples, counts.gap_count) == (100, 0, 1)


def test_late_packets_in_a_hole_that_is_still_open_are_late_and_no_duplicates() -> None:
    aligner = Aligner(2)
    for each in OPENING[:3]:
        aligner.push(0, each)
        aligner.push(1, each)
    for each in [*OPENING[3:], ramp(2000, 400)]:
        aligner.push(1, each)
    assert aligner.push(0, ramp(1200, 100)) == []  # component 1 is 8 s ahead
    assert (aligner.counts.late_samples, aligner.counts.duplicate_samples) == (100, 0)


def test_a_component_that_begins_too_late_in_the_past_is_late() -> None:
    aligner = Aligner(2)
    for each in OPENING:
        aligner.push(0, each)
    assert aligner.push(1, ramp(0, 100)) == []
    assert (aligner.counts.late_samples, aligner.counts.duplicate_samples) == (100, 0)


def test_a_lone_packet_from_the_future_is_thrown_away() -> None:
    future = ramp(100_000, 100)
    delivered, counts = align(*OPENING[:3], future, OPENING[3])
    assert delivered.values == {0: list(range(1600))}
    assert (counts.future_packets, counts.gap_count) == (1, 0)


def test_two_packets_from_the_future_are_believed() -> None:
    delivered, counts = align(*OPENING[:3], ramp(100_000, 100), ramp(100_100, 100))
    assert delivered.restarts == {0: [0, 100_000]}
    assert (counts.future_packets, counts.gaps) == (0, [Span(0, at(1200), at(100_000))])


def test_the_same_packet_twice_does_not_agree_with_itself() -> None:
    future = ramp(100_000, 100)
    delivered, counts = align(*OPENING[:3], future, future, OPENING[3])
    assert delivered.values == {0: list(range(1600))}
    assert counts.future_packets == 2


def test_a_packet_of_another_component_agrees() -> None:
    aligner = Aligner(2)
    delivered = Delivered()
    for component, each in [(0, OPENING[0]), (0, ramp(100_000, 100)), (1, ramp(100_000, 100))]:
        delivered.add(aligner.push(component, each))
    delivered.add(aligner.flush())
    assert delivered.restarts == {0: [0, 100_000], 1: [100_000]}


def test_at_the_end_of_the_stream_a_lone_packet_behind_a_long_gap_is_kept() -> None:
    delivered, counts = align(*OPENING[:3], ramp(100_000, 100))
    assert delivered.restarts == {0: [0, 100_000]}
    assert counts.future_packets == 0


def test_a_clock_that_steps_forward_makes_a_gap() -> None:
    delivered, counts = align(*OPENING[:2], *[ramp(place, 400) for place in range(1000, 3000, 400)])
    assert delivered.restarts == {0: [0, 1000]}
    assert counts.gaps == [Span(0, at(800), at(1000))]


def test_a_clock_that_steps_backward_drops_samples_until_time_catches_up() -> None:
    step = 300 * PERIOD_NS
    delivered, counts = align(*OPENING[:3], *[ramp(place, 400, off_ns=-step) for place in range(1200, 2400, 400)])
    assert delivered.values == {0: [*range(1200), *range(1500, 2400)]}
    assert delivered.restarts == {0: [0]}
    assert (counts.duplicate_samples, counts.gap_count) == (300, 0)


def test_another_rate_restarts_the_stream() -> None:
    faster = [ramp(2400, 400, rate=200.0), ramp(2800, 400, rate=200.0)]
    delivered, counts = align(*OPENING[:3], *faster)
    assert delivered.restarts == {0: [0, 2400]}
    assert (counts.rate_changes, counts.gap_count) == (1, 0)


def test_samples_that_are_no_numbers_are_gaps() -> None:
    samples = np.arange(400, dtype=np.float32)
    samples[[100, 101]], samples[300], samples[399] = np.nan, np.inf, -np.inf
    delivered, counts = align(packet(samples), ramp(400, 800))
    assert delivered.restarts == {0: [0, 102, 301, 400]}
    assert delivered.values == {0: [*range(100), *range(102, 300), *range(301, 399), *range(400, 1200)]}
    assert (counts.nonfinite_samples, counts.gap_count) == (4, 3)


def test_the_parts_of_a_packet_do_not_move_time_on() -> None:
    """A packet of 10 s that is broken near its end makes nothing late that its start does not."""
    samples = np.arange(1000, dtype=np.float32)
    samples[900] = np.nan
    aligner = Aligner(2)
    delivered = Delivered()
    delivered.add(aligner.push(0, packet(samples)))
    for each in OPENING[:3]:
        delivered.add(aligner.push(1, each))
    delivered.add(aligner.flush())
    assert delivered.values[1] == list(range(1200))
    assert aligner.counts.late_samples == 0


@pytest.mark.parametrize(("off", "restarts"), [(0.2, False), (0.45, False), (-0.45, False), (0.55, True)])
def test_half_a_sample_tells_a_jitter_from_a_gap(off: float, restarts: bool) -> None:  # noqa: FBT001 - a table
    off_ns = round(off * PERIOD_NS)
    delivered, counts = align(*OPENING[:3], *[ramp(place, 400, off_ns=off_ns) for place in (1200, 1600)])
    assert delivered.restarts == {0: [0, 1200] if restarts else [0]}
    assert counts.gap_count == restarts
    assert counts.samples == 2000


def test_a_clock_that_drifts_moves_times_and_breaks_nothing() -> None:
    aligner = Aligner(1)
    chunks = [chunk for k in range(10) for chunk in aligner.push(0, ramp(400 * k, 400, off_ns=k * 3_000_000))]
    assert [chunk.restart for chunk in chunks] == [True, *[False] * 9]
    assert [chunk.drift_ns for chunk in chunks] == [3_000_000 * k for k in range(10)]
    assert aligner.counts.gap_count == 0


def test_int16_stays_int16() -> None:
    aligner = Aligner(1)
    aligner.push(0, packet(np.arange(400, dtype=np.int16)))
    (chunk,) = aligner.flush()
    assert chunk.samples.dtype == np.int16


def test_an_empty_packet_changes_nothing_but_the_count_of_packets() -> None:
    delivered, counts = align(OPENING[0], packet([], start_ns=at(400)), ramp(400, 400))
    assert delivered.values == {0: list(range(800))}
    assert counts == AlignerCounts(packets=3, samples=800)


def test_a_flood_of_packets_in_the_wait_is_bounded_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seisedge.edge.aligner._MAX_PENDING", 50)
    delivered, counts = align(*[ramp(2 * place, 1) for place in range(200)])
    assert counts.overflow_packets == 150
    assert counts.samples == len(delivered.values[0]) == 50


def test_packets_from_the_future_are_held_in_bounded_number() -> None:
    far = [ramp(10_000_000 * (k + 1), 100) for k in range(200)]
    aligner = Aligner(1)
    aligner.push(0, OPENING[0])
    assert all(aligner.push(0, each) == [] for each in far)
    assert len(aligner._suspects) == 64
    assert aligner.counts.future_packets == 136


def test_lists_of_spans_are_bounded_and_counts_are_not() -> None:
    _, counts = align(*[ramp(10 * k, 5) for k in range(1500)])
    assert counts.gap_count == 1499
    assert len(counts.gaps) == 1000
    _, counts = align(ramp(0, 5000), *[ramp(10 * k, 5) for k in range(450, 0, -1)], ramp(5000, 1))
    assert counts.overlap_count == 450


@given(cutting=st.builds(Cutting, st.integers(0, 2**32), longest_s=st.sampled_from([0.02, 0.5, 4.0])))
def test_any_packets_deliver_the_same_samples(cutting: Cutting) -> None:
    pieces = [ramp(0, 700), ramp(701, 99), ramp(1000, 500)]
    feed = [(0, each) for each in pieces]
    wanted, wanted_counts = align(*(each for _, each in packets.in_order(feed, 400)))
    found, counts = align(*(each for _, each in packets.shuffled(feed, cutting)))
    assert found == wanted
    assert (counts.samples, counts.gaps, counts.late_samples) == (1299, wanted_counts.gaps, 0)
