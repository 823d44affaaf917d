"""Laws of every client and decoder of a link: any portions give the same."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Protocol, TypeVar

import numpy as np

from seisedge.firmware_bridge import WireError

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class Feedable(Protocol[T_co]):
    """Bytes in, things out."""

    def feed(self, data: bytes) -> None: ...

    def take(self) -> T_co | None: ...

    def end(self) -> None:
        """Nothing more will come."""


def everything(reader: Feedable[T], portions: Iterator[bytes] | list[bytes]) -> tuple[list[T], list[WireError]]:
    """All that comes out of bytes in these portions, and the damage that was told."""
    found: list[T] = []
    damage: list[WireError] = []
    for portion in [*portions, None]:
        if portion is None:
            reader.end()
        else:
            reader.feed(portion)
        while True:
            try:
                each = reader.take()
            except WireError as error:
                damage.append(error)
                continue
            if each is None:
                break
            found.append(each)
    return found, damage


def feeds(data: bytes, rng: np.random.Generator) -> dict[str, list[bytes]]:
    """The same bytes whole, byte by byte, and in random portions."""
    cuts = [0, *sorted(int(each) for each in rng.integers(0, len(data) + 1, 20)), len(data)]
    return {
        "whole": [data],
        "byte by byte": [data[at : at + 1] for at in range(len(data))],
        "random": [data[start:stop] for start, stop in itertools.pairwise(cuts)],
    }
