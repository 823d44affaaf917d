"""Event probabilities per window → detections: runs of windows that hold an event."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .errors import ManifestError
from .manifest import Manifest, Threshold
from .picks import StationId
from .runs import Clock
from .times import format_time


@dataclass(frozen=True, slots=True)
class Detection:
    """An event at a station.

    Attributes
    ----------
    time_ns, endtime_ns
        First sample of the first window of the run, and the first one behind the last.
    label
        The class of the most probable window: `event`, or a region.
    probability
        Of an event of any class, in that window.
    """

    id: str
    revision: int
    station: StationId
    label: str
    time_ns: int
    endtime_ns: int
    probability: float
    model: str
    model_digest: str

    def as_row(self) -> dict[str, str | int | float | None]:
        """Give the fields under their public names, in their public order."""
        return {
            "id": self.id,
            "revision": self.revision,
            "network": self.station.network,
            "station": self.station.station,
            "location": self.station.location,
            "channel": self.station.channel,
            "label": self.label,
            "time": format_time(self.time_ns),
            "endtime": format_time(self.endtime_ns),
            "probability": self.probability,
            "model": self.model,
            "model_digest": self.model_digest,
        }


DETECTION_FIELDS = (
    "id",
    "revision",
    "network",
    "station",
    "location",
    "channel",
    "label",
    "time",
    "endtime",
    "probability",
    "model",
    "model_digest",
)


@dataclass
class _Run:
    """Windows since the probability came to `on`."""

    time_ns: int
    endtime_ns: int
    peak: float
    label: int


class EventDetector:
    """Detections of one station from class probabilities per window.

    The probability of an event is the sum over the classes that have a threshold. A run opens when it comes to the
    `on` of its most probable class, and closes below that class's `off`, or at a break in the windows.

    Parameters
    ----------
    manifest, model_digest
        The artefact.
    station
        Whose windows these are.
    thresholds
        For each class that is an event.
    stride
        Samples from window to window.
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
        output = manifest.outputs[0]
        if output.kind != "class_probability" or not thresholds:
            raise ManifestError(f"model {manifest.name}: found no class that is an event, wanted at least one")
        self._manifest, self._station, self._digest, self._stride = manifest, station, model_digest, stride
        self._labels = [label for label in output.labels if label in thresholds]
        self._columns = np.array([output.labels.index(label) for label in self._labels], np.intp)
        self._thresholds = [thresholds[label] for label in self._labels]
        self._run: _Run | None = None
        self._next: int | None = None

    def push(self, number: int, clock: Clock, probabilities: npt.NDArray[np.float32]) -> list[Detection]:
        """Take probabilities (window, class) of consecutive windows from window `number` on."""
        found = self.finish() if self._next is not None and number != self._next else []
        self._next = number + len(probabilities)
        classes = probabilities[:, self._columns]
        for index, (row, best) in enumerate(zip(classes, classes.argmax(axis=1), strict=True)):
            start = (number + index) * self._stride
            found += self._step(clock, start, min(float(row.sum()), 1.0), int(best))
        return found

    def pending(self) -> list[Detection]:
        """Give the detection that there would be if the windows ended here."""
        return [] if self._run is None else [self._detection(self._run)]

    def finish(self) -> list[Detection]:
        """Close what is open: a gap, or the end."""
        run, self._run = self._run, None
        return [] if run is None else [self._detection(run)]

    def _step(self, clock: Clock, start: int, probability: float, label: int) -> list[Detection]:
        threshold, run = self._thresholds[label], self._run
        if run is not None and not probability >= threshold.off:  # this way round a NaN closes it
            return self.finish()
        if run is None and not probability >= threshold.on:
            return []
        endtime_ns = clock.time_ns(start + self._manifest.window_samples)
        if run is None:
            self._run = _Run(clock.time_ns(start), endtime_ns, probability, label)
            return []
        run.endtime_ns = endtime_ns
        if probability > run.peak:
            run.peak, run.label = probability, label
        return []

    def _detection(self, run: _Run) -> Detection:
        label = self._labels[run.label]
        text = f"{self._station}|{label}|{run.time_ns}|{self._digest}"
        return Detection(
            id=hashlib.blake2s(text.encode(), digest_size=8).hexdigest(),
            revision=0,
            station=self._station,
            label=label,
            time_ns=run.time_ns,
            endtime_ns=run.endtime_ns,
            probability=run.peak,
            model=self._manifest.name,
            model_digest=self._digest,
        )
