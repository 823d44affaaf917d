"""Whether a machine was quiet while it was measured: a loop of known work, and what other programs took."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

_MOST_CV = 0.05
_MOST_OTHERS = 0.10
_MOST_STEAL = 0.02
_WARM, _ROUNDS, _WORK = 3, 40, bytes(1 << 19)
_CPU_FIELDS = 8  # user, nice, system, idle, iowait, irq, softirq, steal; guest time is in user (proc(5))


@dataclass(frozen=True)
class Load:
    """Seconds since the machine, or this program, began: all cores together."""

    wall_s: float
    busy_s: float
    own_s: float
    stolen_s: float


class Probe(Protocol):
    """Reads the load of a machine."""

    def read(self) -> Load:
        """Give the counters as they stand."""
        ...

    def calibrate(self) -> list[float]:
        """Seconds that the same work took, time after time."""
        ...


class SystemProbe:
    """The machine that runs this: `/proc/stat` where there is one, else what the program itself uses."""

    def read(self) -> Load:
        """Give the counters as they stand."""
        own = os.times()
        own_s = own.user + own.system + own.children_user + own.children_system
        try:
            line = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0]
        except OSError:
            return Load(time.monotonic(), own_s, own_s, 0.0)
        tick = os.sysconf("SC_CLK_TCK")
        fields = [int(each) / tick for each in line.split()[1 : _CPU_FIELDS + 1]]
        busy = sum(fields) - fields[3] - fields[4] - fields[7]
        return Load(time.monotonic(), busy, own_s, fields[7])

    def calibrate(self) -> list[float]:
        """Hash half a mebibyte, time after time."""
        found: list[float] = []
        for _ in range(_ROUNDS + _WARM):
            began = time.perf_counter()
            hashlib.sha256(_WORK).digest()
            found.append(time.perf_counter() - began)
        return found[_WARM:]


@dataclass(frozen=True)
class Noise:
    """How quiet the machine was.

    Attributes
    ----------
    cv
        Standard deviation over mean of the calibration loop, before and after the run.
    drift
        Median of the loop after the run over that before it, minus one.
    others
        Cores that other programs kept busy meanwhile.
    stolen
        Share of a core that the hypervisor took away.
    load_average
        Of one minute, at the end.
    noisy
        Reasons not to trust the figures; empty for a quiet run.
    """

    cv: float
    drift: float
    others: float
    stolen: float
    load_average: float
    noisy: tuple[str, ...]

    @property
    def spread(self) -> float:
        """By what share two runs may differ for no reason but the machine."""
        return max(self.cv, abs(self.drift))


class NoiseWatch:
    """Watches from its construction to `finish`."""

    def __init__(self, probe: Probe, load_average: Callable[[], float] = lambda: os.getloadavg()[0]) -> None:
        self._probe, self._load_average = probe, load_average
        self._before = probe.calibrate()
        self._start = probe.read()

    def finish(self) -> Noise:
        """Give the verdict."""
        end, start = self._probe.read(), self._start
        after = self._probe.calibrate()
        wall = max(end.wall_s - start.wall_s, 1e-9)
        others = max(0.0, (end.busy_s - start.busy_s) - (end.own_s - start.own_s)) / wall
        stolen = max(0.0, end.stolen_s - start.stolen_s) / wall
        loops = np.array([*self._before, *after])
        cv = float(loops.std() / loops.mean())
        drift = float(np.median(after) / np.median(self._before) - 1)
        limits = (
            (cv, _MOST_CV, "the calibration loop varied by {:.0%}"),
            (abs(drift), _MOST_CV, "the calibration loop drifted by {:.0%}"),
            (others, _MOST_OTHERS, "other programs kept {:.2f} cores busy"),
            (stolen, _MOST_STEAL, "the hypervisor took {:.0%} of a core"),
        )
        noisy = tuple(text.format(found) for found, most, text in limits if found > most)
        return Noise(cv, drift, others, stolen, self._load_average(), noisy)
