"""A real record as live sources give it: the records of a SeedLink server, the frames of a digitizer; and its picks."""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from shared_data import SHARED

from seisedge.edge import Pick, Result, Scanner, ScanOptions, models
from seisedge.edge.session import OrtSession
from seisedge.edge.times import format_time
from seisedge.firmware_bridge import RecordHeader, decode_record, read_headers
from seisedge.firmware_bridge.frame import Channel, Frame

CX = SHARED / "mseed" / "cx_20140501"


def scanned(paths: Iterable[Path]) -> list[tuple[Any, ...]]:
    """The picks of `edge-scan`, as `daemon_rig.published_picks` gives those of a daemon."""
    scanner = Scanner(OrtSession(models.find_model(models.DEFAULT)), ScanOptions())
    results: list[Result] = []
    for station in scanner.index(tuple(paths)):
        scanner.scan(station, results.extend)
    return sorted(
        (each.station.station, each.phase_hint, format_time(each.time_ns), round(each.probability, 6))
        for each in results
        if isinstance(each, Pick)
    )


def records_by_end(contents: Iterable[bytes]) -> list[tuple[RecordHeader, bytes]]:
    """All records in the order in which they end, as a live server has them."""
    found = [
        (header, content[header.offset : header.offset + header.length])
        for content in contents
        for header in read_headers(content)
    ]
    return sorted(found, key=lambda each: each[0].endtime_ns)


def frames(contents: Iterable[bytes], samples: int = 200) -> Iterator[Frame]:
    """Files of one station as a digitizer's own frames, one component each, in the order of time, numbered."""
    channels = [_frames_of(content, samples) for content in contents]
    merged = heapq.merge(*channels, key=lambda each: each.starttime_ns)
    return (dataclasses.replace(each, sequence=number & 0xFFFFFFFF) for number, each in enumerate(merged))


def _frames_of(content: bytes, samples: int) -> Iterator[Frame]:
    for header in read_headers(content):
        whole = decode_record(content[header.offset : header.offset + header.length])
        for at in range(0, whole.samples.size, samples):
            part = whole.cut(at, min(at + samples, whole.samples.size))
            column = np.ascontiguousarray(part.samples.astype(np.int32)[:, np.newaxis])
            about = (Channel(header.source_id[-1]),)
            yield Frame(7, 0, part.starttime_ns, (100, 1), column, about, sample_bytes=4)
