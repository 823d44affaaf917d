"""Packets of files, sent again as a sensor would send them: paced, and with loss, jitter and reordering if wanted."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from seisedge.firmware_bridge import Packet

from .times import NANOSECONDS


@dataclass(frozen=True)
class ReplayOptions:
    """How to send.

    Attributes
    ----------
    speed
        Seconds of data in one second; 0 sends as fast as the target takes.
    packet_s
        Longest packet in seconds of data; longer ones are cut. 0 leaves them as they are.
    drop, reorder
        Probability that a packet is lost, and that it changes places with the next one.
    jitter_s
        Each packet is late by 0 to this many seconds, by chance.
    seed
        Of all chance: the same seed loses the same packets.
    shift_ns
        Added to all times of data.
    """

    speed: float = 1.0
    packet_s: float = 0.0
    drop: float = 0.0
    reorder: float = 0.0
    jitter_s: float = 0.0
    seed: int = 0
    shift_ns: int = 0


@dataclass
class ReplayCounts:
    """What has been sent and what was lost on purpose."""

    sent: int = 0
    dropped: int = 0
    reordered: int = 0
    sent_bytes: int = 0


def cut_packets(packet: Packet, packet_s: float) -> Iterator[Packet]:
    """Cut a packet into pieces of at most `packet_s` seconds, at least one sample each."""
    most = max(1, int(packet_s * packet.sampling_rate)) if packet_s else packet.samples.size
    for start in range(0, packet.samples.size, most):
        yield packet.cut(start, min(start + most, packet.samples.size))


async def schedule(
    packets: AsyncIterator[Packet], options: ReplayOptions, counts: ReplayCounts
) -> AsyncGenerator[tuple[float, Packet], None]:
    """Give packets with the second, counted from the start, in which each is to be sent.

    A packet is due when its last sample has been taken. Pieces of several channels take turns in order of time as
    long as the packets that come in do.
    """
    chance = np.random.default_rng(options.seed)
    origin_ns: int | None = None
    held: tuple[float, Packet] | None = None
    async for whole in packets:
        for piece in cut_packets(whole, options.packet_s):
            end_ns = piece.time_of(piece.samples.size)
            origin_ns = piece.starttime_ns if origin_ns is None else origin_ns
            due = (end_ns - origin_ns) / NANOSECONDS / options.speed if options.speed else 0.0
            lost, swapped, late = chance.random(3)
            if lost < options.drop:
                counts.dropped += 1
                continue
            shifted = replace(piece, starttime_ns=piece.starttime_ns + options.shift_ns)
            item = (due + late * options.jitter_s, shifted)
            if held is not None:
                yield item
                yield (max(item[0], held[0]), held[1])
                held = None
            elif swapped < options.reorder:
                counts.reordered += 1
                held = item
            else:
                yield item
    if held is not None:
        yield held


async def replay(
    packets: AsyncIterator[Packet],
    options: ReplayOptions,
    send: Callable[[Packet], Awaitable[int]],
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]],
    counts: ReplayCounts,
) -> None:
    """Send packets in their time.

    Parameters
    ----------
    send
        Sends one packet; gives the bytes that it took.
    clock, sleep
        Seconds from any origin, and what waits.
    """
    began = clock()
    async for due, packet in schedule(packets, options, counts):
        wait = began + due - clock()
        if wait > 0:
            await sleep(wait)
        counts.sent_bytes += await send(packet)
        counts.sent += 1
