"""Packets as sensors send them, built here for tests: P-Alert's three modes; the recorded datacast."""

from __future__ import annotations

import struct

import numpy as np
from shared_data import SHARED

from seisedge.firmware_bridge import Packet, encode_records
from seisedge.firmware_bridge.crc import crc16_modbus


def datacast_lines() -> list[bytes]:
    """The recorded datagrams; three of them stand without a line's end between."""
    text = (SHARED / "rsudp" / "testdata_udp_packets.txt").read_bytes().replace(b"}{", b"}\n{")
    return [line.strip() for line in text.splitlines() if line.strip().startswith(b"{")]


def palert_1(second: int, *, ntp: bool = True, seed: int = 0) -> bytes:
    """Mode 1: 100 samples from 2024-04-02T23:58:`second`."""
    samples = np.random.default_rng((seed, second)).integers(-300, 300, (100, 5)).astype("<i2")
    whole = bytearray(1200)
    struct.pack_into("<HH5HBB", whole, 0, 1, 0, 2024, 4, 2, 23, 58, 7, second)
    struct.pack_into("<H", whole, 28, 4711)
    whole[96] = int(ntp)
    whole[140:148] = b"03051501"
    struct.pack_into("<H", whole, 148, 1200)
    struct.pack_into("<H", whole, 198, 100)
    whole[200:] = samples.tobytes()
    struct.pack_into("<H", whole, 186, crc16_modbus(bytes(whole)))
    return bytes(whole)


def palert_4(packet: Packet, *, ntp: bool = True) -> bytes:
    """Mode 4: a header and one record of 512 bytes."""
    record = next(iter(encode_records(packet)))
    head = bytearray(64)
    struct.pack_into("<HHBB", head, 0, 4, 64 + len(record), 1, 1)
    struct.pack_into("<H", head, 6, crc16_modbus(bytes(head[:6])))
    head[12] = int(ntp)
    head[58:62] = b"\x03\x05\x15\x01"
    return bytes(head) + record


def palert_16(number: int, *, ntp: bool = True, npts: int = 50) -> bytes:
    """Mode 16: 3 channels of float32 gal, 100 Hz."""
    samples = np.random.default_rng(number).normal(0, 2, (npts, 3)).astype("<f4")
    start, data = 1_712_102_280 * 10_000 + number * npts * 100, samples.tobytes()
    head = struct.pack(
        "<4sHBHHIBHBfHBBIf", b"SYNC", number, 36, len(data), 38 + len(data), start // 10_000, 0, start % 10_000,
        int(ntp), 2924.0, 100, 1, 3, 815, 0.0,
    ) + b"\0"  # fmt: skip
    return head + data + struct.pack("<H", crc16_modbus(head + data))
