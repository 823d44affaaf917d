"""Triggered waveforms: the samples around a final pick, wished for when it is stated and cut when all have come.

A wish is stored with its pick, in one transaction, together with the samples that there are at that moment. So a
process that is killed before the last sample comes goes on with it: with what its source sends again, or with a part.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pymseed import DataEncoding, MS3Record

from seisedge.edge.times import format_time
from seisedge.firmware_bridge import Packet, decode_record, read_headers

from .results import Statement, codes_of
from .store import Entry, Wish
from .traces import Piece, Traces

NANOSECONDS = 1_000_000_000
_RECORD_BYTES = 512


@dataclass
class Snippet:
    """A triggered waveform that waits for its last sample.

    Attributes
    ----------
    pick
        Around which.
    start_ns, end_ns
        The samples from the one on and before the other.
    since_ns
        When it was wished for, or restored, by the monotonic clock.
    past
        Samples from before a restart.
    """

    pick: Statement
    start_ns: int
    end_ns: int
    since_ns: int
    past: tuple[Packet, ...] = ()

    @classmethod
    def around(cls, pick: Statement, before_s: float, after_s: float, since_ns: int) -> Snippet:
        """Wish for the samples around a pick."""
        before_ns, after_ns = round(before_s * NANOSECONDS), round(after_s * NANOSECONDS)
        return cls(pick, pick.time_ns - before_ns, pick.time_ns + after_ns, since_ns)

    @classmethod
    def restored(cls, wish: Wish, since_ns: int) -> Snippet:
        """Go on with one from before a restart."""
        records = (wish.content[each.offset : each.offset + each.length] for each in read_headers(wish.content))
        return cls(wish.pick, wish.start_ns, wish.end_ns, since_ns, tuple(decode_record(each) for each in records))

    def wish(self, traces: Traces) -> Wish:
        """Give what a restart needs, with the samples that are there now."""
        return Wish(self.pick, self.start_ns, self.end_ns, self._content(traces))

    def is_whole(self, traces: Traces) -> bool:
        """Tell whether every channel's samples have come, up to the last and without a hole."""
        channels = {*traces.channels, *(each.source_id for each in self.past)}
        return all(traces.are_whole(each, self.start_ns, self.end_ns) for each in channels)

    def _content(self, traces: Traces) -> bytes:
        """Give all that is there of the samples, those from before a restart too, as miniSEED."""
        known = traces if not self.past else _with_past(traces, self.past)
        return b"".join(
            record
            for source_id in known.channels
            for piece in known.pieces(source_id, self.start_ns, self.end_ns)
            for record in _records(piece)
        )

    def entry(self, traces: Traces) -> Entry | None:
        """Give the waveform as it is to be delivered; None where not one sample is there."""
        pick = self.pick
        row = {
            "id": pick.id,
            **codes_of(pick.station),
            "phase_hint": pick.label,
            "time": format_time(pick.time_ns),
        }
        content = self._content(traces)
        return Entry("record", row, content=content) if content else None


def _with_past(traces: Traces, past: Iterable[Packet]) -> Traces:
    """Put together what was there before a restart and what is there now, however long it took."""
    both = Traces(float(1 << 30))
    for packet in sorted((*past, *traces.packets()), key=lambda each: each.starttime_ns):
        both.add(packet)
    return both


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
