"""Raspberry Shake's UDP datacast: `{'EHZ', 1580372810.003, 16235, 16274, …}`, one channel to a datagram.

manual.raspberryshake.org/udp.html; as recorded by a device in raspishake/rsudp:rsudp/test/testdata. The stamp is that
of the first sample, to 1 ms. There is no station, no rate, no sequence number and no checksum.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from .errors import WireError
from .frame import MAGIC, VERSION
from .packet import NANOSECONDS, Packet, PacketFlag, Samples, require_time, span_ns
from .source_id import SourceId

_NUMBER = rb"-?[0-9]{1,10}(?:\.[0-9]{1,9})?(?:[eE][-+]?[0-9]{1,2})?"
_WHOLE = re.compile(rb"\{'([A-Z0-9]{3})', ?([0-9]{1,10})(?:\.([0-9]{1,9}))?((?:, ?-?[0-9]{1,10})+)\}")
_REAL = re.compile(rb"\{'([A-Z0-9]{3})', ?([0-9]{1,10})(?:\.([0-9]{1,9}))?((?:, ?%b)+)\}" % _NUMBER)
_SPACE = b" \r\n\t"
_NATIVE = MAGIC + bytes((VERSION,))
_MAX_BYTES = 8192
_MAX_CHANNELS = 32
_JITTER_NS = 2_000_000  # stamps are cut to 1 ms, so two of them are off by less than 2
_MAX_WAITING = 16  # packets of a channel whose rate is not known
_AGREEING = 3
_NOMINAL_HZ = (10.0, 20.0, 25.0, 31.25, 40.0, 50.0, 62.5, 80.0, 100.0, 125.0, 200.0, 250.0, 400.0, 500.0, 1000.0)


@dataclass
class _Channel:
    """What is known of a channel.

    `expected_ns` is the time of its next first sample; `doubting` has the last packet that the rate fitted, and those
    behind it.
    """

    source_id: str
    sampling_rate: float = 0.0
    expected_ns: int = 0
    start_ns: int = 0
    waiting: list[tuple[int, Samples]] = field(default_factory=list[tuple[int, Samples]])
    doubting: list[tuple[int, Samples]] = field(default_factory=list[tuple[int, Samples]])


class DatacastDecoder:
    """Decodes datagrams, or a recording of them with anything but braces between.

    The rate is that of the first two packets which follow each other: their step over their samples, snapped to the
    usual rate that is within the stamps' resolution. The first packet waits for it. A hole between those two can make
    it half of the true one: when no step has fitted it for 16 packets, it is measured anew. Stamps within 2 ms of the
    expected ones are taken as jitter. Behind a hole the packet has SEQUENCE_GAP; one from before has REORDERED or
    DUPLICATE.

    Parameters
    ----------
    network, station, location
        Of all channels; a datagram does not say. Raspberry Shakes are of network AM, location 00.
    sampling_rate
        Known rate in Hz: no packet waits. 0: from the packets.
    is_message
        Each `feed` is one datagram: what has no closing brace in it is damage at once. Else bytes in any portions.
    """

    def __init__(
        self,
        network: str = "AM",
        station: str = "SHAKE",
        location: str = "00",
        *,
        sampling_rate: float = 0.0,
        is_message: bool = False,
    ) -> None:
        self._names = (network, station, location)
        self._rate, self._is_message = sampling_rate, is_message
        self._rest = b""
        self._found: deque[bytes | WireError] = deque()
        self._packets: deque[Packet] = deque()
        self._channels: dict[bytes, _Channel] = {}
        self._is_ended = False

    def feed(self, data: bytes | memoryview) -> None:
        """Take a datagram, or bytes of a recording."""
        if self._is_message and bytes(data[: len(_NATIVE)]) == _NATIVE:
            hint = "format=native reads it"  # always the same words: what is new is told once
            self._found.append(WireError(f"datacast: found a native frame, wanted a packet in braces: {hint}"))
            return
        pieces = (self._rest + bytes(data)).split(b"}")
        self._rest = pieces.pop()
        for piece in pieces:
            start = piece.rfind(b"{")
            before = piece[:start] if start >= 0 else piece
            if before.strip(_SPACE):
                self._found.append(WireError(f"datacast: found {before[:40]!r}, wanted a packet in braces"))
            if start >= 0:
                self._found.append(piece[start:] + b"}")
        if self._is_message:
            self._end_datagram()
        elif len(self._rest) > _MAX_BYTES:
            self._found.append(WireError(f"datacast: found {_MAX_BYTES} bytes without a closing brace"))
            self._rest = b""

    def _end_datagram(self) -> None:
        rest, self._rest = self._rest, b""
        if rest.strip(_SPACE):
            self._found.append(
                WireError(f"datacast: found {rest[:40]!r} behind the last brace, wanted a packet in braces")
            )

    def end(self) -> None:
        """Nothing more will come: an open brace is damage, and so are packets that still wait for a rate."""
        if b"{" in self._rest:
            self._found.append(WireError(f"datacast: found the end behind {self._rest[:40]!r}, wanted a closing brace"))
        self._rest = b""
        self._is_ended = True

    def next_packet(self) -> Packet | None:
        """Give the next packet, or None where more are needed.

        Raises
        ------
        WireError
            Once for each packet that breaks the grammar, and for what stands between packets.
        """
        while not self._packets:
            if not self._found:
                self._tell_waiting()
                return None
            piece = self._found.popleft()
            if isinstance(piece, WireError):
                raise piece
            self._take(piece)
        return self._packets.popleft()

    def _tell_waiting(self) -> None:
        """At the end: packets without a rate are lost; once for each channel."""
        for name, channel in self._channels.items() if self._is_ended else ():
            waiting, channel.waiting = len(channel.waiting), []
            if waiting:
                raise WireError(f"datacast {name.decode()}: found {waiting} packets that tell no rate, wanted rate=")

    def _take(self, piece: bytes) -> None:
        name, stamp_ns, samples = _parse(piece)
        channel = self._channels.get(name)
        if channel is None:
            if len(self._channels) >= _MAX_CHANNELS:
                raise WireError(f"datacast: found channel {name!r} after {_MAX_CHANNELS} others, wanted no more")
            code = name.decode()
            source_id = str(SourceId(*self._names, code[0], code[1], code[2]))
            channel = self._channels[name] = _Channel(source_id, self._rate)
        if channel.sampling_rate:
            if not self._rate:
                _measure_again(channel, stamp_ns, samples)
            self._give(channel, stamp_ns, samples)
            return
        channel.waiting.append((stamp_ns, samples))
        rate = _rate_of(channel.waiting)
        if rate:
            channel.sampling_rate = rate
            for each in channel.waiting:
                self._give(channel, *each)
            channel.doubting, channel.waiting = channel.waiting[-1:], []

    def _give(self, channel: _Channel, stamp_ns: int, samples: Samples) -> None:
        off_ns = stamp_ns - channel.expected_ns
        packet_ns = span_ns(samples.size, channel.sampling_rate)
        flags = PacketFlag.NONE
        if abs(off_ns) <= _JITTER_NS:
            stamp_ns -= off_ns - off_ns // 16  # followed slowly: clocks drift
        elif channel.expected_ns and off_ns < 0 and off_ns > -16 * packet_ns:
            was_last = abs(stamp_ns - channel.start_ns) <= _JITTER_NS
            flags = PacketFlag.DUPLICATE if was_last else PacketFlag.REORDERED
            self._packets.append(Packet(channel.source_id, stamp_ns, channel.sampling_rate, samples, flags))
            return
        elif channel.expected_ns:
            flags = PacketFlag.SEQUENCE_GAP if 2 * off_ns > packet_ns else PacketFlag.CLOCK_STEP
        channel.start_ns, channel.expected_ns = stamp_ns, stamp_ns + packet_ns
        self._packets.append(Packet(channel.source_id, stamp_ns, channel.sampling_rate, samples, flags))


def _parse(piece: bytes) -> tuple[bytes, int, Samples]:
    if len(piece) > _MAX_BYTES:
        raise WireError(f"datacast: found a packet of {len(piece)} bytes, wanted at most {_MAX_BYTES}")
    match = _WHOLE.fullmatch(piece)
    if match:
        name, seconds, fraction, values = match.groups()
        counts = np.array(list(map(int, values[1:].split(b","))))
        if counts.max() > 0x7FFFFFFF or counts.min() < -0x80000000:
            raise WireError(f"datacast {name.decode()}: found a count beyond 32 bits")
        samples: Samples = counts.astype(np.int32)
    else:
        match = _REAL.fullmatch(piece)
        if match is None:
            raise WireError(f"datacast: found {piece[:60]!r}, wanted {{'CHA', epoch seconds, counts}}")
        name, seconds, fraction, values = match.groups()
        with np.errstate(over="ignore"):  # an infinity, which the aligner counts as no sample
            samples = np.array([float(each) for each in values[1:].split(b",")]).astype(np.float32)
    stamp_ns = int(seconds) * NANOSECONDS + int((fraction or b"0").ljust(9, b"0"))
    require_time(stamp_ns, f"datacast {name.decode()}")
    return name, stamp_ns, samples


def _rate_of(waiting: list[tuple[int, Samples]]) -> float:
    """Rate by the shortest step so far; 0 while it is not certain: two packets, or a step that no usual rate fits."""
    steps = [(b[0] - a[0], a[1].size) for a, b in pairwise(waiting) if b[0] > a[0]]
    if not steps:
        if len(waiting) >= _MAX_WAITING:
            waiting.pop(0)
        return 0.0
    step, npts = min(steps, key=lambda each: each[0] / each[1])
    usual = min(_NOMINAL_HZ, key=lambda rate: abs(span_ns(npts, rate) - step))
    if abs(span_ns(npts, usual) - step) <= _JITTER_NS:
        return usual
    if len(steps) >= _AGREEING:  # so no hole: a device with a rate of its own
        return float(f"{npts * NANOSECONDS / step:.4g}")
    return 0.0


def _measure_again(channel: _Channel, stamp_ns: int, samples: Samples) -> None:
    """Take another rate where the last steps all fit it, and none the channel's."""
    before_ns, before = channel.doubting[-1]
    step = stamp_ns - before_ns
    if not step:
        return  # the same packet twice
    if step < 0 or abs(step - span_ns(before.size, channel.sampling_rate)) <= _JITTER_NS:
        channel.doubting = []
    channel.doubting.append((stamp_ns, samples))
    if len(channel.doubting) <= _MAX_WAITING:
        return
    rate = _rate_of(channel.doubting)
    steps = [(b[0] - a[0], span_ns(a[1].size, rate)) for a, b in pairwise(channel.doubting)]
    is_of_all = all(abs(step - round(step / packet) * packet) <= 2 * _JITTER_NS for step, packet in steps)
    if is_of_all and rate != channel.sampling_rate:
        channel.sampling_rate, channel.expected_ns = rate, 0
    channel.doubting = channel.doubting[-1:]


def encode_datacast(packet: Packet) -> bytes:
    """Write a packet as the device would: milliseconds, counts, or floats with 6 significant digits.

    Raises
    ------
    WireError
        The channel has no three-letter code, or the time is before 1970.
    """
    code = SourceId.parse(packet.source_id).channel
    if len(code) != 3 or packet.starttime_ns < 0 or not packet.samples.size:
        raise WireError(f"datacast: found channel {code!r}, {packet.samples.size} samples, wanted three letters")
    stamp_ms = (packet.starttime_ns + 500_000) // 1_000_000
    if packet.samples.dtype == np.float32:
        values = ", ".join(format(float(each), ".9g") for each in packet.samples)
    else:
        values = ", ".join(map(str, packet.samples.tolist()))
    return f"{{'{code}', {stamp_ms // 1000}.{stamp_ms % 1000:03d}, {values}}}".encode()
