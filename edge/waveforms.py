"""Waveforms that a model gives, such as those of the sources from those of the stations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .errors import ManifestError
from .manifest import Manifest
from .picks import StationId
from .runs import Clock
from .sample_picks import stitcher_of
from .stitch import Stretch

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Waveform:
    """A piece of the waveforms; the next piece joins on, unless a gap is between them.

    Attributes
    ----------
    station
        Whose data it was made from: for several stations, the first one.
    starttime_ns
        First sample.
    sampling_rate
        The model's.
    labels
        What each column is.
    samples
        float32 (sample, label), in the unit of the model's training.
    """

    station: StationId
    starttime_ns: int
    sampling_rate: float
    labels: tuple[str, ...]
    samples: Float32
    model: str
    model_digest: str


class WaveformMaker:
    """Waveforms of one station or group of stations: the mean over the windows that see a sample.

    Parameters
    ----------
    manifest, model_digest
        The artefact.
    station
        Whose windows these are.
    stride
        Samples from window to window.

    Raises
    ------
    UsageError
        A stride at which samples lie between the windows.
    """

    def __init__(self, manifest: Manifest, station: StationId, *, model_digest: str, stride: int) -> None:
        output = manifest.outputs[0]
        if output.kind != "waveform":
            raise ManifestError(f"model {manifest.name}: found output {output.kind}, wanted waveform")
        self._manifest, self._station, self._digest = manifest, station, model_digest
        self._stitcher = stitcher_of(manifest, stride=stride, columns=len(output.labels))
        self._next: int | None = None
        self._clock: Clock | None = None

    def push(self, number: int, clock: Clock, outputs: Float32) -> list[Waveform]:
        """Take outputs (window, sample, label) of consecutive windows from window `number` on."""
        found = self.finish() if self._next is not None and number != self._next else []
        self._next, self._clock = number + len(outputs), clock
        return found + [self._waveform(each, clock) for each in self._stitcher.push(number, outputs)]

    def pending(self) -> list[Waveform]:
        """Give nothing: a sample is given out when all windows have seen it."""
        return []

    def finish(self) -> list[Waveform]:
        """Give out what is left: a gap, or the end."""
        clock, self._clock, self._next = self._clock, None, None
        return [] if clock is None else [self._waveform(each, clock) for each in self._stitcher.finish()]

    def _waveform(self, stretch: Stretch, clock: Clock) -> Waveform:
        return Waveform(
            station=self._station,
            starttime_ns=clock.time_ns(stretch.start),
            sampling_rate=self._manifest.sampling_rate,
            labels=self._manifest.outputs[0].labels,
            samples=stretch.values,
            model=self._manifest.name,
            model_digest=self._digest,
        )
