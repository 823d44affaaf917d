"""`edge-bench capacity`: how many stations this machine holds in real time, found by search."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

import numpy as np

from seisedge.edge.models import find_model
from seisedge.edge.picks import StationId
from seisedge.edge.pipeline import StationStream
from seisedge.edge.postprocess import Postprocess, postprocess_of
from seisedge.edge.preprocess import Preprocess
from seisedge.edge.session import Session
from seisedge.edge.times import NANOSECONDS
from seisedge.edge.windows import WindowBlock
from seisedge.firmware_bridge import Packet

from .figures import Figure
from .models import open_session, title
from .records import STARTTIME_NS, Int32, Record
from .report import Report, Row, Section
from .run import Advance, Clock, Settings, Watch

_FINE = 1.05  # the knee is known when the search stands within 5 %
_MOST = 1 << 20
_REORDER_WAIT_S = 5.0
_WINDOWS = 512  # of several stations in one call of the network


@dataclass(frozen=True)
class CapacityOptions:
    """What the user may choose besides the settings of all sub-commands.

    Attributes
    ----------
    packet_s
        Seconds of data in a packet.
    latency_s
        A load is held when p99 from a packet's arrival to the results of its windows is within this.
    seconds
        Length of a trial; None for 3 when quick, else 10.
    """

    model: str
    stride: int | None = None
    packet_s: float = 1.0
    latency_s: float = 1.0
    seconds: float | None = None


@dataclass(frozen=True)
class Trial:
    """What so many stations did to this machine: p99 in seconds, cores used, windows."""

    stations: int
    p99_s: float
    cpu: float
    windows: int
    held: bool


def knee(trial: Callable[[int], Trial], first: int) -> list[Trial]:
    """Search the largest number of stations that is held; give all trials.

    Doubles from `first` (or halves, if that is too many) until the knee lies between two trials, then halves the ratio.
    """
    trials = [trial(first)]
    low, high = (first, 0) if trials[0].held else (0, first)
    while high == 0 and low < _MOST:
        trials.append(trial(2 * low))
        low, high = (2 * low, 0) if trials[-1].held else (low, 2 * low)
    while low == 0 and high > 1:
        trials.append(trial(high // 2))
        low, high = (high // 2, high) if trials[-1].held else (0, high // 2)
    while low and high > max(low + 1, low * _FINE):
        middle = round((low * high) ** 0.5) if high > low + 2 else low + 1
        trials.append(trial(middle))
        low, high = (middle, high) if trials[-1].held else (low, middle)
    return trials


class Stations:
    """So many stations that send packets in turn, evenly over a packet's length, and what answers them.

    Windows of several stations go through the network in one call.
    """

    def __init__(self, session: Session, record: Record, options: CapacityOptions, count: int) -> None:
        manifest = session.manifest
        self._session, self._preprocess = session, Preprocess(manifest)
        self._stride = options.stride or manifest.stride_samples
        order = manifest.components.order
        self._size = max(1, round(options.packet_s * record.sampling_rate))
        self._rate = record.sampling_rate
        fill_s = manifest.window_samples / manifest.sampling_rate + _REORDER_WAIT_S + 1.0
        self._fill = ceil(fill_s / options.packet_s)  # packets until windows come as the packets do
        self._samples = record.components(len(order))
        self._ids = [f"FDSN:XX_BENCH__H_H_{letter}" for letter in order]
        self._streams = [
            StationStream(self._preprocess, stride=self._stride, reorder_wait_s=_REORDER_WAIT_S) for _ in range(count)
        ]
        self._posts: list[Postprocess] = [
            postprocess_of(
                manifest,
                StationId("XX", f"B{number}", "", "HH"),
                model_digest=session.digest,
                thresholds=manifest.postprocess.thresholds,
                stride=self._stride,
            )
            for number in range(count)
        ]
        for number in range(count):
            for place in range(self._fill):
                self._push(number, place)
            while self._streams[number].cutter.take(_WINDOWS):
                pass

    def _push(self, number: int, place: int) -> None:
        for component, samples in enumerate(self._samples):
            part = _part(samples, place * self._size, self._size)
            start_ns = STARTTIME_NS + round(place * self._size * NANOSECONDS / self._rate)
            self._streams[number].push(component, Packet(self._ids[component], start_ns, self._rate, part))

    def answer(self, numbers: list[int], place: int) -> int:
        """Take the packets of these stations; run the windows that they complete. Gives how many windows."""
        waiting: list[tuple[int, WindowBlock]] = []
        total = windows = 0
        for number in numbers:
            self._push(number, self._fill + place)
            while block := self._streams[number].cutter.take(_WINDOWS):
                waiting.append((number, block))
                windows += block.count
            if windows >= _WINDOWS:
                self._infer(waiting)
                total, windows, waiting = total + windows, 0, []
        self._infer(waiting)
        return total + windows

    def _infer(self, waiting: list[tuple[int, WindowBlock]]) -> None:
        if not waiting:
            return
        parts = [
            self._preprocess.windows(block.samples, count=block.count, stride=self._stride) for _, block in waiting
        ]
        outputs = self._session.run(np.concatenate(parts))
        first = 0
        for number, block in waiting:
            stop = first + block.count
            self._posts[number].push(block.number, block.clock, [output[first:stop] for output in outputs])
            first = stop


def _part(samples: Int32, first: int, size: int) -> Int32:
    first %= samples.size
    part = samples[first : first + size]
    return part if part.size == size else np.concatenate((part, samples[: size - part.size]))


def run_trial(
    stations: Stations,
    count: int,
    options: CapacityOptions,
    seconds: float,
    clock: Clock,
    sleep: Callable[[float], None] = time.sleep,
) -> Trial:
    """Pace the packets of `count` stations for so many seconds; stop early once the load is hopeless."""
    packet_ns = round(options.packet_s * 1e9)
    rounds = max(1, round(seconds / options.packet_s))
    began, cpu = clock(), time.process_time()
    latencies: list[int] = []
    windows = done = 0
    while done < rounds * count:
        now = clock() - began
        due = min(rounds * count, max(done, now * count // packet_ns))
        if due == done:
            sleep(max(0.0, (done + 1) * packet_ns / count - now) / 1e9)
            continue
        place = done // count
        stop = min(due, (place + 1) * count, done + 256)
        windows += stations.answer(list(range(done - place * count, stop - place * count)), place)
        answered = clock() - began
        latencies += [answered - each * packet_ns // count for each in range(done, stop)]
        done = stop
        if answered - done * packet_ns // count > 3 * options.latency_s * 1e9:
            break
    wall = max(clock() - began, 1)
    p99 = float(np.percentile(latencies, 99)) / 1e9
    used = (time.process_time() - cpu) / (wall / 1e9)
    return Trial(count, p99, used, windows, held=done == rounds * count and p99 <= options.latency_s)


def bench_capacity(options: CapacityOptions, settings: Settings, advance: Advance) -> Report:
    """Search the number of stations that one process holds.

    Raises
    ------
    UsageError
        There is no such model.
    """
    session = open_session(find_model(options.model), settings)
    manifest = session.manifest
    seconds = options.seconds or (3.0 if settings.quick else 10.0)
    watch = Watch(settings)
    record = watch.open_record(manifest.components)
    done: list[Trial] = []

    def trial(count: int) -> Trial:
        advance(f"{title(manifest, settings)}: {count:,} stations", min(0.95, len(done) / 10))
        done.append(run_trial(Stations(session, record, options, count), count, options, seconds, settings.clock))
        return done[-1]

    trials = sorted(knee(trial, 64), key=lambda each: each.stations)
    best = max((each for each in trials if each.held), key=lambda each: each.stations, default=None)
    rows = tuple(
        Row(
            f"{each.stations:,}",
            {
                "stations": Figure(each.stations, ""),
                "p99": Figure(each.p99_s, "s"),
                "cores used": Figure(each.cpu, ""),
                "windows": Figure(each.windows, ""),
            },
            {"held": "yes" if each.held else "no"},
        )
        for each in trials
    )
    stride = options.stride or manifest.stride_samples
    held = best.stations if best else 0
    cores = best.cpu if best else 0.0
    result = Row(
        title(manifest, settings),
        {
            "stations held": Figure(held, ""),
            "per core": Figure(held / cores if cores else 0.0, ""),
            "p99": Figure(best.p99_s if best else 0.0, "s"),
            "cores used": Figure(cores, ""),
        },
        {"stride": f"{stride} samples, {stride / manifest.sampling_rate:g} s"},
    )
    per_core = "Per core: what is held over the processor time that it took, whatever other programs did meanwhile."
    sections = [
        Section(
            "Stations held in real time",
            ("stations held", "per core", "p99", "cores used", "stride"),
            (result,),
            per_core,
        ),
        Section(
            "Trials",
            ("stations", "p99", "cores used", "windows", "held"),
            rows,
            f"p99 from a packet's arrival to the results of its windows; held when within {options.latency_s:g} s.",
            "line",
            ("stations", "p99"),
        ),
    ]
    words = {"packets": f"{options.packet_s:g} s", "trial": f"{seconds:g} s", "process": "one, one thread for Python"}
    return watch.report("capacity", sections, [], words=words, extent=f"trials of {seconds:g} s")
