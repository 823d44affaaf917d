"""Stitching overlapping windows: the mean of what is not blinded, however the windows are handed over."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from seisedge.edge.stitch import Stitcher, Stretch

Float32 = npt.NDArray[np.float32]
WIDTH, STRIDE = 24, 7


def _joined(stretches: list[Stretch]) -> tuple[int, Float32]:
    for before, after in itertools.pairwise(stretches):
        assert before.start + len(before.values) == after.start
    return stretches[0].start, np.concatenate([each.values for each in stretches])


def _slow(outputs: Float32, left: int, right: int) -> Float32:
    """Each sample on its own: the mean over the windows that see it, in their order; at the ends, the outermost one."""
    end = (len(outputs) - 1) * STRIDE + WIDTH
    values = np.zeros((end, outputs.shape[2]), np.float32)
    for sample in range(end):
        seen = [
            window[sample - index * STRIDE]
            for index, window in enumerate(outputs)
            if left <= sample - index * STRIDE < WIDTH - right
        ]
        if sample < left:
            seen = [outputs[0][sample]]
        if sample >= end - right:
            seen = [outputs[-1][sample - end]]
        if seen:
            total = np.zeros(outputs.shape[2], np.float32)
            for each in seen:
                total += each
            values[sample] = total / np.float32(len(seen))
    return values


def _stitcher(left: int, right: int) -> Stitcher:
    return Stitcher(width=WIDTH, stride=STRIDE, blinding=(left, right), columns=2)


@given(
    windows=st.integers(1, 12),
    blinding=st.tuples(st.integers(0, 8), st.integers(0, 8)),
    cuts=st.lists(st.integers(0, 12)),
    number=st.integers(0, 10**9),
)
def test_any_batching_gives_the_slow_mean_to_the_bit(
    windows: int, blinding: tuple[int, int], cuts: list[int], number: int
) -> None:
    outputs = np.random.default_rng(windows).random((windows, WIDTH, 2), dtype=np.float32)
    stitcher = _stitcher(*blinding)
    edges = sorted({0, windows, *(cut for cut in cuts if cut < windows)})
    stretches: list[Stretch] = []
    for start, stop in itertools.pairwise(edges):
        stretches += stitcher.push(number + start, outputs[start:stop])
    start, values = _joined(stretches + stitcher.finish())
    assert start == number * STRIDE
    np.testing.assert_array_equal(values, _slow(outputs, *blinding))


def test_a_sample_is_given_out_as_soon_as_no_later_window_covers_it() -> None:
    stitcher = _stitcher(2, 3)
    given_out = stitcher.push(10, np.ones((1, WIDTH, 2), np.float32))
    assert _joined(given_out)[0] == 70
    assert len(given_out[0].values) == STRIDE + 2
    assert given_out[0].values.tolist() == [[1, 1]] * (STRIDE + 2)  # the first two blinded, but no window before


def test_a_break_ends_what_was_open_and_mixes_nothing() -> None:
    stitcher = _stitcher(0, 0)
    first = stitcher.push(0, np.ones((1, WIDTH, 2), np.float32))
    second = stitcher.push(2, np.full((1, WIDTH, 2), 3, np.float32)) + stitcher.finish()
    start, values = _joined(first + second[:1])
    assert (start, len(values)) == (0, WIDTH)
    assert (values == 1).all()
    start, values = _joined(second[1:])
    assert (start, len(values)) == (2 * STRIDE, WIDTH)
    assert (values == 3).all()
