"""`edge-bench chain`: a record replayed at its own pace, from the capture of a sample to a published pick."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from seisedge.edge.manifest import Manifest
from seisedge.edge.models import find_model
from seisedge.edge.picks import Pick, StationId
from seisedge.edge.pipeline import StationStream
from seisedge.edge.postprocess import Result, postprocess_of
from seisedge.edge.preprocess import Preprocess
from seisedge.edge.session import Session
from seisedge.edge.times import NANOSECONDS
from seisedge.edge.waveform_writer import open_writer
from seisedge.edge.windows import WindowBlock

from .budgets import read_budgets
from .chain_report import Measured, chain_report
from .feeds import ArrivalTimes, Feed, InProcess
from .link import Arrival, Link, arrivals
from .models import open_session, title
from .records import STARTTIME_NS
from .report import Report
from .run import Advance, Settings, Watch
from .wires import WIRES, OverWire, over_wire

IN_PROCESS = "in-process"
SOURCES = (IN_PROCESS, *WIRES)
_STATION = StationId("XX", "BENCH", "", "HH")
_BATCH = 128

Publish = Callable[[list[Result]], None]


@dataclass(frozen=True)
class ChainOptions:
    """What the user may choose besides the settings of all sub-commands.

    Attributes
    ----------
    seconds
        Length of each replay, which takes as long; None for 10 when quick, else 60.
    sources
        Of `SOURCES`: a replay through each.
    reorder_wait_s
        How long the aligner waits for a packet that is missing.
    budgets
        A TOML of the user's.
    """

    model: str
    link: Link
    seconds: float | None = None
    stride: int | None = None
    reorder_wait_s: float = 5.0
    budgets: Path | None = None
    sources: tuple[str, ...] = SOURCES


class Replay:
    """One replay of a schedule.

    Attributes
    ----------
    spans
        Nanoseconds of each stage, for each window.
    published
        Nanoseconds from a pick's onset to its publication.
    """

    def __init__(self, session: Session, options: ChainOptions) -> None:
        manifest = session.manifest
        self._session = session
        self._preprocess = Preprocess(manifest)
        self._stride = options.stride or manifest.stride_samples
        self._stream = StationStream(self._preprocess, stride=self._stride, reorder_wait_s=options.reorder_wait_s)
        self._post = postprocess_of(
            manifest,
            _STATION,
            model_digest=session.digest,
            thresholds=manifest.postprocess.thresholds,
            stride=self._stride,
        )
        self._times = ArrivalTimes(len(manifest.components.order))
        self._lead_s = lead_s(manifest, options)
        self.spans: list[tuple[int, ...]] = []
        self.published: list[int] = []

    @property
    def skipped(self) -> int:
        """Windows that a gap broke."""
        return self._stream.cutter.skipped

    def fill(self, schedule: list[Arrival]) -> list[Arrival]:
        """Take what fills the first window, and the aligner's wait at the start, at once; give the rest."""
        end_ns = STARTTIME_NS + round(self._lead_s * NANOSECONDS)
        count = sum(each.due_ns < end_ns for each in schedule)
        for each in schedule[:count]:
            self._times.add(each.delivery())
            self._stream.push(each.component, each.packet)
            while block := self._stream.cutter.take(_BATCH):
                windows = self._preprocess.windows(block.samples, count=block.count, stride=self._stride)
                self._post.push(block.number, block.clock, self._session.run(windows))
        return schedule[count:]

    def run(self, feed: Feed, publish: Publish, advance: Callable[[int], None]) -> None:
        """Work on packets as they come."""
        for number, each in enumerate(feed):
            taken = feed.now()
            self._times.add(each)
            self._stream.push(each.component, each.packet)
            ready = feed.now()
            while block := self._stream.cutter.take(_BATCH):
                self._infer(block, publish, feed, (each.arrived_ns, taken, ready))
            if number % 16 == 0:
                advance(number)

    def _infer(self, block: WindowBlock, publish: Publish, feed: Feed, moments: tuple[int, int, int]) -> None:
        due, taken, ready = moments
        begun = feed.now()
        windows = self._preprocess.windows(block.samples, count=block.count, stride=self._stride)
        prepared = feed.now()
        outputs = self._session.run(windows)
        inferred = feed.now()
        results = list(self._post.push(block.number, block.clock, outputs))
        processed = feed.now()
        if results:
            publish(results)
        published = feed.now()
        work = (prepared - begun, inferred - prepared, processed - inferred, published - processed)
        width = self._session.manifest.window_samples
        for number in range(block.number, block.number + block.count):
            captured = block.clock.time_ns(number * self._stride + width - 1)
            arrived = min(self._times.of(captured), due)
            waited, queued = due - arrived + ready - taken, taken - due + begun - ready
            self.spans.append((arrived - captured, waited, queued, *work))
        self.published += [published - each.time_ns for each in results if isinstance(each, Pick)]


def bench_chain(options: ChainOptions, settings: Settings, advance: Advance) -> Report:
    """Replay a record, through each source in turn.

    Raises
    ------
    UsageError
        There is no such model, the budgets cannot be read, or a source cannot carry the record.
    DataError
        A source or the process that sends failed.
    """
    session = open_session(find_model(options.model), settings)
    manifest = session.manifest
    budgets = read_budgets(options.budgets)
    seconds = options.seconds or (10.0 if settings.quick else 60.0)
    watch = Watch(settings)
    record = watch.open_record(manifest.components)
    schedule = arrivals(record, options.link, manifest.components.order, seconds + lead_s(manifest, options))
    measured: list[Measured] = []
    for place, source in enumerate(options.sources):

        def tell(share: float, place: int = place, source: str = source) -> None:
            advance(f"{title(manifest, settings)}: {source}", (place + share) / len(options.sources))

        measured.append(_replay(source, schedule, session, options, settings, tell))
    return chain_report(measured, budgets, watch, _words(options, manifest), f"replays of {seconds:g} s")


def _replay(
    source: str,
    schedule: list[Arrival],
    session: Session,
    options: ChainOptions,
    settings: Settings,
    tell: Callable[[float], None],
) -> Measured:
    replay = Replay(session, options)
    paced = replay.fill(schedule)
    manifest = session.manifest
    if not paced:
        return Measured(source, [], [], replay.skipped)
    with (
        tempfile.TemporaryDirectory() as folder,
        open_writer(Path(folder) / _sink_name(manifest), manifest) as writer,
        _feed(source, paced, manifest, settings) as feed,
    ):
        replay.run(feed, writer.write, lambda number: tell(min(1.0, number / len(paced))))
        wire = feed.lateness() if isinstance(feed, OverWire) else None
        problem = feed.problem if isinstance(feed, OverWire) else ""
    return Measured(source, replay.spans, replay.published, replay.skipped, wire, problem)


@contextmanager
def _feed(source: str, paced: list[Arrival], manifest: Manifest, settings: Settings) -> Generator[Feed]:
    if source == IN_PROCESS:
        yield InProcess(paced, settings.clock)
        return
    with over_wire(source, paced, manifest.components.order, paced[0].packet.sampling_rate) as feed:
        yield feed


def lead_s(manifest: Manifest, options: ChainOptions) -> float:
    """Seconds until the first window is full and the aligner has waited for what might come before the start."""
    return manifest.window_samples / manifest.sampling_rate + options.reorder_wait_s + 1.0


def _sink_name(manifest: Manifest) -> str:
    return "waveforms.mseed" if manifest.task == "waveform_inversion" else "picks.jsonl"


def _words(options: ChainOptions, manifest: Manifest) -> dict[str, str]:
    link = options.link
    return {
        "model": f"{manifest.name} {manifest.quantization.precision}",
        "link": (
            f"packets of {link.packet_s:g} s, delay {link.delay_s:g} s, jitter {link.jitter_s:g} s, "
            f"loss {link.loss:.1%}, reordered {link.reorder:.1%}, seed {link.seed}"
        ),
        "sources": ", ".join(options.sources),
        "reorder wait": f"{options.reorder_wait_s:g} s",
        "sink": "a file of edge-scan",
    }
