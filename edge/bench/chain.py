"""`edge-bench chain`: a record replayed at its own pace, from the capture of a sample to a published pick."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

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

from .budgets import ChainBudget, read_budgets
from .figures import distribution
from .link import Arrival, ArrivalTimes, Link, arrivals
from .models import open_session, title
from .records import STARTTIME_NS
from .report import Report, Row, Section, Verdict
from .run import Advance, Clock, Settings, Watch

STAGES = (
    "capture to arrival",
    "window ready",
    "queue",
    "preprocessing",
    "inference",
    "postprocessing",
    "publication",
)
_STATION = StationId("XX", "BENCH", "", "HH")
_BATCH = 128

Publish = Callable[[list[Result]], None]


@dataclass(frozen=True)
class ChainOptions:
    """What the user may choose besides the settings of all sub-commands.

    Attributes
    ----------
    seconds
        Length of the replay, which takes as long; None for 10 when quick, else 60.
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


class Replay:
    """One replay of a schedule.

    Parameters
    ----------
    clock, sleep
        Nanoseconds, and waiting of seconds.
    """

    def __init__(
        self, session: Session, options: ChainOptions, clock: Clock, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        manifest = session.manifest
        self._session, self._clock, self._sleep = session, clock, sleep
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
        self.lead_s = lead_s(manifest, options)
        self.spans: list[tuple[int, ...]] = []
        """Nanoseconds of each stage, for each window."""
        self.published: list[int] = []
        """Nanoseconds from a pick's onset to its publication."""

    @property
    def skipped(self) -> int:
        """Windows that a gap broke."""
        return self._stream.cutter.skipped

    def run(self, schedule: list[Arrival], publish: Publish, advance: Callable[[float], None]) -> None:
        """Replay it at its own pace, but for what fills the first window, and the aligner's wait at the start."""
        times = ArrivalTimes(schedule, len(self._preprocess.manifest.components.order))
        paced = self._fill(schedule)
        if not paced:
            return
        offset = self._clock() - paced[0].due_ns  # of the clock from the data's time
        for place, each in enumerate(paced):
            early = each.due_ns + offset - self._clock()
            if early > 0:
                self._sleep(early / 1e9)
            taken = self._clock() - offset
            self._stream.push(each.component, each.packet)
            ready = self._clock() - offset
            while block := self._stream.cutter.take(_BATCH):
                self._infer(block, times, publish, offset, (each.due_ns, taken, ready))
            if place % 16 == 0:
                advance(place / len(paced))

    def _fill(self, schedule: list[Arrival]) -> list[Arrival]:
        """Take what only fills the stream; give the rest."""
        end_ns = STARTTIME_NS + round(self.lead_s * NANOSECONDS)
        count = sum(each.due_ns < end_ns for each in schedule)
        for each in schedule[:count]:
            self._stream.push(each.component, each.packet)
            while block := self._stream.cutter.take(_BATCH):
                windows = self._preprocess.windows(block.samples, count=block.count, stride=self._stride)
                self._post.push(block.number, block.clock, self._session.run(windows))
        return schedule[count:]

    def _infer(
        self, block: WindowBlock, times: ArrivalTimes, publish: Publish, offset: int, moments: tuple[int, int, int]
    ) -> None:
        due, taken, ready = moments
        begun = self._clock() - offset
        windows = self._preprocess.windows(block.samples, count=block.count, stride=self._stride)
        prepared = self._clock() - offset
        outputs = self._session.run(windows)
        inferred = self._clock() - offset
        results = list(self._post.push(block.number, block.clock, outputs))
        processed = self._clock() - offset
        if results:
            publish(results)
        published = self._clock() - offset
        work = (prepared - begun, inferred - prepared, processed - inferred, published - processed)
        width = self._session.manifest.window_samples
        for number in range(block.number, block.number + block.count):
            captured = block.clock.time_ns(number * self._stride + width - 1)
            arrived = min(times.of(captured), due)
            waited, queued = due - arrived + ready - taken, taken - due + begun - ready
            self.spans.append((arrived - captured, waited, queued, *work))
        self.published += [published - each.time_ns for each in results if isinstance(each, Pick)]


def bench_chain(options: ChainOptions, settings: Settings, advance: Advance) -> Report:
    """Replay a record.

    Raises
    ------
    UsageError
        There is no such model, or the budgets cannot be read.
    """
    session = open_session(find_model(options.model), settings)
    manifest = session.manifest
    budgets = read_budgets(options.budgets)
    seconds = options.seconds or (10.0 if settings.quick else 60.0)
    seconds += lead_s(manifest, options)
    record = settings.open_record(manifest.components)
    schedule = arrivals(record, options.link, manifest.components.order, seconds)
    watch = Watch(settings)
    replay = Replay(session, options, settings.clock)
    with (
        tempfile.TemporaryDirectory() as folder,
        open_writer(Path(folder) / _sink_name(manifest), manifest) as writer,
    ):
        replay.run(schedule, writer.write, lambda share: advance(title(manifest, settings), share))
    return _report(replay, budgets, watch, options, manifest)


def lead_s(manifest: Manifest, options: ChainOptions) -> float:
    """Seconds until the first window is full and the aligner has waited for what might come before the start."""
    return manifest.window_samples / manifest.sampling_rate + options.reorder_wait_s + 1.0


def _sink_name(manifest: Manifest) -> str:
    return "waveforms.mseed" if manifest.task == "waveform_inversion" else "picks.jsonl"


def _report(
    replay: Replay, budgets: dict[str, ChainBudget], watch: Watch, options: ChainOptions, manifest: Manifest
) -> Report:
    spans = np.array(replay.spans, np.float64).reshape(-1, len(STAGES)) / NANOSECONDS
    rows: list[Row] = []
    if len(spans):
        rows = [Row(stage, distribution(spans[:, number], "s")) for number, stage in enumerate(STAGES)]
        rows.append(Row("the whole", distribution(spans.sum(axis=1), "s")))
    picks = np.array(replay.published, np.float64) / NANOSECONDS
    picked = [Row("onset to publication", distribution(picks, "s"))] if picks.size else []
    verdicts: list[Verdict] = []
    for name, budget in budgets.items():
        values = spans.sum(axis=1) if budget.span == "window" else picks
        if values.size:
            found = float(np.percentile(values, budget.percentile))
            covers = "last sample captured to published" if budget.span == "window" else "onset to published"
            measured_as = f"p{budget.percentile:g} of {values.size:,}"
            verdicts.append(
                Verdict(name, covers, budget.source, budget.not_documented, budget.seconds, found, measured_as)
            )
    columns = ("p50", "p90", "p99", "p99.9", "mean")
    note = (
        f"{len(spans):,} windows, {replay.skipped:,} more skipped at gaps; a packet leaves when its last sample was "
        "taken, so the capture of a window's last sample to its arrival holds the filling of the packet."
    )
    sections = [
        Section("From capture to publication, by stage", columns, tuple(rows), note, "ranges", columns[:4]),
    ]
    if picked:
        sections.append(Section("Picks", columns, tuple(picked), "What the model must see behind an onset is in it."))
    link = options.link
    words = {
        "model": f"{manifest.name} {manifest.quantization.precision}",
        "link": (
            f"packets of {link.packet_s:g} s, delay {link.delay_s:g} s, jitter {link.jitter_s:g} s, "
            f"loss {link.loss:.1%}, reordered {link.reorder:.1%}, seed {link.seed}"
        ),
        "source": "in-process",
        "reorder wait": f"{options.reorder_wait_s:g} s",
        "sink": "a file of edge-scan",
    }
    return watch.report("chain", sections, verdicts, words=words)
