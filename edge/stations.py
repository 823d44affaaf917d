"""Traces → stations: the components of one sensor, in the order that the model wants them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from seisedge.firmware_bridge import SourceId

from .archive_index import Trace
from .manifest import Components
from .picks import StationId
from .times import NANOSECONDS

_YEAR_S = 366.0 * 86_400


@dataclass
class Station:
    """A sensor's traces with their places in the model's order of components.

    Attributes
    ----------
    paths
        All its files, those of unusable traces too.
    traces
        (place in the model's order of components, trace).
    components
        Letters of the components that it has.
    skipped
        One line per trace that cannot be used: which, and why.
    refused
        Why the station as a whole cannot be used; None when it can.
    """

    id: StationId
    paths: tuple[Path, ...]
    traces: list[tuple[int, Trace]] = field(default_factory=list)
    components: tuple[str, ...] = ()
    skipped: list[str] = field(default_factory=list)
    refused: str | None = None

    @property
    def size(self) -> int:
        """Bytes of its records."""
        return sum(trace.size for _, trace in self.traces)

    @property
    def span_ns(self) -> tuple[int, int]:
        """Times of its first sample and behind its last one, whatever is missing between them; (0, 0) for none."""
        traces = [trace for _, trace in self.traces if trace.starts]
        if not traces:
            return 0, 0
        # A damaged header may say any rate; what it says of a record's length is not believed beyond a year.
        lasted = [min(each.npts[-1] / each.rates[-1], _YEAR_S) if each.rates[-1] > 0 else 0.0 for each in traces]
        ends = [max(each.starts) + round(s * NANOSECONDS) for each, s in zip(traces, lasted, strict=True)]
        return min(min(each.starts) for each in traces), max(ends)


def station_of(source_id: SourceId) -> StationId:
    """Which sensor a channel belongs to."""
    return StationId(source_id.network, source_id.station, source_id.location, source_id.instrument)


def group_stations(traces: list[Trace], components: Components) -> list[Station]:
    """Group traces by network, station, location and band, ordered by name."""
    groups: dict[StationId, list[Trace]] = {}
    for trace in traces:
        groups.setdefault(station_of(trace.source_id), []).append(trace)
    return [_station(key, groups[key], components) for key in sorted(groups)]


def group_channels(traces: list[Trace], channels: tuple[str, ...], components: Components) -> list[Station]:
    """Put named channels of any stations together as one input, in the order in which they are named.

    Parameters
    ----------
    channels
        `NET.STA.LOC.CHA`, one for each of the model's components; several traces may be of one channel. Other
        channels are passed over.

    The result stands under the name of the first channel's sensor; it is empty where none of them is there.
    """
    chosen = [(channels.index(nslc), trace) for trace in traces if (nslc := trace.source_id.nslc) in channels]
    if not chosen:
        return []
    first = min(chosen, key=lambda each: each[0])[1]
    station = Station(station_of(first.source_id), tuple(sorted({trace.path for _, trace in chosen})), chosen)
    present = {components.order[index] for index, _ in chosen}
    station.components = tuple(letter for letter in components.order if letter in present)
    lacking = [nslc for nslc, letter in zip(channels, components.order, strict=True) if letter not in present]
    if lacking and components.missing == "refuse":
        station.refused = f"found {len(present)} of {len(channels)} channels, wanted all: {', '.join(lacking)} missing"
    return [station]


def _station(key: StationId, traces: list[Trace], components: Components) -> Station:
    station = Station(key, tuple(sorted({trace.path for trace in traces})))
    codes = {trace.source_id.component for trace in traces}
    for trace in traces:
        code = trace.source_id.component.upper()
        letter = components.letter_of(code)
        if letter is None:
            known = ", ".join((*components.order, *components.aliases))
            station.skipped.append(f"{trace.source_id.nslc}: component {code!r} is none of {known}")
        elif letter != code and letter in codes:
            station.skipped.append(f"{trace.source_id.nslc}: component {letter} is there under its own name")
        else:
            station.traces.append((components.order.index(letter), trace))
    present = {components.order[index] for index, _ in station.traces}
    station.components = tuple(letter for letter in components.order if letter in present)
    station.refused = _refusal(present, components)
    return station


def _refusal(present: set[str], components: Components) -> str | None:
    missing = [letter for letter in components.needed if letter not in present]
    if not missing:
        return None
    found = ", ".join(sorted(present)) or "none that the model knows"
    return f"found components {found}, wanted {', '.join(components.needed)}: {', '.join(missing)} missing"
