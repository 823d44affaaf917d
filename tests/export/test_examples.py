"""Training examples: targets stand where the onsets stand, masks hide what is unknown, draws can be repeated."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisedge.edge.manifest import Manifest
from seisedge.export.errors import TrainingDataError
from seisedge.export.examples import ExampleMaker
from seisedge.export.objectives import objective_of
from seisedge.export.recipe import with_window
from seisedge.export.records import Kind, Record
from seisedge.export.registry import find
from seisedge.export.train_job import draft_manifest
from seisedge.export.train_options import ExampleOptions

WIDTH = 1024
PLAIN = ExampleOptions(
    shares=(1.0, 0.0, 0.0, 0.0, 0.0),
    stretch=0,
    superpose_event=0,
    superpose_noise=0,
    white_noise=0,
    turn=0,
    drop_horizontals=0,
    drop_one=0,
    swap=0,
    clip=0,
    coarse_counts=0,
    narrow_band=0,
    glitch=0,
    burst=0,
    starts_late=0,
)
"""Nothing is changed but the polarities."""


def _event(npts: int = 4000, place: int = 2000) -> Record:
    """Silence, from the P on ones, from the S on twos."""
    samples = np.zeros((3, npts), np.float32)
    samples[:, place:] = 1
    samples[:, place + 300 :] = 2
    return Record("event", "event", samples, (("P", float(place)), ("S", float(place + 300))))


NOISE = Record("noise", "noise", np.random.default_rng(5).standard_normal((3, 3000)).astype(np.float32))
MANIFEST: Manifest = with_window(draft_manifest(find("edge-picker")), WIDTH)
BUSY = dataclasses.replace(_event(), id="busy", kind="continuous", unknown=((None, 500.0, 700.0),))


def _maker(options: ExampleOptions, *records: Record) -> ExampleMaker:
    objective = objective_of(MANIFEST, options)
    drawn = (*records, NOISE) if records else (_event(), NOISE, BUSY)
    return ExampleMaker(drawn, options, objective, width=WIDTH, rate=100.0, vertical=0)


def test_a_target_peaks_at_the_onset() -> None:
    samples, targets, _ = _maker(PLAIN).batch(40, np.random.default_rng(0))
    for x, target in zip(np.abs(samples), targets, strict=True):
        for level, row in ((1, target[0]), (2, target[1])):
            if x.max() >= level > x[0, 0]:  # the onset lies inside
                assert abs(int(row.argmax()) - int(np.argmax(x[0] >= level))) <= 0
                assert row.max() == pytest.approx(1, abs=1e-6)


def test_a_stretched_example_keeps_its_onsets() -> None:
    samples, targets, _ = _maker(dataclasses.replace(PLAIN, stretch=1.0)).batch(40, np.random.default_rng(1))
    checked = 0
    for x, target in zip(np.abs(samples), targets, strict=True):
        if x[0, 0] < 0.5 <= x[0].max() and target[0].max() > 0.9:
            assert abs(int(target[0].argmax()) - int(np.argmax(x[0] >= 0.5))) <= 1
            checked += 1
    assert checked > 10


def test_what_is_unknown_has_no_weight_and_what_is_known_has() -> None:
    record = dataclasses.replace(_event(), unknown=((None, 1900.0, 2100.0), ("S", 2500.0, 4000.0)))
    _, targets, weights = _maker(PLAIN, record).batch(30, np.random.default_rng(2))
    for target, weight in zip(targets, weights, strict=True):
        at = int(target[0].argmax())
        if 150 < at < WIDTH - 150 and target[0].max() > 0.99:
            assert weight[0, at] == 1  # the P itself
            assert weight[0, at - 80] == weight[1, at - 80] == 0
            assert weight[0, at - 120] == 1
            if at + 700 < WIDTH:
                assert weight[1, at + 600] == 0
                assert weight[0, at + 600] == 1


def test_a_record_that_is_too_short_stands_in_silence() -> None:
    short = _event(npts=500, place=200)
    samples, targets, _ = _maker(PLAIN, short).batch(10, np.random.default_rng(3))
    assert all(np.count_nonzero(each[0]) == 300 for each in samples)
    assert all(target[0].max() > 0.99 for target in targets)


def test_the_vertical_alone_is_left_when_the_horizontals_are_dropped() -> None:
    samples, _, _ = _maker(dataclasses.replace(PLAIN, drop_horizontals=1.0)).batch(10, np.random.default_rng(4))
    assert not samples[:, 1:].any()
    assert samples[:, 0].any()


def test_false_picks_are_drawn_again() -> None:
    maker = _maker(dataclasses.replace(PLAIN, shares=(0, 0, 0, 0, 1.0)))
    marked = dataclasses.replace(NOISE, samples=np.zeros((3, 5000), np.float32))
    marked.samples[:, 2500] = 9
    maker.false_picks = [(marked, 2500)]
    samples, targets, _ = maker.batch(10, np.random.default_rng(6))
    assert (np.abs(samples).max(axis=(1, 2)) == 9).all()
    assert not targets.any()


@given(seed=st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_every_example_is_finite_and_can_be_drawn_again(seed: int) -> None:
    first, second = (_maker(ExampleOptions()).batch(6, np.random.default_rng(seed)) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    samples, targets, weights = first
    assert samples.shape == (6, 3, WIDTH)
    assert targets.shape == weights.shape == (6, 2, WIDTH)
    assert all(np.isfinite(each).all() for each in first)
    assert targets.min() >= 0
    assert targets.max() <= 1


def test_drawing_leaves_the_records_alone() -> None:
    records = (_event(), NOISE, BUSY)
    before = [each.samples.copy() for each in records]
    _maker(ExampleOptions(), *records).batch(60, np.random.default_rng(7))
    for record, kept in zip(records, before, strict=True):
        np.testing.assert_array_equal(record.samples, kept)


def test_a_burst_leaves_arrivals_alone() -> None:
    """Something is added, but an onset stays the step that it is."""
    samples, targets, _ = _maker(dataclasses.replace(PLAIN, burst=1.0)).batch(60, np.random.default_rng(8))
    shapes = [np.unique(np.abs(each)).size for each in samples]
    assert max(shapes) > 3  # silence, ones and twos without
    for x, target in zip(np.abs(samples), targets, strict=True):
        at = int(target[0].argmax())
        if at and target[0, at] > 0.99:
            np.testing.assert_allclose(x[:, at - 1 : at + 1], [[0, 1]] * 3, atol=0.3)


def test_targets_are_as_wide_as_their_phase_is_known() -> None:
    options = dataclasses.replace(PLAIN, label_widths_s={"P": 0.05, "S": 0.2})
    _, targets, _ = _maker(options).batch(40, np.random.default_rng(9))
    whole = [each for each in targets if (each.max(axis=1) > 0.999).all() and not each[:, [0, -1]].any()]
    assert whole
    for target in whole:
        p, s = ((row >= np.exp(-0.5)).sum() for row in target)
        assert (p, s) == (11, 41)


def test_records_without_arrivals_are_refused() -> None:
    with pytest.raises(TrainingDataError, match="found no arrival to learn in 1, wanted some"):
        ExampleMaker((NOISE,), PLAIN, objective_of(MANIFEST, PLAIN), width=WIDTH, rate=100.0, vertical=0)


def _small(npts: int, *, station: str, level: float, kind: Kind = "noise") -> Record:
    samples = level * np.random.default_rng(npts).standard_normal((3, npts)).astype(np.float32)
    return Record(f"{station}{npts}", kind, samples, station=station)


def test_a_short_record_is_laid_into_noise_of_its_station_as_loud_as_its_own() -> None:
    event = dataclasses.replace(_small(300, station="XX.A", level=5), kind="event", arrivals=(("P", 150.0),))
    event.samples[:, 150:] *= 30
    own = _small(400, station="XX.A", level=1)
    own.samples[:] = np.tile((1.0, -1.0, 0.5, -0.5), 100)  # is told by its few values
    other = _small(500, station="XX.B", level=100)
    options = dataclasses.replace(PLAIN, embed=1.0)
    maker = ExampleMaker(
        (event, own, other), options, objective_of(MANIFEST, options), width=WIDTH, rate=100.0, vertical=0
    )
    samples, targets, _ = maker.batch(30, np.random.default_rng(0))
    places = set()
    for x, target in zip(samples, targets, strict=True):
        assert x.all()  # no silence is left
        steps, counts = np.unique(x[0].round(4), return_counts=True)
        assert np.sort(counts)[-4:].sum() > WIDTH - 310
        assert 4 < np.ptp(steps[counts > 100]) < 16
        at = int(target[0].argmax())
        places.add(at // 100)
        if target[0].max() > 0.99 and 160 < at < WIDTH - 160:
            assert np.abs(x[0, at + 1 : at + 100]).mean() > 10 * np.abs(x[0, at - 100 : at]).mean()
    assert len(places) > 5  # an arrival stands anywhere


def test_arrivals_of_the_bed_come_along() -> None:
    event = Record("e", "event", np.ones((3, 200), np.float32), (("P", 100.0),), station="XX.A")
    event.samples[:, ::2] = -1
    bed = dataclasses.replace(_event(6000, 3000), kind="continuous", arrivals=(("P", 3000.0), ("S", 3300.0)))
    bed.samples[:] += np.random.default_rng(1).standard_normal(bed.samples.shape).astype(np.float32) / 50
    options = dataclasses.replace(PLAIN, embed=1.0)
    maker = ExampleMaker((event, bed), options, objective_of(MANIFEST, options), width=WIDTH, rate=100.0, vertical=0)
    _, targets, _ = maker.batch(60, np.random.default_rng(0))
    assert any((target[0] > 0.9).sum() > 15 for target in targets)  # two P
    assert any(target[1].max() > 0.9 for target in targets)


def test_one_component_is_not_dropped() -> None:
    options = dataclasses.replace(PLAIN, drop_horizontals=0.0, drop_one=1.0, swap=1.0, turn=1.0)
    event = _event()
    one = dataclasses.replace(event, samples=event.samples[:1])
    noise = dataclasses.replace(NOISE, samples=NOISE.samples[:1])
    maker = ExampleMaker((one, noise), options, objective_of(MANIFEST, options), width=WIDTH, rate=100.0, vertical=0)
    samples, _, _ = maker.batch(10, np.random.default_rng(0))
    assert samples.any(axis=(1, 2)).all()


def test_a_sensor_that_is_not_levelled_has_an_offset() -> None:
    samples, _, _ = _maker(dataclasses.replace(PLAIN, offset=1.0)).batch(20, np.random.default_rng(0))
    assert (np.abs(samples.mean(axis=2)) > samples.std(axis=2)).any()


def test_a_sensor_that_starts_behind_an_arrival_has_none_to_learn() -> None:
    samples, targets, weights = _maker(dataclasses.replace(PLAIN, starts_late=1.0)).batch(80, np.random.default_rng(6))
    lost = 0
    for x, target, weight in zip(samples, targets, weights, strict=True):
        silent = int(np.argmax(np.any(x != 0, axis=0)))
        assert all(row.max() < 0.99 or row.argmax() >= silent for row in target)
        lost += weight[:, max(silent - 1, 0)].min() == 0
    assert 5 < lost < 75
