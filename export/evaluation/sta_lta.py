"""The recursive STA/LTA trigger, by this project's kernels: what a picker has to be better than."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from seisedge import kernels
from seisedge.edge import Packet
from seisedge.edge.manifest import Components
from seisedge.edge.times import NANOSECONDS

from .cases import Case, places
from .pickers import Check, Found, go_on
from .scores import Onset


@dataclass(frozen=True)
class StaLta:
    """The settings of the recursive STA/LTA trigger.

    Attributes
    ----------
    short_s, long_s
        Time constants.
    low_hz, high_hz
        Causal Butterworth band-pass of order 2 before it; the upper corner is at most 0.4 of the sampling rate.
    off
        A trigger ends where the ratio falls below so many times the threshold.
    separation_s
        Of triggers nearer than that the first stays.
    """

    short_s: float = 0.5
    long_s: float = 10.0
    low_hz: float = 2.0
    high_hz: float = 15.0
    off: float = 0.5
    separation_s: float = 3.0


class StaLtaPicker:
    """The recursive STA/LTA of the vertical component, by this project's kernels: P alone."""

    name = family = "STA/LTA"
    phases = ("P",)
    is_probability = False
    grid = tuple(float(value) for value in np.geomspace(1.5, 40, 34).round(2))

    def __init__(self, settings: StaLta = StaLta()) -> None:
        self._settings = settings
        self.source = self.digest = hashlib.sha256(f"{settings} {self.grid}".encode()).hexdigest()
        self._vertical = Components(order=("Z",), aliases={"3": "Z"}, required=("Z",), missing="refuse")

    def pick(self, case: Case, check: Check = go_on) -> Found:
        """Give a record's triggers at every threshold."""
        onsets: list[list[Onset]] = [[] for _ in self.grid]
        where = places(case.traces.codes, self._vertical)
        if where is None:
            return {"P": onsets}
        packets = (packet for _, packet in case.traces.packets(where, 2 * self._settings.long_s))
        for run in _runs(packets):
            check()
            ratio = self._ratio(np.concatenate([each.samples for each in run]), run[0].sampling_rate)
            for number, on in enumerate(self.grid):
                first = self._triggers(ratio, on, run[0].sampling_rate)
                onsets[number] += [(run[0].time_of(sample), on) for sample in first]
        return {"P": onsets}

    def own_threshold(self, phase: str) -> int:
        """Give the place of a ratio of 4, a usual one."""
        del phase
        return int(np.searchsorted(self.grid, 4.0))

    def _ratio(self, samples: kernels.Samples, rate: float) -> kernels.Float32:
        chosen = self._settings
        corners = chosen.low_hz, min(chosen.high_hz, 0.4 * rate)
        sos = kernels.butterworth_sos(2, "bandpass", corners, rate)
        state = kernels.SosState(sos, kernels.steady_state(sos) * float(samples[0]))
        out = np.empty(samples.size, np.float32)
        kernels.sos_step_into(samples, state, out)
        short, long = (max(1, round(each * rate)) for each in (chosen.short_s, chosen.long_s))
        kernels.recursive_sta_lta_step_into(out, short, long, kernels.recursive_sta_lta_state(), out)
        return out

    def _triggers(self, ratio: kernels.Float32, on: float, rate: float) -> list[int]:
        rows = np.empty((kernels.trigger_bound(ratio.size), 2), np.int64)
        state = kernels.trigger_state()
        count = kernels.triggers_into(ratio, on, self._settings.off * on, state, rows)
        first = rows[:count, 0].tolist()
        last = kernels.open_trigger(state)
        kept: list[int] = []
        for sample in [*first, *([last[0]] if last else [])]:
            if not kept or sample - kept[-1] >= self._settings.separation_s * rate:
                kept.append(sample)
        return kept


def _runs(packets: Iterable[Packet]) -> Iterator[list[Packet]]:
    """Packets that join on to each other."""
    run: list[Packet] = []
    for packet in packets:
        if run:
            last = run[-1]
            off_ns = abs(packet.starttime_ns - last.time_of(last.samples.size))
            if packet.sampling_rate != last.sampling_rate or off_ns > NANOSECONDS / packet.sampling_rate / 2:
                yield run
                run = []
        run.append(packet)
    if run:
        yield run
