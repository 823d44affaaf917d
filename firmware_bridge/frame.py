"""The native MEMS frame as a value, and its bytes: docs/frame.md is its description for firmware authors."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .crc import crc32c
from .errors import WireError

MAGIC = b"SF"
VERSION = 1
MAX_CHANNELS = 16
MAX_FRAME_BYTES = 16_384
"""Of a bare frame; some 2700 int16 samples of three channels. A longer one is damage."""

_HEADER = struct.Struct("<2sBBBBBBQIHHqII")
_CHANNEL = struct.Struct("<BBHfi")
_CRC = struct.Struct("<I")
_FEWEST_BYTES = _HEADER.size + _CHANNEL.size + _CRC.size
_OVERRUN = 1
_WIDTHS = (2, 3, 4)
_SLOWEST_HZ, _FASTEST_HZ = 1e-4, 1e6  # the limits of miniseed.py

FrameSamples = npt.NDArray[np.int16] | npt.NDArray[np.int32]
"""(npts, channels): as interleaved on the wire; int16 for 2-byte samples, int32 for 3 and 4 bytes."""


class Unit(IntEnum):
    """What `scale` turns counts into."""

    COUNTS = 0
    METRE_PER_SECOND_SQUARED = 1
    METRE_PER_SECOND = 2
    METRE = 3
    PASCAL = 4


class ClockState(IntEnum):
    """What the device's clock follows."""

    UNSET = 0
    HOLDOVER = 1
    NETWORK = 2
    SATELLITE = 3


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel: its value in `unit` is (sample + offset) * scale.

    Attributes
    ----------
    axis
        One upper-case letter or digit: Z, N, E, 1, 2, 3.
    unit, scale, offset
        Unit of the value, its size per count (float32), counts that the device took off before it sent.
    """

    axis: str
    unit: int = Unit.COUNTS
    scale: float = 1.0
    offset: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """What a native frame says.

    Attributes
    ----------
    device_id, sequence
        64 bits, such as a MAC address; and a counter of frames, 32 bits, that wraps.
    starttime_ns
        Time of the first sample, ns since 1970-01-01T00:00:00 UTC.
    rate
        Samples per second as numerator, denominator.
    samples
        (npts, channels), int16 or int32.
    channels
        One for each column.
    sample_bytes
        2, 3 or 4 bytes per sample on the wire.
    is_overrun
        Samples between the frame before and this one were lost in the device.
    saturated
        Bit k: a sample of channel k was at the sensor's end stop, or was clipped.
    clock, clock_error_log2_ns
        What the clock follows, and its error as a power of two in ns, rounded up; 255: not known.
    """

    device_id: int
    sequence: int
    starttime_ns: int
    rate: tuple[int, int]
    samples: FrameSamples
    channels: tuple[Channel, ...]
    sample_bytes: int = 2
    is_overrun: bool = False
    saturated: int = 0
    clock: int = ClockState.NETWORK
    clock_error_log2_ns: int = 255

    @property
    def sampling_rate(self) -> float:
        """Samples per second."""
        return self.rate[0] / self.rate[1]


def encode_frame(frame: Frame) -> bytes:
    """Write a bare frame, CRC-32C last.

    Raises
    ------
    WireError
        A value does not fit its field, or a reader would not take it.
    """
    npts, count = frame.samples.shape
    if count != len(frame.channels) or not 1 <= count <= MAX_CHANNELS:
        raise WireError(f"frame: found {count} columns, {len(frame.channels)} channels, wanted as many, 1 to 16")
    if frame.sample_bytes not in _WIDTHS:
        raise WireError(f"frame: found {frame.sample_bytes} bytes per sample, wanted 2, 3 or 4")
    try:
        flags = _OVERRUN if frame.is_overrun else 0
        head = _HEADER.pack(
            MAGIC, VERSION, frame.sample_bytes, count, flags, frame.clock, frame.clock_error_log2_ns,
            frame.device_id, frame.sequence, npts, frame.saturated, frame.starttime_ns, *frame.rate,
        )  # fmt: skip
        about = b"".join(
            _CHANNEL.pack(each.unit, ord(each.axis), 0, each.scale, each.offset) for each in frame.channels
        )
    except (struct.error, TypeError, OverflowError) as error:
        raise WireError(f"frame: found a value that does not fit its field: {error}") from error
    _require_rate(*frame.rate)
    _channels(about)
    body = head + about + _sample_bytes(frame)
    if len(body) + _CRC.size > MAX_FRAME_BYTES:
        raise WireError(f"frame: found {len(body) + _CRC.size} bytes, wanted at most {MAX_FRAME_BYTES}")
    return body + _CRC.pack(crc32c(body))


def _sample_bytes(frame: Frame) -> bytes:
    limit = 1 << 8 * frame.sample_bytes - 1
    if frame.samples.size and not (-limit <= int(frame.samples.min()) and int(frame.samples.max()) < limit):
        raise WireError(f"frame: found a sample beyond {8 * frame.sample_bytes} bits")
    if frame.sample_bytes == 2:
        return frame.samples.astype("<i2").tobytes()
    whole = np.ascontiguousarray(frame.samples, "<i4")
    if frame.sample_bytes == 4:
        return whole.tobytes()
    return whole.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


def _require_rate(numerator: int, denominator: int) -> None:
    if not denominator or not _SLOWEST_HZ <= numerator / denominator <= _FASTEST_HZ:
        wanted = f"{_SLOWEST_HZ:g} to {_FASTEST_HZ:g}"
        raise WireError(f"frame: found a rate of {numerator}/{denominator} Hz, wanted {wanted}")


def decode_frame(data: bytes) -> Frame:
    """Read a bare frame.

    Raises
    ------
    WireError
        Not the magic, another version, a length that does not fit, a checksum that does not hold, an absurd rate.
    """
    if not _FEWEST_BYTES <= len(data) <= MAX_FRAME_BYTES:
        raise WireError(f"frame: found {len(data)} bytes, wanted {_FEWEST_BYTES} to {MAX_FRAME_BYTES}")
    (magic, version, width, count, flags, clock, clock_error, device, sequence, npts, saturated, start, num, den) = (
        _HEADER.unpack_from(data)
    )
    if magic != MAGIC or version != VERSION:
        raise WireError(f"frame: found magic {magic!r} version {version}, wanted {MAGIC!r} version {VERSION}")
    (found,) = _CRC.unpack_from(data, len(data) - _CRC.size)
    computed = crc32c(memoryview(data)[: -_CRC.size])
    if found != computed:
        raise WireError(f"frame {sequence} of device {device:x}: found CRC {found:#010x}, computed {computed:#010x}")
    wanted = _HEADER.size + count * _CHANNEL.size + npts * count * width + _CRC.size
    if not 1 <= count <= MAX_CHANNELS or width not in _WIDTHS or len(data) != wanted:
        raise WireError(f"frame: found {len(data)} bytes, {count} channels of {npts} x {width} bytes, wanted {wanted}")
    _require_rate(num, den)
    behind = _HEADER.size + count * _CHANNEL.size
    samples = _samples(data, behind, npts * count, width).reshape(npts, count)
    return Frame(
        device, sequence, start, (num, den), samples, _channels(data[_HEADER.size : behind]), width,
        bool(flags & _OVERRUN), saturated, clock, clock_error,
    )  # fmt: skip


@lru_cache(maxsize=256)
def _channels(about: bytes) -> tuple[Channel, ...]:
    """A device says the same in every frame."""
    found: list[Channel] = []
    for unit, axis, _, scale, offset in _CHANNEL.iter_unpack(about):
        letter = chr(axis)
        if not (letter.isascii() and letter.isalnum()) or letter.islower():
            raise WireError(f"frame: found axis {axis:#04x}, wanted an upper-case letter or a digit")
        found.append(Channel(letter, unit, scale, offset))
    return tuple(found)


def _samples(data: bytes, offset: int, size: int, width: int) -> FrameSamples:
    if width == 2:
        return np.frombuffer(data, "<i2", size, offset)
    if width == 4:
        return np.frombuffer(data, "<i4", size, offset)
    wide = np.zeros((size, 4), np.uint8)
    wide[:, 1:] = np.frombuffer(data, np.uint8, 3 * size, offset).reshape(-1, 3)
    return wide.view("<i4").reshape(-1) >> np.int32(8)
