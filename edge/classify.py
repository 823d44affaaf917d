"""Postprocessing of models that give one probability per class and window: runs of them become picks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .errors import ManifestError, UsageError
from .label_trackers import LabelTrackers
from .manifest import Manifest, Threshold
from .picks import Pick, StationId
from .runs import Clock
from .strict import suggestion

_OFF_OF_ON = 0.5  # a user who sets a threshold names `on`; a run then closes at half of it


def read_thresholds(text: str, labels: tuple[str, ...]) -> dict[str, float]:
    """Read `P:0.95,S:0.9`, or one number for all labels.

    Raises
    ------
    UsageError
        A part is neither.
    """
    thresholds: dict[str, float] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        label, separator, number = part.rpartition(":")
        try:
            value = float(number)
        except ValueError:
            raise UsageError(f'threshold: found {part!r}, wanted LABEL:NUMBER such as "P:0.95,S:0.9"') from None
        for each in [label.strip()] if separator else labels:
            thresholds[each] = value
    return thresholds


def thresholds_with(manifest: Manifest, chosen: dict[str, float]) -> dict[str, Threshold]:
    """Replace the manifest's thresholds by those that the user chose.

    Raises
    ------
    UsageError
        An unknown label, or a threshold outside (0, 1].
    """
    thresholds = dict(manifest.postprocess.thresholds)
    for label, on in chosen.items():
        if label not in manifest.outputs[0].labels:
            hint = suggestion(label, manifest.outputs[0].labels)
            raise UsageError(f"threshold: unknown label {label!r} of model {manifest.name}{hint}")
        if not 0 < on <= 1:
            raise UsageError(f"threshold {label}: found {on:g}, wanted more than 0 and at most 1")
        thresholds[label] = Threshold(on, on * _OFF_OF_ON)
    return thresholds


class ClassPicker:
    """Picks of one station from class probabilities.

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
        if output.kind != "class_probability" or output.reference_sample is None:
            raise ManifestError(f"model {manifest.name}: found output {output.kind}, wanted class_probability")
        self._reference, self._stride = output.reference_sample, stride
        self._trackers = LabelTrackers(manifest, station, model_digest=model_digest, thresholds=thresholds)
        self._next: int | None = None

    def push(self, number: int, clock: Clock, probabilities: npt.NDArray[np.float32]) -> list[Pick]:
        """Probabilities (window, label) of consecutive windows from window `number` on.

        A break in the window numbers closes what is open.
        """
        picks = self.finish() if self._next is not None and number != self._next else []
        self._next = number + len(probabilities)

        def time_ns(row: int) -> int:
            return clock.time_ns((number + row) * self._stride + self._reference)

        return picks + self._trackers.push(probabilities[:, self._trackers.columns], time_ns)

    def pending(self) -> list[Pick]:
        """Give the picks that there would be if the windows ended here."""
        return [] if self._trackers.is_idle else self._trackers.fork().finish()

    def finish(self) -> list[Pick]:
        """Close what is open: a gap, or the end."""
        return self._trackers.finish()
