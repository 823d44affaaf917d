"""Runs of preprocessed samples, one list per component → the windows that a model sees.

Windows start at multiples of the stride counted from the epoch. A window is taken when every component is
settled up to its end; then each component is there in full, or wholly missing, or broken by a gap. A window
with a gap is skipped and counted; a component that is wholly missing is what the manifest says.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from .manifest import Manifest
from .runs import Clock, Float32, Run

_LOOKED_AT = 256  # window positions at least, together; more would be looked at again by the next call


@dataclass(frozen=True)
class WindowBlock:
    """Consecutive windows as the samples that they span.

    Attributes
    ----------
    number
        Number of the first window, counted from the epoch: it starts at sample `number * stride`.
    count
        How many windows.
    samples
        float32 (component, width + (count - 1) * stride); missing components are zeros.
    clock
        Time of the samples.
    """

    number: int
    count: int
    samples: Float32
    clock: Clock


class WindowCutter:
    """Cuts the windows of one station.

    Parameters
    ----------
    manifest
        Window, components and rule for missing ones.
    stride
        Samples from window to window.
    """

    def __init__(self, manifest: Manifest, *, stride: int) -> None:
        components = manifest.components
        self.width = manifest.window_samples
        self.stride = stride
        self.rate = Fraction(manifest.sampling_rate)
        self._runs: list[list[Run]] = [[] for _ in components.order]
        self._settled: list[int | None] = [None] * len(components.order)
        self._required = [name in components.required for name in components.order]
        self._zeros = components.missing == "zeros"
        self._clock_component = components.order.index(
            components.required[0] if components.required else components.order[0]
        )
        self._next: int | None = None
        self.windows = 0
        self.skipped = 0

    def restart(self, component: int, position: int, starttime_ns: int, *, rate: Fraction) -> Run:
        """Begin a run of a component; the caller appends to it.

        `rate` is the one at which its samples really stand, which may be a little off the model's.
        """
        runs = self._runs[component]
        if runs:
            position = max(position, runs[-1].end)
        run = Run(Clock(position, starttime_ns, rate))
        runs.append(run)
        return run

    def settle(self, component: int, position: int) -> None:
        """Know that what the component lacks before `position` will never come."""
        settled = self._settled[component]
        self._settled[component] = position if settled is None else max(position, settled)

    def settle_all(self) -> None:
        """End of the stream."""
        end = max((runs[-1].end for runs in self._runs if runs), default=0)
        for component in range(len(self._runs)):
            self.settle(component, end)

    @property
    def ready(self) -> int:
        """An upper bound of the windows that `take` would give: those whose end is settled."""
        known = self._known()
        first = self._first_window()
        if known is None or first is None:
            return 0
        return max(0, (known - self.width) // self.stride - first + 1)

    def take(self, most: int) -> WindowBlock | None:
        """Give the next usable windows, up to `most` of them without a break; None when there are none."""
        while (available := min(self.ready, max(most, _LOOKED_AT))) > 0:
            first = self._first_window() or 0
            if self._is_whole(first, available):
                return self._block(first, min(most, available))
            usable = self._usable(first, available)
            skip = int(np.argmax(usable)) if usable.any() else available
            self._skip(skip)
            if skip == available:
                self._jump()
                continue
            stops = np.flatnonzero(~usable[skip:])
            count = min(most, int(stops[0]) if stops.size else available - skip)
            return self._block(first + skip, count)
        return None

    def _known(self) -> int | None:
        """Position up to which all components are settled."""
        known: int | None = None
        for runs, settled in zip(self._runs, self._settled, strict=True):
            end = runs[-1].end if runs else None
            candidates = [each for each in (end, settled) if each is not None]
            if not candidates:
                return None
            known = max(candidates) if known is None else min(known, max(candidates))
        return known

    def _first_window(self) -> int | None:
        """Give the number of the next window to look at: at first, the first that begins inside any run."""
        if self._next is None:
            starts = [runs[0].start for runs in self._runs if runs]
            if self._known() is None or not starts:
                return None
            self._next = -(-min(starts) // self.stride)
        return self._next

    def _is_whole(self, first: int, count: int) -> bool:
        """Whether one run of each component covers all these windows: nearly always so."""
        start, stop = first * self.stride, (first + count - 1) * self.stride + self.width
        return all(any(run.start <= start and stop <= run.end for run in runs) for runs in self._runs)

    def _usable(self, first: int, count: int) -> npt.NDArray[np.bool_]:
        starts = (first + np.arange(count, dtype=np.int64)) * self.stride
        usable = np.ones(count, np.bool_)
        some = np.zeros(count, np.bool_)
        for runs, required in zip(self._runs, self._required, strict=True):
            whole = np.zeros(count, np.bool_)
            touched = np.zeros(count, np.bool_)
            for run in runs:
                whole |= (starts >= run.start) & (starts + self.width <= run.end)
                touched |= (starts + self.width > run.start) & (starts < run.end)
            usable &= whole if required or not self._zeros else whole | ~touched
            some |= whole
        return usable & some

    def _jump(self) -> None:
        """Over a long gap: go on at the next run of whichever component begins first, if there is one."""
        if self._next is None:
            return
        position = self._next * self.stride
        first_unsettled = self._next + self.ready
        ahead = [run.start for runs in self._runs for run in runs if run.end > position]
        target = min(-(-min(ahead) // self.stride), first_unsettled) if ahead else first_unsettled
        self._skip(max(0, target - self._next))

    def _skip(self, windows: int) -> None:
        self._advance(windows)
        self.skipped += windows

    def _advance(self, windows: int) -> None:
        self._next = (self._next or 0) + windows
        position = self._next * self.stride
        for runs in self._runs:
            while len(runs) > 1 and runs[0].end <= position:
                runs.pop(0)
            if runs:
                runs[0].forget_before(position)

    def _block(self, number: int, count: int) -> WindowBlock:
        start = number * self.stride
        run = self._clock_run(start)
        if self.stride >= self.width:  # windows without a common sample may lie in different runs
            places = range(start, start + count * self.stride, self.stride)
            count = next((i for i, place in enumerate(places) if self._clock_run(place) is not run), count)
        stop = start + self.width + (count - 1) * self.stride
        samples = np.zeros((len(self._runs), stop - start), np.float32)
        for row, runs in zip(samples, self._runs, strict=True):
            for each in runs:
                each.read_into(start, stop, row)
        clock = run.clock
        self._advance(count)
        self.windows += count
        return WindowBlock(number, count, samples, clock)

    def _clock_run(self, start: int) -> Run:
        """Give the run that covers a usable window, of the first required component when it has one."""
        for runs in (self._runs[self._clock_component], *self._runs):
            for run in runs:
                if run.start <= start < run.end:
                    return run
        raise LookupError(f"no run covers position {start}: a usable window lies in one")
