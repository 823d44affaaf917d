"""The last minutes of a station's samples, in the sensor's type: for amplitudes, triggered waveforms and the page."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seisedge import kernels
from seisedge.edge.aligner import DRIFT_TOLERANCE
from seisedge.firmware_bridge import Packet, SourceId
from seisedge.firmware_bridge.packet import span_ns

from .results import Found, finite

NANOSECONDS = 1_000_000_000
_NOISE_S, _SIGNAL_S = 3.0, 2.0
_MAX_CHANNELS = 12
_BLOCK_S, _BLOCK_SAMPLES = 16.0, 4096
_TRIED = 4  # newest blocks that a packet may join on to: datagrams overtake each other
_MAX_BLOCKS = 1 << 14

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Piece:
    """Samples of one channel without a hole."""

    source_id: str
    starttime_ns: int
    sampling_rate: float
    samples: Float32 | npt.NDArray[np.int16] | npt.NDArray[np.int32]


class _Block:
    """Samples of one channel that follow each other, in an array that grows up to `room` samples."""

    def __init__(self, packet: Packet, room: int) -> None:
        self.source_id, self.sampling_rate = packet.source_id, packet.sampling_rate
        self.starttime_ns, self.endtime_ns = packet.starttime_ns, packet.time_of(packet.samples.size)
        self._room = room
        self._data, self._size = packet.samples.copy(), packet.samples.size

    def take(self, packet: Packet) -> bool:
        """Add a packet that joins on, or that brings nothing new; False for every other, and where there is no room."""
        end_ns = packet.time_of(packet.samples.size)
        if packet.starttime_ns >= self.starttime_ns and end_ns <= self.endtime_ns:
            return True  # the first copy counts
        off_ns, size = abs(packet.starttime_ns - self.endtime_ns), self._size + packet.samples.size
        joins = (
            off_ns * packet.sampling_rate * DRIFT_TOLERANCE <= NANOSECONDS
            and packet.sampling_rate == self.sampling_rate
        )
        if not joins or size > self._room or packet.samples.dtype != self._data.dtype:
            return False
        if size > self._data.size:
            grown = np.empty(min(self._room, 2 * size), self._data.dtype)
            grown[: self._size] = self._data[: self._size]
            self._data = grown
        self._data[self._size : size] = packet.samples
        self._size = size  # behind the samples: the page reads in another thread
        self.endtime_ns = self.starttime_ns + span_ns(size, self.sampling_rate)
        return True

    def packet(self) -> Packet:
        """Give what is there now as one packet; a view."""
        size = self._size
        return Packet(self.source_id, self.starttime_ns, self.sampling_rate, self._data[:size])


class Traces:
    """The recent samples of one station.

    Packets that join on are put together: what is kept for minutes must not be thousands of small objects, for memory
    and for the garbage collector, which looks at each of them.

    Parameters
    ----------
    seconds
        How much of each channel is kept.
    """

    def __init__(self, seconds: float) -> None:
        self._keep_ns = round(seconds * NANOSECONDS)
        self._block_s = min(seconds / 4, _BLOCK_S)
        self._channels: dict[str, list[_Block]] = {}

    def add(self, packet: Packet) -> None:
        """Keep a packet and forget what is too old. A channel too many is left out."""
        held = self._channels.get(packet.source_id)
        if held is None:
            if len(self._channels) < _MAX_CHANNELS:
                self._channels[packet.source_id] = [self._block(packet)]
            return
        if any(each.take(packet) for each in held[: -1 - _TRIED : -1]):
            return
        if packet.starttime_ns < held[-1].starttime_ns:
            bisect.insort(held, self._block(packet), key=lambda each: each.starttime_ns)
        else:
            held.append(self._block(packet))
        limit = held[-1].starttime_ns - self._keep_ns
        stale = max(0, len(held) - _MAX_BLOCKS)
        while held[stale].endtime_ns < limit:
            stale += 1
        del held[:stale]

    def _block(self, packet: Packet) -> _Block:
        return _Block(packet, min(round(self._block_s * packet.sampling_rate), _BLOCK_SAMPLES))

    @property
    def channels(self) -> tuple[str, ...]:
        """Source identifiers, sorted."""
        return tuple(sorted(self._channels))

    def are_whole(self, source_id: str, start_ns: int, end_ns: int) -> bool:
        """Tell whether a channel's samples go up to a time without a hole, from `start_ns` or the first one kept."""
        pieces = list(self.pieces(source_id, start_ns, end_ns))
        return len(pieces) == 1 and _index(pieces[0], end_ns) <= pieces[0].samples.size

    def packets(self) -> list[Packet]:
        """Give all that is kept as packets, ordered by time; how it was cut when it came is forgotten."""
        blocks = (each for held in self._channels.values() for each in held)
        return sorted((each.packet() for each in blocks), key=lambda each: each.starttime_ns)

    def pieces(self, source_id: str, start_ns: int, end_ns: int) -> Iterator[Piece]:
        """Samples of a channel from `start_ns` on and before `end_ns`, joined where nothing is missing."""
        open_: list[Packet] = []
        near = [each for each in tuple(self._channels.get(source_id, ())) if each.endtime_ns > start_ns]
        for packet in (each.packet() for each in near if each.starttime_ns < end_ns):
            low, high = _index(packet, start_ns), _index(packet, end_ns)
            if open_:
                npts = sum(each.samples.size for each in open_)
                skip = round((open_[0].time_of(npts) - packet.starttime_ns) * packet.sampling_rate / NANOSECONDS)
                like = packet.sampling_rate, packet.samples.dtype
                if skip >= 0 and like == (open_[0].sampling_rate, open_[0].samples.dtype):
                    low = max(low, skip)
                else:
                    yield _joined(open_)
                    open_ = []
            if low < min(high, packet.samples.size):
                open_.append(packet.cut(low, min(high, packet.samples.size)))
        if open_:
            yield _joined(open_)

    def measure(self, found: Found) -> dict[str, float | None]:
        """Peak amplitude (counts) and signal-to-noise ratio (dB) of a pick, the largest of the components.

        The noise is the three seconds before the onset, the signal the two behind it, as far as they are there;
        amplitudes count from the mean of the noise. None where a sample is missing.
        """
        if found.kind != "pick":
            return {}
        best_amplitude, best_snr = math.nan, math.nan
        for source_id in self.channels:
            amplitude, snr = self._measure(source_id, found.time_ns)
            best_amplitude, best_snr = np.fmax(best_amplitude, amplitude), np.fmax(best_snr, snr)
        return {"amplitude": finite(float(best_amplitude)), "snr": finite(float(best_snr))}

    def _measure(self, source_id: str, onset_ns: int) -> tuple[float, float]:
        start_ns = onset_ns - round(_NOISE_S * NANOSECONDS)
        for piece in self.pieces(source_id, start_ns, onset_ns + round(_SIGNAL_S * NANOSECONDS)):
            onset = round((onset_ns - piece.starttime_ns) * piece.sampling_rate / NANOSECONDS)
            noise = min(onset, round(_NOISE_S * piece.sampling_rate))
            signal = piece.samples.size - onset
            if noise < 1 or signal < 1:
                continue
            baseline = float(np.add.reduce(piece.samples[onset - noise : onset], dtype=np.float64)) / noise
            if math.isfinite(baseline):
                _, amplitude = kernels.peak_amplitude(piece.samples, onset, piece.samples.size, baseline)
                return amplitude, kernels.signal_to_noise(piece.samples, onset, noise, signal)
        return math.nan, math.nan

    def component_of(self, letter: str) -> str | None:
        """Give the channel with this orientation code."""
        return next((each for each in self.channels if SourceId.parse(each).component == letter), None)


def _index(packet: Packet | Piece, time_ns: int) -> int:
    """Give the first sample of a packet at or behind a time."""
    return max(0, math.ceil((time_ns - packet.starttime_ns) * packet.sampling_rate / NANOSECONDS - 1e-6))


def _joined(packets: list[Packet]) -> Piece:
    first = packets[0]
    samples = np.ascontiguousarray(np.concatenate([each.samples for each in packets]))
    return Piece(first.source_id, first.starttime_ns, first.sampling_rate, samples)
