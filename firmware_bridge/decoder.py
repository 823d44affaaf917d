"""What every decoder of a byte stream offers: bytes go in, packets or damage come out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from .errors import WireError
from .packet import Packet


class Decoder(Protocol):
    """Bytes in any portions → packets. Its buffer is bounded, and after damage it finds the next good frame."""

    def feed(self, data: bytes | memoryview) -> None:
        """Take bytes; nothing is decoded and nothing is raised."""
        ...

    def end(self) -> None:
        """Nothing more will come: what is not whole now is damage, which `next_packet` tells."""
        ...

    def next_packet(self) -> Packet | None:
        """Give the next packet, or None where more bytes are needed.

        Raises
        ------
        WireError
            Once for each damaged stretch, which has been passed over: call again and go on.
        """
        ...


def packets_of(decoder: Decoder, data: bytes | memoryview, on_damage: Callable[[WireError], None]) -> list[Packet]:
    """Feed bytes and take all that they complete; each damaged stretch is told to `on_damage`."""
    decoder.feed(data)
    packets: list[Packet] = []
    while True:
        try:
            packet = decoder.next_packet()
        except WireError as error:
            on_damage(error)
            continue
        if packet is None:
            return packets
        packets.append(packet)
