"""The last minutes of a station's samples, as they came: for amplitudes, triggered waveforms and the page."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seisedge import kernels
from seisedge.firmware_bridge import Packet, SourceId

from .results import Found, finite

NANOSECONDS = 1_000_000_000
_NOISE_S, _SIGNAL_S = 3.0, 2.0
_MAX_CHANNELS = 12

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Piece:
    """Samples of one channel without a hole."""

    source_id: str
    starttime_ns: int
    sampling_rate: float
    samples: Float32 | npt.NDArray[np.int16] | npt.NDArray[np.int32]


class Traces:
    """The recent packets of one station.

    Parameters
    ----------
    seconds
        How much of each channel is kept.
    """

    def __init__(self, seconds: float) -> None:
        self._keep_ns = round(seconds * NANOSECONDS)
        self._channels: dict[str, list[Packet]] = {}
        self._newest: dict[str, int] = {}

    def add(self, packet: Packet) -> None:
        """Keep a packet and forget what is too old. A channel too many is left out."""
        if packet.source_id not in self._channels and len(self._channels) >= _MAX_CHANNELS:
            return
        held = self._channels.setdefault(packet.source_id, [])
        newest = max(self._newest.get(packet.source_id, packet.starttime_ns), packet.starttime_ns)
        self._newest[packet.source_id] = newest
        if held and packet.starttime_ns < held[-1].starttime_ns:
            bisect.insort(held, packet, key=lambda each: each.starttime_ns)
        else:
            held.append(packet)
        stale = 0
        while stale < len(held) - 1 and held[stale].starttime_ns < newest - self._keep_ns:
            stale += 1
        if stale > 64 or stale > len(held) // 2:
            del held[:stale]

    @property
    def channels(self) -> tuple[str, ...]:
        """Source identifiers, sorted."""
        return tuple(sorted(self._channels))

    def packets(self) -> list[Packet]:
        """Give all that is kept, ordered by time."""
        return sorted((each for held in self._channels.values() for each in held), key=lambda each: each.starttime_ns)

    def pieces(self, source_id: str, start_ns: int, end_ns: int) -> Iterator[Piece]:
        """Samples of a channel from `start_ns` on and before `end_ns`, joined where nothing is missing."""
        open_: list[Packet] = []
        for packet in tuple(self._channels.get(source_id, ())):
            low, high = _index(packet, start_ns), _index(packet, end_ns)
            if open_:
                npts = sum(each.samples.size for each in open_)
                skip = round((open_[0].time_of(npts) - packet.starttime_ns) * packet.sampling_rate / NANOSECONDS)
                if skip >= 0 and packet.sampling_rate == open_[0].sampling_rate:
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
            baseline = float(np.mean(piece.samples[onset - noise : onset], dtype=np.float64))
            if math.isfinite(baseline):
                _, amplitude = kernels.peak_amplitude(piece.samples, onset, piece.samples.size, baseline)
                return amplitude, kernels.signal_to_noise(piece.samples, onset, noise, signal)
        return math.nan, math.nan

    def component_of(self, letter: str) -> str | None:
        """Give the channel with this orientation code."""
        return next((each for each in self.channels if SourceId.parse(each).component == letter), None)


def _index(packet: Packet, time_ns: int) -> int:
    """Give the first sample of a packet at or behind a time."""
    return max(0, math.ceil((time_ns - packet.starttime_ns) * packet.sampling_rate / NANOSECONDS - 1e-6))


def _joined(packets: list[Packet]) -> Piece:
    first = packets[0]
    samples = np.ascontiguousarray(np.concatenate([each.samples for each in packets]))
    return Piece(first.source_id, first.starttime_ns, first.sampling_rate, samples)
