"""`edge-bench peers`: the same weights and record through the alternatives that are installed, in one interleaved run.

A peer is a function of an artefact that gives what to time, or None where it does not apply; it raises `ImportError`
where what it needs is not installed, and imports that itself. Other packages add theirs under the entry-point group
`seisedge.bench.peers`: those that need torch come with `seisedge.export`.
"""

from __future__ import annotations

import importlib.metadata
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from seisedge.edge.errors import ModelError, UsageError
from seisedge.edge.manifest import Manifest
from seisedge.edge.models import embedded_models, find_model
from seisedge.edge.session import Session
from seisedge.edge.strict import suggestion

from .figures import Figure, distribution
from .models import open_session, title
from .records import Record
from .report import Report, Row, Section
from .rival import Rival, write_task
from .run import Advance, Settings, Watch
from .stages import StagedModel

Float32 = npt.NDArray[np.float32]
GROUP = "seisedge.bench.peers"


@dataclass(frozen=True)
class Subject:
    """What every peer gets: the artefact, raw counts (component, npts) of a record, and windows for the network.

    Attributes
    ----------
    expected
        The artefact's first output of the windows.
    """

    path: Path
    session: Session
    counts: npt.NDArray[np.int32]
    sampling_rate: float
    windows: Float32
    stride: int
    expected: Float32

    @property
    def manifest(self) -> Manifest:
        """The model's."""
        return self.session.manifest


Peer = Callable[[Subject], "Callable[[], object] | None"]


def ours(subject: Subject) -> Callable[[], object]:
    """The network alone, as the station runs it."""
    return lambda: subject.session.run(subject.windows)


def ours_with_preprocessing(subject: Subject) -> Callable[[], object]:
    """A record's stream and window steps with the compiled kernels, and the network."""
    from seisedge.edge.preprocess import Preprocess  # noqa: PLC0415 - beside its rival, which imports its own

    preprocess = Preprocess(subject.manifest)

    def run() -> object:
        samples = preprocess.record(subject.counts, subject.sampling_rate)
        width = subject.manifest.window_samples
        count = min(len(subject.windows), (samples.shape[1] - width) // subject.stride + 1)
        return subject.session.run(preprocess.windows(samples, count=count, stride=subject.stride))

    return run


def openvino(subject: Subject) -> Callable[[], object]:
    """The artefact's graph on OpenVINO's CPU plug-in, one thread."""
    import openvino as ov  # pyright: ignore[reportMissingImports]  # noqa: PLC0415 - a peer, never a dependency

    core = ov.Core()
    compiled = core.compile_model(str(subject.path), "CPU", {"INFERENCE_NUM_THREADS": 1})
    return lambda: compiled(subject.windows)


def obspy_scipy(subject: Subject) -> Callable[[], object] | None:
    """ObsPy's filter and resampling in SciPy, windows cut in NumPy, and the same session.

    For models whose steps are a high-pass or band-pass, resampling, a demean and a normalisation.
    """
    import obspy  # noqa: PLC0415 - a peer, never a dependency

    steps = {step.op: step for step in subject.manifest.steps}
    if steps.keys() - {"highpass", "bandpass", "resample", "demean", "normalise_std", "normalise_max_abs", "layout"}:
        return None
    width, shape = subject.manifest.window_samples, subject.windows.shape[1:]
    model_rate = subject.manifest.sampling_rate

    def run() -> object:
        header = {"sampling_rate": subject.sampling_rate}
        stream = obspy.Stream([obspy.Trace(row.astype(np.float64), header=dict(header)) for row in subject.counts])
        if subject.sampling_rate != model_rate:
            stream.resample(model_rate)
        if "highpass" in steps:
            stream.filter("highpass", freq=steps["highpass"].params["corner_hz"])
        if "bandpass" in steps:
            band = steps["bandpass"].params
            stream.filter("bandpass", freqmin=band["low_hz"], freqmax=band["high_hz"])
        data = np.stack([trace.data for trace in stream])
        views = np.lib.stride_tricks.sliding_window_view(data, width, axis=1)[:, :: subject.stride]
        batch = views.transpose(1, 0, 2)[: len(subject.windows)].astype(np.float32)
        if "demean" in steps:
            batch = batch - batch.mean(axis=2, keepdims=True)
        scale = batch.std(axis=2, keepdims=True) if "normalise_std" in steps else np.abs(batch).max(2, keepdims=True)
        batch = batch / (scale + np.float32(1e-6))
        if shape != batch.shape[1:]:
            batch = batch.transpose(0, 2, 1).reshape(len(batch), *shape)
        return subject.session.run(np.ascontiguousarray(batch))

    return run


def seisbench_annotate(subject: Subject) -> None:
    """Say whether it is there: it takes no network but its own, so that the same weights cannot go through it."""
    import seisbench  # pyright: ignore[reportMissingImports]  # noqa: PLC0415 - a peer, never a dependency

    del subject, seisbench


_OWN: dict[str, Peer] = {"OpenVINO": openvino, "ObsPy + SciPy, then ONNX Runtime": obspy_scipy}
_WHOLE = frozenset({"ObsPy + SciPy, then ONNX Runtime"})
"""Peers that do the preprocessing too: they are beside ours with preprocessing."""


def known_peers() -> dict[str, Peer]:
    """Those of this package, and those that others registered."""
    others = {each.name: cast("Peer", each.load()) for each in importlib.metadata.entry_points(group=GROUP)}
    return {**_OWN, **others, "SeisBench annotate": seisbench_annotate}


def bench_peers(
    names: tuple[str, ...], batch: int, settings: Settings, advance: Advance, *, without: tuple[str, ...] = ()
) -> Report:
    """Time each artefact through every alternative but those `without`, in turns.

    Raises
    ------
    UsageError
        There is no such artefact, or no such peer to leave out.
    """
    known = known_peers()
    for name in without:
        if name not in known:
            raise UsageError(f"--without: found {name!r}{suggestion(name, set(known))}")
    paths = [find_model(name) for name in names] or list(embedded_models().values())
    peers = [name for name in known if name not in without]
    watch = Watch(settings)
    rows: list[Row] = []
    notes = [f"{name}: left out" for name in without]
    for place, path in enumerate(paths):
        session = open_session(path, settings)
        subject = _subject(path, session, watch.open_record(session.manifest.components), settings, batch)
        name = title(session.manifest, settings)
        with ExitStack() as stack:
            runs: dict[str, Callable[[], float]] = {"seisedge": _timed(ours(subject), settings)}
            for peer in peers:
                advance(f"{name}: {peer}", place / len(paths))
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                write_task(subject, peer, settings.engine, folder)
                rival = stack.enter_context(closing(Rival(folder)))
                if rival.problem:
                    installed = not rival.problem.startswith("not installed")
                    notes.append(f"{name}: {peer}: {rival.problem}" if installed else f"{peer}: {rival.problem}")
                    continue
                if peer in _WHOLE:
                    runs["seisedge, with preprocessing"] = _timed(ours_with_preprocessing(subject), settings)
                runs[peer] = rival.run
            rows += _rows(name, _in_turns(runs, settings, notes), batch)
    columns = ("p50", "p99", "ratio")
    note = (
        f"Batch {batch}; one thread; in turns, each peer in a process of its own. The ratio is time over seisedge's: "
        "above 1 is slower than seisedge."
    )
    section = Section("Peers", columns, tuple(rows), note, "bars", ("ratio",))
    notes = list(dict.fromkeys(notes))
    return watch.report("peers", [section], [], words={"batch": str(batch)}, notes=notes)


def _subject(path: Path, session: Session, record: Record, settings: Settings, batch: int) -> Subject:
    manifest = session.manifest
    staged = StagedModel(session, record, settings.clock)
    span = (manifest.window_samples + (batch - 1) * staged.stride) / manifest.sampling_rate
    counts = record.repeated(round((span + 1) * record.sampling_rate)).components(len(manifest.components.order))
    windows = staged.windows(batch)
    expected = session.run(windows)[0]
    return Subject(path, session, counts, record.sampling_rate, windows, staged.stride, expected)


def _timed(run: Callable[[], object], settings: Settings) -> Callable[[], float]:
    def timed() -> float:
        began = settings.clock()
        run()
        return (settings.clock() - began) / 1e9

    return timed


def _in_turns(runs: dict[str, Callable[[], float]], settings: Settings, notes: list[str]) -> dict[str, list[float]]:
    """Run each in turn until the time is up, three rounds at least after one to warm up; who ends is noted."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    end = settings.clock() + round(settings.limit_s * 1e9)
    rounds = 0
    while rounds < 4 or settings.clock() < end:
        for name in tuple(found):
            try:
                seconds = runs[name]()
            except ModelError as error:
                notes.append(f"{name}: {error}")
                del found[name]
                continue
            if rounds:
                found[name].append(seconds)
        rounds += 1
    return found


def _rows(name: str, times: dict[str, list[float]], batch: int) -> list[Row]:
    rows: list[Row] = []
    for peer, samples in times.items():
        rival = "seisedge, with preprocessing" if peer in _WHOLE or "with pre" in peer else "seisedge"
        ratios = np.array(samples) / np.array(times[rival])
        figures = distribution(np.array(samples) / batch, "s")
        figures["ratio"] = Figure(float(np.median(ratios)), "", *map(float, np.percentile(ratios, (10, 90))))
        rows.append(Row(f"{name}: {peer}", figures))
    return rows
