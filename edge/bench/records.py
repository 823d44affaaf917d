"""The records that are replayed: a real one from miniSEED, or a made one that says so; and archives made of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pymseed import DataEncoding, MS3TraceList

from seisedge.edge.archive_index import index_paths
from seisedge.edge.archive_packets import read_packets
from seisedge.edge.errors import DataError
from seisedge.edge.manifest import Components
from seisedge.edge.stations import group_stations
from seisedge.edge.times import NANOSECONDS
from seisedge.firmware_bridge import Samples

Int32 = npt.NDArray[np.int32]

STARTTIME_NS = 1_617_235_200 * NANOSECONDS  # 2021-04-01, of every replay
_SEED = 20210401
_LARGEST = 1 << 20  # count of a record that had none: every sensor's own counts go as far


@dataclass(frozen=True)
class Record:
    """Counts of one station.

    Attributes
    ----------
    samples
        int32 (component, npts).
    sampling_rate
        Hz.
    origin
        Where they are from, for the report.
    note
        What was done to them, for the report; empty where nothing was.
    """

    samples: Int32
    sampling_rate: float
    origin: str
    note: str = ""

    def components(self, count: int) -> Int32:
        """Give as many components as a model wants: the first ones, or all again and again."""
        return np.ascontiguousarray(self.samples[np.arange(count) % len(self.samples)])

    def repeated(self, npts: int) -> Record:
        """Give `npts` samples: its beginning, or itself again and again."""
        times = -(-npts // self.samples.shape[1])
        return replace(self, samples=np.ascontiguousarray(np.tile(self.samples, times)[:, :npts]))


def made_record(*, sampling_rate: float = 100.0, seconds: float = 600.0, components: int = 3) -> Record:
    """Noise of a quiet site with a local event every 45 s; the same whenever it is made."""
    rng = np.random.default_rng(_SEED)
    npts = round(seconds * sampling_rate)
    samples = 200.0 * rng.standard_normal((components, npts)) + 1000.0
    for start in np.arange(9.0, seconds - 10.0, 45.0):
        for delay, strength in ((0.0, 3000.0), (6.0, 9000.0)):
            first = round((start + delay) * sampling_rate)
            age = np.arange(npts - first) / sampling_rate
            samples[:, first:] += strength * np.exp(-age / 4.0) * rng.standard_normal((components, npts - first))
    return Record(samples.astype(np.int32), sampling_rate, f"made: noise and events, seed {_SEED}")


def read_record(path: Path, components: Components) -> Record:
    """Read the first station of a file or folder that a model can take, as far as its components last together.

    Raises
    ------
    UsageError
        The path does not exist.
    DataError
        There is no such station, its first stretch without a gap is empty, or it holds what is no finite number.
    """
    stations = [each for each in group_stations(index_paths((path,)).traces, components) if each.refused is None]
    if not stations:
        raise DataError(f"{path}: found no station with components {', '.join(components.order)}, wanted one")
    parts: dict[int, list[Samples]] = {}
    ends: dict[int, int] = {}
    rate = 0.0
    for component, packet, _ in read_packets(stations[0].traces, lambda _: None, joined=True):
        rate = rate or packet.sampling_rate
        joins = abs(ends.get(component, packet.starttime_ns) - packet.starttime_ns) < NANOSECONDS / rate / 2
        if packet.sampling_rate == rate and joins:
            parts.setdefault(component, []).append(packet.samples)
            ends[component] = packet.time_of(packet.samples.size)
    rows = [np.concatenate(parts[component]) for component in sorted(parts)]
    npts = min((row.size for row in rows), default=0)
    if not npts:
        raise DataError(f"{path}: found no samples of {stations[0].id}, wanted a record")
    origin = f"{path.name}, {stations[0].id}"
    samples = np.stack([row[:npts] for row in rows])
    if bad := samples.size - np.count_nonzero(np.isfinite(samples)):
        raise DataError(f"{path}: found {bad:,} samples of {stations[0].id} that are no finite numbers, wanted counts")
    return _counted(samples, rate, origin)


def _counted(samples: npt.NDArray[np.generic], rate: float, origin: str) -> Record:
    """A record of the samples: as they are where they are whole counts, else scaled, which its note says."""
    if not np.issubdtype(samples.dtype, np.floating):
        return Record(samples.astype(np.int32), rate, origin)
    values = samples.astype(np.float64)
    largest = float(np.abs(values).max())
    if largest < 1 << 31 and np.array_equal(values, np.rint(values)):
        return Record(values.astype(np.int32), rate, origin)
    note = f"{origin}: found samples that are no whole counts: scaled, one count is {largest / _LARGEST:.3g} of theirs"
    return Record(np.rint(values / largest * _LARGEST).astype(np.int32), rate, origin, note)


def write_archive(record: Record, folder: Path, components: tuple[str, ...], *, record_bytes: int = 512) -> list[Path]:
    """Write a record as miniSEED 2, Steim2, one file for each component; give the files."""
    paths: list[Path] = []
    for letter, samples in zip(components, record.components(len(components)), strict=True):
        traces = MS3TraceList()
        traces.add_data(
            sourceid=f"FDSN:XX_BENCH__H_H_{letter}",
            data_samples=samples,
            sample_type="i",
            sample_rate=record.sampling_rate,
            starttime=STARTTIME_NS,
        )
        path = folder / f"XX.BENCH..HH{letter}.mseed"
        traces.to_file(path, max_record_length=record_bytes, encoding=DataEncoding.STEIM2, format_version=2)
        paths.append(path)
    return paths
