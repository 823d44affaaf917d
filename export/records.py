"""Records to train with: labelled windows, and continuous data with picks that other pickers agree on.

Both come through the runtime's own stream steps. What is not known is masked: there the loss looks away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from seisedge.edge.archive_index import index_paths
from seisedge.edge.archive_packets import read_packets
from seisedge.edge.pipeline import StationStream
from seisedge.edge.preprocess import Preprocess
from seisedge.edge.stations import Station, group_stations
from seisedge.edge.times import NANOSECONDS, parse_time
from seisedge.edge.windows import WindowBlock

from .catalogue import Catalogue
from .consensus import AGREED, archive_picks, record_picks
from .dataset import LabelledSet, LabelledWindow, stored_columns
from .errors import TrainingDataError
from .stored import read_arrays, stored_record

Float32 = npt.NDArray[np.float32]
Kind = Literal["event", "noise", "continuous"]

MASK_S = 1.0
"""Around an arrival whose phase is not known, or that too few pickers agree on."""
PIECE_WINDOWS = 6
"""Continuous data are cut into pieces of so many windows."""
_TABLES = (".csv", ".json", ".md", ".txt")  # beside an archive's files
_HOUR_NS = 3600 * NANOSECONDS


@dataclass(frozen=True)
class Record:
    """Samples of one station with what is known of them.

    Attributes
    ----------
    samples
        float32 (component, npts), behind the stream steps, in the manifest's order; missing components are zeros.
    arrivals
        (phase, sample of its onset, fractional).
    unknown
        (phase or None for all, first sample, sample behind the last) where nothing may be learnt.
    group
        What must not be split over training and validation; empty where there is no such thing.
    station
        `NETWORK.STATION`, where known.
    """

    id: str
    kind: Kind
    samples: Float32
    arrivals: tuple[tuple[str, float], ...] = ()
    unknown: tuple[tuple[str | None, float, float], ...] = ()
    group: str = ""
    station: str = ""


def labelled_records(found: LabelledSet, rate: float) -> Iterator[Record]:
    """Records of labelled windows."""
    for window in found.windows:
        kind: Kind = "event" if window.arrivals else "noise"
        arrivals, unknown = tuple(sorted(window.arrivals.items())), _unknown(window, rate)
        yield Record(window.id, kind, window.samples, arrivals, unknown, window.group, window.station)


def _unknown(window: LabelledWindow, rate: float) -> tuple[tuple[str | None, float, float], ...]:
    reach = MASK_S * rate
    spans: list[tuple[str | None, float, float]] = [(None, each - reach, each + reach) for each in window.others]
    if window.unlabelled_from is not None:  # an S is somewhere behind the P
        spans.append(("S", window.unlabelled_from + 0.2 * rate, float(window.samples.shape[1])))
    return tuple(spans)


@dataclass(frozen=True)
class Continuous:
    """A continuous archive and its consensus picks.

    Attributes
    ----------
    folder
        miniSEED files, and the picks in `picks_consensus.csv` (network, station, phase, time, n_models).
    start, end
        ISO 8601; what is used of it. Empty for all.
    """

    folder: Path
    start: str = ""
    end: str = ""

    @classmethod
    def parse(cls, text: str) -> Continuous:
        """Read `FOLDER[,START[,END]]`, as commands take it."""
        folder, start, end = [*text.split(","), "", ""][:3]
        return cls(Path(folder), start, end)


def archive_files(folder: Path, *, is_nested: bool = False) -> tuple[Path, ...]:
    """Give an archive's files: those named `*.mseed` in the folder itself, else, or of a nested one, all below it.

    Raises
    ------
    TrainingDataError
        There is none.
    """
    named = () if is_nested else tuple(sorted(folder.glob("*.mseed")))
    files = named or tuple(sorted(each for each in folder.rglob("*") if each.is_file() and each.suffix not in _TABLES))
    if not files:
        raise TrainingDataError(f"{folder}: found no files, wanted an archive of miniSEED")
    return files


def continuous_records(
    archive: Continuous,
    preprocess: Preprocess,
    *,
    accelerometers: bool = False,
    catalogue: Catalogue | None = None,
    avoid_s: tuple[float, float] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[Record]:
    """Pieces of an archive, in which picks of at least `AGREED` pickers are labels and others are masked.

    Parameters
    ----------
    accelerometers
        Other sensors (instrument codes but N) are passed over.
    catalogue
        Labels the pieces instead of consensus picks, with the P of each station. Pieces begin at whole seconds then,
        for an archive of events is made of short files, and those of an hour are one group.
    avoid_s
        For models of events: so long before and behind a P that stands outside a piece nothing is known in it.
    tell
        Gets a line for what of the archive is not used, and why.

    Raises
    ------
    TrainingDataError
        The picks are missing, or not in their form; or there is no file.
    """
    files = archive_files(archive.folder, is_nested=catalogue is not None)
    picks = archive_picks(archive.folder / "picks_consensus.csv") if catalogue is None else {}
    bounds = tuple(parse_time(each) if each else None for each in (archive.start, archive.end))
    index, used = index_paths(files), 0
    for line in index.problems:
        tell(line)
    for station in group_stations(index.traces, preprocess.manifest.components):
        for line in (*station.skipped, *filter(None, (station.refused,))):
            tell(f"{station.id}: {line}")
        if station.refused is None and (not accelerometers or station.id.channel[1:2] == "N"):
            mine = picks.get((station.id.network, station.id.station), [])
            if catalogue is not None:
                mine = [("P", time, AGREED) for time in catalogue.p_of(station.id.station)]
            for begin, samples in _pieces(station, preprocess, bounds, tell, by_second=catalogue is not None):
                used += 1
                rate = preprocess.manifest.sampling_rate
                placed = [(phase, (time - begin) * rate / NANOSECONDS, models) for phase, time, models in mine]
                record = _record(f"{station.id}.{begin}", samples, placed, rate)
                if avoid_s is not None:
                    record = replace(record, unknown=record.unknown + _near_by(record, placed, avoid_s, rate))
                group = "" if catalogue is None else str(begin // _HOUR_NS)
                yield replace(record, station=f"{station.id.network}.{station.id.station}", group=group)
    if not used:
        between = f" from {archive.start or 'the start'} to {archive.end or 'the end'}"
        tell(f"{archive.folder}: found nothing to use{between if any(bounds) else ''}")


def _pieces(
    station: Station,
    preprocess: Preprocess,
    bounds: tuple[int | None, ...],
    tell: Callable[[str], None],
    *,
    by_second: bool,
) -> Iterator[tuple[int, Float32]]:
    """Time of the first sample, and samples, of pieces of up to `PIECE_WINDOWS` windows that do not overlap."""
    width, rate = preprocess.manifest.window_samples, preprocess.manifest.sampling_rate
    stride = int(rate) if by_second else width
    low, high = bounds
    for block in _blocks(station, preprocess, (width, stride), tell):
        begin = block.clock.time_ns(block.number * stride)
        end = begin + block.samples.shape[1] * NANOSECONDS / rate
        if (low is None or begin >= low) and (high is None or end <= high):
            yield begin, block.samples.copy()


def _blocks(
    station: Station, preprocess: Preprocess, cut: tuple[int, int], tell: Callable[[str], None]
) -> Iterator[WindowBlock]:
    width, stride = cut
    most = (PIECE_WINDOWS - 1) * width // stride + 1
    held = (width - 1) // stride  # windows behind a piece that begin inside it
    stream = StationStream(preprocess, stride=stride)

    def take() -> WindowBlock | None:
        block = stream.cutter.take(most)
        if held and block is not None and block.samples.shape[1] == width + (most - 1) * stride:
            stream.cutter.take(held)
        return block

    for component, packet, _ in read_packets(station.traces, on_problem=tell):
        stream.push(component, packet)
        while stream.cutter.ready >= most + held and (block := take()):
            yield block
    stream.flush()
    for why in stream.refused.values():
        tell(f"{station.id}: {why}")
    while block := take():
        yield block


def _record(name: str, samples: Float32, picks: list[tuple[str, float, int]], rate: float) -> Record:
    reach = MASK_S * rate
    inside = [each for each in picks if -reach <= each[1] <= samples.shape[1] + reach]
    arrivals = tuple((phase, place) for phase, place, models in inside if models >= AGREED)
    unknown = tuple((None, place - reach, place + reach) for _, place, models in inside if models < AGREED)
    return Record(name, "continuous", samples, arrivals, unknown)


def _near_by(
    record: Record, picks: list[tuple[str, float, int]], avoid_s: tuple[float, float], rate: float
) -> tuple[tuple[None, float, float], ...]:
    """Where in a piece a P before or behind it forbids to speak of noise: those inside are known to the objective."""
    before, behind = (each * rate for each in avoid_s)
    npts, inside = record.samples.shape[1], set(record.arrivals)
    spans = (
        (None, place - before, place + behind)
        for phase, place, models in picks
        if phase == "P" and models >= AGREED and (phase, place) not in inside
    )
    return tuple(each for each in spans if each[1] < npts and each[2] > 0)


def mems_records(path: Path, preprocess: Preprocess, *, left_out: Iterable[str]) -> Iterator[Record]:
    """Long int16 records of MEMS sensors (`.npz`: samples, start, n, fs, id) with the picks in `<name>_picks.csv`.

    Parameters
    ----------
    left_out
        Beginnings of ids that must not be used: the validation's.

    Raises
    ------
    TrainingDataError
        A file is missing, or not in its form.
    """
    picks = record_picks(path.with_name(f"{path.stem}_picks.csv"))
    rate, columns = preprocess.manifest.sampling_rate, stored_columns(preprocess.manifest)
    arrays = read_arrays(path)
    for index in range(len(arrays["id"])):
        name, fs, rows = stored_record(arrays, index)
        if any(name.startswith(each) for each in left_out):
            continue
        samples = preprocess.record(np.ascontiguousarray(rows[columns]), fs)
        if not np.isfinite(samples).all():
            raise TrainingDataError(f"{path}: {name}: found samples that are not finite, wanted counts")
        placed = [(phase, place * rate / fs, models) for phase, place, models in picks.get(name, [])]
        yield _record(f"mems.{name}", samples, placed, rate)
