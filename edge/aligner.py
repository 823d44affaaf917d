"""One station's packets, in whatever order they come → each component's samples in order, gaps marked.

What happens to each kind of packet (every outcome is counted in `AlignerCounts`):

============== =========================================================================================
kind           outcome
============== =========================================================================================
in order       delivered at once
out of order   held until what is before it has come, or until `reorder_wait_s` of the station's data have
               come behind it; then the hole is a gap and its samples restart the stream
duplicate      its samples that were delivered already are dropped: the first copy counts
overlap        the same, for the part that overlaps; values are not compared
late           behind a gap that was already declared: dropped
future         more than `max_jump_s` ahead of everything: held until a second packet of the station agrees,
               thrown away if the next packet does not
clock step     forward: a gap. Backward: late or duplicate, dropped until time catches up
other rate     restarts the stream at the new rate
not a number   NaN and infinite samples are gaps
============== =========================================================================================

No decision looks at a wall clock or at packet boundaries: the same samples, none of them later than
`reorder_wait_s`, give the same chunks' samples however they were cut, repeated or shuffled.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field

import numpy as np

from seisedge.firmware_bridge import Packet, Samples
from seisedge.firmware_bridge.packet import span_ns

NANOSECONDS = 1_000_000_000
_MAX_SUSPECTS = 64
_MAX_PENDING = 1 << 15  # packets held per component: six times the wait in single samples at 1000 Hz
_MAX_LISTED_SPANS = 1000
DRIFT_TOLERANCE = 4  # times are taken anew where they left the expected ones by 1/4 of a sample


@dataclass(frozen=True, slots=True)
class Chunk:
    """Samples of one component that follow what was delivered before, or `restart` the stream."""

    component: int
    starttime_ns: int
    sampling_rate: float
    samples: Samples
    restart: bool
    drift_ns: int
    """What has to be added to times counted from the last restart."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one component, from the time of its first sample to that of the first one behind it."""

    component: int
    starttime_ns: int
    endtime_ns: int


@dataclass
class AlignerCounts:
    """What became of the packets so far. The lists hold the first thousand of their counts.

    `overlaps` are the spans that came twice or too late and were dropped; neighbouring ones count as one.
    """

    packets: int = 0
    samples: int = 0
    duplicate_samples: int = 0
    late_samples: int = 0
    nonfinite_samples: int = 0
    future_packets: int = 0
    overflow_packets: int = 0
    rate_changes: int = 0
    gap_count: int = 0
    gaps: list[Span] = field(default_factory=list)
    overlap_count: int = 0
    overlaps: list[Span] = field(default_factory=list)


@dataclass
class _Component:
    """One component's place in time: `anchor_ns` + `delivered` samples + `drift_ns` is the next one expected."""

    index: int
    pending: list[Packet] = field(default_factory=list)
    sampling_rate: float = 0.0
    anchor_ns: int = 0
    delivered: int = 0
    drift_ns: int = 0
    expected_ns: int | None = None
    """The next sample's time; None before the first one."""
    known_ns: int | None = None
    """Everything before this time has been delivered or is a gap."""


class Aligner:
    """Aligns the packets of one station.

    Parameters
    ----------
    components
        Number of components.
    reorder_wait_s
        How far (seconds of data) a packet may be behind the newest one of its station and still count.
        Costs nothing while packets come in order, except at the very start and behind a gap.
    max_jump_s
        A packet that starts further behind the end of all others than this needs a second one to be believed.
    """

    def __init__(self, components: int, *, reorder_wait_s: float = 5.0, max_jump_s: float = 60.0) -> None:
        self._components = [_Component(index) for index in range(components)]
        self._wait_ns = round(reorder_wait_s * NANOSECONDS)
        self._max_jump_ns = round(max_jump_s * NANOSECONDS)
        self._newest_ns: int | None = None
        self._newest_end_ns = 0
        self._suspects: list[tuple[int, Packet]] = []
        self.counts = AlignerCounts()

    def push(self, component: int, packet: Packet) -> list[Chunk]:
        """Take a packet; give the chunks that became certain by it, in time order per component."""
        self.counts.packets += 1
        accepted = self._believe(component, packet)
        for index, each in accepted:
            self._take(self._components[index], each)
        return self._settle() if accepted else []

    def flush(self) -> list[Chunk]:
        """End of the stream: nothing more will come, so every hole is a gap."""
        for index, packet in self._suspects:
            self._take(self._components[index], packet)
        self._suspects = []
        wait, self._wait_ns = self._wait_ns, -(1 << 62)
        chunks = self._settle()
        self._wait_ns = wait
        return chunks

    def known_ns(self, component: int) -> int | None:
        """Give the time before which this component is settled; None while nothing is known."""
        return self._components[component].known_ns

    def is_silent(self, component: int) -> bool:
        """Whether what is settled ends behind the last delivered sample: nothing can join on to it any more."""
        state = self._components[component]
        expected = state.expected_ns
        if state.known_ns is None or expected is None:
            return False
        return state.known_ns - expected > NANOSECONDS / state.sampling_rate / 2

    def _believe(self, component: int, packet: Packet) -> list[tuple[int, Packet]]:
        """Give the packets to take now: none while one from the future waits for a second."""
        if self._newest_ns is None or packet.starttime_ns - self._newest_end_ns <= self._max_jump_ns:
            self.counts.future_packets += len(self._suspects)
            self._suspects = []
            return [(component, packet)]
        agreed = [each for each in self._suspects if self._agrees(each, component, packet)]
        self._suspects.append((component, packet))
        if not agreed:
            if len(self._suspects) > _MAX_SUSPECTS:
                self._suspects.pop(0)
                self.counts.future_packets += 1
            return []
        accepted, self._suspects = self._suspects, []
        return accepted

    def _agrees(self, suspect: tuple[int, Packet], component: int, packet: Packet) -> bool:
        other = suspect[1]
        apart = max(packet.starttime_ns - _end_ns(other), other.starttime_ns - _end_ns(packet))
        near = apart <= self._max_jump_ns
        return near and (suspect[0] != component or other.starttime_ns != packet.starttime_ns)

    def _take(self, component: _Component, packet: Packet) -> None:
        """Move time on to the packet's start, not to those of its parts, and hold what can be used of it."""
        newest, end_ns = self._newest_ns, _end_ns(packet)
        self._newest_ns = packet.starttime_ns if newest is None else max(newest, packet.starttime_ns)
        self._newest_end_ns = end_ns if newest is None else max(self._newest_end_ns, end_ns)
        for part in self._finite_parts(packet):
            self._hold(component, part)

    def _finite_parts(self, packet: Packet) -> list[Packet]:
        if packet.samples.dtype != np.float32:
            return [packet] if packet.samples.size else []
        finite = np.isfinite(packet.samples)
        if finite.all():
            return [packet] if packet.samples.size else []
        self.counts.nonfinite_samples += int(packet.samples.size - finite.sum())
        edges = np.flatnonzero(np.diff(np.concatenate(([False], finite, [False]))))
        return [packet.cut(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]

    def _hold(self, component: _Component, packet: Packet) -> None:
        if len(component.pending) >= _MAX_PENDING:
            self.counts.overflow_packets += 1
            return
        if not component.pending or component.pending[-1].starttime_ns <= packet.starttime_ns:
            component.pending.append(packet)
        else:
            bisect.insort(component.pending, packet, key=lambda each: each.starttime_ns)

    def _settle(self) -> list[Chunk]:
        if self._newest_ns is None:
            return []
        settled_ns = self._newest_ns - self._wait_ns
        chunks: list[Chunk] = []
        for component in self._components:
            while component.pending:
                packet = component.pending[0]
                expected = component.expected_ns
                half = round(NANOSECONDS / packet.sampling_rate / 2)
                if packet.starttime_ns > settled_ns and (expected is None or packet.starttime_ns > expected + half):
                    break
                component.pending.pop(0)
                chunks += self._deliver(component, packet)
            known, expected = component.known_ns, component.expected_ns
            if self._wait_ns >= 0 and (known is None or known < settled_ns):
                known = settled_ns
            if expected is not None and (known is None or known < expected):
                known = expected
            component.known_ns = known
        return chunks

    def _deliver(self, component: _Component, packet: Packet) -> list[Chunk]:
        """Give the packet's samples that are new, or none."""
        expected, frontier = component.expected_ns, component.known_ns
        if frontier is None or (expected is not None and expected > frontier):
            frontier = expected
        skip = 0
        if frontier is not None:
            skip = max(0, round((frontier - packet.starttime_ns) * packet.sampling_rate / NANOSECONDS))
        if skip:
            self._count_skipped(component, packet, min(skip, packet.samples.size))
            if skip >= packet.samples.size:
                return []
            packet = packet.cut(skip, packet.samples.size)
        return [self._advance(component, packet, expected)]

    def _count_skipped(self, component: _Component, packet: Packet, skip: int) -> None:
        end_ns = packet.time_of(skip)
        self._note_overlap(Span(component.index, packet.starttime_ns, end_ns))
        holes = [(gap.starttime_ns, gap.endtime_ns) for gap in self.counts.gaps if gap.component == component.index]
        if component.known_ns is not None:  # the hole that is still open: no later sample has come
            begin = packet.starttime_ns if component.expected_ns is None else component.expected_ns
            holes.append((begin, component.known_ns))
        spans = [(max(start, packet.starttime_ns), min(stop, end_ns)) for start, stop in holes]
        in_gaps = sum(max(0, stop - start) for start, stop in spans)
        late = min(skip, round(in_gaps * packet.sampling_rate / NANOSECONDS))
        self.counts.late_samples += late
        self.counts.duplicate_samples += skip - late

    def _note_overlap(self, span: Span) -> None:
        listed = self.counts.overlaps
        last = next((each for each in reversed(listed) if each.component == span.component), None)
        if last is not None and last.starttime_ns <= span.starttime_ns <= last.endtime_ns + 1:
            listed[listed.index(last)] = Span(span.component, last.starttime_ns, max(last.endtime_ns, span.endtime_ns))
            return
        self.counts.overlap_count += 1
        if len(listed) < _MAX_LISTED_SPANS:
            listed.append(span)

    def _advance(self, component: _Component, packet: Packet, expected: int | None) -> Chunk:
        """Move the component's place behind the packet; say whether it joins on."""
        period = NANOSECONDS / packet.sampling_rate
        same_rate = component.sampling_rate == packet.sampling_rate
        off_ns = 0 if expected is None else packet.starttime_ns - expected
        restart = expected is None or not same_rate or abs(off_ns) > period / 2
        if restart:
            if expected is not None:
                self._note_restart(component, packet, expected, changed_rate=not same_rate)
            component.sampling_rate = packet.sampling_rate
            component.anchor_ns, component.delivered, component.drift_ns = packet.starttime_ns, 0, 0
        elif abs(off_ns) > period / DRIFT_TOLERANCE:
            component.drift_ns += off_ns
        component.delivered += packet.samples.size
        component.expected_ns = (
            component.anchor_ns + span_ns(component.delivered, packet.sampling_rate) + component.drift_ns
        )
        self.counts.samples += packet.samples.size
        return Chunk(
            component.index,
            packet.starttime_ns,
            packet.sampling_rate,
            packet.samples,
            restart,
            component.drift_ns,
        )

    def _note_restart(self, component: _Component, packet: Packet, expected: int, *, changed_rate: bool) -> None:
        self.counts.rate_changes += changed_rate
        if packet.starttime_ns - expected > NANOSECONDS / packet.sampling_rate / 2:
            self.counts.gap_count += 1
            if len(self.counts.gaps) < _MAX_LISTED_SPANS:
                self.counts.gaps.append(Span(component.index, expected, packet.starttime_ns))


def _end_ns(packet: Packet) -> int:
    """Time behind the last sample: how a stream is cut into packets has no say in what is a jump."""
    return packet.time_of(packet.samples.size)
