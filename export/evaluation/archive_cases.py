"""Stations of a continuous archive, with the picks on which published pickers agree, as records to judge pickers on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from seisedge.edge import Packet, StationId
from seisedge.edge.archive_index import Trace, index_paths
from seisedge.edge.archive_packets import read_packets
from seisedge.edge.stations import station_of
from seisedge.edge.time_window import within
from seisedge.edge.times import NANOSECONDS, parse_time
from seisedge.export.consensus import AGREED, archive_picks
from seisedge.export.errors import TrainingDataError
from seisedge.export.records import Continuous, archive_files

from .cases import Case, CaseSet, Label, around, sensor_of

_PICKS = "picks_consensus*.csv"
_LEAST_HZ = 10.0
"""Channels for long periods have no phases at half a second, and would be as many stations that pick nothing."""


@dataclass(frozen=True)
class ArchiveTraces:
    """A station's traces in miniSEED files, read when they are asked for.

    Attributes
    ----------
    start_ns, end_ns
        What is judged of them.
    """

    traces: tuple[Trace, ...]
    start_ns: int
    end_ns: int

    @property
    def codes(self) -> tuple[str, ...]:
        """Component codes."""
        return tuple(sorted({trace.source_id.component.upper() for trace in self.traces}))

    def packets(self, places: dict[str, int], margin_s: float) -> Iterator[tuple[int, Packet]]:
        """Give (place in the model's order, packet) of the components in `places`; the archive is the longer stream."""
        margin = round(margin_s * NANOSECONDS)
        chosen = [(places[code], each) for each in self.traces if (code := each.source_id.component.upper()) in places]
        for place, packet, _ in read_packets(chosen, on_problem=lambda _: None, joined=True):
            part = within(packet, self.start_ns - margin, self.end_ns + margin)
            if part is not None:
                yield place, part


def archive_cases(archive: Continuous) -> CaseSet:
    """Read an archive: its miniSEED files, and the picks in `picks_consensus*.csv` if there are some.

    Picks on which at least three pickers agree are labels (origin `consensus`); around others nothing is judged.

    Raises
    ------
    TrainingDataError
        There is no file of it, nothing between the times, or the picks are not in their form.
    """
    folder = archive.folder
    files = archive_files(folder)
    index = index_paths(files)
    if not index.traces:
        raise TrainingDataError(f"{folder}: found no miniSEED, wanted an archive")
    tables = sorted(folder.glob(_PICKS))
    picks = archive_picks(tables[0]) if tables else {}
    told = list(index.problems)
    if not tables:
        told.append(f"{folder}: found no {_PICKS}: its recall means nothing, and every pick is unmatched")
    bounds = tuple(parse_time(each) if each else None for each in (archive.start, archive.end))
    groups: dict[StationId, list[Trace]] = {}
    for trace in index.traces:
        if (rate := max(trace.rates, default=0.0)) < _LEAST_HZ:
            told.append(f"{trace.source_id}: found {rate:g} Hz, not judged below {_LEAST_HZ:g}")
        else:
            groups.setdefault(station_of(trace.source_id), []).append(trace)
    cases = [_case(station, groups[station], picks, bounds, folder.name) for station in sorted(groups)]
    found = tuple(case for case in cases if case.start_ns < case.end_ns)
    if not found:
        raise TrainingDataError(
            f"{folder}: found no data from {archive.start or 'the start'} to {archive.end or 'end'}"
        )
    digest = hashlib.sha256(f"{archive.start} {archive.end}".encode())
    for path in (*files, *tables):
        digest.update(path.read_bytes())
    span = f" {archive.start}/{archive.end}" if archive.start or archive.end else ""
    return CaseSet(folder.name + span, "continuous", found, digest.hexdigest(), tuple(told))


def _case(
    station: StationId,
    traces: list[Trace],
    picks: dict[tuple[str, str], list[tuple[str, int, int]]],
    bounds: tuple[int | None, ...],
    source: str,
) -> Case:
    start = min(min(trace.starts) for trace in traces)
    end = max(_end(trace) for trace in traces)
    start, end = max(start, bounds[0] or start), min(end, bounds[1] or end)
    mine = picks.get((station.network, station.station), [])
    inside = [each for each in mine if start <= each[1] <= end]
    return Case(
        id=str(station),
        group=str(station),
        source=source,
        sensor=sensor_of(traces[0].source_id.nslc.rsplit(".", 1)[1]),
        station=station,
        start_ns=start,
        end_ns=end,
        labels=tuple(Label(phase, time, "consensus") for phase, time, models in inside if models >= AGREED),
        unknown=tuple(around(None, time) for _, time, models in mine if models < AGREED),
        traces=ArchiveTraces(tuple(traces), start, end),
    )


def _end(trace: Trace) -> int:
    return max(
        start + round(npts * NANOSECONDS / rate)
        for start, npts, rate in zip(trace.starts, trace.npts, trace.rates, strict=True)
    )
