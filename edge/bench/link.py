"""A station and its link, as a schedule: when each packet was captured, and when it arrives, if it does."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from seisedge.edge.times import NANOSECONDS
from seisedge.firmware_bridge import Packet

from .records import STARTTIME_NS, Record


@dataclass(frozen=True)
class Link:
    """What a link does to packets; everything follows from the seed.

    Attributes
    ----------
    packet_s
        Seconds of data in a packet: it leaves when its last sample was taken.
    delay_s, jitter_s
        Least delay, and the mean of an exponential one on top.
    loss, reorder
        Shares of packets that never come, and that come a packet's length too late.
    """

    packet_s: float = 0.25
    delay_s: float = 0.02
    jitter_s: float = 0.01
    loss: float = 0.0
    reorder: float = 0.0
    seed: int = 1


@dataclass(frozen=True)
class Delivery:
    """A packet that has come, and when: nanoseconds of the data's time."""

    component: int
    packet: Packet
    arrived_ns: int


@dataclass(frozen=True, order=True)
class Arrival:
    """A packet at the gateway. Times are nanoseconds of the data's own clock."""

    due_ns: int
    order: int
    component: int = field(compare=False)
    packet: Packet = field(compare=False)

    @property
    def end_ns(self) -> int:
        """When its last sample was taken."""
        return self.packet.time_of(self.packet.samples.size - 1)

    def delivery(self) -> Delivery:
        """What comes of it, on time."""
        return Delivery(self.component, self.packet, self.due_ns)


def arrivals(record: Record, link: Link, letters: tuple[str, ...], seconds: float) -> list[Arrival]:
    """Give the packets of a record of so many seconds, in the order in which they arrive."""
    rng = np.random.default_rng(link.seed)
    samples = record.repeated(round(seconds * record.sampling_rate)).components(len(letters))
    size = max(1, round(link.packet_s * record.sampling_rate))
    found: list[Arrival] = []
    for component, letter in enumerate(letters):
        for first in range(0, samples.shape[1], size):
            start_ns = STARTTIME_NS + round(first * NANOSECONDS / record.sampling_rate)
            part = samples[component, first : first + size]
            packet = Packet(f"FDSN:XX_BENCH__H_H_{letter}", start_ns, record.sampling_rate, part)
            delay = link.delay_s + rng.exponential(link.jitter_s) + link.packet_s * 1.5 * (rng.random() < link.reorder)
            if rng.random() >= link.loss:
                due = packet.time_of(part.size - 1) + round(delay * NANOSECONDS)
                found.append(Arrival(due, len(found), component, packet))
    return sorted(found)
