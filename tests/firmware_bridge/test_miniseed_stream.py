"""Growing miniSEED streams: any portions give the same packets, damage costs its records only; records written back."""

from __future__ import annotations

import struct
from typing import Literal

import link_laws
import numpy as np
import packets
import pytest
from packets import START_NS, packet
from wire_laws import decode_all

from seisedge.firmware_bridge import (
    MiniSeedDecoder,
    Packet,
    PacketFlag,
    Samples,
    WireError,
    decode_record,
    decode_series,
    encode_records,
)
from seisedge.firmware_bridge.miniseed_encode import Encoding
from seisedge.firmware_bridge.record_length import record_length

RNG = np.random.default_rng(5)
COUNTS = RNG.integers(-30_000, 30_000, 2500).astype(np.int32)
MIXED = [
    *packets.records(packet(COUNTS[:1200]), version=2),
    *packets.records(packet(COUNTS), version=3, length=1024),
    *packets.records(packet(COUNTS, component="N"), version=2, length=4096),
]


class Reader:
    """A decoder as the laws want it."""

    def __init__(self) -> None:
        self.decoder = MiniSeedDecoder()

    def feed(self, data: bytes) -> None:
        self.decoder.feed(data)

    def take(self) -> Packet | None:
        return self.decoder.next_packet()

    def end(self) -> None:
        self.decoder.end()


def same(found: list[Packet], wanted: list[Packet]) -> bool:
    return len(found) == len(wanted) and all(
        (a.source_id, a.starttime_ns, a.sampling_rate, a.flags)
        == (b.source_id, b.starttime_ns, b.sampling_rate, b.flags)
        and np.array_equal(a.samples, b.samples)
        for a, b in zip(found, wanted, strict=True)
    )


WANTED = [decode_record(part) for part in MIXED]


@pytest.mark.parametrize("kind", ["whole", "byte by byte", "random"])
def test_any_portions_give_the_packets_of_the_records(kind: str) -> None:
    feed = link_laws.feeds(b"".join(MIXED), np.random.default_rng(1))[kind]
    found, damage = link_laws.everything(Reader(), feed)
    assert not damage
    assert same(found, WANTED)


def test_a_packet_comes_with_the_last_byte_of_its_record_and_trailing_bytes_stay() -> None:
    record, following = MIXED[0], MIXED[-1][:100]
    decoder = MiniSeedDecoder()
    decoder.feed(record[:-1])
    assert decoder.next_packet() is None
    decoder.feed(record[-1:] + following)
    assert decoder.next_packet() is not None
    assert decoder.consumed == len(record)
    assert decoder.next_packet() is None
    decoder.feed(MIXED[-1][100:])
    assert same([found for found in [decoder.next_packet()] if found], WANTED[-1:])


@pytest.mark.parametrize("damage", [b"", b"\xff" * 700, b"000001D", b"MS\x03", b"garbage" * 40])
def test_damage_is_told_once_and_costs_the_damaged_record_only(damage: bytes) -> None:
    broken = bytearray(MIXED[4])
    broken[0:48] = bytes(48)
    data = b"".join([*MIXED[:4], bytes(broken), damage, *MIXED[5:]])
    for feed in link_laws.feeds(data, np.random.default_rng(2)).values():
        found, told = link_laws.everything(Reader(), feed)
        assert len(told) == 1
        assert told[0].offset == sum(map(len, MIXED[:4]))
        assert same(found, WANTED[:4] + WANTED[5:])


def test_a_wrong_checksum_costs_one_record() -> None:
    parts = packets.records(packet(COUNTS), version=3)
    broken = bytearray(parts[1])
    broken[-5] ^= 1
    found, told = link_laws.everything(Reader(), [b"".join([parts[0], bytes(broken), *parts[2:]])])
    assert len(found) == len(parts) - 1
    assert ["CRC" in str(each) for each in told] == [True]


def test_the_end_inside_a_record_is_damage_and_nothing_without_an_end() -> None:
    decoder = MiniSeedDecoder()
    decoder.feed(MIXED[0][:300])
    assert decoder.next_packet() is None
    decoder.end()
    with pytest.raises(WireError, match="wanted a record"):
        decoder.next_packet()
    assert decoder.next_packet() is None


def test_a_record_that_claims_more_than_allowed_is_damage() -> None:
    huge = bytearray(MIXED[-1])
    decoder = MiniSeedDecoder(max_record=1024)
    decoder.feed(bytes(huge[:2048]))
    with pytest.raises(WireError):
        decoder.next_packet()


@pytest.mark.parametrize("portion", [1, 50, 100, 512, 5000])
def test_a_year_that_cannot_be_is_damage_in_any_portions(portion: int) -> None:
    """The library reads 1764 from a whole header, but a part of one does not tell it from damage."""
    first, second = (
        packets.records(packet(COUNTS[:100]), version=2),
        packets.records(packet(COUNTS[100:200]), version=2),
    )
    stream = first[0][:20] + struct.pack(">H", 1764) + first[0][22:] + second[0]
    found, damage = decode_all(MiniSeedDecoder, [stream[at : at + portion] for at in range(0, len(stream), portion)])
    assert [each.samples.size for each in found] == [100]
    assert damage == 1


def test_text_is_passed_over() -> None:
    text = text_record()
    decoder = MiniSeedDecoder()
    decoder.feed(text + MIXED[0])
    assert decoder.next_packet() is not None
    assert decoder.passed_over == 1
    assert decode_series(text) is None
    assert decode_series(MIXED[0]) is not None


def text_record() -> bytes:
    from pymseed import DataEncoding, MS3Record  # noqa: PLC0415 - only here

    template = MS3Record()
    template.sourceid, template.starttime, template.samprate = "FDSN:XX_TEST__L_O_G", START_NS, 0
    template.encoding, template.formatversion = DataEncoding.TEXT, 3
    return b"".join(template.generate(data_samples=list(b"clock locked"), sample_type="t"))


# The reference: a record built from FDSN miniSEED 3's table of the fixed header, byte by byte.


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli), bit by bit: reflected polynomial 0x82F63B78."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def reference_record(samples: list[int], extra: bytes = b"", flags: int = 4) -> bytes:
    sid, data = b"FDSN:XX_TEST_00_B_H_Z", struct.pack(f"<{len(samples)}i", *samples)
    head = b"MS\x03" + bytes([flags]) + struct.pack("<IHHBBBB", 123_456_789, 2024, 60, 12, 34, 56, 3)
    head += struct.pack("<dI", 20.0, len(samples)) + b"CRC!" + bytes([1, len(sid)])
    head += struct.pack("<HI", len(extra), len(data))
    whole = bytearray(head + sid + extra + data)
    whole[28:32] = bytes(4)
    whole[28:32] = struct.pack("<I", crc32c(bytes(whole)))
    return bytes(whole)


def test_the_checksum_is_castagnolis() -> None:
    assert crc32c(b"123456789") == 0xE3069283


def test_a_record_built_from_the_specification_is_read() -> None:
    record = reference_record([1, -2, 3_000_000])
    assert record_length(record) == len(record)
    found = decode_record(record)
    assert found.source_id == "FDSN:XX_TEST_00_B_H_Z"
    assert found.starttime_ns == 1_709_210_096_123_456_789  # 2024-02-29, day 60 of a leap year
    assert (found.sampling_rate, found.samples.tolist()) == (20.0, [1, -2, 3_000_000])
    assert found.flags == PacketFlag.NONE


FLAGS = {
    (4, b""): PacketFlag.NONE,
    (0, b""): PacketFlag.CLOCK_QUESTIONABLE,
    (6, b""): PacketFlag.CLOCK_QUESTIONABLE,
    (0, b'{"FDSN":{"Time":{"Quality":90}}}'): PacketFlag.NONE,
    (4, b'{"FDSN":{"Time":{"Quality":49}}}'): PacketFlag.CLOCK_QUESTIONABLE,
    (4, b'{"FDSN":{"Flags":{"DigitizerClipping":true}}}'): PacketFlag.SATURATED,
    (4, b'{"FDSN":{"Flags":{"AmplifierSaturation":true,"MissingData":true}}}'): PacketFlag.SATURATED
    | PacketFlag.OVERRUN,
    (4, b'{"FDSN":7}'): PacketFlag.NONE,
}


@pytest.mark.parametrize("said", FLAGS)
def test_what_a_record_says_of_its_data_becomes_flags(said: tuple[int, bytes]) -> None:
    bits, extra = said
    assert decode_record(reference_record([1, 2], extra, bits)).flags == FLAGS[said]


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("length", [256, 512, 4096])
@pytest.mark.parametrize(
    ("samples", "encoding"),
    [
        (COUNTS.astype(np.int16), None),
        (COUNTS.astype(np.int16), "int16"),
        (COUNTS, None),
        (COUNTS, "steim1"),
        (COUNTS, "int32"),
        (COUNTS.astype(np.float32) / 7, None),
    ],
)
def test_records_give_back_what_was_encoded(
    samples: Samples, encoding: Encoding | None, length: int, version: Literal[2, 3]
) -> None:
    flags = PacketFlag.SATURATED | PacketFlag.OVERRUN
    whole = Packet("FDSN:XX_TEST_00_H_H_Z", START_NS + 123_456_000, 125.0, samples, flags)
    parts = encode_records(whole, encoding, length, version=version)
    assert all(record_length(part) == len(part) for part in parts)
    found = [decode_record(part) for part in parts]
    assert all(each.flags == flags and each.sampling_rate == 125.0 for each in found)
    assert found[0].starttime_ns == whole.starttime_ns
    joined = np.concatenate([each.samples for each in found])
    assert joined.dtype == samples.dtype
    np.testing.assert_array_equal(joined, samples)


def test_a_questionable_clock_stays_questionable() -> None:
    whole = Packet("FDSN:XX_TEST_00_H_H_Z", START_NS, 100.0, COUNTS, PacketFlag.CLOCK_QUESTIONABLE)
    assert {decode_record(part).flags for part in encode_records(whole)} == {PacketFlag.CLOCK_QUESTIONABLE}


def test_samples_that_do_not_fit_are_refused() -> None:
    with pytest.raises(WireError, match="wanted such as fit into steim2"):
        encode_records(packet(COUNTS.astype(np.float32)), "steim2")
    with pytest.raises(WireError, match="wanted such as fit into int16"):
        encode_records(packet(COUNTS), "int16")
    far = np.array([-(1 << 29), 1 << 29] * 50, np.int32)
    with pytest.raises(WireError, match="wanted samples that steim2 can hold"):
        encode_records(packet(far))


def test_lengths_of_records_are_read_from_their_first_bytes() -> None:
    for part in MIXED:
        assert record_length(part) == len(part)
        assert record_length(part[:30]) is None
    plain = bytearray(MIXED[0])
    plain[46:48] = bytes(2)  # no blockettes at all: SeedLink's classic length
    assert record_length(bytes(plain)) == 512
    with pytest.raises(WireError, match="wanted a header"):
        record_length(b"x" * 64)
    plain[46:48] = struct.pack(">H", 3)
    with pytest.raises(WireError, match="broken chain"):
        record_length(bytes(plain))
    ring = bytearray(MIXED[0])
    ring[46:52] = struct.pack(">HHH", 48, 999, 48)  # a blockette that names itself as the next one
    with pytest.raises(WireError, match="broken chain"):
        record_length(bytes(ring))
    long = next(each for each in MIXED if each.startswith(b"MS\x03"))
    with pytest.raises(WireError, match=f"found a length of {len(long)} bytes, wanted at most 300"):
        record_length(long, max_record=300)
