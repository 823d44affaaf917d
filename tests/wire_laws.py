"""Laws that every decoder of a wire format keeps, shared by the tests and the fuzzing scripts.

A decoder is made anew for each case by `make()`. For a decoder of datagrams or messages, whose every feed is a unit,
give the units one by one; for a stream their borders are arbitrary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from seisedge.firmware_bridge import Decoder, Packet, WireError, packets_of

Make = Callable[[], Decoder]
Outcome = tuple[list[Packet], int]
"""Packets, and how many stretches were damaged."""


def decode_all(make: Make, units: Iterable[bytes]) -> Outcome:
    """Feed the units one by one to a new decoder."""
    decoder = make()
    damage: list[WireError] = []
    packets = [packet for unit in units for packet in packets_of(decoder, unit, damage.append)]
    return packets, len(damage)


def same_packets(found: Sequence[Packet], wanted: Sequence[Packet]) -> bool:
    """Whether every field and every bit of the samples is equal."""
    return len(found) == len(wanted) and all(same_packet(a, b) for a, b in zip(found, wanted, strict=True))


def same_packet(a: Packet, b: Packet) -> bool:
    head = (a.source_id, a.starttime_ns, a.sampling_rate, a.flags) == (
        b.source_id,
        b.starttime_ns,
        b.sampling_rate,
        b.flags,
    )
    return head and a.samples.dtype == b.samples.dtype and a.samples.tobytes() == b.samples.tobytes()


def assert_any_portions_give_the_same(make: Make, stream: bytes, trailing: bytes = b"") -> list[Packet]:
    """Whole, byte by byte, in random portions, and with the first bytes of a next frame behind."""
    wanted, damaged = decode_all(make, [stream])
    rng = np.random.default_rng(20200130)
    cuts = np.unique(rng.integers(0, len(stream) + 1, 20))
    portions = [stream[a:b] for a, b in zip((0, *cuts), (*cuts, len(stream)), strict=True)]
    ways = {
        "byte by byte": [stream[i : i + 1] for i in range(len(stream))],
        "portions": portions,
        "trailing bytes": [stream + trailing],
    }
    for name, units in ways.items():
        found, found_damaged = decode_all(make, units)
        assert same_packets(found, wanted), f"{name}: other packets"
        assert found_damaged == damaged, f"{name}: {found_damaged} damaged, whole {damaged}"
    return wanted
