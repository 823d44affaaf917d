"""Picks from values per sample: offsets around the peak, gaps, and the same bits however the windows come."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import replace
from fractions import Fraction
from typing import Literal

import artefacts
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisedge.edge import ManifestError, Pick, StationId, UsageError
from seisedge.edge.manifest import Manifest, Output, Postprocess, Threshold
from seisedge.edge.runs import Clock
from seisedge.edge.sample_picks import SamplePicker

Float32 = npt.NDArray[np.float32]
WIDTH, STRIDE = 60, 20
BLINDING = (12, 8)
STATION = StationId("XX", "TEST", "", "HH")
CLOCK = Clock(0, 0, Fraction(10))
SAMPLE_NS = 100_000_000


def manifest(*, pick_time: Literal["offset", "peak"] = "offset", separation_s: float = 0.0) -> Manifest:
    probability = Output("probability", "sample_probability", ("noise", "P", "S"), None, None)
    offset = Output("offset", "time_offset", ("S", "P"), None, 20.0)
    outputs = (probability, offset) if pick_time == "offset" else (probability,)
    thresholds = {"P": Threshold(0.8, 0.8), "S": Threshold(0.8, 0.5)}
    return artefacts.tiny_manifest(
        task="phase_picking",
        sampling_rate=10.0,
        window_samples=WIDTH,
        steps=(),
        stride_samples=STRIDE,
        outputs=outputs,
        postprocess=Postprocess(thresholds, separation_s, pick_time, BLINDING),
    )


def picker(of: Manifest, stride: int = STRIDE) -> SamplePicker:
    return SamplePicker(of, STATION, model_digest="d", thresholds=of.postprocess.thresholds, stride=stride)


def windows_of(track: Float32, count: int, stride: int = STRIDE) -> Float32:
    return np.stack([track[index * stride : index * stride + WIDTH] for index in range(count)])


def track_of(peaks: dict[int, float], npts: int, column: int = 1) -> Float32:
    """Probability of P: triangles of five samples around each peak."""
    track = np.zeros((npts, 3), np.float32)
    for place, height in peaks.items():
        for k in range(-2, 3):
            if 0 <= place + k < npts:
                track[place + k, column] = height - 0.05 * abs(k)
    return track


def run(of: Manifest, outputs: list[Float32], cuts: list[int], number: int = 0, clock: Clock = CLOCK) -> list[Pick]:
    each = picker(of)
    count = len(outputs[0])
    edges = sorted({0, count, *(cut for cut in cuts if cut < count)})
    picks: list[Pick] = []
    for start, stop in itertools.pairwise(edges):
        picks += each.push(number + start, clock, [output[start:stop] for output in outputs])
    return picks + each.finish()


def naive_onset(offsets: Float32, peak: int) -> tuple[float, float]:
    """The documented mean over [peak - 5, peak + 5), and the standard deviation, with what there is of the samples."""
    around = range(max(0, peak - 5), min(len(offsets), peak + 5))
    places = np.array([j + 20.0 * float(offsets[j]) for j in around])
    return float(places.mean()), float(places.std())


@pytest.mark.parametrize("peak", [0, 3, 11, 45, 90, 157, 159])
def test_an_onset_is_the_mean_of_what_the_samples_around_the_peak_say(peak: int) -> None:
    npts = 5 * STRIDE + WIDTH
    track = track_of({peak: 0.95}, npts)
    offsets = np.random.default_rng(peak).uniform(-1, 1, (npts, 2)).astype(np.float32)
    outputs = [windows_of(track, 6), windows_of(offsets, 6)]
    (pick,) = run(manifest(), outputs, [])
    place, spread = naive_onset(offsets[:, 1], peak)  # P is the second label of the offsets
    assert abs(pick.time_ns - place * SAMPLE_NS) <= 1000
    assert pick.time_uncertainty_s == pytest.approx(spread / 10)
    assert pick.phase_hint == "P"
    assert pick.probability == pytest.approx(0.95)


def test_a_true_offset_puts_every_sample_at_the_onset() -> None:
    """The label falls from +1 to -1 over the 40 samples around the onset."""
    npts, onset = 5 * STRIDE + WIDTH, 83.3
    offsets = np.zeros((npts, 2), np.float32)
    offsets[:, 1] = (onset - np.arange(npts)) / 20.0
    (pick,) = run(manifest(), [windows_of(track_of({80: 0.9}, npts), 6), windows_of(offsets, 6)], [])
    assert abs(pick.time_ns - onset * SAMPLE_NS) < 1000
    assert pick.time_uncertainty_s == pytest.approx(0, abs=1e-5)


def test_the_last_samples_are_picked_though_no_window_overlaps_them() -> None:
    of = manifest()
    of = replace(of, postprocess=replace(of.postprocess, blinding_samples=(0, 0)))
    each = picker(of, WIDTH)
    outputs = [windows_of(track_of({WIDTH - 2: 0.9}, WIDTH), 1), np.zeros((1, WIDTH, 2), np.float32)]
    assert each.push(0, CLOCK, outputs) == []
    (pending,), (pick,) = each.pending(), each.finish()
    assert pending == pick
    assert pick.time_ns == pytest.approx((WIDTH - 2) * SAMPLE_NS, abs=5 * SAMPLE_NS)


def test_without_offsets_the_pick_stands_at_the_peak() -> None:
    npts = 5 * STRIDE + WIDTH
    (pick,) = run(manifest(pick_time="peak"), [windows_of(track_of({77: 0.9}, npts), 6)], [])
    assert (pick.time_ns, pick.time_uncertainty_s) == (77 * SAMPLE_NS, None)


def test_the_separation_is_that_of_the_peaks() -> None:
    """Two peaks 3 s apart: with 2 s both stay though offsets bring them together, with 4 s one, though apart."""
    npts = 5 * STRIDE + WIDTH
    track = track_of({70: 0.9, 100: 0.95}, npts)
    offsets = np.zeros((npts, 2), np.float32)
    offsets[60:80, 1], offsets[90:110, 1] = 0.7, -0.7
    together = [windows_of(track, 6), windows_of(offsets, 6)]
    assert len(run(manifest(separation_s=2.0), together, [])) == 2
    apart = [windows_of(track, 6), windows_of(-offsets, 6)]
    (best,) = run(manifest(separation_s=4.0), apart, [])
    assert best.probability == pytest.approx(0.95)


@given(
    seed=st.integers(0, 2**32),
    count=st.integers(1, 12),
    cuts=st.lists(st.integers(0, 12)),
    number=st.sampled_from([0, 3, 8 * 10**8]),
    pick_time=st.sampled_from(["offset", "peak"]),
)
def test_any_batching_gives_the_same_picks_to_the_bit(
    seed: int, count: int, cuts: list[int], number: int, pick_time: Literal["offset", "peak"]
) -> None:
    rng = np.random.default_rng(seed)
    # Windows that do not agree about their common samples, as those of a network do not.
    probability = (rng.random((count, WIDTH, 3)) ** 0.2).astype(np.float32)
    offset = rng.uniform(-1, 1, (count, WIDTH, 2)).astype(np.float32)
    outputs = [probability, offset] if pick_time == "offset" else [probability]
    clock = Clock(number * STRIDE, 123, Fraction(10), ((number * STRIDE + 33, 7_000),))
    wanted = run(manifest(pick_time=pick_time), outputs, [], number, clock)
    assert wanted
    assert run(manifest(pick_time=pick_time), outputs, cuts, number, clock) == wanted


def test_a_break_closes_what_is_open_and_mixes_nothing() -> None:
    npts = WIDTH
    offsets = np.zeros((1, npts, 2), np.float32)
    track = track_of({58: 0.9}, npts)[np.newaxis]
    each = picker(manifest())
    assert each.push(0, CLOCK, [track, offsets]) == []
    (pick,) = each.push(5, CLOCK, [np.zeros_like(track), offsets])
    assert pick.time_ns == round((naive_onset(offsets[0, :, 1], 58)[0]) * SAMPLE_NS)
    assert each.finish() == []
    assert each.finish() == []


def test_little_is_kept_however_long_the_stream() -> None:
    each = picker(manifest())
    outputs = [np.zeros((50, WIDTH, 3), np.float32), np.zeros((50, WIDTH, 2), np.float32)]
    for block in range(20):
        each.push(50 * block, CLOCK, outputs)
        assert len(vars(each)["_rows"]) <= 9


def test_a_stride_that_leaves_samples_out_and_another_model_are_refused() -> None:
    with pytest.raises(UsageError, match="stride: found 41, wanted at most 40 for model tiny"):
        picker(manifest(), stride=41)
    with pytest.raises(ManifestError, match="found output class_probability, wanted sample_probability"):
        picker(dataclasses.replace(artefacts.tiny_manifest()))
