"""Runs of probabilities become onsets; the state machine equals a slow reference and does not care for batches."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import artefacts
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisedge.edge import ManifestError, Pick, StationId, UsageError
from seisedge.edge.classify import ClassPicker, thresholds_with
from seisedge.edge.manifest import Output, Postprocess, Threshold
from seisedge.edge.runs import Clock
from seisedge.edge.tracker import Onset, PickTracker, first_at

STEP_NS = 100_000_000  # a stride of 10 samples at 100 Hz


@dataclass(frozen=True)
class Rules:
    on: float = 0.9
    off: float = 0.5
    separation_ns: int = 0
    centroid: bool = False


def naive_runs(values: list[float], rules: Rules) -> list[tuple[int, Onset]]:
    """(index of the first window, onset) of every run: from `on` up to the last window at `off` or above."""
    found: list[tuple[int, Onset]] = []
    index = 0
    while index < len(values):
        if not values[index] >= rules.on:
            index += 1
            continue
        stop = index
        while stop < len(values) and values[stop] >= rules.off:
            stop += 1
        run = values[index:stop]
        time_ns = (index + run.index(max(run))) * STEP_NS
        if rules.centroid:
            high = [(value, place * STEP_NS) for place, value in enumerate(run) if value >= rules.on]
            moment = sum(value * offset for value, offset in high) / sum(value for value, _ in high)
            time_ns = index * STEP_NS + round(moment)
        found.append((index, Onset(time_ns, max(run))))
        index = stop
    return found


def naive_onsets(values: list[float], rules: Rules) -> list[Onset]:
    """Of each onset and the one that stays before it, if nearer than the separation, the more probable stays."""
    kept: list[Onset] = []
    for _, onset in naive_runs(values, rules):
        if kept and onset.time_ns - kept[-1].time_ns < rules.separation_ns:
            if onset.probability > kept[-1].probability:
                kept[-1] = onset
        else:
            kept.append(onset)
    return kept


def track(values: list[float], rules: Rules, cuts: list[int]) -> list[Onset]:
    tracker = PickTracker(
        Threshold(rules.on, rules.off), minimum_separation_ns=rules.separation_ns, centroid=rules.centroid
    )
    return [onset for _, onset in given_out(tracker, values, cuts)] + tracker.finish()


def given_out(tracker: PickTracker, values: list[float], cuts: list[int]) -> list[tuple[int, Onset]]:
    """Push values in pieces; give (row counted from the first value, onset)."""
    found: list[tuple[int, Onset]] = []
    for start, stop in pairwise([0, *sorted(cuts), len(values)]):
        times = [number * STEP_NS for number in range(start, stop)]
        found += [(start + row, onset) for row, onset in tracker.push(np.array(values[start:stop]), times.__getitem__)]
    return found


def at(place: float, probability: float) -> Onset:
    return Onset(round(place * STEP_NS), probability)


CASES: dict[str, tuple[list[float], Rules, list[Onset]]] = {
    "nothing": ([0.1, 0.8, 0.1], Rules(), []),
    "exactly on": ([0.1, 0.9, 0.1], Rules(), [at(1, 0.9)]),
    "exactly off keeps the run open": ([0.9, 0.5, 0.95, 0.4], Rules(), [at(2, 0.95)]),
    "below off closes it": ([0.9, 0.49, 0.95, 0.4], Rules(), [at(0, 0.9), at(2, 0.95)]),
    "of equal peaks the first": ([0.91, 0.95, 0.95, 0.1], Rules(), [at(1, 0.95)]),
    "open at the end": ([0.1, 0.9, 0.95], Rules(), [at(2, 0.95)]),
    "the more probable of two near ones": ([0.9, 0.1, 0.95, 0.1], Rules(separation_ns=3 * STEP_NS), [at(2, 0.95)]),
    "of two equal near ones the first": ([0.9, 0.1, 0.9, 0.1], Rules(separation_ns=3 * STEP_NS), [at(0, 0.9)]),
    "exactly the separation apart": (
        [0.9, 0.1, 0.95, 0.1],
        Rules(separation_ns=2 * STEP_NS),
        [at(0, 0.9), at(2, 0.95)],
    ),
    "centroid of what is at on or above": (
        [0.9, 0.6, 0.9, 0.1],
        Rules(centroid=True),
        [at(1, 0.9)],
    ),
    "not a number closes": ([0.9, float("nan"), 0.9], Rules(), [at(0, 0.9), at(2, 0.9)]),
}


@pytest.mark.parametrize("name", CASES)
def test_table_of_cases(name: str) -> None:
    values, rules, wanted = CASES[name]
    assert track(values, rules, []) == wanted
    assert track(values, rules, list(range(len(values)))) == wanted
    assert naive_onsets(values, rules) == wanted


PROBABILITIES = st.lists(st.sampled_from([0.0, 0.3, 0.49, 0.5, 0.8, 0.9, 0.93, 0.95, 1.0]), max_size=60)
RULES = st.builds(
    Rules,
    on=st.sampled_from([0.5, 0.9, 1.0]),
    off=st.sampled_from([0.3, 0.5]),
    separation_ns=st.integers(0, 20).map(lambda steps: steps * STEP_NS),
    centroid=st.booleans(),
)


@given(values=PROBABILITIES, rules=RULES, data=st.data())
def test_the_tracker_equals_the_slow_reference(values: list[float], rules: Rules, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(values))))
    assert track(values, rules, cuts) == naive_onsets(values, rules)


@given(values=PROBABILITIES, rules=RULES, data=st.data())
def test_an_onset_is_given_out_by_the_same_row_however_rows_come(
    values: list[float], rules: Rules, data: st.DataObject
) -> None:
    def pushed(cuts: list[int]) -> list[tuple[int, Onset]]:
        threshold, separation = Threshold(rules.on, rules.off), rules.separation_ns
        tracker = PickTracker(threshold, minimum_separation_ns=separation, centroid=rules.centroid)
        return given_out(tracker, values, cuts)

    cuts = data.draw(st.lists(st.integers(0, len(values))))
    assert pushed(cuts) == pushed(list(range(len(values))))


@given(values=PROBABILITIES, rules=RULES)
def test_onsets_come_in_order_and_keep_their_distance(values: list[float], rules: Rules) -> None:
    times = [onset.time_ns for onset in track(values, rules, [])]
    assert all(b - a >= max(rules.separation_ns, 1) for a, b in pairwise(times))


def test_an_onset_is_given_out_as_soon_as_nothing_can_replace_it() -> None:
    tracker = PickTracker(Threshold(0.9, 0.5), minimum_separation_ns=3 * STEP_NS, centroid=False)
    assert given_out(tracker, [0.95, 0.1, 0.1, 0.1, 0.1], []) == [(3, at(0, 0.95))]
    assert tracker.is_idle


def test_of_two_that_become_certain_by_one_row_the_earlier_comes_first() -> None:
    tracker = PickTracker(Threshold(0.9, 0.5), minimum_separation_ns=3 * STEP_NS, centroid=False)
    found = given_out(tracker, [0.9, 0.1, 0.9, 0.95, 0.6, 0.6, 0.1, 0.1], [])
    assert found == [(6, at(0, 0.9)), (6, at(3, 0.95))]


@given(
    steps=st.lists(st.integers(1, 50), min_size=1, max_size=40),
    earliest=st.integers(-5, 2100),
    first=st.integers(0, 9),
)
def test_the_first_row_at_a_time_is_found_however_uneven_they_are(steps: list[int], earliest: int, first: int) -> None:
    times = np.cumsum(steps).tolist()
    rows = range(first, first + len(times))
    wanted = next((row for row, time in zip(rows, times, strict=True) if time >= earliest), None)
    assert first_at(rows, earliest, lambda row: times[row - first]) == wanted


def test_an_open_run_that_may_still_replace_it_holds_it_back() -> None:
    tracker = PickTracker(Threshold(0.9, 0.5), minimum_separation_ns=3 * STEP_NS, centroid=False)
    assert given_out(tracker, [0.91, 0.1, 0.95, 0.6, 0.6, 0.6], []) == []
    assert tracker.finish() == [at(2, 0.95)]


STATION = StationId("XX", "TEST", "", "HH")
MANIFEST = artefacts.tiny_manifest(
    postprocess=Postprocess({"P": Threshold(0.9, 0.5), "S": Threshold(0.8, 0.4)}, 0.5, "peak", (0, 0))
)
CLOCK = Clock(0, 0, Fraction(100))


def picker() -> ClassPicker:
    thresholds = MANIFEST.postprocess.thresholds
    return ClassPicker(MANIFEST, STATION, model_digest="d" * 64, thresholds=thresholds, stride=10)


def classify(probabilities: npt.NDArray[np.float32], cuts: list[int]) -> list[Pick]:
    classes = picker()
    picks: list[Pick] = []
    edges = [0, *sorted(cuts), len(probabilities)]
    for start, stop in pairwise(edges):
        picks += classes.push(start, CLOCK, probabilities[start:stop])
    return picks + classes.finish()


@given(values=st.lists(st.tuples(*[st.sampled_from([0.0, 0.4, 0.6, 0.85, 0.9, 1.0])] * 3), max_size=60), data=st.data())
def test_batches_cut_anywhere_give_equal_picks(values: list[tuple[float, ...]], data: st.DataObject) -> None:
    probabilities = np.array(values, np.float32).reshape(-1, 3)
    cuts = data.draw(st.lists(st.integers(0, len(values))))
    found = classify(probabilities, cuts)
    assert found == classify(probabilities, [])
    for label, column in (("P", 0), ("S", 1)):
        threshold = MANIFEST.postprocess.thresholds[label]
        rules = Rules(threshold.on, threshold.off, 5 * STEP_NS)
        wanted = naive_onsets([float(value) for value in probabilities[:, column]], rules)
        onsets = [Onset(pick.time_ns - 2_000_000_000, pick.probability) for pick in found if pick.phase_hint == label]
        assert onsets == wanted


def test_a_label_without_a_threshold_is_not_picked() -> None:
    probabilities = np.tile(np.array([0, 0, 1], np.float32), (5, 1))
    assert classify(probabilities, []) == []


def test_a_pick_stands_at_the_reference_sample_of_its_window() -> None:
    (pick,) = classify(np.array([[0, 0, 1], [0.95, 0, 0.05], [0, 0, 1]], np.float32), [])
    assert (pick.phase_hint, pick.time_ns) == ("P", 10 * 10_000_000 + 200 * 10_000_000)
    assert pick.probability == np.float32(0.95)
    assert (pick.station, pick.revision, pick.model, pick.model_digest) == (STATION, 0, "tiny", "d" * 64)
    assert (pick.amplitude, pick.snr, pick.time_uncertainty_s) == (None, None, None)
    again = classify(np.array([[0, 0, 1], [0.95, 0, 0.05]], np.float32), [1])
    assert again == [pick]


def test_a_break_in_the_windows_closes_the_run() -> None:
    classes = picker()
    high = np.array([[0.95, 0, 0.05]], np.float32)
    assert classes.push(0, CLOCK, high) == []
    assert classes.push(1, CLOCK, high) == []
    (pick,) = classes.push(3, CLOCK, high)
    assert pick.time_ns == 2_000_000_000
    assert [each.time_ns for each in classes.finish()] == [2_300_000_000]


def test_a_value_just_below_the_threshold_in_float32_is_no_pick() -> None:
    below = np.nextafter(np.float32(0.9), np.float32(0))
    assert classify(np.array([[below, 0, 0]], np.float32), []) == []


def test_thresholds_of_the_user_close_at_half() -> None:
    assert thresholds_with(MANIFEST, {"P": 0.6, "noise": 1.0}) == {
        "P": Threshold(0.6, 0.3),
        "S": Threshold(0.8, 0.4),
        "noise": Threshold(1.0, 0.5),
    }


def test_an_unknown_label_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(UsageError, match=r"^threshold: unknown label 'nois' of model tiny; did you mean 'noise'\?$"):
        thresholds_with(MANIFEST, {"nois": 0.5})


@pytest.mark.parametrize("on", [0.0, -0.1, 1.01, float("nan"), float("inf")])
def test_a_threshold_outside_its_range_is_refused(on: float) -> None:
    with pytest.raises(UsageError, match=r"^threshold P: found .*, wanted more than 0 and at most 1$"):
        thresholds_with(MANIFEST, {"P": on})


def test_a_model_without_classes_is_refused() -> None:
    output = Output("probability", "waveform", ("P", "S", "noise"), None, None)
    manifest = artefacts.tiny_manifest(task="waveform_inversion", outputs=(output,))
    with pytest.raises(ManifestError, match="model tiny: found output waveform, wanted class_probability"):
        ClassPicker(manifest, STATION, model_digest="", thresholds={}, stride=10)
