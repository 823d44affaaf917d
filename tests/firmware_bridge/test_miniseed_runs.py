"""Many records at once give what they give one by one, and whatever is out of the ordinary is left to the slow way."""

from __future__ import annotations

import numpy as np
import packets
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packets import START_NS, packet
from pymseed import DataEncoding

from seisedge.firmware_bridge import PacketFlag, WireError, decode_record, decode_run, read_headers, uniform_run

COUNTS = np.random.default_rng(3).integers(-30_000, 30_000, 9000).astype(np.int32)


def day(*, start_ns: int = START_NS, rate: float = 100.0, encoding: DataEncoding = DataEncoding.STEIM2) -> list[bytes]:
    return packets.records(packet(COUNTS, start_ns=start_ns, rate=rate), encoding=encoding)


def assert_run_is_headers(content: bytes) -> int:
    """Hold a run against the slow way; the number of its records."""
    run = uniform_run(memoryview(content))
    if run is None:
        return 0
    count = run.starts_ns.size
    headers = [header for header, _ in zip(read_headers(content), range(count), strict=False)]
    assert [each.starttime_ns for each in headers] == run.starts_ns.tolist()
    assert [each.npts for each in headers] == run.npts.tolist()
    assert [each.offset for each in headers] == list(range(0, run.nbytes, run.first.length))
    for key in ("source_id", "sampling_rate", "length", "encoding", "flags"):
        assert {getattr(each, key) for each in headers} == {getattr(run.first, key)}
    return count


@settings(max_examples=25)
@given(
    st.integers(-(10**9), 4 * 10**9),
    st.integers(0, 999_999),
    st.sampled_from([31.25, 100.0, 99.9, 0.5]),
    st.sampled_from([DataEncoding.STEIM2, DataEncoding.STEIM1, DataEncoding.INT32, DataEncoding.FLOAT32]),
)
def test_a_run_is_what_the_headers_say(second: int, microsecond: int, rate: float, encoding: DataEncoding) -> None:
    parts = day(start_ns=second * 10**9 + microsecond * 1000, rate=rate, encoding=encoding)
    assert assert_run_is_headers(b"".join(parts)) <= len(parts)  # fewer before the 31st of December of a leap year


def test_a_day_is_one_run() -> None:
    parts = day()
    assert assert_run_is_headers(b"".join(parts)) == len(parts) > 30


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 12))
def test_mutated_headers_are_never_read_otherwise(seed: int, flips: int) -> None:
    rng = np.random.default_rng(seed)
    content = bytearray(b"".join(day()))
    for _ in range(flips):
        content[512 * int(rng.integers(len(content) // 512)) + int(rng.integers(64))] = int(rng.integers(256))
    try:
        run = uniform_run(memoryview(content))
    except WireError:
        return
    if run is None:
        return
    headers = []
    try:
        for header in read_headers(bytes(content)):
            headers.append(header)
            if len(headers) == run.starts_ns.size:
                break
    except WireError as error:
        pytest.fail(f"a run went over what the slow way refuses: {error}")
    assert [each.starttime_ns for each in headers] == run.starts_ns.tolist()
    assert [each.npts for each in headers] == run.npts.tolist()
    assert {each.source_id for each in headers} == {run.first.source_id}
    assert {each.sampling_rate for each in headers} == {run.first.sampling_rate}


@pytest.mark.parametrize("at", [8, 32, 38, 45, 52, 20, 24, 6])
def test_a_run_ends_before_a_record_of_another_kind(at: int) -> None:
    parts = day()
    other = bytearray(parts[20])
    other[at] ^= 0x81
    run = uniform_run(memoryview(b"".join([*parts[:20], bytes(other), *parts[21:]])))
    assert run is not None
    assert run.starts_ns.size == 20


@pytest.mark.parametrize(
    "content",
    [b"", b"notes" * 100, b"".join(day()[:7]), b"".join(packets.records(packet(COUNTS), version=3))],
    ids=["nothing", "text", "few", "version 3"],
)
def test_what_is_left_to_the_slow_way(content: bytes) -> None:
    assert uniform_run(memoryview(content)) is None


@pytest.mark.parametrize("encoding", [DataEncoding.STEIM1, DataEncoding.STEIM2, DataEncoding.FLOAT64])
def test_records_together_are_the_records_one_by_one(encoding: DataEncoding) -> None:
    parts = day(encoding=encoding)
    together = decode_run(b"".join(parts), int(encoding), PacketFlag.NONE, COUNTS.size)
    one_by_one = [decode_record(part) for part in parts]
    assert together is not None
    assert (together.source_id, together.starttime_ns) == (one_by_one[0].source_id, one_by_one[0].starttime_ns)
    assert together.sampling_rate == one_by_one[0].sampling_rate
    assert together.samples.dtype == one_by_one[0].samples.dtype
    np.testing.assert_array_equal(together.samples, np.concatenate([each.samples for each in one_by_one]))


def test_a_damaged_record_among_others_is_left_to_the_slow_way() -> None:
    parts = day()
    damaged = bytearray(parts[3])
    damaged[64:] = b"\xff" * (len(damaged) - 64)
    assert decode_run(b"".join([*parts[:3], bytes(damaged), *parts[4:]]), 11, PacketFlag.NONE, COUNTS.size) is None
    assert decode_run(b"".join([*parts[:3], *parts[4:]]), 11, PacketFlag.NONE, COUNTS.size) is None
    assert decode_run(b"none", 11, PacketFlag.NONE, 10) is None
