"""Native frames on a line (COBS, zeros between) or one to a datagram (bare) → packets, one for each channel."""

from __future__ import annotations

from collections import OrderedDict, deque

import numpy as np

from .cobs import cobs_decode, cobs_encode
from .errors import WireError
from .frame import MAX_FRAME_BYTES, Channel, ClockState, Frame, decode_frame, encode_frame
from .naming import NameOwners, Naming
from .packet import Packet, PacketFlag, require_time
from .sequence import SequenceTracker

_MAX_STUFFED = MAX_FRAME_BYTES + MAX_FRAME_BYTES // 254 + 1
_MAX_DEVICES = 256  # whose sequence numbers are remembered
_Said = tuple[int, tuple[int, int], tuple[Channel, ...]]  # a frame's device, rate and channels


class FrameDecoder:
    """Decodes native frames.

    Parameters
    ----------
    naming
        How channels are called; the station is the device's id in hexadecimal unless told. A frame of a device
        whose channels are called as another's is damage.
    is_bare
        Each `feed` is one datagram with one frame; else frames are COBS-stuffed and end with a zero byte.

    Attributes
    ----------
    last_frame
        The frame of the packets given last: its channels' units, scales and offsets, its clock. None before.
    """

    def __init__(self, naming: Naming | None = None, *, is_bare: bool = False) -> None:
        self._naming = naming or Naming()
        self._owners = NameOwners(self._naming)
        self._is_bare = is_bare
        self._rest = b""
        self._is_skipping = False
        self._found: deque[bytes | WireError] = deque()
        self._packets: deque[Packet] = deque()
        self._sequences: OrderedDict[int, SequenceTracker] = OrderedDict()
        self._named: tuple[_Said | None, tuple[str, tuple[str, ...]]] = (None, ("", ()))
        self.last_frame: Frame | None = None

    def feed(self, data: bytes | memoryview) -> None:
        """Take bytes of the line, or one datagram."""
        if self._is_bare:
            self._found.append(bytes(data))
            return
        pieces = (self._rest + bytes(data)).split(b"\0")
        self._rest = pieces.pop()
        for piece in pieces:
            if self._is_skipping:
                self._is_skipping = False
            elif len(piece) > _MAX_STUFFED:
                self._found.append(_too_long())
            elif piece:
                self._found.append(piece)
        if self._is_skipping:
            self._rest = b""
        elif len(self._rest) > _MAX_STUFFED:
            self._found.append(_too_long())
            self._rest, self._is_skipping = b"", True

    def end(self) -> None:
        """Nothing more will come: what stands behind the last zero must be a frame."""
        if self._rest:
            self._found.append(self._rest)
            self._rest = b""

    def next_packet(self) -> Packet | None:
        """Give the next packet, or None where more bytes are needed.

        Raises
        ------
        WireError
            Once for each damaged frame.
        """
        while not self._packets:
            if not self._found:
                return None
            piece = self._found.popleft()
            if isinstance(piece, WireError):
                raise piece
            self._take(decode_frame(piece if self._is_bare else cobs_decode(piece)))
        return self._packets.popleft()

    def _take(self, frame: Frame) -> None:
        rate, start_ns, saturated = frame.sampling_rate, frame.starttime_ns, frame.saturated
        require_time(start_ns, f"frame {frame.sequence} of device {frame.device_id:X}")
        axes, source_ids = self._names(frame)
        self._owners.require_own(f"{frame.device_id:X}", axes, source_ids)
        flags = self._flags(frame)
        rows = np.ascontiguousarray(frame.samples.T)
        for index, source_id in enumerate(source_ids):
            own = flags | PacketFlag.SATURATED if saturated >> index & 1 else flags
            self._packets.append(Packet(source_id, start_ns, rate, rows[index], own))
        self.last_frame = frame

    def _names(self, frame: Frame) -> tuple[str, tuple[str, ...]]:
        """Axes and names of the channels; a device's are the same in every frame."""
        key = (frame.device_id, frame.rate, frame.channels)
        if key != self._named[0]:
            axes = "".join(each.axis for each in frame.channels)
            source_ids = self._naming.source_ids(f"{frame.device_id:X}", axes, frame.sampling_rate)
            self._named = (key, (axes, source_ids))
        return self._named[1]

    def _flags(self, frame: Frame) -> PacketFlag:
        flags = self._sequence_of(frame.device_id).next(frame.sequence, frame.starttime_ns)
        if frame.is_overrun:
            flags |= PacketFlag.OVERRUN
        if frame.clock == ClockState.UNSET:
            flags |= PacketFlag.CLOCK_QUESTIONABLE
        if frame.clock == ClockState.HOLDOVER:
            flags |= PacketFlag.HOLDOVER
        return flags

    def _sequence_of(self, device_id: int) -> SequenceTracker:
        tracker = self._sequences.get(device_id)
        if tracker is None:
            tracker = self._sequences[device_id] = SequenceTracker(32)
            if len(self._sequences) > _MAX_DEVICES:
                self._sequences.popitem(last=False)
        self._sequences.move_to_end(device_id)
        return tracker


def _too_long() -> WireError:
    return WireError(f"frame: found more than {_MAX_STUFFED} bytes without a zero, wanted a frame's end")


def stuffed_frame(frame: Frame) -> bytes:
    """Write a frame for a line: COBS between two zeros, so that noise before it is no part of it."""
    return b"\0" + cobs_encode(encode_frame(frame)) + b"\0"
