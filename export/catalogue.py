"""DeepQuake's catalogue of events, `catalog.json`: from s-files, and to label the windows of an archive with.

The form is that of rtous/deepquake (catalog.py): {"events": [{"eventOriginTime", "lat", "lon", "depth", "eventid",
"mag", "detections": [{"station", "ptime"}]}]}, times in ISO 8601 with `Z`, the depth in km, -1 for a magnitude that is
not known. Only picks whose phase is exactly `P` are in it, and of a station's the last one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from seisedge.edge.errors import ManifestError, UsageError
from seisedge.edge.strict import read
from seisedge.edge.times import format_time, parse_time
from seisedge.edge.whole_file import whole_file

from .errors import TrainingDataError
from .nordic import NordicEvent

_NO_MAGNITUDE = -1.0


@dataclass(frozen=True)
class Detection:
    """The P of an event at a station."""

    station: str
    ptime: str


@dataclass(frozen=True)
class Event:
    """An event under the catalogue's own names; degrees, km."""

    eventOriginTime: str  # noqa: N815 - the format's name
    lat: float | None
    lon: float | None
    depth: float | None
    detections: tuple[Detection, ...]
    eventid: str = ""
    mag: float = _NO_MAGNITUDE


@dataclass(frozen=True)
class Catalogue:
    """Events with the P of each station."""

    events: tuple[Event, ...]

    def p_of(self, station: str) -> list[int]:
        """Times of the P at a station, ns, in their order."""
        found = (each for event in self.events for each in event.detections if each.station == station)
        return sorted(parse_time(each.ptime) for each in found)


def catalogue_of(events: Iterable[NordicEvent]) -> Catalogue:
    """Take from events of s-files what the catalogue has of them."""
    return Catalogue(tuple(_event(each) for each in events))


def _event(event: NordicEvent) -> Event:
    picks = sorted((pick for pick in event.picks if pick.phase_hint == "P"), key=lambda pick: pick.time_ns)
    last = {pick.station: pick.time_ns for pick in picks}
    origin = format_time(event.origin_ns)
    return Event(
        eventOriginTime=origin,
        lat=event.latitude,
        lon=event.longitude,
        depth=event.depth_km,
        detections=tuple(Detection(station, format_time(time)) for station, time in last.items()),
        eventid=origin[:19].replace(":", "-"),
        mag=_NO_MAGNITUDE if event.magnitude is None else event.magnitude,
    )


def write_catalogue(path: Path, catalogue: Catalogue) -> None:
    """Write the JSON, whole or not at all."""
    events = [{**vars(each), "detections": [vars(one) for one in each.detections]} for each in catalogue.events]
    with whole_file(path) as draft:
        draft.write_text(json.dumps({"events": events}, indent=1) + "\n", encoding="utf-8")


def read_catalogue_file(path: Path) -> Catalogue:
    """Read the JSON.

    Raises
    ------
    TrainingDataError
        The file is not there, or is no such catalogue.
    """
    try:
        catalogue = read(Catalogue, json.loads(path.read_text(encoding="utf-8")), str(path))
        for event in catalogue.events:
            for each in event.detections:
                parse_time(each.ptime)
    except (OSError, ValueError, ManifestError, UsageError) as error:
        raise TrainingDataError(f"{path}: {error}; wanted a catalogue as edge-export catalogue writes it") from error
    return catalogue
