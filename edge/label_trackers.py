"""What all pick makers share: a tracker per picked label, and picks made of its onsets."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from .manifest import Manifest, Threshold
from .picks import Pick, StationId, pick_id
from .times import NANOSECONDS
from .tracker import Onset, PickTracker, Refined, RefineRow, TimeOf
from .twin import twin_of

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
        self.takes_all = self.labels == list(labels)
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
        other = twin_of(self)
        other._trackers = [tracker.fork() for tracker in self._trackers]  # noqa: SLF001 - one of our own kind
        return other

    def push(self, probabilities: Float32, time_ns: TimeOf, refine: Refine | None = None) -> list[Pick]:
        """Take the next probabilities (row, picked label); `time_ns` gives the time of a row."""
        found = [
            (row, number, onset)
            for number, tracker in enumerate(self._trackers)
            for row, onset in tracker.push(probabilities[:, number], time_ns, _of_label(refine, number))
        ]
        return [self._pick(self.labels[number], onset) for _, number, onset in sorted(found, key=lambda each: each[:2])]

    def finish(self) -> list[Pick]:
        """Close what is open: a gap, or the end."""
        return [
            self._pick(label, onset)
            for label, tracker in zip(self.labels, self._trackers, strict=True)
            for onset in tracker.finish()
        ]

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


def _of_label(refine: Refine | None, number: int) -> RefineRow | None:
    return None if refine is None else lambda row: refine(row, number)
