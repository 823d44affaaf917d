"""What a worker knows of one station: recent samples, pipelines, and the waveforms that are still to be cut."""

from __future__ import annotations

from dataclasses import dataclass, field

from pymseed import DataEncoding, MS3Record

from seisedge.edge.picks import StationId
from seisedge.edge.times import format_time
from seisedge.firmware_bridge import Packet, SourceId

from .pipeline import Pipeline
from .results import Statement
from .store import Entry
from .traces import Piece, Traces

NANOSECONDS = 1_000_000_000
_MAX_SNIPPETS = 64
_RECORD_BYTES = 512


@dataclass
class _Snippet:
    """A triggered waveform that waits for its last sample."""

    statement: Statement
    start_ns: int
    end_ns: int


@dataclass
class Station:
    """One station of a worker."""

    id: StationId
    traces: Traces
    pipelines: dict[str, Pipeline] = field(default_factory=dict[str, Pipeline])
    packets: int = 0
    newest_ns: int = 0
    """Time of the newest packet's last sample."""
    arrived_ns: int = 0
    source: str = ""
    snippets: list[_Snippet] = field(default_factory=list[_Snippet])
    routes: dict[str, list[tuple[Pipeline, int]]] = field(default_factory=dict[str, "list[tuple[Pipeline, int]]"])

    def push(self, packet: Packet, arrived_ns: int) -> None:
        """Take a packet."""
        self.traces.add(packet)
        self.packets += 1
        self.arrived_ns = arrived_ns
        self.newest_ns = max(self.newest_ns, packet.time_of(packet.samples.size - 1))
        route = self.routes.get(packet.source_id)
        if route is None:
            route = self.routes[packet.source_id] = self._route(SourceId.parse(packet.source_id))
        for pipeline, component in route:
            pipeline.push(component, packet, arrived_ns)

    def _route(self, source_id: SourceId) -> list[tuple[Pipeline, int]]:
        places = [(each, each.component_of(source_id)) for each in self.pipelines.values()]
        return [(pipeline, component) for pipeline, component in places if component is not None]

    def trigger(self, statement: Statement, before_s: float, after_s: float) -> None:
        """Ask for the samples around a pick."""
        if len(self.snippets) < _MAX_SNIPPETS:
            start_ns = statement.time_ns - round(before_s * NANOSECONDS)
            self.snippets.append(_Snippet(statement, start_ns, statement.time_ns + round(after_s * NANOSECONDS)))

    def cut(self, *, at_end: bool = False) -> list[Entry]:
        """Give the triggered waveforms whose last sample has come; at the end, as much of them as there is."""
        due = [each for each in self.snippets if at_end or self.newest_ns >= each.end_ns]
        for each in due:
            self.snippets.remove(each)
        return [entry for each in due if (entry := self._entry(each)) is not None]

    def _entry(self, snippet: _Snippet) -> Entry | None:
        content = b"".join(
            record
            for source_id in self.traces.channels
            for piece in self.traces.pieces(source_id, snippet.start_ns, snippet.end_ns)
            for record in _records(piece)
        )
        pick = snippet.statement
        row = {
            "id": pick.id,
            "network": self.id.network,
            "station": self.id.station,
            "location": self.id.location,
            "channel": self.id.channel,
            "phase_hint": pick.label,
            "time": format_time(pick.time_ns),
        }
        return Entry("record", row, content=content) if content else None


def _records(piece: Piece) -> list[bytes]:
    """Samples as miniSEED 2: integers as Steim2, floats as they are."""
    template = MS3Record()
    template.sourceid = piece.source_id
    template.starttime = piece.starttime_ns
    template.samprate = piece.sampling_rate
    template.formatversion = 2
    template.reclen = _RECORD_BYTES
    is_float = piece.samples.dtype.kind == "f"
    template.encoding = DataEncoding.FLOAT32 if is_float else DataEncoding.STEIM2
    samples = piece.samples if is_float else piece.samples.astype("int32")
    try:
        return list(template.generate(data_samples=samples, sample_type="f" if is_float else "i"))
    except ValueError:  # differences beyond what Steim2 holds
        template.encoding = DataEncoding.INT32
        return list(template.generate(data_samples=samples, sample_type="i"))
