"""Runs of windows that hold an event become detections; the state machine equals a slow reference."""

from __future__ import annotations

import itertools
from fractions import Fraction

import artefacts
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisedge.edge import ManifestError, StationId
from seisedge.edge.detections import DETECTION_FIELDS, Detection, EventDetector
from seisedge.edge.manifest import Output, Postprocess, Threshold
from seisedge.edge.runs import Clock

Float32 = npt.NDArray[np.float32]
STATION = StationId("XX", "TEST", "", "HH")
STRIDE, WIDTH, SAMPLE_NS = 100, 400, 10_000_000
CLOCK = Clock(0, 0, Fraction(100))
LABELS = ("no event", "region 1", "region 2")
THRESHOLDS = {"region 1": Threshold(0.6, 0.3), "region 2": Threshold(0.8, 0.5)}
MANIFEST = artefacts.tiny_manifest(
    task="event_detection",
    outputs=(Output("probability", "class_probability", LABELS, None, None),),
    postprocess=Postprocess(THRESHOLDS, 0.0, "peak", (0, 0)),
)


def detector() -> EventDetector:
    return EventDetector(MANIFEST, STATION, model_digest="d", thresholds=THRESHOLDS, stride=STRIDE)


def detect(rows: Float32, cuts: list[int], number: int = 0) -> list[Detection]:
    each, found = detector(), list[Detection]()
    edges = sorted({0, len(rows), *(cut for cut in cuts if cut < len(rows))})
    for start, stop in itertools.pairwise(edges):
        found += each.push(number + start, CLOCK, rows[start:stop])
    return found + each.finish()


def naive(rows: Float32) -> list[tuple[int, int, str, float]]:
    """(first window, last window, label, probability) of every run."""
    found: list[tuple[int, int, str, float]] = []
    index = 0
    while index < len(rows):
        sums = [float(row[1:].sum()) for row in rows]
        best = [LABELS[1 + int(row[1:].argmax())] for row in rows]
        if not sums[index] >= THRESHOLDS[best[index]].on:
            index += 1
            continue
        stop = index
        while stop < len(rows) and sums[stop] >= THRESHOLDS[best[stop]].off:
            stop += 1
        peak = max(range(index, stop), key=lambda place: sums[place])
        found.append((index, stop - 1, best[peak], min(sums[peak], 1.0)))
        index = max(stop, index + 1)
    return found


def rows_of(*regions: tuple[float, float]) -> Float32:
    return np.array([(1 - sum(each), *each) for each in regions], np.float32)


def test_a_run_is_one_detection_from_its_first_window_to_the_end_of_its_last() -> None:
    rows = rows_of((0.1, 0.1), (0.7, 0.0), (0.2, 0.75), (0.35, 0.0), (0.2, 0.05), (0.1, 0.1))
    (found,) = detect(rows, [])
    assert (found.time_ns, found.endtime_ns) == (100 * SAMPLE_NS, (300 + WIDTH) * SAMPLE_NS)
    assert found.label == "region 2"
    assert found.probability == pytest.approx(0.95)


@given(
    seed=st.integers(0, 2**32),
    count=st.integers(1, 40),
    cuts=st.lists(st.integers(0, 40)),
    number=st.sampled_from([0, 10**9]),
)
def test_any_batching_gives_the_slow_detections(seed: int, count: int, cuts: list[int], number: int) -> None:
    rows = np.random.default_rng(seed).dirichlet((0.5, 0.5, 0.5), count).astype(np.float32)
    found = detect(rows, cuts, number)
    wanted = naive(rows)
    origin = number * STRIDE
    assert [(each.label, each.probability) for each in found] == [each[2:] for each in wanted]
    assert [each.time_ns for each in found] == [(origin + each[0] * STRIDE) * SAMPLE_NS for each in wanted]
    assert [each.endtime_ns for each in found] == [(origin + each[1] * STRIDE + WIDTH) * SAMPLE_NS for each in wanted]


def test_a_break_closes_a_run() -> None:
    each = detector()
    high = rows_of((0.9, 0.0))
    assert each.push(0, CLOCK, high) == []
    (first,) = each.push(2, CLOCK, high)
    (second,) = each.finish()
    assert (first.time_ns, second.time_ns) == (0, 200 * SAMPLE_NS)
    assert first.id != second.id
    assert each.finish() == []


def test_a_probability_that_is_no_number_is_no_event() -> None:
    nothing = np.full((3, 3), np.nan, np.float32)
    assert detect(nothing, []) == []
    (found,) = detect(np.concatenate((rows_of((0.9, 0.0)), nothing)), [])
    assert found.endtime_ns == WIDTH * SAMPLE_NS


def test_a_sum_of_rounded_numbers_is_no_more_than_one() -> None:
    (found,) = detect(np.array([[0, 0.5000001, 0.5000001]], np.float32), [])
    assert found.probability == 1.0


def test_a_row_has_the_public_names() -> None:
    (found,) = detect(rows_of((0.9, 0.0)), [])
    row = found.as_row()
    assert tuple(row) == DETECTION_FIELDS
    assert (row["label"], row["time"]) == ("region 1", "1970-01-01T00:00:00.000000Z")
    assert row["endtime"] == "1970-01-01T00:00:04.000000Z"


def test_a_model_without_events_is_refused() -> None:
    with pytest.raises(ManifestError, match="found no class that is an event, wanted at least one"):
        EventDetector(MANIFEST, STATION, model_digest="d", thresholds={}, stride=STRIDE)
