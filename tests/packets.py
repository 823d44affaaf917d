"""Streams for tests: synthetic ones, those of files, and their cutting into packets in any order of arrival."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from pymseed import DataEncoding, MS3Record

from seisedge.edge import OrtSession, Preprocess, Result, StationId, StationPicker
from seisedge.edge.archive_index import Trace, index_paths
from seisedge.edge.archive_packets import read_packets
from seisedge.edge.classify import thresholds_with
from seisedge.edge.manifest import Components
from seisedge.edge.stations import Station, group_stations
from seisedge.firmware_bridge import Packet, Samples

NANOSECONDS = 1_000_000_000
START_NS = 1_600_000_000 * NANOSECONDS

Feed: TypeAlias = "tuple[int, Packet]"
"""Component and packet, as `StationPicker.push` takes them."""


@dataclass(frozen=True)
class Cutting:
    """How a stream is cut: everything follows from the seed.

    Packets have 1 sample to `longest_s` seconds, evenly over the logarithm of their length; some come twice,
    some reach back over what came before; each arrives up to `late_s` seconds of data late.
    """

    seed: int
    longest_s: float = 10.0
    late_s: float = 5.0
    twice: float = 0.1
    overlapping: float = 0.1


def packet(
    samples: Samples | list[int], *, start_ns: int = START_NS, rate: float = 100.0, component: str = "Z"
) -> Packet:
    array = np.asarray(samples, np.int32) if isinstance(samples, list) else samples
    return Packet(f"FDSN:XX_TEST__H_H_{component}", start_ns, rate, array)


def records(
    each: Packet, *, version: int = 2, encoding: DataEncoding = DataEncoding.STEIM2, length: int = 512
) -> list[bytes]:
    """A packet as miniSEED records."""
    template = MS3Record()
    template.sourceid = each.source_id
    template.starttime = each.starttime_ns
    template.samprate = each.sampling_rate
    template.formatversion = version
    template.reclen = length
    template.encoding = encoding
    kind = {DataEncoding.FLOAT32: "f", DataEncoding.FLOAT64: "d"}.get(encoding, "i")
    dtype = {"f": np.float32, "d": np.float64, "i": np.int32}[kind]
    return list(template.generate(data_samples=each.samples.astype(dtype), sample_type=kind))


def stretches(feed: Iterable[Feed]) -> list[Feed]:
    """Join packets of one component that follow each other to the nanosecond at one rate."""
    joined: dict[int, list[tuple[list[Packet], int]]] = {}
    for component, each in feed:
        runs = joined.setdefault(component, [])
        if runs and _follows(*runs[-1], each):
            parts, npts = runs[-1]
            parts.append(each)
            runs[-1] = (parts, npts + each.samples.size)
        else:
            runs.append(([each], each.samples.size))
    return [(component, _join(parts)) for component, runs in joined.items() for parts, _ in runs]


def _follows(parts: list[Packet], npts: int, each: Packet) -> bool:
    first = parts[0]
    same = first.sampling_rate == each.sampling_rate and first.samples.dtype == each.samples.dtype
    return same and each.starttime_ns == first.time_of(npts)


def _join(parts: list[Packet]) -> Packet:
    return replace(parts[0], samples=np.concatenate([part.samples for part in parts]))


def shuffled(feed: Iterable[Feed], cutting: Cutting) -> list[Feed]:
    """The same stream in other packets, in another order."""
    rng = np.random.default_rng(cutting.seed)
    pieces: list[tuple[float, Feed]] = []
    for component, each in stretches(feed):
        for piece in _pieces(each, cutting, rng):
            late_ns = rng.uniform(0, cutting.late_s * NANOSECONDS)
            pieces.append((piece.starttime_ns + late_ns, (component, piece)))
    pieces.sort(key=lambda each: each[0])
    return [piece for _, piece in pieces]


def _pieces(stretch: Packet, cutting: Cutting, rng: np.random.Generator) -> Iterator[Packet]:
    longest = max(1, round(cutting.longest_s * stretch.sampling_rate))
    npts, at = stretch.samples.size, 0
    while at < npts:
        size = min(int(np.exp(rng.uniform(0, np.log(longest + 1)))), npts - at)
        yield stretch.cut(at, at + size)
        if rng.random() < cutting.twice:
            yield stretch.cut(at, at + size)
        if rng.random() < cutting.overlapping:
            yield stretch.cut(max(0, at - int(rng.integers(1, longest + 1))), at + size)
        at += size


def in_order(feed: Iterable[Feed], samples: int) -> list[Feed]:
    """The same stream in packets of `samples`, ordered by start time."""
    parts = [
        (component, each.cut(at, min(at + samples, each.samples.size)))
        for component, each in feed
        for at in range(0, each.samples.size, samples)
    ]
    return sorted(parts, key=lambda part: part[1].starttime_ns)


@dataclass(frozen=True)
class Outcome:
    """What the streaming law compares: every field of every pick, and the windows."""

    picks: list[Result]
    windows: int
    skipped: int


def pick_feed(
    session: OrtSession,
    feed: Iterable[Feed],
    *,
    stride: int | None = None,
    thresholds: dict[str, float] | None = None,
    at_least: int = 1,
    batch: int = 128,
    station: StationId | None = None,
) -> Outcome:
    """Packets through a `StationPicker`, one after the other."""
    picker = StationPicker(
        session,
        Preprocess(session.manifest),
        station or StationId("XX", "TEST", "", "HH"),
        stride=stride or session.manifest.stride_samples,
        thresholds=thresholds_with(session.manifest, thresholds or {}),
        batch=batch,
    )
    picks = [pick for component, each in feed for pick in picker.push(component, each, at_least=at_least)]
    picks += picker.finish()
    cutter = picker.stream.cutter
    return Outcome(picks, cutter.windows, cutter.skipped)


def stations_of(path: Path, components: Components) -> list[Station]:
    index = index_paths((path,))
    assert not index.problems
    return group_stations(index.traces, components)


def packets_of(station: Station) -> list[Feed]:
    problems: list[str] = []
    found = [(component, each) for component, each, _ in read_packets(station.traces, problems.append)]
    assert not problems
    return found


def between(feed: Iterable[Feed], start_ns: int, end_ns: int) -> list[Feed]:
    """The packets that begin in a span of time."""
    return [part for part in feed if start_ns <= part[1].starttime_ns < end_ns]


def feed_of_traces(traces: list[Trace]) -> list[Feed]:
    """The packets of traces, each trace a component of its own."""
    found = [(place, each) for place, each, _ in read_packets(list(enumerate(traces)), lambda _: None)]
    return sorted(found, key=lambda part: (part[0], part[1].starttime_ns))
