"""The page for people: one file without external assets, and the JSON that it draws."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .service import Service
    from .traces import Piece

PAGE = files("seisedge.edge.daemon").joinpath("page.html").read_text(encoding="utf-8")

NANOSECONDS = 1_000_000_000
_COLUMNS = 800
_PICKS = 50


def picks_json(service: Service) -> list[dict[str, Any]]:
    """Give the latest statement of each of the last results, the newest first."""
    latest: dict[str, dict[str, Any]] = {}
    for entry in list(service.publisher.recent):
        latest.pop(entry.row["id"], None)
        latest[entry.row["id"]] = {key: value for key, value in entry.row.items() if key != "samples"}
    return list(reversed(latest.values()))[:_PICKS]


def trace_json(service: Service, station: str) -> dict[str, Any] | None:
    """Give the envelopes (lowest and highest count per column) of a station's channels; None for no station of ours."""
    found = next(
        (each for worker in service.workers for each in list(worker.stations.values()) if str(each.id) == station), None
    )
    if found is None:
        return None
    seconds = service.config.daemon.history_s
    end_ns = found.newest_ns
    start_ns = end_ns - round(seconds * NANOSECONDS)
    return {
        "station": station,
        "endtime_ms": end_ns // 1_000_000,
        "seconds": seconds,
        "channels": {
            each: _envelope(list(found.traces.pieces(each, start_ns, end_ns + 1)), start_ns, end_ns)
            for each in found.traces.channels
        },
    }


def _envelope(pieces: list[Piece], start_ns: int, end_ns: int) -> list[list[float] | None]:
    """Per column of the picture: lowest and highest sample, or None where there is none."""
    lows, highs = np.full(_COLUMNS, np.inf), np.full(_COLUMNS, -np.inf)
    for piece in pieces:
        times = piece.starttime_ns + np.arange(piece.samples.size) * (NANOSECONDS / piece.sampling_rate)
        columns = np.clip(((times - start_ns) * _COLUMNS // max(1, end_ns - start_ns)).astype(np.intp), 0, _COLUMNS - 1)
        finite = np.isfinite(piece.samples)
        np.minimum.at(lows, columns[finite], piece.samples[finite])
        np.maximum.at(highs, columns[finite], piece.samples[finite])
    return [[float(low), float(high)] if np.isfinite(low) else None for low, high in zip(lows, highs, strict=True)]
