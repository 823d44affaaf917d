"""What is made of a model's outputs, chosen by its task: picks, detections or waveforms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from .classify import ClassPicker
from .detections import Detection, EventDetector
from .manifest import Manifest, Threshold
from .picks import Pick, StationId
from .runs import Clock
from .sample_picks import SamplePicker
from .waveforms import Waveform, WaveformMaker

Float32 = npt.NDArray[np.float32]
Result: TypeAlias = "Pick | Detection | Waveform"


class Postprocess(Protocol):
    """One station's outputs in, results out."""

    def push(self, number: int, clock: Clock, outputs: list[Float32]) -> Sequence[Result]:
        """Take the outputs, each (window, …), of consecutive windows from window `number` on."""
        ...

    def pending(self) -> Sequence[Result]:
        """Give the results that there would be if the windows ended here; nothing is changed."""
        ...

    def finish(self) -> Sequence[Result]:
        """Close what is open: the end."""
        ...


class _OfFirst(Protocol):
    def push(self, number: int, clock: Clock, first: Float32, /) -> Sequence[Result]: ...

    def pending(self) -> Sequence[Result]: ...

    def finish(self) -> Sequence[Result]: ...


class _FirstOutput:
    """A postprocess that looks at the first output alone."""

    def __init__(self, inner: _OfFirst) -> None:
        self._inner = inner

    def push(self, number: int, clock: Clock, outputs: list[Float32]) -> Sequence[Result]:
        return self._inner.push(number, clock, outputs[0])

    def pending(self) -> Sequence[Result]:
        return self._inner.pending()

    def finish(self) -> Sequence[Result]:
        return self._inner.finish()


def postprocess_of(
    manifest: Manifest, station: StationId, *, model_digest: str, thresholds: dict[str, Threshold], stride: int
) -> Postprocess:
    """Make the postprocess that belongs to a manifest's task.

    Raises
    ------
    UsageError
        A stride at which a model of values per sample leaves samples out.
    """
    if manifest.task == "waveform_inversion":
        return _FirstOutput(WaveformMaker(manifest, station, model_digest=model_digest, stride=stride))
    if manifest.task == "phase_picking":
        return SamplePicker(manifest, station, model_digest=model_digest, thresholds=thresholds, stride=stride)
    maker = EventDetector if manifest.task == "event_detection" else ClassPicker
    return _FirstOutput(maker(manifest, station, model_digest=model_digest, thresholds=thresholds, stride=stride))
