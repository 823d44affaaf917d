"""`pending` gives what there would be if the windows ended here, changes nothing, and names it as the final result."""

from __future__ import annotations

from fractions import Fraction

import artefacts
import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from seisedge.edge.classify import ClassPicker
from seisedge.edge.manifest import Threshold
from seisedge.edge.picks import StationId
from seisedge.edge.runs import Clock
from seisedge.edge.tracker import Onset, PickTracker

MANIFEST = artefacts.tiny_manifest()
CLOCK = Clock(0, 0, Fraction(100))
LEVELS = st.lists(st.sampled_from([0.0, 0.4, 0.6, 0.85, 0.9, 1.0]), max_size=60)


def picker() -> ClassPicker:
    return ClassPicker(
        MANIFEST,
        StationId("XX", "TEST", "", "HH"),
        model_digest="d" * 64,
        thresholds=MANIFEST.postprocess.thresholds,
        stride=10,
    )


def rows(values: list[float]) -> npt.NDArray[np.float32]:
    return np.array([[value, 0.0, 1 - value] for value in values], np.float32).reshape(-1, 3)


@given(values=LEVELS)
def test_pending_is_what_finish_gives_and_changes_nothing(values: list[float]) -> None:
    looking, blind = picker(), picker()
    for number, row in enumerate(rows(values)):
        assert looking.push(number, CLOCK, row[np.newaxis]) == blind.push(number, CLOCK, row[np.newaxis])
        ended = picker()
        for index in range(number + 1):
            ended.push(index, CLOCK, rows(values)[index][np.newaxis])
        assert looking.pending() == ended.finish()
    assert looking.finish() == blind.finish()


@given(values=LEVELS)
def test_every_onset_was_pending_under_its_opening_time(values: list[float]) -> None:
    tracker = PickTracker(Threshold(0.8, 0.5), minimum_separation_ns=500, centroid=False)
    pending: set[int] = set()
    closed: list[Onset] = []
    for number, value in enumerate(values):
        if found := tracker.push(np.array([value]), [number * 100].__getitem__):
            closed += [onset for _, onset in found]
        pending |= {each.opened_ns for each in tracker.fork().finish()}
    closed += tracker.finish()
    assert {each.opened_ns for each in closed} <= pending
    assert len({each.opened_ns for each in closed}) == len(closed)
