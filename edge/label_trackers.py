"""What all pick makers share: a tracker per picked label, and picks made of its onsets."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from .manifest import Manifest, Threshold
from .picks import Pick, StationId, pick_id
from .times import NANOSECONDS
from .tracker import Onset, PickTracker, Refined

Float32 = npt.NDArray[np.float32]
Refine = Callable[[int, int], Refined]
"""(row, label's number) → where the pick stands if this row is the peak."""


class LabelTrackers:
    """The trackers of one station.

    Parameters
    ----------
    manifest, model_digest
        The artefact.
    station
        Whose picks these are.
    thresholds
        For each label that is picked.
    """

    def __init__(
        self, manifest: Manifest, station: StationId, *, model_digest: str, thresholds: dict[str, Threshold]
    ) -> None:
        self._manifest, self._station, self._digest = manifest, station, model_digest
        labels = manifest.outputs[0].labels
        self.labels = [label for label in labels if label in thresholds]
        self.columns = np.array([labels.index(label) for label in self.labels], np.intp)
        """Of the first output, those of the picked labels."""
        self.on = np.array([thresholds[label].on for label in self.labels], np.float32)
        """Of the picked labels: below it nothing opens."""
        self._trackers = [
            PickTracker(
                thresholds[label],
                minimum_separation_ns=round(manifest.postprocess.minimum_separation_s * NANOSECONDS),
                centroid=manifest.postprocess.pick_time == "centroid",
            )
            for label in self.labels
        ]

    @property
    def is_idle(self) -> bool:
        """Nothing is open and nothing waits."""
        return all(tracker.is_idle for tracker in self._trackers)

    def fork(self) -> LabelTrackers:
        """Give trackers of the same past that go their own way."""
        other = copy.copy(self)
        other._trackers = [tracker.fork() for tracker in self._trackers]  # noqa: SLF001 - one of our own kind
        return other

    def push(self, probabilities: Float32, time_ns: Callable[[int], int], refine: Refine | None = None) -> list[Pick]:
        """Take the next probabilities (row, picked label); `time_ns` gives the time of a row.

        Rows that can change nothing are passed over in one step.
        """
        picks: list[Pick] = []
        interesting = np.flatnonzero(probabilities >= self.on) // max(1, len(self.labels))  # rows, ascending
        index = 0
        while index < len(probabilities):
            if self.is_idle:
                ahead = int(np.searchsorted(interesting, index))
                if ahead == interesting.size:
                    break
                index = int(interesting[ahead])
            picks += self._step(index, time_ns(index), probabilities[index], refine)
            index += 1
        return picks

    def finish(self) -> list[Pick]:
        """Close what is open: a gap, or the end."""
        return [
            self._pick(label, onset)
            for label, tracker in zip(self.labels, self._trackers, strict=True)
            for onset in tracker.finish()
        ]

    def _step(self, row: int, time_ns: int, values: Float32, refine: Refine | None) -> list[Pick]:
        picks: list[Pick] = []
        for number, (label, tracker, value) in enumerate(zip(self.labels, self._trackers, values, strict=True)):
            wanted = refine is not None and tracker.would_peak(float(value))
            refined = refine(row, number) if refine is not None and wanted else None
            if onset := tracker.push(time_ns, float(value), refined):
                picks.append(self._pick(label, onset))
        return picks

    def _pick(self, label: str, onset: Onset) -> Pick:
        return Pick(
            id=pick_id(self._station, label, onset.time_ns, self._digest),
            revision=0,
            station=self._station,
            phase_hint=label,
            time_ns=onset.time_ns,
            time_uncertainty_s=onset.uncertainty_s,
            probability=onset.probability,
            amplitude=None,
            snr=None,
            model=self._manifest.name,
            model_digest=self._digest,
            opened_ns=onset.opened_ns,
        )
