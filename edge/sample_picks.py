"""Picks from probabilities per sample: windows stitched, then a tracker per label.

Where the model gives time offsets, a pick stands at the mean over the samples j around its peak p, p - 5 <= j < p + 5,
of j + scale * offset[j], scale samples per unit; its uncertainty is their standard deviation (ddof 0). At the start
and the end of a stretch without a gap the samples that are not there are left out. Upstream: whigg-logs/PhaseNet,
infer.py. A sample goes to the tracker when the four behind it are known, so nine samples wait, and no more.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
import numpy.typing as npt

from .errors import ManifestError, UsageError
from .label_trackers import LabelTrackers
from .manifest import Manifest, Threshold
from .picks import Pick, StationId
from .runs import Clock
from .stitch import Stitcher, Stretch
from .tracker import Refined
from .twin import twin_of

Float32 = npt.NDArray[np.float32]

BEFORE, BEHIND = 5, 4
"""Samples around a peak whose offsets are used: upstream's [peak - 5, peak + 5)."""


class SamplePicker:
    """Picks of one station from probabilities per sample.

    Parameters
    ----------
    manifest, model_digest
        The artefact.
    station
        Whose windows these are.
    thresholds
        For each label that is picked.
    stride
        Samples from window to window.

    Raises
    ------
    UsageError
        A stride at which samples lie between the windows.
    """

    def __init__(
        self,
        manifest: Manifest,
        station: StationId,
        *,
        model_digest: str,
        thresholds: dict[str, Threshold],
        stride: int,
    ) -> None:
        if manifest.outputs[0].kind != "sample_probability":
            kind = manifest.outputs[0].kind
            raise ManifestError(f"model {manifest.name}: found output {kind}, wanted sample_probability")
        self._trackers = LabelTrackers(manifest, station, model_digest=model_digest, thresholds=thresholds)
        offsets = manifest.outputs[1] if manifest.postprocess.pick_time == "offset" else None
        self._scale = 0.0 if offsets is None else float(offsets.time_offset_scale or 0.0)
        names = () if offsets is None else offsets.labels
        self._offset_columns = np.array([names.index(label) for label in self._trackers.labels if names], np.intp)
        self._stitcher = stitcher_of(
            manifest, stride=stride, columns=len(self._trackers.labels) + self._offset_columns.size
        )
        self._sample_s = 1.0 / manifest.sampling_rate
        self._next: int | None = None
        self._clock: Clock | None = None
        self._forget()

    def push(self, number: int, clock: Clock, outputs: list[Float32]) -> list[Pick]:
        """Outputs (window, sample, label) of consecutive windows from window `number` on."""
        picks = self.finish() if self._next is not None and number != self._next else []
        self._next, self._clock = number + len(outputs[0]), clock
        columns = outputs[0] if self._trackers.takes_all else outputs[0][:, :, self._trackers.columns]
        if self._scale:
            columns = np.concatenate((columns, outputs[1][:, :, self._offset_columns]), axis=2)
        for stretch in self._stitcher.push(number, columns):
            picks += self._take(stretch.start, stretch.values, clock, held_back=BEHIND if self._scale else 0)
        return picks

    def pending(self) -> list[Pick]:
        """Give the picks that there would be if the windows ended here.

        Samples that later windows will see too count with the mean of the windows so far; what only blinded edges see
        does not count.
        """
        rest = self._stitcher.rest()
        if self._trackers.is_idle and not self._may_open(rest):
            return []
        other = twin_of(self)
        other._trackers = self._trackers.fork()  # noqa: SLF001 - one of our own kind
        return other._ended(rest)  # noqa: SLF001 - one of our own kind

    def _may_open(self, rest: list[Stretch]) -> bool:
        """Whether any sample that waits may open a run."""
        on = self._trackers.on
        waiting = (self._rows[self._done :], *(each.values for each in rest))
        return any(bool((each[:, : on.size] >= on).any()) for each in waiting if len(each))

    def finish(self) -> list[Pick]:
        """Close what is open: a gap, or the end."""
        return self._ended(self._stitcher.finish())

    def _ended(self, last: list[Stretch]) -> list[Pick]:
        """Track the last samples, and those that wait for others."""
        picks: list[Pick] = []
        if self._clock is not None:
            for stretch in last:
                picks += self._take(stretch.start, stretch.values, self._clock, held_back=0)
            if self._done < len(self._rows):
                picks += self._take(self._position + len(self._rows), self._rows[:0], self._clock, held_back=0)
        self._forget()
        self._next = self._clock = None
        return picks + self._trackers.finish()

    def _forget(self) -> None:
        width = len(self._trackers.labels) + self._offset_columns.size
        self._rows = np.zeros((0, width), np.float32)  # samples that wait, behind those that a mean still needs
        self._done = 0  # of them, how many have been tracked
        self._position = 0  # of the first
        self._earlier: Clock | None = None  # of the samples that wait

    def _take(self, start: int, values: Float32, clock: Clock, *, held_back: int) -> list[Pick]:
        """Track the samples behind which `held_back` others are known."""
        if not len(self._rows):
            self._position = start
        self._rows = np.concatenate((self._rows, values)) if len(self._rows) else values
        rows, first, done = self._rows, self._position, self._done
        stop = max(done, len(rows) - held_back)
        earlier, self._earlier = self._earlier or clock, clock

        def clock_of(row: int) -> Clock:  # a later clock may have forgotten how the samples before it drifted
            return earlier if first + done + row < start else clock

        def time_ns(row: int) -> int:
            return clock_of(row).time_ns(first + done + row)

        def refine(row: int, number: int) -> Refined:
            return self._refined(clock_of(row), done + row, number)

        probabilities = rows[done:stop, : len(self._trackers.labels)]
        picks = self._trackers.push(probabilities, time_ns, refine if self._scale else None)
        waste = max(0, stop - (BEFORE if self._scale else 0))
        self._rows, self._position, self._done = rows[waste:].copy(), first + waste, stop - waste
        return picks

    def _refined(self, clock: Clock, row: int, number: int) -> Refined:
        """Give the mean of what the samples around a row say, each in its own order: the same however they came."""
        column = len(self._trackers.labels) + number
        places = [
            place - row + self._scale * float(self._rows[place, column])
            for place in range(max(0, row - BEFORE), min(len(self._rows), row + BEHIND + 1))
        ]
        mean = sum(places) / len(places)
        spread = sqrt(sum((place - mean) ** 2 for place in places) / len(places))
        return Refined(clock.time_ns(self._position + row + mean), spread * self._sample_s)


def stitcher_of(manifest: Manifest, *, stride: int, columns: int) -> Stitcher:
    """Make the stitcher of a manifest's windows.

    Raises
    ------
    UsageError
        A stride at which samples lie between the windows.
    """
    left, right = manifest.postprocess.blinding_samples
    seen = manifest.window_samples - left - right
    if stride > seen:
        raise UsageError(f"stride: found {stride}, wanted at most {seen} for model {manifest.name}")
    return Stitcher(width=manifest.window_samples, stride=stride, blinding=(left, right), columns=columns)
