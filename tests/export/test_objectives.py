"""Targets, weights and losses by kind of output: chosen by the manifest, and what they say of a crop."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from seisedge.export.crops import Crop
from seisedge.export.event_scores import EventScore
from seisedge.export.held_out import split_records
from seisedge.export.objective_samples import SampleObjective
from seisedge.export.objective_windows import EventObjective, ReferenceObjective
from seisedge.export.objectives import Objective, objective_of
from seisedge.export.records import Record
from seisedge.export.registry import REGISTRY, find
from seisedge.export.train_job import draft_manifest
from seisedge.export.train_options import ExampleOptions, default_options

KINDS = {
    "phase_picking": SampleObjective,
    "phase_classification": ReferenceObjective,
    "event_detection": EventObjective,
}


def _objective(name: str, **changes: object) -> Objective:
    manifest = draft_manifest(find(name))
    options = dataclasses.replace(default_options(manifest).examples, **changes)  # type: ignore[arg-type]  # by the test
    return objective_of(manifest, options)


def _crop(width: int, *arrivals: tuple[str, float], unknown: tuple[str | None, float, float] | None = None) -> Crop:
    return Crop(np.zeros((3, width), np.float32), list(arrivals), [] if unknown is None else [unknown])


@pytest.mark.parametrize("name", [name for name in REGISTRY if name != "source-inversion"])
def test_the_kind_of_output_decides(name: str) -> None:
    assert type(_objective(name)) is KINDS[find(name).recipe.task]


# Values per sample


def test_labels_that_exclude_each_other_sum_to_one() -> None:
    target, weight = _objective("unet-z").target(_crop(3000, ("P", 1000.0), ("S", 1001.5)))
    assert (target.shape, weight.shape) == ((3, 3000), (1, 3000))  # noise, P, S
    np.testing.assert_allclose(target.sum(axis=0), 1, rtol=1e-6)
    assert target[:, 1000].argmax() == 1
    assert target[:, 1002].argmax() == 2
    assert target[0, 1500] == 1


def test_what_is_not_known_of_one_label_is_not_known_of_those_that_exclude_it() -> None:
    _, weight = _objective("unet-z").target(_crop(3000, ("P", 1000.0), unknown=("S", 1010.0, 2000.0)))
    assert weight[0, 999] == 1
    assert not weight[0, 1020:2000].any()
    assert weight[0, 2001:].all()


def test_offsets_lead_to_the_onset_in_the_manifests_unit() -> None:
    """Onset = sample + scale * offset, where the offset counts: P is there, 200 samples of 100 Hz to both sides."""
    target, weight = _objective("unet").target(_crop(3000, ("P", 1000.25), ("S", 1010.0), ("S", 1040.0)))
    assert target.shape == weight.shape == (4, 3000)
    inside = np.flatnonzero(weight[2])
    assert (inside[0], inside[-1]) == (981, 1020)
    np.testing.assert_allclose(inside + 20 * target[2, inside], 1000.25, atol=1e-4)
    assert target[0, inside].all()
    assert not np.delete(target[0], inside).any()
    np.testing.assert_allclose(weight[0], np.where(target[0] > 0, 1, 0.1), rtol=1e-6)
    second = np.flatnonzero(weight[3])
    nearest = np.where(second <= 1025, 1010.0, 1040.0)
    np.testing.assert_allclose(second + 20 * target[3, second], nearest, atol=1e-4)


def test_offsets_are_learnt_where_they_count_alone() -> None:
    objective = _objective("unet")
    target, weight = (torch.from_numpy(each)[None] for each in objective.target(_crop(3000, ("P", 1000.0))))
    found = torch.where(target[:, :2] > 0.5, 20.0, -20.0)
    scores = torch.stack((-found / 2, found / 2), dim=1)
    right = target[:, 2:].clone()
    assert float(objective.loss((scores, right), target, weight)) < 1e-6
    elsewhere = right + (1 - weight[:, 2:]) * 5
    assert float(objective.loss((scores, elsewhere), target, weight)) < 1e-6
    assert float(objective.loss((scores, right + 0.5), target, weight)) > 1e-3


def test_offsets_weigh_as_much_as_labels_where_nothing_is_known_yet() -> None:
    """Upstream's weight is larger still; a fiftieth of this left picks anywhere within the labels' two seconds."""
    objective = _objective("unet")
    crop = _crop(3000, ("P", 300.0), ("S", 400.0))
    target, weight = (torch.from_numpy(each)[None] for each in objective.target(crop))
    nothing = torch.zeros((1, 2, 2, 3000))
    right, zero = target[:, 2:], torch.zeros((1, 2, 3000))
    labels = float(objective.loss((nothing, right), target, weight))
    offsets = float(objective.loss((nothing, zero), target, weight)) - labels
    assert labels / 2 < offsets < labels * 4


# A phase at the reference sample


def test_a_target_peaks_where_the_onset_is_at_the_reference_sample() -> None:
    objective = _objective("seismo-performer")
    at_p, beside, far = (objective.target(_crop(400, ("P", place)))[0] for place in (200.0, 190.0, 80.0))
    np.testing.assert_allclose(at_p, [1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(beside, [np.exp(-0.5), 0, 1 - np.exp(-0.5)], atol=1e-6)
    np.testing.assert_allclose(far, [0, 0, 1], atol=1e-6)


def test_a_reference_sample_in_what_is_not_known_says_nothing_but_at_a_known_arrival() -> None:
    objective = _objective("gpd")
    assert objective.target(_crop(400, unknown=(None, 150.0, 350.0)))[1] == 0
    assert objective.target(_crop(400, unknown=(None, 250.0, 350.0)))[1] == 1
    assert objective.target(_crop(400, ("P", 210.0), unknown=("S", 150.0, 350.0)))[1] == 1


# An event in the window


@pytest.mark.parametrize(
    ("arrivals", "unknown", "is_event", "is_known"),
    [
        ([("P", 2500.0)], None, 1, 1),
        ([("P", 100.0)], None, 1, 1),  # a second inside
        ([("P", 99.0)], None, 0, 0),  # too near to the edge
        ([("P", 4902.0)], None, 0, 0),
        ([("P", -100.0), ("S", 900.0)], None, 0, 0),  # its coda alone
        ([("P", -49_000.0)], None, 0, 0),
        ([("P", -50_100.0)], None, 0, 1),  # 500 s later
        ([("P", 5900.0)], None, 0, 0),  # less than 10 s before
        ([("P", 6100.0)], None, 0, 1),
        ([], (None, 4000.0, 4200.0), 0, 0),
        ([], (None, 5200.0, 5400.0), 0, 1),
        ([("P", 2500.0)], (None, 4000.0, 4200.0), 1, 1),
    ],
)
def test_windows_are_labelled_by_deepquakes_rules(
    arrivals: list[tuple[str, float]], unknown: tuple[None, float, float] | None, is_event: int, is_known: int
) -> None:
    target, weight = _objective("deepquake").target(_crop(5001, *arrivals, unknown=unknown))
    assert (int(target[0]), int(weight[0])) == (is_event, is_known)


def test_regions_share_the_probability_of_an_event() -> None:
    """Which of them has it makes no difference to the loss, as it makes none to the runtime's detections."""
    objective = _objective("convnetquake")
    one, spread = torch.full((1, 7), -30.0), torch.full((1, 7), -30.0)
    one[0, 3], spread[0, 1:], one[0, 0], spread[0, 0] = 1.0, 1.0 - np.log(6), 0.0, 0.0
    said = [float(objective.probability(each)) for each in (one, spread)]
    assert said == pytest.approx([1 / (1 + np.exp(-1))] * 2, abs=1e-6)
    ones = torch.ones(1, 1)
    losses = [float(objective.loss(each, ones, ones)) for each in (one, spread)]
    assert losses == pytest.approx([-np.log(said[0])] * 2, abs=1e-5)


def test_windows_of_which_nothing_is_known_do_not_count() -> None:
    objective = _objective("deepquake")
    scores, targets = torch.tensor([[0.0, 3.0], [5.0, -5.0]]), torch.tensor([[1.0], [1.0]])
    alone = objective.loss(scores[:1], targets[:1], torch.ones(1, 1))
    torch.testing.assert_close(objective.loss(scores, targets, torch.tensor([[1.0], [0.0]])), alone)
    assert float(objective.loss(scores, targets, torch.zeros(2, 1))) == 0


def test_a_window_that_may_hold_an_event_is_no_false_detection() -> None:
    record = Record("r", "continuous", np.zeros((3, 200_000), np.float32), (("P", 100_000.0),), ((None, 5e3, 6e3),))
    objective = _objective("deepquake")
    assert objective.is_known(record, 100_000)
    assert objective.is_known(record, 110_000)  # its coda
    assert objective.is_known(record, 5500)
    assert not objective.is_known(record, 50_000)


# Whose records are looked at


def _record(name: str, group: str, *, is_event: bool, station: str = "", kind: str = "") -> Record:
    arrivals = (("P", 1.0),) if is_event else ()
    found = kind or ("event" if is_event else "noise")
    return Record(name, found, np.zeros((3, 9), np.float32), arrivals, group=group, station=station)  # type: ignore[arg-type]  # a kind


def test_groups_are_held_out_whole_and_their_stations_with_them() -> None:
    groups = [
        _record(f"{number}{is_event}", f"g{number}", is_event=is_event, station=f"XX.{number}")
        for number in range(20)
        for is_event in (True, False)
    ]
    continuous = [
        _record(f"c{number}", "", is_event=True, station=f"XX.{number}", kind="continuous") for number in range(20)
    ]
    kept, held = split_records((*groups, *continuous), 0.2)
    assert len(held) == 8
    outside = {each.station for each in held}
    assert not outside & {each.station for each in kept}
    assert len(kept) == 32 + 16
    assert split_records(tuple(reversed((*groups, *continuous))), 0.2)[1] == tuple(reversed(held))


def test_nothing_is_held_out_where_noise_or_events_would_be_missing() -> None:
    records = tuple(_record(str(number), str(number), is_event=True) for number in range(10))
    assert split_records(records, 0.5) == (records, ())
    assert split_records(records, 0.0) == (records, ())


# Counts


def test_a_missed_event_lowers_the_recall_and_a_false_alarm_the_precision() -> None:
    """DeepQuake's own evaluation exchanges them."""
    score = EventScore.of(np.array([0.9, 0.2, 0.3, 0.8, 0.1]), np.array([1, 1, 1, 0, 0]), 0.5)
    assert (score.true_positives, score.false_positives, score.true_negatives, score.false_negatives) == (1, 1, 1, 2)
    assert score.precision == pytest.approx(1 / 2)
    assert score.recall == pytest.approx(1 / 3)
    assert score.f1 == pytest.approx(2 / 5)
    assert score.accuracy == pytest.approx(2 / 5)
    text = score.as_deepquake(model="deepquake", window_s=50, components=3, classes=2, dataset="d")
    assert (text["precision"], text["falsePositives"], text["falseNegatives"]) == (50.0, 1, 2)


def test_the_published_example_is_the_right_way_round() -> None:
    """BSSAv3 of rtous/deepquake: 73 of 280 events found, no false alarm in 280; printed as precision 26.07 %."""
    score = EventScore(73, 0, 280, 207)
    assert 100 * score.recall == pytest.approx(26.07, abs=0.005)
    assert score.precision == 1
    assert 100 * score.f1 == pytest.approx(41.4, abs=0.05)
    assert 100 * score.accuracy == pytest.approx(63.0, abs=0.05)


def test_examples_that_are_not_changed_keep_their_rules() -> None:
    options = ExampleOptions(avoid_after_s=60.0, pwave_window_s=4.0, offset=0.5, burst=0.5).unchanged()
    assert (options.avoid_after_s, options.pwave_window_s) == (60.0, 4.0)
    assert not any((options.offset, options.burst, options.stretch, options.glitch, options.turn))
