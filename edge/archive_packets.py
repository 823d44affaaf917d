"""What stands in an archive → packets of one station in order of time, in bounded memory.

The second reading of its files: the first one, `archive_index`, has learnt from their headers where records stand.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise
from typing import BinaryIO

import numpy as np

from seisedge.firmware_bridge import Packet, PacketFlag, WireError, decode_record, decode_run

from . import stretches
from .archive_index import Trace


def read_packets(
    traces: list[tuple[int, Trace]], on_problem: Callable[[str], None], *, joined: bool = False
) -> Iterator[tuple[int, Packet, int]]:
    """Packets of several traces, ordered by start time: (component, packet, bytes of its records).

    A record that cannot be decoded is told to `on_problem`, and leaves a gap; so does a file that is gone.

    Parameters
    ----------
    traces
        (component, trace) pairs; a component may have several traces. A file is open only while its
        records are being read, so a year of day files needs no more than its own three at a time.
    on_problem
        Called with one line: file, byte, what was found, what was wanted.
    joined
        Make one packet of records that join on to each other: what is picked is the same, and much sooner.
        Records of a component's traces that share time are never joined.
    """
    spans = [(component, min(trace.starts), max(trace.starts)) for component, trace in traces]
    alone = set(range(len(traces))) - stretches.overlapping(spans) if joined else set[int]()
    cursors = [_cursor(number, trace, joined=number in alone) for number, (_, trace) in enumerate(traces)]
    heap = [next(cursor) for cursor in cursors]
    heapq.heapify(heap)
    left = [len(trace.starts) for _, trace in traces]
    waiting = [1] * len(traces)  # of each trace, in the heap
    with closing(_OpenFiles()) as files:
        while heap:
            _, number, records = heapq.heappop(heap)
            waiting[number] -= 1
            component, trace = traces[number]
            try:
                content = files.read(trace, records)
                packet = _decode(trace, records, content)
            except OSError as error:
                on_problem(f"{trace.path}: cannot be read: {error.strerror}; {trace.source_id.nslc} ends there")
                heap = [each for each in heap if each[1] != number]
                heapq.heapify(heap)
                continue
            except WireError as error:
                if len(records) > 1:  # each by itself, when its turn comes: the other components must not fall behind
                    for record in records:
                        heapq.heappush(heap, (trace.starts[record], number, [record]))
                    waiting[number] += len(records)
                    continue
                on_problem(f"{trace.path}: byte {trace.offsets[records[0]]}: {error}; the record is a gap")
            else:
                yield component, packet, len(content)
            left[number] -= len(records)
            if left[number] == 0:
                files.close_file(trace)
            if waiting[number] == 0 and (following := next(cursors[number], None)):
                heapq.heappush(heap, following)
                waiting[number] = 1


def _decode(trace: Trace, records: list[int], content: bytes) -> Packet:
    """Decode one record, or some that join on to each other."""
    if len(records) == 1:
        return decode_record(content)
    first, npts = records[0], sum(trace.npts[record] for record in records)
    packet = decode_run(content, trace.encodings[first], PacketFlag(trace.flags[first]), npts)
    if packet is None:
        raise WireError(f"found records that do not decode together, wanted {len(records)} that join on")
    return packet


class _OpenFiles:
    """The files of traces, each open from its first record to its last."""

    def __init__(self) -> None:
        self._files: dict[int, BinaryIO] = {}

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def close_file(self, trace: Trace) -> None:
        """Close the file of a trace that was read to its end."""
        self._files.pop(id(trace)).close()

    def read(self, trace: Trace, records: list[int]) -> bytes:
        """Bytes of records that stand one behind the other."""
        key = id(trace)
        if key not in self._files:
            self._files[key] = trace.path.open("rb")
        file = self._files[key]
        file.seek(trace.offsets[records[0]])
        return file.read(sum(trace.lengths[record] for record in records))


def _cursor(number: int, trace: Trace, *, joined: bool) -> Iterator[tuple[int, int, list[int]]]:
    """Give a trace's records in order of time: (start, number of the trace, records)."""
    order = stretches.in_order(trace.starts)
    places = list(range(order.size + 1))
    if joined:
        columns = (trace.starts, trace.offsets, trace.lengths, trace.npts, trace.rates, trace.encodings, trace.flags)
        places = stretches.bounds(stretches.joins(columns, order), np.array(trace.npts)[order])
    for first, stop in pairwise(places):
        records: list[int] = order[first:stop].tolist()
        yield trace.starts[records[0]], number, records
