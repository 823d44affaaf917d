"""miniSEED records → packets: right types, times and names; damage is a `WireError` and nothing else."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import packets
import pytest
from packets import START_NS, packet
from pymseed import DataEncoding
from shared_data import SHARED, needs_shared

from seisedge.firmware_bridge import (
    Packet,
    RecordHeader,
    Samples,
    TruncatedError,
    WireError,
    decode_record,
    read_headers,
)

RNG = np.random.default_rng(20210401)
COUNTS = RNG.integers(-30_000, 30_000, 3000).astype(np.int32)
ENCODINGS = {
    DataEncoding.INT16: np.int16,
    DataEncoding.INT32: np.int32,
    DataEncoding.STEIM1: np.int32,
    DataEncoding.STEIM2: np.int32,
    DataEncoding.FLOAT32: np.float32,
    DataEncoding.FLOAT64: np.float32,
}


def decoded(parts: list[bytes]) -> npt.NDArray[np.generic]:
    return np.concatenate([decode_record(part).samples for part in parts])


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_gives_its_own_type_and_exact_values(encoding: DataEncoding, version: int) -> None:
    parts = packets.records(packet(COUNTS), version=version, encoding=encoding)
    assert len(parts) > 1
    samples = decoded(parts)
    assert samples.dtype == ENCODINGS[encoding]
    np.testing.assert_array_equal(samples, COUNTS)


@pytest.mark.parametrize("rate", [1.0, 31.25, 50.0, 100.0, 125.0, 200.0, 250.0, 1000.0])
def test_times_rates_and_names_are_those_of_the_header(rate: float) -> None:
    whole = packet(COUNTS, rate=rate, start_ns=START_NS + 123_456_000)
    parts = packets.records(whole, version=3)
    at = 0
    for header, part in zip(read_headers(b"".join(parts)), parts, strict=True):
        found = decode_record(part)
        assert (found.source_id, found.sampling_rate) == (whole.source_id, rate)
        assert abs(found.starttime_ns - whole.time_of(at)) <= 1
        assert (header.source_id, header.starttime_ns) == (whole.source_id, found.starttime_ns)
        assert (header.sampling_rate, header.npts) == (rate, found.samples.size)
        assert abs(header.endtime_ns - found.time_of(found.samples.size - 1)) <= 1
        at += found.samples.size
    assert at == COUNTS.size


def test_headers_say_where_records_stand() -> None:
    parts = packets.records(packet(COUNTS)) + packets.records(packet(COUNTS), version=3, length=1024)
    content = b"".join(parts)
    headers = list(read_headers(content))
    assert [content[each.offset : each.offset + each.length] for each in headers] == parts


def test_samples_are_owned_and_not_a_view_of_libmseeds_memory() -> None:
    samples = decode_record(packets.records(packet(COUNTS))[0]).samples
    assert samples.flags.owndata
    assert samples.flags.c_contiguous
    assert samples.flags.writeable


def test_values_beyond_float32_become_infinite() -> None:
    parts = packets.records(
        Packet("FDSN:XX_TEST__H_H_Z", START_NS, 100.0, np.array([1.0, 1e300, -1e300])), encoding=DataEncoding.FLOAT64
    )
    np.testing.assert_array_equal(decoded(parts), np.array([1, np.inf, -np.inf], np.float32))


def test_an_end_inside_a_record_is_truncation_and_keeps_what_was_before() -> None:
    parts = packets.records(packet(COUNTS))
    content = b"".join(parts)
    for cut in (len(content) - 1, len(content) - 400, len(content) - 500):
        found: list[RecordHeader] = []
        with pytest.raises(TruncatedError, match="wanted a whole miniSEED record") as caught:
            found.extend(read_headers(content[:cut]))  # keeps what came before the error
        assert len(found) == len(parts) - 1
        assert caught.value.offset == len(content) - 512


@pytest.mark.parametrize("content", [b"station,time\nNYSH,12:35\n" * 50, bytes(1024), b"\xff" * 4096])
def test_other_bytes_are_a_wire_error(content: bytes) -> None:
    with pytest.raises(WireError, match="wanted a whole miniSEED record"):
        list(read_headers(content))
    with pytest.raises(WireError, match="wanted a decodable record"):
        decode_record(content)


def test_no_bytes_are_no_records() -> None:
    assert list(read_headers(b"")) == []


def test_a_wrong_checksum_is_a_wire_error() -> None:
    part = bytearray(packets.records(packet(COUNTS), version=3)[0])
    part[-5] ^= 1
    with pytest.raises(WireError, match="CRC"):
        decode_record(bytes(part))


@pytest.mark.parametrize("rate", [1e-5, 2e6])
def test_a_rate_that_no_sensor_has_is_a_wire_error(rate: float) -> None:
    part = packets.records(packet(COUNTS, rate=rate), version=3)[0]
    with pytest.raises(WireError, match="found a sampling rate of"):
        decode_record(part)


def test_text_records_are_passed_over() -> None:
    from pymseed import MS3Record  # noqa: PLC0415 - only here

    template = MS3Record()
    template.sourceid, template.starttime, template.samprate = "FDSN:XX_TEST__L_O_G", START_NS, 0
    template.encoding, template.formatversion = DataEncoding.TEXT, 3
    text = b"".join(template.generate(data_samples=list(b"clock locked"), sample_type="t"))
    good = packets.records(packet(COUNTS[:100]), version=3)
    assert [each.offset for each in read_headers(text + b"".join(good))] == [len(text)]
    with pytest.raises(WireError, match="wanted"):
        decode_record(text)


def mutated(part: bytes, rng: np.random.Generator) -> bytes:
    """Flip, drop, insert, swap or truncate a few bytes."""
    damaged = bytearray(part)
    for _ in range(int(rng.integers(1, 6))):
        kind, at = int(rng.integers(5)), int(rng.integers(max(1, len(damaged) - 8)))
        if kind == 0 and damaged:
            damaged[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del damaged[at : at + int(rng.integers(1, 64))]
        elif kind == 2:
            damaged[at:at] = rng.bytes(int(rng.integers(1, 64)))
        elif kind == 3:
            damaged[at : at + 8] = damaged[at : at + 8][::-1]
        else:
            del damaged[at + 1 :]
    return bytes(damaged)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_damaged_records_give_packets_or_a_wire_error(encoding: DataEncoding, version: int) -> None:
    part = packets.records(packet(COUNTS), version=version, encoding=encoding)[0]
    rng = np.random.default_rng(int(encoding) + 100 * version)
    messages: list[str] = []
    for _ in range(400):
        damaged = mutated(part, rng)
        try:
            list(read_headers(damaged))
            found = decode_record(damaged)
        except WireError as error:
            messages.append(str(error))
        else:
            assert found.samples.size <= 1 << 20
    assert len(messages) > 50
    assert not any("\n" in message for message in messages)


@needs_shared
def test_real_records_decode_as_obspy_decodes_them() -> None:
    obspy = pytest.importorskip("obspy", reason="ObsPy is the outside truth here", exc_type=ImportError)
    for name in ("float64_CN.HOLB.HNZ.mseed", "rshake_AM.R91E4_20220521.mseed"):
        content = (SHARED / "mseed" / name).read_bytes()
        found: dict[str, list[Samples]] = {}
        for header in read_headers(content):
            part = decode_record(content[header.offset : header.offset + header.length])
            found.setdefault(part.source_id, []).append(part.samples)
        stream = obspy.read(str(SHARED / "mseed" / name))
        assert len(stream) == len(found)
        for trace in stream:
            channel = "_".join(trace.stats.channel)
            source_id = f"FDSN:{trace.stats.network}_{trace.stats.station}_{trace.stats.location}_{channel}"
            wanted = np.asarray(trace.data)
            if wanted.dtype == np.float64:
                wanted = wanted.astype(np.float32)
            np.testing.assert_array_equal(np.concatenate(found[source_id]), wanted)
