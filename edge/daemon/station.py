"""What a worker knows of one station: recent samples, pipelines, and the waveforms that are still to be cut."""

from __future__ import annotations

from dataclasses import dataclass, field

from seisedge.edge.picks import StationId
from seisedge.firmware_bridge import Packet, SourceId

from .pipeline import Pipeline
from .results import Statement
from .snippets import Snippet
from .store import Entry, Wish
from .traces import Traces

_MAX_SNIPPETS = 64


@dataclass
class Station:
    """One station of a worker."""

    id: StationId
    traces: Traces
    pipelines: dict[str, Pipeline] = field(default_factory=dict[str, Pipeline])
    packets: int = 0
    first_ns: int | None = None
    """Start of the first packet."""
    newest_ns: int = 0
    """Time of the newest packet's last sample."""
    arrived_ns: int = 0
    source: str = ""
    last_pick: Statement | None = None
    """The newest statement that is not retracted."""
    wait_ns: int = 0
    """A waveform whose end has come waits so long, in the station's data, for a packet or a channel that is late."""
    snippets: list[Snippet] = field(default_factory=list[Snippet])
    routes: dict[str, list[tuple[Pipeline, int]]] = field(default_factory=dict[str, "list[tuple[Pipeline, int]]"])

    def push(self, packet: Packet, arrived_ns: int) -> None:
        """Take a packet."""
        self.traces.add(packet)
        self.packets += 1
        self.first_ns = packet.starttime_ns if self.first_ns is None else self.first_ns
        self.arrived_ns = arrived_ns
        self.newest_ns = max(self.newest_ns, packet.time_of(packet.samples.size - 1))
        route = self.routes.get(packet.source_id)
        if route is None:
            route = self.routes[packet.source_id] = self._route(SourceId.parse(packet.source_id))
        for pipeline, component in route:
            pipeline.push(component, packet, arrived_ns)
        for pipeline in self.pipelines.values():
            pipeline.judge(packet.starttime_ns - self.first_ns)

    def _route(self, source_id: SourceId) -> list[tuple[Pipeline, int]]:
        places = [(each, each.component_of(source_id)) for each in self.pipelines.values()]
        return [(pipeline, component) for pipeline, component in places if component is not None]

    def trigger(self, snippet: Snippet) -> Wish | None:
        """Ask for the samples around a pick; what has to be stored with it. None where too many wait already."""
        if len(self.snippets) >= _MAX_SNIPPETS:
            return None
        self.snippets.append(snippet)
        return snippet.wish(self.traces)

    def wishes(self) -> list[Entry]:
        """Give what waits as it is now, so that it outlives the process."""
        return [Entry("wish", {}, wish=each.wish(self.traces)) for each in self.snippets]

    def cut(self, *, since_ns: int | None = None) -> list[Entry]:
        """Give the triggered waveforms that are whole or past waiting; of those as old as `since_ns`, what there is."""
        due = [
            each
            for each in self.snippets
            if (since_ns is not None and each.since_ns <= since_ns)
            or self.newest_ns >= each.end_ns + self.wait_ns
            or (self.newest_ns >= each.end_ns and each.is_whole(self.traces))
        ]
        for each in due:
            self.snippets.remove(each)
        return [entry for each in due if (entry := each.entry(self.traces)) is not None]
