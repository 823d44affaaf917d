"""The samples around each pick as miniSEED files, the oldest of which go when the folder is full."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from seisedge.edge.daemon.sink_config import Sink, WaveformSink
from seisedge.edge.daemon.store import Item
from seisedge.edge.whole_file import write_whole

from .sink import SinkError

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


class WaveformFolder:
    """`<time>_<NET.STA.LOC.CH>_<phase>_<id>.mseed` in one folder."""

    def __init__(self, part: WaveformSink) -> None:
        self._folder, self._most_bytes = Path(part.folder), part.max_megabytes << 20

    def deliver(self, items: Sequence[Item]) -> None:
        """Write one file per pick, whole or not at all; see `Sink`."""
        try:
            for each in items:
                row = each.row
                station = ".".join((row["network"], row["station"], row["location"], row["channel"]))
                moment = row["time"].replace(":", "").replace("-", "")
                name = "_".join((moment, station, row["phase_hint"], row["id"]))
                write_whole(each.content or b"", self._folder / f"{_UNSAFE.sub('-', name)}.mseed")
            self._trim()
        except OSError as error:
            raise SinkError(f"{self._folder}: cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Nothing is open."""

    def _trim(self) -> None:
        files = sorted(self._folder.glob("*.mseed"))  # by time, which their names begin with
        sizes = [each.stat().st_size for each in files]
        total = sum(sizes)
        for path, size in zip(files, sizes, strict=True):
            if total <= self._most_bytes:
                break
            path.unlink(missing_ok=True)
            total -= size


def open_sink(part: Sink) -> WaveformFolder:
    """Make the sink; see `sinks.open_sink`."""
    if not isinstance(part, WaveformSink):
        raise TypeError(f"sink {part.label}: found {type(part).__name__}, wanted WaveformSink")
    return WaveformFolder(part)
