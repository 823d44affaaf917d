"""Raspberry Shake's datacast: the recorded packets against the miniSEED of the same time, grammar, loss, damage."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensor_packets import datacast_lines
from shared_data import SHARED, needs_shared
from wire_laws import assert_any_portions_give_the_same, decode_all, same_packets

from seisedge.firmware_bridge import Packet, PacketFlag, WireError, decode_record, packets_of, read_headers
from seisedge.firmware_bridge.datacast import DatacastDecoder, encode_datacast

START = 1_580_372_810_003_000_000


def packets(count: int, rate: float = 100.0, npts: int = 25) -> list[Packet]:
    rng = np.random.default_rng(count)
    whole = Packet("FDSN:AM_SHAKE_00_E_H_Z", START, rate, rng.integers(-(2**31), 2**31, count * npts).astype(np.int32))
    return [whole.cut(i * npts, (i + 1) * npts) for i in range(count)]


@needs_shared
def test_the_recorded_packets_are_the_miniseed_of_the_same_time() -> None:
    found, damaged = decode_all(lambda: DatacastDecoder("AM", "R24FA", "00"), datacast_lines())
    assert (len(found), damaged) == (440 * 4, 0)
    assert {(each.sampling_rate, int(each.flags)) for each in found} == {(100.0, 0)}
    buffer = (SHARED / "rsudp" / "testdata_AM.R24FA.mseed").read_bytes()
    compared = 0
    for header in read_headers(buffer):
        record = decode_record(buffer[header.offset : header.offset + header.length])
        ours = [each for each in found if each.source_id == record.source_id]
        start_ns, joined = ours[0].starttime_ns, np.concatenate([each.samples for each in ours])
        first = round((record.starttime_ns - start_ns) / 1e7)
        assert abs(record.starttime_ns - start_ns - first * 10_000_000) < 1_000_000
        begin, end = max(first, 0), min(first + record.samples.size, joined.size)
        if end > begin:
            np.testing.assert_array_equal(joined[begin:end], record.samples[begin - first : end - first])
            compared += end - begin
    assert compared == 440 * 25 * 4


@needs_shared
def test_writing_gives_the_recorded_bytes() -> None:
    lines = datacast_lines()[:40]
    found, _ = decode_all(lambda: DatacastDecoder(sampling_rate=100.0), lines)
    assert [encode_datacast(each) for each in found] == lines


@settings(max_examples=40)
@given(st.sampled_from([10.0, 50.0, 100.0, 125.0, 200.0, 500.0, 1000.0]), st.integers(0, 100), st.booleans())
def test_any_rate_with_jittered_stamps_comes_back(rate: float, seed: int, is_float: bool) -> None:  # noqa: FBT001
    rng = np.random.default_rng(seed)
    sent = packets(8, rate)
    if is_float:
        sent = [Packet(p.source_id, p.starttime_ns, rate, (p.samples / 1024 + 0.125).astype(np.float32)) for p in sent]
    jittered = [
        Packet(p.source_id, p.starttime_ns + int(rng.integers(-450_000, 450_000)), rate, p.samples) for p in sent
    ]
    found, damaged = decode_all(DatacastDecoder, [encode_datacast(each) for each in jittered])
    assert (len(found), damaged) == (8, 0)
    for a, b in zip(found, sent, strict=True):
        assert (a.sampling_rate, a.flags) == (rate, PacketFlag.NONE)
        assert abs(a.starttime_ns - b.starttime_ns) <= 2_000_000
        assert a.samples.dtype == b.samples.dtype
        np.testing.assert_array_equal(a.samples, b.samples)


def test_packets_join_although_their_stamps_are_cut_to_milliseconds() -> None:
    """At 1000 Hz a millisecond is a sample: taken as they are, such stamps would be gaps and overlaps."""
    rng = np.random.default_rng(5)
    sent = [
        Packet(p.source_id, p.starttime_ns + int(rng.integers(-900_000, 900_000)), 1000.0, p.samples)
        for p in packets(200, 1000.0)
    ]
    found, _ = decode_all(lambda: DatacastDecoder(sampling_rate=1000.0), [encode_datacast(each) for each in sent])
    apart = [b.starttime_ns - a.time_of(a.samples.size) for a, b in pairwise(found)]
    assert max(map(abs, apart)) < 200_000


def test_a_rate_of_its_own_needs_four_packets() -> None:
    wires = [encode_datacast(each) for each in packets(6, 93.0)]
    assert decode_all(DatacastDecoder, wires[:3])[0] == []
    found, _ = decode_all(DatacastDecoder, wires)
    assert len(found) == 6
    assert found[0].sampling_rate == pytest.approx(93.0, rel=0.005)


def test_loss_order_and_repetition_are_told() -> None:
    wires = [encode_datacast(each) for each in packets(8)]
    found, _ = decode_all(DatacastDecoder, [wires[i] for i in (0, 1, 4, 3, 4, 5)])
    assert [each.flags for each in found] == [
        0, 0, PacketFlag.SEQUENCE_GAP, PacketFlag.REORDERED, PacketFlag.DUPLICATE, 0,
    ]  # fmt: skip
    stepped = packets(8)[3]
    step = encode_datacast(Packet(stepped.source_id, stepped.starttime_ns + 50_000_000, 100.0, stepped.samples))
    assert decode_all(DatacastDecoder, [*wires[:3], step])[0][-1].flags == PacketFlag.CLOCK_STEP


def test_the_first_step_over_a_hole_does_not_set_the_rate() -> None:
    wires = [encode_datacast(each) for each in packets(8, 93.0)]
    found, _ = decode_all(DatacastDecoder, [wires[i] for i in (0, 3, 4, 5, 6, 7)])
    assert found[0].sampling_rate == pytest.approx(93.0, rel=0.005)


@pytest.mark.parametrize("lost", [(), (25,)])
def test_a_hole_between_the_first_packets_does_not_halve_the_rate_for_ever(lost: tuple[int, ...]) -> None:
    wires = [encode_datacast(each) for i, each in enumerate(packets(60)) if i != 1 and i not in lost]
    found, _ = decode_all(DatacastDecoder, [each for wire in wires for each in (wire, wire)])  # each comes twice
    assert (found[0].sampling_rate, len(found)) == (50.0, 2 * len(wires))
    late = found[-40::2]
    assert {(each.sampling_rate, each.flags) for each in late} == {(100.0, PacketFlag.NONE)}


def test_a_rate_is_kept_through_loss_and_beside_another_sender() -> None:
    sent = packets(200)
    halves = [encode_datacast(each) for each in sent[:2] + sent[2::2]]
    assert {each.sampling_rate for each in decode_all(DatacastDecoder, halves[:16])[0]} == {100.0}
    other = [Packet(p.source_id, p.starttime_ns + 100_000_000, 100.0, p.samples) for p in sent]
    both = [encode_datacast(each) for pair in zip(sent[2:], other[2:], strict=True) for each in pair]
    found, _ = decode_all(DatacastDecoder, [*map(encode_datacast, sent[:2]), *both])
    assert {each.sampling_rate for each in found} == {100.0}
    told, _ = decode_all(lambda: DatacastDecoder(sampling_rate=50.0), map(encode_datacast, sent))
    assert {each.sampling_rate for each in told} == {50.0}


@pytest.mark.parametrize(
    "wire",
    [
        b"{'EHZ', 1580372810.003}",
        b"{'EHZ', 1580372810.003, }",
        b"{'EHZ', 1580372810.003, 1, __import__('os')}",
        b"{'EHZ', 1580372810.003, 1 2}",
        b"{'EH', 1580372810.003, 1}",
        b"{'EHZ', -1, 1}",
        b"{'EHZ', 1580372810.003, 99999999999}",
        b"{'EHZ', 1580372810.003, 4294967296}",
        b"{'EHZ', 9999999999.999, 1}",
        b"{'EHZ', 1580372810.003, nan}",
        b"TERM}",
        b"{" * 9000,
    ],
)
def test_what_breaks_the_grammar_is_damage(wire: bytes) -> None:
    good = [encode_datacast(each) for each in packets(2)]
    found, damaged = decode_all(DatacastDecoder, [wire, *good])
    assert damaged == 1
    assert len(found) == 2


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        (b"{'EHZ', 15803728", "found b\"{'EHZ', 15803728\" behind the last brace, wanted a packet in braces"),
        (b"TERM", "found b'TERM' behind the last brace"),
        (b"SF\1\2{}}", "found a native frame, wanted a packet in braces: format=native reads it"),
    ],
)
def test_a_datagram_that_is_no_whole_packet_is_damage_at_once(unit: bytes, message: str) -> None:
    decoder, damage = DatacastDecoder(sampling_rate=100.0, is_message=True), list[WireError]()
    good = [encode_datacast(each) for each in packets(3)]
    found = [packets_of(decoder, each, damage.append) for each in (good[0] + b"\r\n", unit, good[1], b" ", good[2])]
    assert [len(each) for each in found] == [1, 0, 1, 0, 1]
    assert [message in str(each) for each in damage] == [True]


def test_any_portions_give_the_same() -> None:
    stream = b"\n".join(encode_datacast(each) for each in packets(6))
    assert len(assert_any_portions_give_the_same(DatacastDecoder, stream, b"\n{'EHZ', 15803")) == 6


def test_decode_after_encode_after_decode() -> None:
    wires = [encode_datacast(each) for each in packets(5)]
    once, _ = decode_all(DatacastDecoder, wires)
    twice, _ = decode_all(DatacastDecoder, [encode_datacast(each) for each in once])
    assert same_packets(once, twice)
