"""Windows stand at multiples of the stride from the epoch; gaps and missing components are what the manifest says."""

# pyright: reportPrivateUsage=false
# (what is held is looked at to see that it is bounded)

from __future__ import annotations

import dataclasses
import time
from fractions import Fraction
from typing import Literal

import artefacts
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisedge.edge.manifest import Components
from seisedge.edge.runs import Run
from seisedge.edge.windows import WindowBlock, WindowCutter
from seisedge.export.recipes import SEISMO_PERFORMER

RATE = Fraction(100)
WIDTH = 400
BASE = 1_600_000_000 * 100  # a multiple of every stride used here


def cutter(
    *, stride: int = 10, missing: Literal["zeros", "refuse"] = "zeros", required: tuple[str, ...] = ("Z",)
) -> WindowCutter:
    components = dataclasses.replace(SEISMO_PERFORMER.components, missing=missing, required=required)
    return WindowCutter(artefacts.tiny_manifest(components=components), stride=stride)


def begin(windows: WindowCutter, component: int, position: int) -> Run:
    return windows.restart(component, position, position * 10_000_000, rate=RATE)


def fill(windows: WindowCutter, component: int, position: int, npts: int) -> None:
    """A run whose values are its positions, counted from `BASE`, and the component's hundred thousands."""
    run = begin(windows, component, position)
    values = np.arange(npts) + position - BASE + 100_000 * component
    run.append(values.astype(np.float32))


def whole(windows: WindowCutter, position: int, npts: int, components: tuple[int, ...] = (0, 1, 2)) -> None:
    for component in components:
        fill(windows, component, position, npts)
    for component in {0, 1, 2} - set(components):
        windows.settle(component, position + npts)


def take_all(windows: WindowCutter, most: int = 7) -> list[WindowBlock]:
    blocks: list[WindowBlock] = []
    while block := windows.take(most):
        blocks.append(block)
    return blocks


def starts(blocks: list[WindowBlock], stride: int) -> list[int]:
    return [(block.number + index) * stride - BASE for block in blocks for index in range(block.count)]


@pytest.mark.parametrize(("npts", "count"), [(399, 0), (400, 1), (409, 1), (410, 2), (420, 3)])
def test_exactly_the_width_gives_one_window(npts: int, count: int) -> None:
    windows = cutter()
    whole(windows, BASE, npts)
    assert starts(take_all(windows), 10) == [10 * index for index in range(count)]
    assert (windows.windows, windows.skipped) == (count, 0)


@pytest.mark.parametrize("join", [0, 1, 9, 10, 11])
def test_windows_stand_where_they_stand_wherever_the_stream_was_joined(join: int) -> None:
    windows = cutter()
    whole(windows, BASE + join, 1000 - join)
    first = -(-join // 10) * 10
    assert starts(take_all(windows), 10) == list(range(first, 601, 10))


@given(stride=st.integers(1, 1000), join=st.integers(0, 2000), npts=st.integers(0, 3000), most=st.integers(1, 50))
def test_windows_are_all_multiples_of_the_stride_that_lie_in_the_run(
    stride: int, join: int, npts: int, most: int
) -> None:
    windows = cutter(stride=stride)
    whole(windows, BASE + join, npts)
    wanted = [at for at in range(BASE + join, BASE + join + npts - WIDTH + 1) if at % stride == 0]
    assert starts(take_all(windows, most), stride) == [at - BASE for at in wanted]


def test_samples_of_a_block_are_those_of_its_positions() -> None:
    windows = cutter()
    whole(windows, BASE + 5, 1000)
    for block in take_all(windows):
        span = np.arange(block.samples.shape[1]) + block.number * 10 - BASE
        np.testing.assert_array_equal(block.samples, span + np.array([[0], [100_000], [200_000]]))
        assert block.samples.shape[1] == WIDTH + 10 * (block.count - 1)
        assert block.clock.time_ns(block.number * 10) == block.number * 10 * 10_000_000


def test_no_window_before_every_component_is_settled() -> None:
    windows = cutter()
    fill(windows, 2, BASE, 1000)
    assert (windows.ready, windows.take(10)) == (0, None)
    windows.settle(0, BASE + 500)
    assert (windows.ready, windows.take(10)) == (0, None)
    fill(windows, 1, BASE, 405)
    assert windows.ready == 1
    assert starts(take_all(windows), 10) == [0]


@pytest.mark.parametrize("components", [(2,), (0, 2), (1, 2)])
def test_missing_components_are_zeros(components: tuple[int, ...]) -> None:
    windows = cutter()
    whole(windows, BASE, 1000, components)
    blocks = take_all(windows)
    assert len(starts(blocks, 10)) == 61
    for component in range(3):
        assert all(block.samples[component].any() == (component in components) for block in blocks)


def test_without_a_required_component_no_window_is_used() -> None:
    windows = cutter()
    whole(windows, BASE, 1000, (0, 1))
    assert take_all(windows) == []
    assert (windows.windows, windows.skipped) == (0, 61)


def test_where_the_rule_is_refuse_every_component_must_be_whole() -> None:
    windows = cutter(missing="refuse", required=())
    fill(windows, 0, BASE, 1000)
    fill(windows, 1, BASE, 700)
    fill(windows, 2, BASE, 1000)
    windows.settle(1, BASE + 1000)
    assert starts(take_all(windows), 10) == list(range(0, 301, 10))
    assert windows.skipped == 30


def test_windows_that_touch_a_gap_are_skipped_even_in_a_component_that_may_be_missing() -> None:
    windows = cutter()
    for component in (1, 2):
        fill(windows, component, BASE, 2000)
    fill(windows, 0, BASE, 600)
    fill(windows, 0, BASE + 601, 1399)
    assert starts(take_all(windows), 10) == [*range(0, 201, 10), *range(610, 1601, 10)]
    assert windows.skipped == 40


def test_a_component_that_dies_is_zeros_once_no_window_touches_it() -> None:
    windows = cutter()
    for component in (1, 2):
        fill(windows, component, BASE, 2000)
    fill(windows, 0, BASE, 605)
    windows.settle(0, BASE + 2000)
    assert starts(take_all(windows), 10) == [*range(0, 201, 10), *range(610, 1601, 10)]


def test_a_gap_breaks_the_block() -> None:
    windows = cutter()
    whole(windows, BASE, 600)
    whole(windows, BASE + 700, 600)
    blocks = take_all(windows, most=1000)
    assert [(block.number * 10 - BASE, block.count) for block in blocks] == [(0, 21), (700, 21)]


def test_blocks_do_not_span_two_clocks_where_windows_have_no_sample_in_common() -> None:
    windows = cutter(stride=400)
    for component in range(3):
        fill(windows, component, BASE, 800)
        run = windows.restart(component, BASE + 800, (BASE + 800) * 10_000_000 + 3_000_000, rate=RATE)
        run.append(np.zeros(800, np.float32))
    blocks = take_all(windows, most=1000)
    assert [block.count for block in blocks] == [2, 2]
    assert [block.clock.time_ns(block.number * 400) % 10_000_000 for block in blocks] == [0, 3_000_000]


@pytest.mark.parametrize("later", [(0, 1, 2), (1, 2), ()])
def test_a_gap_of_ten_years_costs_nothing(later: tuple[int, ...]) -> None:
    windows = cutter()
    ten_years = 10 * 365 * 86_400 * 100
    whole(windows, BASE, 1000)
    began = time.perf_counter()
    assert len(starts(take_all(windows), 10)) == 61
    for component in later:
        fill(windows, component, BASE + ten_years, 1000)
    for component in range(3):
        windows.settle(component, BASE + ten_years + 1000)
    assert len(starts(take_all(windows), 10)) == (61 if later else 0)
    assert time.perf_counter() - began < 1
    assert windows.windows + windows.skipped == ten_years // 10 + 61


def test_runs_that_overlap_after_resampling_are_put_behind_each_other() -> None:
    windows = cutter()
    fill(windows, 2, BASE, 600)
    assert begin(windows, 2, BASE + 599).start == BASE + 600


def test_memory_does_not_grow_with_the_stream() -> None:
    windows = cutter()
    runs = [begin(windows, component, BASE) for component in range(3)]
    for _ in range(500):
        for run in runs:
            run.append(np.zeros(400, np.float32))
        take_all(windows, 128)
    assert max(run._data.size for run in runs) <= 8192
    assert windows.windows == (500 * 400 - WIDTH) // 10 + 1


def test_runs_behind_the_next_window_are_dropped() -> None:
    windows = cutter()
    for k in range(300):
        whole(windows, BASE + 500 * k, 450)
        take_all(windows)
    assert max(len(runs) for runs in windows._runs) <= 2


@settings(max_examples=60)
@given(
    pieces=st.lists(st.tuples(st.integers(0, 300), st.integers(1, 1500)), min_size=1, max_size=5),
    stride=st.sampled_from([1, 10, 399, 400, 401, 700]),
    most=st.integers(1, 200),
)
def test_windows_of_gappy_streams_equal_the_slow_reference(
    pieces: list[tuple[int, int]], stride: int, most: int
) -> None:
    """One component in pieces (gap before it, length); a window is used when one piece has all its samples."""
    windows = cutter(stride=stride)
    spans: list[tuple[int, int]] = []
    end = BASE
    for gap, npts in pieces:
        spans.append((end + gap, end + gap + npts))
        fill(windows, 2, end + gap, npts)
        end += gap + npts
    for component in (0, 1):
        windows.settle(component, end)
    first = -(-spans[0][0] // stride) * stride
    looked_at = range(first, end - WIDTH + 1, stride)
    wanted = [at for at in looked_at if any(start <= at and at + WIDTH <= stop for start, stop in spans)]
    assert starts(take_all(windows, most), stride) == [at - BASE for at in wanted]
    assert windows.skipped == len(looked_at) - len(wanted)


def test_components_of_the_recipe_are_what_these_tests_take_them_for() -> None:
    assert SEISMO_PERFORMER.components == Components(("N", "E", "Z"), {"1": "N", "2": "E", "3": "Z"}, ("Z",), "zeros")
