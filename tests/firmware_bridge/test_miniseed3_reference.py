"""FDSN's reference records of miniSEED 3, built here by rule; that they are those, the checksums in them prove.

github.com/FDSN/miniSEED3, reference-data: the checksums are those of its JSON files. Each sample of the series is
10 sin(0.2 i) / 0.98^i without its fraction.
"""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from wire_laws import decode_all

from seisedge.firmware_bridge import MiniSeedDecoder, Packet, Samples, decode_record, encode_records
from seisedge.firmware_bridge.crc import crc32c
from seisedge.firmware_bridge.miniseed_encode import Encoding

_INDEX = np.arange(500)
SINUSOID = np.trunc(10 * np.sin(0.2 * _INDEX) / 0.98**_INDEX).astype(np.int32)
START_NS = 1_325_376_000 * 1_000_000_000
DETECTION = {
    "Type": "MURDOCK",
    "SignalAmplitude": 80,
    "SignalPeriod": 0.399999976,
    "BackgroundEstimate": 18,
    "Wave": "DILATATION",
    "OnsetTime": "2004-07-28T20:28:06.185000Z",
    "MEDSNR": [1, 3, 2, 1, 4, 0],
    "MEDLookback": 2,
    "MEDPickAlgorithm": 0,
    "Detector": "Z_SPWWSS",
}
_HEAD = struct.Struct("<2sBBIHHBBBBdIIBBHI")
_CRC = slice(28, 32)


def detection_only() -> bytes:
    """Headers and no samples: reference-detectiononly."""
    extra = json.dumps({"FDSN": {"Event": {"Detection": [DETECTION]}}}, separators=(",", ":")).encode()
    source_id = b"FDSN:IU_ANMO_00_B_H_Z"
    head = _HEAD.pack(b"MS", 3, 0, 0, 2004, 210, 20, 28, 9, 0, 0.0, 0, 0, 2, len(source_id), len(extra), 0)
    record = bytearray(head + source_id + extra)
    record[_CRC] = struct.pack("<I", crc32c(record))
    return bytes(record)


@pytest.mark.parametrize(
    ("encoding", "samples", "length", "checksum"),
    [
        ("int16", SINUSOID[:400].astype(np.int16), 859, 0x04D287D6),
        ("int32", SINUSOID, 2059, 0xFE994E3F),
        ("steim1", SINUSOID, 955, 0xB801BB28),
    ],
)
def test_the_reference_records_are_written_byte_for_byte_and_read(
    encoding: Encoding, samples: Samples, length: int, checksum: int
) -> None:
    packet = Packet("FDSN:XX_TEST__L_H_Z", START_NS, 1.0, samples)
    (record,) = encode_records(packet, encoding, 4096, version=3)
    assert len(record) == length
    assert int.from_bytes(record[_CRC], "little") == checksum
    found = decode_record(record)
    assert (found.source_id, found.starttime_ns, found.sampling_rate) == (packet.source_id, START_NS, 1.0)
    assert np.array_equal(found.samples, samples)


def test_a_reference_record_of_headers_alone_gives_no_packet_and_no_damage() -> None:
    record = detection_only()
    assert len(record) == 330
    assert int.from_bytes(record[_CRC], "little") == 0xA379650D
    following = encode_records(Packet("FDSN:XX_TEST__L_H_Z", START_NS, 1.0, SINUSOID), "int32", 4096, version=3)
    packets, damage = decode_all(MiniSeedDecoder, [record, *following])
    assert [len(each.samples) for each in packets] == [500]
    assert not damage
