"""Packets of any source → native frames, so that recordings can be kept and sent as a sensor would send them."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import cast

import numpy as np

from .crc import crc32c
from .errors import WireError
from .frame import Channel, ClockState, Frame, FrameSamples, encode_frame
from .frame_decoder import stuffed_frame
from .packet import Packet, PacketFlag
from .source_id import SourceId

_MOST_SAMPLES = 2048  # of 4 bytes: half of the longest frame
_MOST_32_BITS = (1 << 32) - 1


class FrameEncoder:
    """Writes frames of one channel each; int16 takes 2 bytes per sample, int32 takes 4.

    A frame says a device's number and an axis, no codes. The number is the CRC-32C of `NET_STA_LOC_B_S`, so the
    channels of one instrument stay together; who reads the frames names them again (`station=`, `channels=`).

    Parameters
    ----------
    is_bare
        For datagrams; else COBS-stuffed between zeros, for a line or a file.
    """

    def __init__(self, *, is_bare: bool = False) -> None:
        self._write = encode_frame if is_bare else stuffed_frame
        self._sequences: Counter[int] = Counter()

    def __call__(self, packet: Packet) -> list[bytes]:
        """Write a packet, in several frames where it is long.

        Raises
        ------
        WireError
            Samples that are no integers, or a channel whose last code is not one letter or digit.
        """
        name = SourceId.parse(packet.source_id)
        if packet.samples.dtype not in (np.int16, np.int32):
            raise WireError(f"frame: found {packet.samples.dtype} samples, wanted int16 or int32")
        if len(name.subsource) != 1:
            raise WireError(f"frame: found the axis {name.subsource!r}, wanted one letter or digit")
        instrument = (name.network, name.station, name.location, name.band, name.source)
        device = crc32c("_".join(instrument).encode())
        size = packet.samples.size
        pieces = [packet.cut(start, min(start + _MOST_SAMPLES, size)) for start in range(0, size, _MOST_SAMPLES)]
        return [self._write(self._frame(piece, device, name.subsource)) for piece in pieces]

    def _frame(self, packet: Packet, device: int, axis: str) -> Frame:
        sequence = self._sequences[device] & _MOST_32_BITS
        self._sequences[device] += 1
        clock = ClockState.NETWORK
        if packet.flags & PacketFlag.CLOCK_QUESTIONABLE:
            clock = ClockState.UNSET
        elif packet.flags & PacketFlag.HOLDOVER:
            clock = ClockState.HOLDOVER
        return Frame(
            device,
            sequence,
            packet.starttime_ns,
            _ratio(packet.sampling_rate),
            cast("FrameSamples", packet.samples.reshape(-1, 1)),
            (Channel(axis),),
            packet.samples.dtype.itemsize,
            is_overrun=bool(packet.flags & PacketFlag.OVERRUN),
            saturated=int(bool(packet.flags & PacketFlag.SATURATED)),
            clock=clock,
        )


def _ratio(sampling_rate: float) -> tuple[int, int]:
    """Nearest ratio of two 32-bit numbers."""
    longest = int(_MOST_32_BITS / max(sampling_rate, 1.0)) - 1
    ratio = Fraction(sampling_rate).limit_denominator(longest)
    return ratio.numerator, ratio.denominator
