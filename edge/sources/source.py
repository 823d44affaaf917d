"""What every source offers: packets as they come, and what became of the bytes that they came in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from seisedge.firmware_bridge import Packet


@dataclass
class SourceCounts:
    """What a source has seen so far.

    Attributes
    ----------
    received_bytes, packets
        What came, and what was made of it.
    damaged
        Stretches that broke their format (`WireError`).
    overruns
        Datagrams that the system threw away because its buffer for the port was full.
    connects
        Connections, ports or files that were opened; all but the first are reconnections.
    last_problem
        The last failure or damage in one line; empty while there was none.
    """

    received_bytes: int = 0
    packets: int = 0
    damaged: int = 0
    overruns: int = 0
    connects: int = 0
    last_problem: str = ""


class Source(Protocol):
    """Where packets come from: it owns the socket, the serial port, the client of a broker or the files.

    Attributes
    ----------
    url
        As it was configured, without secrets; names the source in messages and metrics.
    counts
        What became of what came.
    """

    url: str
    counts: SourceCounts

    @property
    def position(self) -> str | None:
        """Where the packet that was yielded last stands, for `open_source(..., resume=...)`.

        None where a source cannot resume: datagrams, a serial port.
        """
        ...

    def packets(self) -> AsyncIterator[Packet]:
        """Yield packets until the input ends; a live source goes on for ever and reconnects by itself.

        Damage and lost connections are counted, not raised. Cancelling the task closes what is open.

        Raises
        ------
        DataError
            What can never work by trying again: a file that is not there, credentials that are refused.
        """
        ...
