"""Every decoder of a wire format with good frames of its own: what `wire_fuzz.py` damages."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import packets
from sensor_packets import palert_1, palert_4, palert_16

from seisedge.firmware_bridge import (
    DataLinkClient,
    DataLinkPacket,
    Decoder,
    MiniSeedDecoder,
    Packet,
    SeedLinkClient,
    SeedLinkPacket,
    StationRequest,
    WireError,
    decode_record,
    decode_run,
    decode_series,
    encode_records,
    read_headers,
    uniform_run,
)
from seisedge.firmware_bridge.datacast import DatacastDecoder, encode_datacast
from seisedge.firmware_bridge.frame import MAX_FRAME_BYTES, Channel, Frame, encode_frame
from seisedge.firmware_bridge.frame_decoder import FrameDecoder, stuffed_frame
from seisedge.firmware_bridge.openeew import OpenEewDecoder
from seisedge.firmware_bridge.palert import PalertDecoder
from seisedge.firmware_bridge.seedlink_events import EndOfStream, Refused

_MOST_RECORD = 1 << 20
START_NS = packets.START_NS


@dataclass(frozen=True)
class Fuzzed:
    """A decoder and what it decodes.

    Attributes
    ----------
    frames
        Good ones, each of which gives packets.
    is_stream
        The borders of feeds are arbitrary; else each is a datagram, a message or a file.
    reach
        Bytes behind damage within which a good frame is found: the longest thing that a damaged length can claim.
    """

    make: Callable[[], Decoder]
    frames: Sequence[bytes]
    is_stream: bool
    reach: int


class SeedLinkFeed:
    """The packets of a SeedLink client that has asked for its stations."""

    def __init__(self, version: int) -> None:
        hello = b"SeedLink v4.0 :: SLPROTO:4.0\r\nX\r\n" if version == 4 else b"SeedLink v3.1 :: NSWILDCARD\r\nX\r\n"
        self._client = SeedLinkClient([StationRequest("XX_TEST")])
        self._client.receive(hello + b"OK\r\n" * (4 if version == 4 else 2))
        self.is_over = False
        while self._client.next_event() is not None:
            pass
        assert self._client.is_streaming

    def feed(self, data: bytes | memoryview) -> None:
        self._client.receive(data)

    def end(self) -> None:
        """A connection's end is told by the socket."""

    def next_packet(self) -> Packet | None:
        while (event := self._client.next_event()) is not None:
            self.is_over = self.is_over or isinstance(event, EndOfStream | Refused)
            if isinstance(event, SeedLinkPacket) and event.format in "23":
                packet = decode_series(event.payload)
                if packet is not None:
                    return packet
        return None


class DataLinkFeed:
    """The packets of a DataLink client that streams."""

    def __init__(self) -> None:
        self._client = DataLinkClient()

    def feed(self, data: bytes | memoryview) -> None:
        self._client.receive(data)

    def end(self) -> None:
        """A connection's end is told by the socket."""

    def next_packet(self) -> Packet | None:
        while (event := self._client.next_event()) is not None:
            if isinstance(event, DataLinkPacket) and event.kind in {"MSEED", "MSEED3"}:
                packet = decode_series(event.payload)
                if packet is not None:
                    return packet
        return None


class RecordsOfFile:
    """Whole files, read as an archive reads them: runs of like records at once, the others one by one."""

    def __init__(self) -> None:
        self._found: list[Packet | WireError] = []

    def feed(self, data: bytes | memoryview) -> None:
        found = self._found = list[Packet | WireError]()
        content = memoryview(bytes(data))
        try:
            run = uniform_run(content)
            if run is not None:
                whole = content[: run.nbytes]
                joined = decode_run(whole, run.first.encoding, run.first.flags, int(run.npts.sum()))
                if joined is not None:
                    found.append(joined)
                    content = content[run.nbytes :]
            found += [decode_record(content[each.offset : each.offset + each.length]) for each in read_headers(content)]
        except WireError as error:
            found.append(error)

    def end(self) -> None:
        """Files are whole."""

    def next_packet(self) -> Packet | None:
        if not self._found:
            return None
        first = self._found.pop(0)
        if isinstance(first, WireError):
            raise first
        return first


def _counts(npts: int, seed: int = 0) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.random.default_rng(seed).integers(-9999, 9999, npts).astype(np.int32)


def _records(version: int, npts: int = 300) -> list[bytes]:
    return packets.records(packets.packet(_counts(npts)), version=version, length=512 if version == 2 else 1024)


def _native(*, is_bare: bool) -> Fuzzed:
    rng, about = np.random.default_rng(0), tuple(Channel(axis) for axis in "ZNE")
    sent = [Frame(1, n, n * 10**8, (100, 1), rng.integers(-99, 99, (8, 3)).astype(np.int16), about) for n in range(3)]
    write = encode_frame if is_bare else stuffed_frame
    return Fuzzed(
        lambda: FrameDecoder(is_bare=is_bare), [write(each) for each in sent], not is_bare, 2 * MAX_FRAME_BYTES
    )


def _datacast(*, is_stream: bool) -> Fuzzed:
    whole = Packet("FDSN:AM_SHAKE_00_E_H_Z", 10**18, 100.0, np.arange(40, dtype=np.int32))
    wires = [encode_datacast(whole.cut(i, i + 10)) for i in range(0, 40, 10)]
    return Fuzzed(lambda: DatacastDecoder(sampling_rate=100.0, is_message=not is_stream), wires, is_stream, 1 << 14)


def _openeew(*, is_stream: bool) -> Fuzzed:
    axes = {axis: [0.1, -0.2, 0.3, 0.4] for axis in "xyz"}
    firmware = {"device_id": "0", "sr": 31.25, "user": "public", "device_t": 1.6e9, "traces": axes}
    archive = {"country_code": "mx", "device_id": "0", **axes, "device_t": 1.6e9, "cloud_t": 1.6e9, "sr": 31.25}
    wires = [json.dumps(each).encode() + b"\n" for each in (firmware, archive, firmware)]
    return Fuzzed(lambda: OpenEewDecoder(is_message=not is_stream), wires, is_stream, 1 << 15)


def _grillo(*, is_stream: bool) -> Fuzzed:
    traces = [{"t": 1.6e9 + n, "sr": 125, **{axis: [0.1 * n, -0.2, 0.3] for axis in "xyz"}} for n in range(6)]
    objects = [{"device_id": "000", "cloud_t": 1.6e9, "traces": traces[n : n + 2]} for n in range(0, 6, 2)]
    wires = [json.dumps(each).encode() for each in objects]
    return Fuzzed(lambda: OpenEewDecoder(is_message=not is_stream), wires, is_stream, 1 << 15)


def _palert(mode: int) -> Fuzzed:
    record = Packet("FDSN:TW_P001_00_H_L_Z", 10**18, 100.0, np.arange(200, dtype=np.int16))
    of_mode = {
        1: [palert_1(0), palert_1(1)],
        4: [palert_4(record), palert_4(record.cut(100, 200))],
        16: [palert_16(3), palert_16(4)],
    }
    mixed = [of_mode[1][0], of_mode[4][0], of_mode[16][0]]
    return Fuzzed(PalertDecoder, of_mode.get(mode, mixed), is_stream=True, reach=1 << 17)


def _seedlink(version: int) -> Fuzzed:
    records = [*_records(2), *_records(3)]
    frames: list[bytes] = []
    for number, record in enumerate(records):
        head = b"SL%06X" % number
        if version == 4:
            letter = b"3" if record.startswith(b"MS") else b"2"
            head = b"SE" + letter + b"D" + struct.pack("<IQB", len(record), number, 7) + b"XX_TEST"
        frames.append(head + record)
    return Fuzzed(lambda: SeedLinkFeed(version), frames, is_stream=True, reach=2 * _MOST_RECORD)


def _datalink() -> Fuzzed:
    frames: list[bytes] = []
    for number, (kind, record) in enumerate([*(("", each) for each in _records(2)), ("3", _records(3)[0])]):
        header = f"PACKET XX_TEST__HHZ/MSEED{kind} {number} 1600000001000001 1600000000000000 1600000000990000 "
        header += str(len(record))
        frames.append(b"DL" + bytes([len(header)]) + header.encode() + record)
    return Fuzzed(DataLinkFeed, frames, is_stream=True, reach=2 * _MOST_RECORD)


def _miniseed(version: int, *, is_file: bool) -> Fuzzed:
    if is_file:
        files = [b"".join(_records(version, npts)) for npts in (4000, 300)]
        return Fuzzed(RecordsOfFile, files, is_stream=False, reach=_MOST_RECORD)
    return Fuzzed(MiniSeedDecoder, _records(version), is_stream=True, reach=2 * _MOST_RECORD)


def _int16_records() -> Fuzzed:
    whole = Packet("FDSN:XX_TEST_00_H_N_Z", START_NS, 100.0, _counts(600).astype(np.int16))
    return Fuzzed(MiniSeedDecoder, list(encode_records(whole)), is_stream=True, reach=2 * _MOST_RECORD)


FUZZED: dict[str, Callable[[], Fuzzed]] = {
    "native-cobs": lambda: _native(is_bare=False),
    "native-bare": lambda: _native(is_bare=True),
    "datacast": lambda: _datacast(is_stream=False),
    "datacast-stream": lambda: _datacast(is_stream=True),
    "openeew": lambda: _openeew(is_stream=False),
    "openeew-stream": lambda: _openeew(is_stream=True),
    "grillo": lambda: _grillo(is_stream=False),
    "grillo-stream": lambda: _grillo(is_stream=True),
    "palert-1": lambda: _palert(1),
    "palert-4": lambda: _palert(4),
    "palert-16": lambda: _palert(16),
    "palert-mixed": lambda: _palert(0),
    "seedlink-3": lambda: _seedlink(3),
    "seedlink-4": lambda: _seedlink(4),
    "datalink": _datalink,
    "miniseed-2": lambda: _miniseed(2, is_file=False),
    "miniseed-3": lambda: _miniseed(3, is_file=False),
    "miniseed-int16": _int16_records,
    "miniseed-2-file": lambda: _miniseed(2, is_file=True),
    "miniseed-3-file": lambda: _miniseed(3, is_file=True),
}
"""Name → what is fuzzed, made when it is wanted."""
