"""The offline scan: archives in, picks out, station after station, in memory that does not grow with time."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from .aligner import Span
from .archive_index import Index, index_paths
from .archive_packets import read_packets
from .detections import Detection
from .errors import UsageError
from .manifest import Manifest
from .picks import Pick
from .pipeline import LoadedModel, StationPicker
from .postprocess import Result
from .session import Session
from .stations import Station, group_channels, group_stations
from .time_window import NEVER, within
from .times import NANOSECONDS


@dataclass(frozen=True)
class ScanOptions:
    """What the user may choose.

    Attributes
    ----------
    thresholds
        Label → on threshold, for labels whose threshold is not the manifest's.
    stride
        Samples from window to window; None for the manifest's.
    starttime_ns, endtime_ns
        Only samples from `starttime_ns` on and before `endtime_ns`.
    batch
        Most windows in one call of the network.
    jobs
        Threads that run the network; 1 for none but the caller's. Results are the same bit for bit.
    channels
        For a model whose inputs are channels of several stations: which ones (`NET.STA.LOC.CHA`), in its order.
    """

    thresholds: dict[str, float] = field(default_factory=dict)
    stride: int | None = None
    starttime_ns: int = -NEVER
    endtime_ns: int = NEVER
    batch: int = 128
    jobs: int = 1
    channels: tuple[str, ...] = ()


@dataclass
class StationReport:
    """What became of one station's data."""

    station: Station
    hours: float = 0.0
    windows: int = 0
    skipped_windows: int = 0
    picks: dict[str, int] = field(default_factory=dict)
    detections: dict[str, int] = field(default_factory=dict)
    waveform_samples: int = 0
    gaps: list[Span] = field(default_factory=list)
    gap_count: int = 0
    overlaps: list[Span] = field(default_factory=list)
    overlap_count: int = 0
    rate_changes: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass
class ScanReport:
    """What a scan did.

    Attributes
    ----------
    problems
        One line per input that could not be used as it should: the exit code is then 1.
    """

    stations: list[StationReport] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    passed_over: int = 0
    seconds: float = 0.0

    @property
    def hours(self) -> float:
        """Hours of data over all stations."""
        return sum(report.hours for report in self.stations)

    @property
    def windows(self) -> int:
        """Windows that went through the network."""
        return sum(report.windows for report in self.stations)

    def picks(self) -> dict[str, int]:
        """Count the picks per label."""
        return _sum([report.picks for report in self.stations])

    def detections(self) -> dict[str, int]:
        """Count the detections per label."""
        return _sum([report.detections for report in self.stations])

    @property
    def waveform_samples(self) -> int:
        """Samples of each waveform that the model gave."""
        return sum(report.waveform_samples for report in self.stations)


def _sum(counts: list[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in counts:
        for label, count in each.items():
            total[label] = total.get(label, 0) + count
    return total


OnResults = Callable[[list[Result]], None]
OnBytes = Callable[[int], None]


class Scanner:
    """Scans archives with one model.

    Parameters
    ----------
    session
        The model.
    options
        See `ScanOptions`.
    for_short
        Opens another model of the same components, for stations whose data are shorter than a window of the first.

    Raises
    ------
    UsageError
        A threshold for a label that the model does not have, or channels that are not as many as its inputs.
    """

    def __init__(self, session: Session, options: ScanOptions, for_short: Callable[[], Session] | None = None) -> None:
        self._options, self._for_short = options, for_short
        _check_channels(session.manifest, options.channels)
        self._model = LoadedModel(session, options.thresholds, options.stride)
        self._short: LoadedModel | None = None
        self.report = ScanReport()

    @property
    def manifest(self) -> Manifest:
        """The model's."""
        return self._model.manifest

    def _model_for(self, station: Station, report: StationReport) -> LoadedModel:
        """Choose by how long the station's data are; what is not the first model is told."""
        if self._for_short is None:
            return self._model
        manifest, (start_ns, end_ns) = self.manifest, station.span_ns
        span_ns = min(end_ns, self._options.endtime_ns) - max(start_ns, self._options.starttime_ns)
        seconds, window_s = span_ns / NANOSECONDS, manifest.window_samples / manifest.sampling_rate
        if seconds >= window_s:
            return self._model
        if self._short is None:
            self._short = LoadedModel(self._for_short(), self._options.thresholds, self._options.stride)
        report.notes.append(
            f"picked by {self._short.manifest.name}: {max(0.0, seconds):.1f} s are less than the {window_s:g} s "
            f"of a window of {manifest.name}"
        )
        return self._short

    def index(self, paths: tuple[Path, ...], advance: OnBytes = lambda _: None) -> list[Station]:
        """Find the stations of files and folders; unusable input goes into the report."""
        index: Index = index_paths(paths, advance)
        self.report.problems += index.problems
        self.report.passed_over += index.passed_over
        components, channels = self.manifest.components, self._options.channels
        if not channels:
            return group_stations(index.traces, components)
        found = group_channels(index.traces, channels, components)
        if not found and index.traces:
            self.report.problems.append(f"{', '.join(map(str, paths))}: found none of the channels of --channels")
        return found

    def scan(self, station: Station, on_results: OnResults, on_bytes: OnBytes = lambda _: None) -> None:
        """Scan one station. The report has it from the start, so an interrupted scan is reported as well."""
        began = time.perf_counter()
        report = StationReport(station, notes=list(station.skipped))
        self.report.stations.append(report)
        if station.refused is not None:
            self.report.problems.append(f"{_files(station)}: {station.id}: {station.refused}")
            return
        model = self._model_for(station, report)
        with ExitStack() as stack:
            picker = StationPicker(
                model.session,
                model.preprocess,
                station.id,
                stride=model.stride,
                thresholds=model.thresholds,
                batch=self._options.batch,
                executor=self._executor(stack),
            )
            try:
                self._run(station, picker, report, on_results, on_bytes)
            finally:
                self._finish(picker, report)
                self.report.seconds += time.perf_counter() - began

    def _executor(self, stack: ExitStack) -> Executor | None:
        jobs = self._options.jobs
        return stack.enter_context(ThreadPoolExecutor(jobs, "windows")) if jobs > 1 else None

    def _run(
        self,
        station: Station,
        picker: StationPicker,
        report: StationReport,
        on_results: OnResults,
        on_bytes: OnBytes,
    ) -> None:
        def give(results: list[Result]) -> None:
            for each in results:
                _count(each, report)
            on_results(results)

        for component, packet, size in read_packets(station.traces, self.report.problems.append, joined=True):
            on_bytes(size)
            if part := within(packet, self._options.starttime_ns, self._options.endtime_ns):
                give(picker.push(component, part, at_least=self._options.batch))
        give(picker.finish())

    def _finish(self, picker: StationPicker, report: StationReport) -> None:
        counts, cutter = picker.stream.aligner.counts, picker.stream.cutter
        report.windows, report.skipped_windows = cutter.windows, cutter.skipped
        report.gaps, report.gap_count = counts.gaps, counts.gap_count
        report.overlaps, report.overlap_count = counts.overlaps, counts.overlap_count
        report.rate_changes = counts.rate_changes
        report.hours = picker.stream.seconds / 3600
        if counts.nonfinite_samples:
            report.notes.append(f"{counts.nonfinite_samples} samples were no finite numbers: taken as gaps")
        if counts.future_packets:
            report.notes.append(f"{counts.future_packets} packets stood alone in the future: dropped")
        for component, why in picker.stream.refused.items():
            letter = self.manifest.components.order[component]
            self.report.problems.append(f"{_files(report.station)}: {report.station.id}: component {letter}: {why}")


def _count(result: Result, report: StationReport) -> None:
    if isinstance(result, Pick):
        report.picks[result.phase_hint] = report.picks.get(result.phase_hint, 0) + 1
    elif isinstance(result, Detection):
        report.detections[result.label] = report.detections.get(result.label, 0) + 1
    else:
        report.waveform_samples += len(result.samples)


def _check_channels(manifest: Manifest, channels: tuple[str, ...]) -> None:
    """Refuse channels for a model of single stations, and wrong ones for a model of several."""
    wanted = len(manifest.components.order)
    if manifest.task != "waveform_inversion":
        if channels:
            raise UsageError(
                f"--channels: found {len(channels)}, but model {manifest.name} takes one station at a time"
            )
        return
    if len(set(channels)) != len(channels) or len(channels) != wanted:
        raise UsageError(
            f"--channels: found {len(set(channels))}, wanted the {wanted} channels that model {manifest.name} takes, "
            "in its order: NET.STA.LOC.CHA,NET.STA.LOC.CHA,..."
        )


def _files(station: Station) -> str:
    """Name the first file of a station, and how many more there are."""
    paths = station.paths
    return str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
