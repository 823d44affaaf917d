"""A span of time that the user chose, and what of a packet lies in it."""

from __future__ import annotations

from seisedge.firmware_bridge import Packet

NEVER = 1 << 62
"""An instant that no record reaches; `-NEVER` lies before all of them."""


def within(packet: Packet, starttime_ns: int, endtime_ns: int) -> Packet | None:
    """Cut a packet to the samples from `starttime_ns` on and before `endtime_ns`; None where there are none."""
    if packet.starttime_ns >= starttime_ns and packet.time_of(packet.samples.size) <= endtime_ns:
        return packet
    start = samples_until(packet, starttime_ns)
    stop = samples_until(packet, endtime_ns)
    return packet.cut(start, stop) if start < stop else None


def samples_until(packet: Packet, time_ns: int) -> int:
    """How many of a packet's samples stand before a time."""
    size: int = packet.samples.size
    if time_ns <= packet.starttime_ns:
        return 0
    count = int((time_ns - packet.starttime_ns) * packet.sampling_rate // 1_000_000_000) - 1
    count = min(max(count, 0), size)
    while count < size and packet.time_of(count) < time_ns:
        count += 1
    return count
