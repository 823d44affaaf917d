"""P-Alert's three modes: values, times, checksums, damage."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

import numpy as np
import pytest
from sensor_packets import palert_1, palert_4, palert_16
from wire_laws import assert_any_portions_give_the_same, decode_all

from seisedge.firmware_bridge import Packet, PacketFlag, WireError
from seisedge.firmware_bridge.crc import crc16_modbus
from seisedge.firmware_bridge.palert import GAL_PER_COUNT, PalertDecoder

RECORD = Packet("FDSN:TW_P001_00_H_L_Z", 1_712_102_280_000_000_000, 100.0, np.arange(200, dtype=np.int16))
STREAM = palert_1(0) + palert_1(1) + palert_4(RECORD) + palert_16(65535) + palert_16(0) + palert_1(2)


def test_mode_1() -> None:
    found, damaged = decode_all(PalertDecoder, [palert_1(5), palert_1(6, ntp=False)])
    assert (len(found), damaged) == (6, 0)
    assert [each.source_id for each in found[:3]] == [f"FDSN:XX_P4711__H_L_{axis}" for axis in "ZNE"]
    wanted = np.frombuffer(palert_1(5), "<i2", 500, 200).reshape(100, 5)
    for column, packet in enumerate(found[:3]):
        assert packet.samples.dtype == np.int16
        np.testing.assert_array_equal(packet.samples, wanted[:, column])
    assert found[0].starttime_ns == 1_712_102_285_070_000_000
    assert [each.flags for each in found[2:4]] == [PacketFlag.NONE, PacketFlag.CLOCK_QUESTIONABLE]
    assert pytest.approx(0.059814453) == GAL_PER_COUNT


def test_mode_1_on_local_time() -> None:
    found, _ = decode_all(lambda: PalertDecoder(utc_offset_s=8 * 3600), [palert_1(5)])
    assert found[0].starttime_ns == 1_712_073_485_070_000_000


def test_mode_4_has_its_records() -> None:
    found, damaged = decode_all(PalertDecoder, [palert_4(RECORD), palert_4(RECORD, ntp=False)])
    assert damaged == 0
    assert found[0].source_id == RECORD.source_id
    np.testing.assert_array_equal(found[0].samples, RECORD.samples)
    assert [each.flags for each in found] == [PacketFlag.NONE, PacketFlag.CLOCK_QUESTIONABLE]


def test_mode_16() -> None:
    found, damaged = decode_all(PalertDecoder, [palert_16(n) for n in (7, 8, 10)])
    assert (len(found), damaged) == (9, 0)
    assert [each.source_id for each in found[:3]] == [f"FDSN:XX_P815__H_L_{axis}" for axis in "ZNE"]
    wanted = np.frombuffer(palert_16(7), "<f4", 150, 36).reshape(50, 3)
    np.testing.assert_array_equal(found[1].samples, wanted[:, 1])
    assert found[0].starttime_ns == 1_712_102_283_500_000_000
    assert found[6].flags == PacketFlag.SEQUENCE_GAP


def test_any_portions_give_the_same() -> None:
    packets = assert_any_portions_give_the_same(PalertDecoder, b"\4\4noise SYN" + STREAM, palert_1(3)[:170])
    assert len(packets) == 16


@pytest.mark.parametrize("make", [lambda: palert_1(3), lambda: palert_4(RECORD), lambda: palert_16(3)])
def test_a_wrong_checksum_is_damage_and_the_next_packet_is_found(make: Callable[[], bytes]) -> None:
    bad = bytearray(make())
    bad[2 if bad[0] == 4 else 33] ^= 1
    found, damaged = decode_all(PalertDecoder, [bytes(bad), palert_1(4)])
    assert (len(found), damaged) == (3, 1)


def test_headers_alone_are_passed_over() -> None:
    head = bytearray(palert_1(1)[:200])
    struct.pack_into("<H", head, 148, 200)
    struct.pack_into("<H", head, 186, 0)
    struct.pack_into("<H", head, 186, crc16_modbus(bytes(head)))
    found, damaged = decode_all(PalertDecoder, [bytes(head), palert_1(4)])
    assert (len(found), damaged) == (3, 0)
    struct.pack_into("<H", head, 6, 13)
    whole = bytearray(palert_1(1))
    struct.pack_into("<H", whole, 6, 13)
    struct.pack_into("<H", whole, 186, 0)
    struct.pack_into("<H", whole, 186, crc16_modbus(bytes(whole)))
    decoder = PalertDecoder()
    decoder.feed(bytes(whole))
    with pytest.raises(WireError, match="wanted a date"):
        decoder.next_packet()


def test_a_year_that_spoils_recordings_is_damage() -> None:
    whole = bytearray(palert_1(1))
    struct.pack_into("<H", whole, 4, 2300)
    struct.pack_into("<H", whole, 186, 0)
    struct.pack_into("<H", whole, 186, crc16_modbus(bytes(whole)))
    found, damaged = decode_all(PalertDecoder, [bytes(whole), palert_1(4)])
    assert (len(found), damaged) == (3, 1)


@pytest.mark.parametrize("marker", [b"SYNC", b"03051501", b"\3\5\x15\1"])
def test_markers_without_packets_cost_as_much_as_they_are_long(marker: bytes) -> None:
    def seconds(size: int) -> float:
        begin = time.process_time()
        found, damaged = decode_all(PalertDecoder, [marker * (size // len(marker)) + palert_1(4)])
        assert (len(found), damaged) == (3, 1)
        return time.process_time() - begin

    assert seconds(1 << 17) < 24 * seconds(1 << 14)  # 8 times as long; 64 if all were looked at again each time


def test_a_header_of_mode_4_with_a_wrong_checksum_is_not_waited_for() -> None:
    damaged = bytearray(palert_4(RECORD))
    damaged[2:4] = struct.pack("<H", 64 + 60 * 512)
    found, told = decode_all(PalertDecoder, [bytes(damaged) + palert_4(RECORD)])
    assert (len(found), told) == (1, 1)


def test_the_end_inside_a_packet_is_told_once() -> None:
    decoder = PalertDecoder()
    decoder.feed(palert_1(0)[:700])
    assert decoder.next_packet() is None
    decoder.end()
    with pytest.raises(WireError, match="wanted a packet"):
        decoder.next_packet()
    assert decoder.next_packet() is None
