"""Per-sample outputs of overlapping windows → one value per sample.

A sample's value is the mean over the windows that cover it outside their blinded edges, where a network sees too
little on one side. It is given out once no later window can cover it. Samples that only blinded edges cover, at a
break, are zero: the network has no say there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Stretch:
    """Finished samples: the position of the first, counted from the epoch, and float32 (sample, column)."""

    start: int
    values: Float32


class Stitcher:
    """Stitches the windows of one station.

    Parameters
    ----------
    width, stride
        Samples of a window, and from window to window.
    blinding
        Samples left out at the window's start and end.
    columns
        Values per sample.
    """

    def __init__(self, *, width: int, stride: int, blinding: tuple[int, int], columns: int) -> None:
        self._width, self._stride = width, stride
        self._left, self._right = blinding
        self._start = 0
        self._next: int | None = None
        self._tail = np.zeros((0, columns), np.float32)  # the last window's blinded end
        self._sums = np.zeros((0, columns), np.float32)
        self._counts = np.zeros(0, np.float32)

    def rest(self) -> list[Stretch]:
        """Give all that waits as it stands, and keep it: what only blinded edges see is zero."""
        return [Stretch(self._start, self._means(len(self._counts)))] if len(self._counts) else []

    def push(self, number: int, outputs: Float32) -> list[Stretch]:
        """Take outputs (window, sample, column) of consecutive windows from window `number` on.

        The result does not depend on how many windows come at once. A break in the numbers ends what was open.
        """
        finished: list[Stretch] = []
        if self._next is not None and number != self._next:
            finished += self.finish()
        opens = self._next is None
        if opens:
            self._start = number * self._stride
        self._reserve((number + len(outputs) - 1) * self._stride + self._width)
        for index, window in enumerate(outputs):
            first = (number + index) * self._stride - self._start
            seen = slice(first + self._left, first + self._width - self._right)
            sums, counts = self._sums[seen], self._counts[seen]  # views: `self._sums[seen] += …` would copy them back
            sums += window[self._left : self._width - self._right]
            counts += 1
            if opens and index == 0:
                self._sums[: self._left] = window[: self._left]
                self._counts[: self._left] = 1
        if len(outputs):
            self._tail = outputs[-1][self._width - self._right :].copy()
        self._next = number + len(outputs)
        return finished + self._give(self._next * self._stride + self._left)

    def finish(self) -> list[Stretch]:
        """A break: give out all that is left."""
        if self._next is not None and self._right:
            self._sums[-self._right :], self._counts[-self._right :] = self._tail, 1
        finished = self._give(self._start + len(self._counts))
        self._next = None
        self._sums, self._counts = self._sums[:0], self._counts[:0]
        return finished

    def _reserve(self, end: int) -> None:
        missing = end - self._start - len(self._counts)
        if missing > 0:
            kept, columns = self._sums.shape
            sums, counts = np.zeros((kept + missing, columns), np.float32), np.zeros(kept + missing, np.float32)
            sums[:kept], counts[:kept] = self._sums, self._counts
            self._sums, self._counts = sums, counts

    def _give(self, end: int) -> list[Stretch]:
        """Samples before position `end`, which no later window covers."""
        count = min(end - self._start, len(self._counts))
        if count <= 0:
            return []
        stretch = Stretch(self._start, self._means(count))
        self._start += count
        self._sums, self._counts = self._sums[count:].copy(), self._counts[count:].copy()
        return [stretch]

    def _means(self, count: int) -> Float32:
        seen = np.maximum(self._counts[:count, np.newaxis], np.float32(1))
        means: Float32 = np.divide(self._sums[:count], seen, dtype=np.float32)
        return means
