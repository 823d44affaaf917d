"""P-Alert's packets of modes 1, 4 and 16 on a TCP line → packets. Facts: xemerald/palert2ew, xemerald/libpalertc.

mode  bytes                                                              samples
====  =================================================================  ===========================================
1     200 of header and 100 samples of 5 channels                        int16 (acceleration Z, N, E; Pd, displacement)
2     the header of mode 1 alone                                         none: passed over
4     64 of header and miniSEED records of 512                           the records' own
16    36 of header, float32 of all channels, CRC                         float32, gal
====  =================================================================  ===========================================

One count of mode 1 is 980 / 16384 gal, its stamps are cut to 10 ms: the clock model smooths them. A stamp is taken as
that of the first sample. A clock that does not follow NTP is CLOCK_QUESTIONABLE.
"""

from __future__ import annotations

import re
import struct
from collections import deque
from datetime import datetime, timezone

import numpy as np

from .clock import PacketClock, Stamped
from .crc import crc16_modbus
from .errors import WireError
from .miniseed import decode_record
from .naming import Naming
from .packet import NANOSECONDS, Packet, PacketFlag, Samples, require_time
from .sequence import SequenceTracker

GAL_PER_COUNT = 980 / 16384
"""Of mode 1: ±2 g in 16 bits (libpalertc: 0.059814453)."""

_SYNC_1, _SYNC_4, _SYNC_16 = b"03051501", b"\x03\x05\x15\x01", b"SYNC"
_AT_1, _AT_4 = 140, 58  # where the first two stand
_MARKED = {_SYNC_1: _AT_1, _SYNC_4: _AT_4, _SYNC_16: 0}
_MARKER = re.compile(b"|".join(map(re.escape, _MARKED)))
_HEADER_1, _HEADER_4, _HEADER_16 = 200, 64, 36
_WHOLE_1, _RECORD = 1200, 512
_NEEDED = _AT_1 + 10  # bytes that tell what begins here, or that nothing does
_CRC_AT_1, _RATE_AT_1, _CONNECTION_AT_1 = 186, 198, 96
_SAMPLES_1, _COLUMNS_1 = 100, 5
_DEFAULT_HZ, _MAX_HZ = 100, 1000
_HEAD_16 = struct.Struct("<4sHBHHIBHBfHBBIf")
_MAX_CHANNELS = 16
_TOLERANCE_S = 0.05


class PalertDecoder:
    """Decodes the packets of one P-Alert.

    Parameters
    ----------
    naming
        How channels are called; the station is `P` and the serial number unless told, the channels HLZ, HLN, HLE.
        Mode 4 has its own names in its records, which stay.
    utc_offset_s
        What the device's clock is ahead of UTC in modes 1 and 16: some are set to local time.
    """

    def __init__(self, naming: Naming | None = None, *, utc_offset_s: float = 0.0) -> None:
        self._naming = naming or Naming()
        self._offset_ns = round(utc_offset_s * NANOSECONDS)
        self._buffer = bytearray()
        self._is_damaged = self._is_ended = False
        self._packets: deque[Packet] = deque()
        self._clock: PacketClock | None = None
        self._sequence = SequenceTracker(16)

    def feed(self, data: bytes | memoryview) -> None:
        """Take bytes of the line."""
        self._buffer += data

    def end(self) -> None:
        """Nothing more will come: a packet that is not whole is damage."""
        self._is_ended = True

    def next_packet(self) -> Packet | None:
        """Give the next packet, or None where more bytes are needed.

        Raises
        ------
        WireError
            Once for each damaged stretch.
        """
        while not self._packets:
            size = _size_of(self._buffer)
            if size is None or size > len(self._buffer):
                if not self._is_ended or not self._buffer:
                    return None
                size = 0
            if size == 0:
                self._skip("what is no packet")
                continue
            whole = bytes(self._buffer[:size])
            fault = _checksum_fault(whole)
            if fault:
                self._skip(fault)
                continue
            del self._buffer[:size]
            self._is_damaged = False
            self._take(whole)
        return self._packets.popleft()

    def _skip(self, what: str) -> None:
        """Go on to the next place at which a packet may begin."""
        del self._buffer[: _next_start(self._buffer)]
        if not self._is_damaged:
            self._is_damaged = True
            raise WireError(f"P-Alert: found {what}, wanted a packet of mode 1, 4 or 16")

    def _take(self, whole: bytes) -> None:
        if whole.startswith(_SYNC_16):
            self._take_16(whole)
        elif _is_mode_4(whole):
            flags = PacketFlag.NONE if whole[12] & 1 else PacketFlag.CLOCK_QUESTIONABLE
            for start in range(_HEADER_4, len(whole), _RECORD):
                found = decode_record(whole[start : start + _RECORD])
                packet = Packet(
                    found.source_id, found.starttime_ns, found.sampling_rate, found.samples, found.flags | flags
                )
                self._packets.append(packet)
        elif len(whole) == _WHOLE_1:
            self._take_1(whole)

    def _take_1(self, whole: bytes) -> None:
        year, month, day, hour, minute, hundredths, second = struct.unpack_from("<5HBB", whole, 4)
        try:
            moment = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
        except ValueError as error:
            raise WireError(f"P-Alert mode 1: found the time {whole[4:16].hex()}, wanted a date: {error}") from None
        stamp_ns = round(moment.timestamp()) * NANOSECONDS + hundredths * 10_000_000
        (rate,) = struct.unpack_from("<H", whole, _RATE_AT_1)
        (serial,) = struct.unpack_from("<H", whole, 28)
        samples = np.frombuffer(whole, "<i2", _SAMPLES_1 * _COLUMNS_1, _HEADER_1).reshape(_SAMPLES_1, _COLUMNS_1)
        hertz = rate if 0 < rate <= _MAX_HZ else _DEFAULT_HZ
        has_ntp = bool(whole[_CONNECTION_AT_1] & 1)
        self._give(str(serial), hertz, stamp_ns, np.ascontiguousarray(samples[:, :3].T), _ntp_flag(has_ntp=has_ntp))

    def _take_16(self, whole: bytes) -> None:
        head = _HEAD_16.unpack_from(whole)
        number, data_bytes, low, high, fraction, ntp = head[1], head[3], head[5], head[6], head[7], head[8]
        hertz, channels, serial = head[10], head[12], head[13]
        if not 1 <= channels <= _MAX_CHANNELS or not 0 < hertz <= _MAX_HZ or data_bytes % (4 * channels):
            raise WireError(f"P-Alert mode 16: found {channels} channels, {hertz} Hz, {data_bytes} bytes of samples")
        samples = np.frombuffer(whole, "<f4", data_bytes // 4, _HEADER_16).reshape(-1, channels)
        stamp_ns = (low + (high << 32)) * NANOSECONDS + fraction * 100_000  # tenths of a millisecond
        if high or not samples.size:
            raise WireError(
                f"P-Alert mode 16: found time {low + (high << 32)}, {samples.shape[0]} samples, wanted a packet"
            )
        flags = _ntp_flag(has_ntp=bool(ntp & 1)) | self._sequence.next(number)
        rows: Samples = np.ascontiguousarray(samples.T)
        self._give(str(serial), hertz, stamp_ns, rows, flags)

    def _give(self, serial: str, hertz: int, stamp_ns: int, rows: Samples, flags: PacketFlag) -> None:
        naming = self._naming
        if not naming.channels and rows.shape[0] == 3:
            naming = Naming(naming.network, naming.station, naming.location, ("HLZ", "HLN", "HLE"))
        letters = "ZNE456789ABCDEFG"[: rows.shape[0]]
        source_ids = naming.source_ids("P" + serial, letters, hertz)
        require_time(stamp_ns - self._offset_ns, f"P-Alert {serial}")
        place = self._place(hertz, rows.shape[1], stamp_ns - self._offset_ns)
        for source_id, row in zip(source_ids, rows, strict=True):
            packet = Packet(source_id, place.starttime_ns, place.sampling_rate, row, flags | place.flags)
            self._packets.append(packet)

    def _place(self, hertz: int, npts: int, stamp_ns: int) -> Stamped:
        if self._clock is None or self._clock.nominal_rate != hertz:
            self._clock = PacketClock(hertz, stamps_last=False, tolerance_s=_TOLERANCE_S)
        return self._clock.place(npts, stamp_ns)


def _ntp_flag(*, has_ntp: bool) -> PacketFlag:
    return PacketFlag.NONE if has_ntp else PacketFlag.CLOCK_QUESTIONABLE


def _is_mode_4(data: bytes | bytearray) -> bool:
    return data[0] == 4 and data[_AT_4 : _AT_4 + 4] == _SYNC_4


def _size_of(data: bytes | bytearray) -> int | None:
    """Bytes of the packet that begins here; 0: none does; None: more bytes are needed to tell."""
    if data.startswith(_SYNC_16) and len(data) >= _HEADER_16:
        header, data_bytes, whole = struct.unpack_from("<BHH", data, 6)
        return whole if header == _HEADER_16 and whole - data_bytes in (_HEADER_16, _HEADER_16 + 2) else 0
    if len(data) >= _HEADER_4 and _is_mode_4(data):
        (whole,) = struct.unpack_from("<H", data, 2)
        is_whole = whole > _HEADER_4 and (whole - _HEADER_4) % _RECORD == 0
        return whole if is_whole and not crc16_modbus(data[:8]) else 0  # before a wrong length is waited for
    if len(data) < _NEEDED:
        return None
    (whole,) = struct.unpack_from("<H", data, _AT_1 + 8)
    is_mode_1 = data[_AT_1 : _AT_1 + 8] == _SYNC_1 and whole in (_HEADER_1, _WHOLE_1)
    return whole if is_mode_1 else 0


def _next_start(data: bytes | bytearray) -> int:
    """Next byte at which a marker says that a packet may begin, behind the first; else where one could still show."""
    first = max(1, len(data) - _NEEDED + 1)
    for found in _MARKER.finditer(data, 1):
        if found.start() - _AT_1 >= first:
            break  # no further marker stands for an earlier start: what lies behind is not looked at each time
        start = found.start() - _MARKED[found.group()]
        if 0 < start < first:
            first = start
    return first


def _checksum_fault(whole: bytes) -> str:
    """What is wrong with a packet's CRC-16; empty where nothing is, or where it has none.

    Mode 1: over the packet with its own two bytes zero. Mode 4: the remainder of the eight bytes that end with it.
    Mode 16: the remainder of the whole packet, where two bytes follow the samples.
    """
    if whole.startswith(_SYNC_16):
        has_crc = struct.unpack_from("<H", whole, 7)[0] + _HEADER_16 < len(whole)
        return "mode 16 with a CRC that does not hold" if has_crc and crc16_modbus(whole) else ""
    if _is_mode_4(whole):
        return ""  # `_size_of` has seen to it
    (found,) = struct.unpack_from("<H", whole, _CRC_AT_1)
    computed = crc16_modbus(whole[:_CRC_AT_1] + b"\0\0" + whole[_CRC_AT_1 + 2 :])
    return "" if found == computed else f"mode 1 with CRC {found:#06x}, computed {computed:#06x}"
