"""`SamplePicker.pending` and `Stitcher.rest` at any moment: what an end there would give, and nothing changes by it."""

from __future__ import annotations

import copy
from fractions import Fraction
from typing import Literal

import artefacts
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisedge.edge import Pick, StationId
from seisedge.edge.manifest import Manifest, Output, Postprocess, Threshold
from seisedge.edge.runs import Clock
from seisedge.edge.sample_picks import SamplePicker
from seisedge.edge.stitch import Stitcher, Stretch

Float32 = npt.NDArray[np.float32]
WIDTH, COLUMNS = 40, 3
CLOCK = Clock(0, 0, Fraction(10))
THRESHOLDS = {"P": Threshold(0.7, 0.5), "S": Threshold(0.8, 0.6)}

FEEDS = st.lists(st.tuples(st.integers(1, 3), st.sampled_from([0, 0, 0, 1, 40])), min_size=1, max_size=6)
"""Blocks of windows: how many, and how many are missing before them."""
STRIDES = st.sampled_from([5, 10, 20])
BLINDINGS = st.sampled_from([(0, 0), (6, 0), (0, 6), (8, 5)])
SEEDS = st.integers(0, 1 << 16)


def manifest(blinding: tuple[int, int], pick_time: Literal["offset", "peak"]) -> Manifest:
    probability = Output("probability", "sample_probability", ("noise", "P", "S"), None, None)
    offset = Output("offset", "time_offset", ("P", "S"), None, 20.0)
    return artefacts.tiny_manifest(
        task="phase_picking",
        sampling_rate=10.0,
        window_samples=WIDTH,
        steps=(),
        stride_samples=10,
        outputs=(probability, offset) if pick_time == "offset" else (probability,),
        postprocess=Postprocess(THRESHOLDS, 0.5, pick_time, blinding),
    )


def blocks(feed: list[tuple[int, int]], seed: int) -> list[tuple[int, list[Float32]]]:
    """Outputs that cross the thresholds often, and differ from window to window."""
    rng = np.random.default_rng(seed)
    found: list[tuple[int, list[Float32]]] = []
    number = 0
    for count, missing in feed:
        number += missing
        probability = rng.choice([0.1, 0.6, 0.9, 1.0], (count, WIDTH, COLUMNS)).astype(np.float32)
        found.append((number, [probability, rng.normal(0, 0.1, (count, WIDTH, 2)).astype(np.float32)]))
        number += count
    return found


def ended(picker: SamplePicker) -> list[Pick]:
    """What `finish` gives on a deep copy, at whose end the network has no say where only blinded edges see it."""
    other = copy.deepcopy(picker)
    tail = vars(vars(other)["_stitcher"])["_tail"]  # the documented difference between pending and the end
    tail[:] = 0
    return other.finish()


@pytest.mark.parametrize("pick_time", ["offset", "peak"])
@settings(deadline=None, max_examples=40)
@given(feed=FEEDS, stride=STRIDES, blinding=BLINDINGS, seed=SEEDS)
def test_pending_is_the_end_of_a_copy_and_changes_no_later_pick(
    pick_time: Literal["offset", "peak"],
    feed: list[tuple[int, int]],
    stride: int,
    blinding: tuple[int, int],
    seed: int,
) -> None:
    of = manifest(blinding, pick_time)
    station = StationId("XX", "TEST", "", "HH")
    looking, blind = (
        SamplePicker(of, station, model_digest="d", thresholds=THRESHOLDS, stride=stride) for _ in range(2)
    )
    outputs = 2 if pick_time == "offset" else 1
    assert looking.pending() == []
    for number, arrays in blocks(feed, seed):
        assert looking.push(number, CLOCK, arrays[:outputs]) == blind.push(number, CLOCK, arrays[:outputs])
        pending = looking.pending()
        assert pending == looking.pending() == ended(blind)
        if not blinding[1]:
            assert pending == copy.deepcopy(blind).finish()
    assert looking.finish() == blind.finish()
    assert looking.pending() == []


@settings(deadline=None, max_examples=40)
@given(feed=FEEDS, stride=STRIDES, blinding=BLINDINGS, seed=SEEDS)
def test_what_waits_can_be_looked_at(
    feed: list[tuple[int, int]], stride: int, blinding: tuple[int, int], seed: int
) -> None:
    looked_at, alone = (Stitcher(width=WIDTH, stride=stride, blinding=blinding, columns=COLUMNS) for _ in range(2))
    assert looked_at.rest() == []
    for number, (probability, _) in blocks(feed, seed):
        assert equal(looked_at.push(number, probability), alone.push(number, probability))
        (rest,), (wanted,) = looked_at.rest(), copy.deepcopy(alone).finish()
        wanted.values[len(wanted.values) - blinding[1] :] = 0
        assert equal([rest], [wanted])
        rest.values[:] = 9  # a copy
    assert equal(looked_at.finish(), alone.finish())


def equal(found: list[Stretch], wanted: list[Stretch]) -> bool:
    """Whether two lists of stretches are the same bits."""
    return [(each.start, each.values.tobytes()) for each in found] == [
        (each.start, each.values.tobytes()) for each in wanted
    ]
