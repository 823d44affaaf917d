"""What every sink offers, and which class belongs to which `[[sink]]` table."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Protocol, cast

from seisedge.edge.daemon.sink_config import Sink as SinkPart
from seisedge.edge.daemon.store import Item
from seisedge.edge.errors import SeisedgeError


class SinkError(SeisedgeError):
    """A sink did not take what it was given; it is tried again later."""


class Sink(Protocol):
    """A place for results. Its methods may block for some seconds and are called from one thread."""

    def deliver(self, items: Sequence[Item]) -> None:
        """Hand over; when this returns, the sink has them all.

        Raises
        ------
        SinkError
            It may have some, or none: all are given again.
        """
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


class _Opener(Protocol):
    def open_sink(self, part: SinkPart) -> Sink: ...


_MODULES = {
    "jsonl": "files",
    "csv": "files",
    "quakeml": "quakeml",
    "waveform": "waveform",
    "mqtt": "mqtt",
    "http": "http",
    "udp": "udp",
    "datalink": "datalink",
}


def open_sink(part: SinkPart) -> Sink:
    """Make the sink of a `[[sink]]` table; it connects when it has something to deliver.

    Raises
    ------
    UsageError
        A file of secrets that cannot be read, or a package that is not installed.
    """
    module = importlib.import_module(f"seisedge.edge.daemon.sinks.{_MODULES[part.type]}")
    return cast("_Opener", module).open_sink(part)
