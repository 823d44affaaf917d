"""Mutation fuzzing of every decoder of a wire format: the one table of cases, for the tests and for `fuzz_wire.py`.

A case damages one to three good frames (flip, drop, insert, swap, truncate, replace), feeds them, and then good ones.
Whatever was damaged: only packets and `WireError` come out, what is held stays bounded, the next good frame is found
within `reach` bytes, and from there on every one.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, pairwise

import numpy as np
from fuzz_decoders import FUZZED, Fuzzed
from wire_laws import decode_all, same_packets

from seisedge.firmware_bridge import Packet, WireError, packets_of

_PORTIONS_EVERY = 8  # cases of a stream between two that are also fed in other portions
_LOOKS_BYTES = 1 << 16  # of good frames between two looks at what is held


def seeded(seed: object) -> random.Random:
    """Chance that follows from a seed; NumPy's generators take longer to make than a case to run."""
    return random.Random(str(seed))  # noqa: S311 - no secret hangs on it


def mutate(chance: random.Random, data: bytes) -> bytes:
    """Damage bytes at random places, one to four times."""
    out = bytearray(data)
    for _ in range(1 + chance.randrange(4)):
        if not out:
            break
        place, kind, span = chance.randrange(len(out)), chance.randrange(6), 1 + chance.randrange(8)
        if kind == 0:
            out[place] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del out[place : place + span]
        elif kind == 2:
            out[place:place] = chance.randbytes(span)
        elif kind == 3:
            other = chance.randrange(len(out))
            out[place], out[other] = out[other], out[place]
        elif kind == 4:
            del out[place:]
        else:
            out[place] = chance.randrange(256)
    return bytes(out)


def held_bytes(held: object, depth: int = 0) -> int:
    """Bytes of what an object holds, down to its containers' items: a measure of a decoder's buffers."""
    size = sys.getsizeof(held)
    if isinstance(held, np.ndarray | str | bytes | bytearray | int | float | None) or depth > 6:
        return size
    if isinstance(held, dict):
        return size + sum(held_bytes(each, depth + 1) for pair in held.items() for each in pair)
    if isinstance(held, Iterable):
        return size + sum(held_bytes(each, depth + 1) for each in held) if not isinstance(held, Iterator) else size
    return size + sum(held_bytes(each, depth + 1) for each in getattr(held, "__dict__", {}).values())


@dataclass(frozen=True)
class _Goods:
    """Good frames of a decoder, with the packets of each."""

    frames: Sequence[bytes]
    wanted: Sequence[Sequence[Packet]]


def _goods(fuzzed: Fuzzed) -> _Goods:
    wanted = [decode_all(fuzzed.make, [each])[0] for each in fuzzed.frames]
    assert all(wanted), "a good frame gives no packet"
    return _Goods(fuzzed.frames, wanted)


def _ends_with(found: Sequence[Packet], wanted: Sequence[Packet]) -> bool:
    """Whether the last packets have these channels and samples; their flags tell of what was before."""
    return len(found) >= len(wanted) and all(
        a.source_id == b.source_id and a.samples.tobytes() == b.samples.tobytes()
        for a, b in zip(found[len(found) - len(wanted) :], wanted, strict=True)
    )


def _case(fuzzed: Fuzzed, goods: _Goods, chance: random.Random) -> None:
    frames = goods.frames
    first, damaged = chance.randrange(len(frames)), 1 + chance.randrange(3)
    units = [mutate(chance, each) for each in frames[first : first + damaged]]
    decoder, damage = fuzzed.make(), list[WireError]()
    if fuzzed.is_stream:
        stream = b"".join(units)
        cut = chance.randrange(len(stream) + 1)
        units = [stream[:cut], stream[cut:]]
        if chance.randrange(_PORTIONS_EVERY) == 0:
            _same_in_portions(fuzzed, stream + b"".join(frames), chance)
    for unit in units:
        packets_of(decoder, unit, damage.append)
    fed, looked, misses, found_in_a_row = 0, -_LOOKS_BYTES, 0, 0
    for number in count(first):
        at = number % len(frames)
        found = packets_of(decoder, frames[at], damage.append)
        if getattr(decoder, "is_over", False):
            return  # the damage reads as the server's farewell
        if fed - looked >= _LOOKS_BYTES:
            held = held_bytes(decoder)
            assert held <= 3 * fuzzed.reach + _LOOKS_BYTES, f"{held} bytes held"
            looked = fed
        fed += len(frames[at])
        if _ends_with(found, goods.wanted[at]):
            found_in_a_row += 1
            if found_in_a_row > len(frames):
                return
        else:
            misses, found_in_a_row = misses + 1, 0
            assert fed <= fuzzed.reach, f"no good frame found in {fed} bytes, {misses} missed"


def _same_in_portions(fuzzed: Fuzzed, stream: bytes, chance: random.Random) -> None:
    """Damaged bytes give the same packets and as many damaged stretches, whatever portions they come in."""
    cuts = sorted({0, len(stream), *(chance.randrange(len(stream) + 1) for _ in range(chance.randrange(40)))})
    whole = decode_all(fuzzed.make, [stream])
    parts = decode_all(fuzzed.make, [stream[a:b] for a, b in pairwise(cuts)])
    assert same_packets(whole[0], parts[0]), "other packets in other portions"
    assert whole[1] == parts[1], f"{whole[1]} damaged stretches, {parts[1]} in other portions"


def fuzz(name: str, cases: int, seed: int) -> None:
    """Run so many cases of a decoder; a failing one names its own seed."""
    fuzzed = FUZZED[name]()
    goods = _goods(fuzzed)
    for case in range(cases):
        try:
            _case(fuzzed, goods, seeded(f"{name} {seed} {case}"))
        except Exception as error:  # noqa: PERF203 - which case it was
            raise AssertionError(f"{name}, seed {seed}, case {case}: {type(error).__name__}: {error}") from error
