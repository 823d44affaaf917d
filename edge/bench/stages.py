"""One model's work on one station, stage by stage, as the station does it: the same objects, with a clock between."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from seisedge.edge.manifest import Manifest
from seisedge.edge.picks import StationId
from seisedge.edge.postprocess import postprocess_of
from seisedge.edge.preprocess import Preprocess
from seisedge.edge.runs import Clock as RunClock
from seisedge.edge.session import Session

from .records import STARTTIME_NS, Record
from .run import Clock

Float32 = npt.NDArray[np.float32]

STAGES = ("preprocessing", "inference", "postprocessing")
_STATION = StationId("XX", "BENCH", "", "HH")


class StagedModel:
    """A session with what comes before and behind it.

    Parameters
    ----------
    session
        The model.
    record
        What is replayed, again and again.
    clock
        Nanoseconds.
    stride
        Samples from window to window; None for the manifest's.
    """

    def __init__(self, session: Session, record: Record, clock: Clock, stride: int | None = None) -> None:
        self.session, self._clock = session, clock
        manifest = session.manifest
        self.stride = stride or manifest.stride_samples
        self._preprocess = Preprocess(manifest)
        self._counts = record.components(len(manifest.components.order))
        self._rate = record.sampling_rate
        self._model_rate = manifest.sampling_rate
        self._fresh = max(1, round(self.stride * record.sampling_rate / manifest.sampling_rate))
        needed = round((manifest.window_samples + self.stride) * 4 * record.sampling_rate / manifest.sampling_rate)
        npts = max(needed, self._counts.shape[1])
        times = -(-npts // self._counts.shape[1])
        self._counts = np.ascontiguousarray(np.tile(self._counts, times)[:, :npts])
        self._samples = self._preprocess.record(self._counts, record.sampling_rate)

    @property
    def manifest(self) -> Manifest:
        """The model's."""
        return self.session.manifest

    def windows(self, count: int) -> Float32:
        """Input of the network: `count` windows."""
        return self._preprocess.windows(self._cut(0, count), count=count, stride=self.stride)

    def _cut(self, number: int, count: int) -> Float32:
        """Samples of `count` windows, the record being repeated."""
        width = self.manifest.window_samples + (count - 1) * self.stride
        npts = self._samples.shape[1]
        start = number * self.stride % max(1, npts - self.manifest.window_samples)
        return np.ascontiguousarray(np.take(self._samples, np.arange(start, start + width), axis=1, mode="wrap"))

    def queries(self, count: int = 1) -> Iterator[tuple[int, int, int]]:
        """Take new samples for `count` windows through all stages, for ever: nanoseconds of each stage.

        Preprocessing is the stream steps on the samples that are new, of every component, and the windows' own steps.
        """
        manifest, clock = self.manifest, self._clock
        chains = [self._preprocess.stream(self._rate) for _ in manifest.components.order]
        for chain, samples in zip(chains, self._counts, strict=True):
            chain.start(float(samples[0]))
        post = postprocess_of(
            manifest,
            _STATION,
            model_digest=self.session.digest,
            thresholds=manifest.postprocess.thresholds,
            stride=self.stride,
        )
        run_clock = RunClock(0, STARTTIME_NS, Fraction(manifest.sampling_rate))
        number = 0
        while True:
            fresh, cut = self._new_counts(number, count), self._cut(number, count)
            began = clock()
            for chain, samples in zip(chains, fresh, strict=True):
                chain.push(samples)
            windows = self._preprocess.windows(cut, count=count, stride=self.stride)
            prepared = clock()
            outputs = self.session.run(windows)
            inferred = clock()
            post.push(number, run_clock, outputs)
            yield prepared - began, inferred - prepared, clock() - inferred
            number += count

    def _new_counts(self, number: int, count: int) -> npt.NDArray[np.int32]:
        npts, size = self._counts.shape[1], self._fresh * count
        first = number * self._fresh % npts
        return np.ascontiguousarray(np.take(self._counts, np.arange(first, first + size), axis=1, mode="wrap"))
