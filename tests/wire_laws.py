"""Laws that every decoder of a wire format keeps, shared by the tests and the fuzzing scripts.

A decoder is made anew for each case by `make()`. For a decoder of datagrams or messages, whose every feed is a unit,
give the units one by one; for a stream their borders are arbitrary.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from seisedge.firmware_bridge import Decoder, Packet, WireError, packets_of

Make = Callable[[], Decoder]
Outcome = tuple[list[Packet], int]
"""Packets, and how many stretches were damaged."""

MAX_HELD_BYTES = 1 << 20


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


def mutate(rng: np.random.Generator, data: bytes) -> bytes:
    """Flip, drop, insert, swap or truncate at random places, one to four times."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        if not out:
            break
        place, kind, span = int(rng.integers(len(out))), int(rng.integers(6)), int(rng.integers(1, 9))
        if kind == 0:
            out[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del out[place : place + span]
        elif kind == 2:
            out[place:place] = rng.bytes(span)
        elif kind == 3:
            other = int(rng.integers(len(out)))
            out[place], out[other] = out[other], out[place]
        elif kind == 4:
            del out[place:]
        else:
            out[place] = int(rng.integers(256))
    return bytes(out)


def held_bytes(held: object, depth: int = 0) -> int:
    """Bytes of what an object holds, down to its containers' items: a measure of a decoder's buffers."""
    size = sys.getsizeof(held)
    if isinstance(held, np.ndarray):
        return size
    if depth > 6 or isinstance(held, str | bytes | bytearray | int | float | None):
        return size
    if isinstance(held, dict):
        return size + sum(held_bytes(each, depth + 1) for pair in held.items() for each in pair)
    if isinstance(held, Iterable):
        return size + sum(held_bytes(each, depth + 1) for each in held)
    return size + sum(held_bytes(each, depth + 1) for each in getattr(held, "__dict__", {}).values())


def fuzz_case(make: Make, rng: np.random.Generator, frames: Sequence[bytes], *, is_stream: bool, tail: int = 2) -> None:
    """One case: mutated frames, then `tail` times all good ones.

    Only packets and `WireError` come out, what is held stays bounded, and the packets of the last good frame are found.
    """
    first = int(rng.integers(len(frames)))
    count = int(rng.integers(1, 4))
    bad = [mutate(rng, each) for each in frames[first : first + count]]
    good = list(frames) * tail
    if is_stream:
        stream = b"".join(bad)
        cut = int(rng.integers(len(stream) + 1))
        units = [stream[:cut], stream[cut:] + good[0], *good[1:]]
    else:
        units = [*bad, *good]
    decoder = make()
    damage: list[WireError] = []
    last: list[Packet] = []
    for unit in units:
        last = packets_of(decoder, unit, damage.append)
    held = held_bytes(decoder)
    assert held < MAX_HELD_BYTES, f"{held} bytes held"
    wanted, _ = decode_all(make, [frames[-1]])
    assert len(last) >= len(wanted), "the next good frame was not found"
    for a, b in zip(last[-len(wanted) :] if wanted else [], wanted, strict=True):
        assert (a.source_id, a.samples.tobytes()) == (b.source_id, b.samples.tobytes()), (
            "the last good frame is another"
        )


def fuzz(make: Make, frames: Sequence[bytes], cases: int, seed: int, *, is_stream: bool, tail: int = 2) -> None:
    """Run so many cases; a failing one names its own seed."""
    for case in range(cases):
        rng = np.random.default_rng((seed, case))
        try:
            fuzz_case(make, rng, frames, is_stream=is_stream, tail=tail)
        except AssertionError as error:
            raise AssertionError(f"seed ({seed}, {case}): {error}") from error
