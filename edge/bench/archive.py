"""`edge-bench archive`: hours of three-component data per second, reading included, and the sources' own long runs."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from seisedge.edge.errors import UsageError
from seisedge.edge.models import embedded_models, find_model
from seisedge.edge.postprocess import Result
from seisedge.edge.scan import Scanner, ScanOptions
from seisedge.edge.session import Session

from .figures import Figure
from .models import open_session, title
from .records import Record, write_archive
from .report import Report, Row, Section, Verdict
from .run import Advance, Settings, Watch

_HOUR_S = 3600


@dataclass(frozen=True)
class Headline:
    """A long run that a source documents.

    Attributes
    ----------
    days
        Of three components; a run of several days scans a day as often.
    stride_s
        Seconds from window to window.
    """

    models: tuple[str, ...]
    days: int
    stride_s: float
    seconds: dict[str, float]
    covers: str
    source: str
    not_documented: str


HEADLINES = (
    Headline(
        ("seismo-performer", "spec-cnn", "gpd", "gpd-original"),
        1,
        0.4,
        {"seismo-performer": 3.39, "spec-cnn": 16.70, "gpd": 6.32, "gpd-original": 6.32},
        "inference over 24 h of three components at a shift of 40 samples; ours reads, preprocesses and picks too",
        "seismo_performer.ipynb",
        "GPU model (a Colab GPU)",
    ),
    Headline(
        ("convnetquake", "deepquake"),
        30,
        11.0,
        {"convnetquake": 291.0, "deepquake": 291.0},
        "30 days of three components",
        "ConvNetQuake, run-time figure (fig_comparison.py)",
        "device, and the step from window to window: 11 s taken here",
    ),
    Headline(
        ("convnetquake", "deepquake"),
        1,
        10.0,
        {"convnetquake": 180.0, "deepquake": 180.0},
        "8,640 windows (one day at a step of 10 s), reading included: the fast end of 180 to 300 s",
        "ConvNetQuake README, predict_from_stream",
        "device",
    ),
)


@dataclass(frozen=True)
class ArchiveOptions:
    """What the user may choose besides the settings of all sub-commands.

    Attributes
    ----------
    hours
        Length of the archive; None for 1 when quick, else 24. Sources' runs of days are then computed from it.
    jobs
        Threads of the parallel run; None for one per core.
    """

    models: tuple[str, ...] = ()
    hours: float | None = None
    jobs: int | None = None
    batch: int = 128


@dataclass(frozen=True)
class _Run:
    """One scan: wall seconds, processor seconds, windows, results."""

    wall_s: float
    cpu_s: float
    windows: int
    results: int


def bench_archive(options: ArchiveOptions, settings: Settings, advance: Advance) -> Report:
    """Scan archives that are made of a record.

    Raises
    ------
    UsageError
        There is no such model, or the archive is shorter than a window of one.
    """
    paths = [find_model(name) for name in options.models] or list(embedded_models().values())
    sessions = [open_session(path, settings) for path in paths]
    hours = options.hours or (1.0 if settings.quick else 24.0)
    _require_a_window(sessions, hours)
    jobs = options.jobs or len(os.sched_getaffinity(0))
    watch = Watch(settings)
    rows: list[Row] = []
    verdicts: list[Verdict] = []
    for place, session in enumerate(sessions):
        name = title(session.manifest, settings)
        with tempfile.TemporaryDirectory() as folder:
            advance(f"{name}: writing {hours:g} h", place / len(sessions))
            files = _make(Path(folder), session, watch.open_record(session.manifest.components), hours)
            strides = {session.manifest.stride_samples: "the manifest's stride"}
            for headline in _headlines(session):
                strides[round(headline.stride_s * session.manifest.sampling_rate)] = f"{headline.stride_s:g} s"
            runs: dict[tuple[int, int], _Run] = {}
            for stride, text in strides.items():
                for each in sorted({1, jobs}):
                    advance(f"{name}, {text}, {each} threads", (place + 0.5) / len(sessions))
                    runs[stride, each] = _scan(files, session, stride, each, options.batch, settings)
                    rows.append(_row(f"{name}, {text}, threads {each}", runs[stride, each], hours, stride, session))
            verdicts += [_verdict(name, headline, session, runs, jobs, hours) for headline in _headlines(session)]
    columns = ("hours/s", "hours/s/core", "windows/s", "wall", "processor", "windows", "results")
    note = f"{hours:g} h of miniSEED 2 (Steim2, 512-byte records) from the disk cache to results, indexing included."
    section = Section("Hours of data per second", columns, tuple(rows), note, "bars", ("hours/s",))
    words = {"hours": f"{hours:g}", "threads": str(jobs), "batch": str(options.batch)}
    return watch.report("archive", [section], verdicts, words=words, extent=f"one scan of {hours:g} h for each figure")


def _require_a_window(sessions: list[Session], hours: float) -> None:
    for manifest in (session.manifest for session in sessions):
        window_s = manifest.window_samples / manifest.sampling_rate
        if hours * _HOUR_S < window_s:
            raise UsageError(
                f"--hours: found {hours:g} ({hours * _HOUR_S:g} s), wanted a window of {manifest.name}, "
                f"{window_s:g} s, at least"
            )


def _make(folder: Path, session: Session, record: Record, hours: float) -> list[Path]:
    long = record.repeated(round(hours * _HOUR_S * record.sampling_rate))
    return write_archive(long, folder, session.manifest.components.order)


def _headlines(session: Session) -> list[Headline]:
    return [each for each in HEADLINES if session.manifest.name in each.models]


def _scan(files: list[Path], session: Session, stride: int, jobs: int, batch: int, settings: Settings) -> _Run:
    components = session.manifest.components.order
    channels: tuple[str, ...] = ()
    if session.manifest.task == "waveform_inversion":
        channels = tuple(f"XX.BENCH..HH{letter}" for letter in components)
    scanner = Scanner(session, ScanOptions(stride=stride, jobs=jobs, batch=batch, channels=channels))
    results: list[Result] = []
    began, cpu = settings.clock(), time.process_time()  # of all threads, as the scan has them
    for station in scanner.index(tuple(files)):
        scanner.scan(station, results.extend)
    wall, used = settings.clock() - began, time.process_time() - cpu
    return _Run(wall / 1e9, used, scanner.report.windows, len(results))


def _row(name: str, run: _Run, hours: float, stride: int, session: Session) -> Row:
    figures = {
        "hours/s": Figure(hours / run.wall_s, ""),
        "hours/s/core": Figure(hours / max(run.cpu_s, 1e-9), ""),
        "windows/s": Figure(run.windows / run.wall_s, ""),
        "wall": Figure(run.wall_s, "s"),
        "processor": Figure(run.cpu_s, "s"),
        "windows": Figure(run.windows, ""),
        "results": Figure(run.results, ""),
    }
    return Row(name, figures, {"stride": f"{stride / session.manifest.sampling_rate:g} s"})


def _verdict(
    name: str,
    headline: Headline,
    session: Session,
    runs: dict[tuple[int, int], _Run],
    jobs: int,
    hours: float,
) -> Verdict:
    run = runs[round(headline.stride_s * session.manifest.sampling_rate), jobs]
    factor = headline.days * 24 / hours
    how = "" if factor == 1 else f", computed from {hours:g} h"
    budget = headline.seconds[session.manifest.name]
    return Verdict(
        name,
        headline.covers,
        headline.source,
        headline.not_documented,
        budget,
        run.wall_s * factor,
        f"{jobs} threads, reading included{how}",
    )
