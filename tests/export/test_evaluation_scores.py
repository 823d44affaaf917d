"""Verdicts, scores, thresholds, reliability, alarms: on records whose figures can be told by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from evaluation_cases import Fixed, case, cases, ns, perfect

from seisedge.export.evaluation.alarms import AlarmScore, count_alarms, recall_at_rate
from seisedge.export.evaluation.cases import only, places, sensor_of
from seisedge.export.evaluation.evaluation import Evaluation, Plan
from seisedge.export.evaluation.pick_store import PickStore
from seisedge.export.evaluation.reliability import reliability
from seisedge.export.evaluation.scores import Score, Verdict, f1_interval, judge, total
from seisedge.export.evaluation.sweep import best_threshold, rate_at_recall, sweep
from seisedge.export.recipes import SEISMO_PERFORMER


def test_a_perfect_picker_has_an_f1_of_one_and_no_residual() -> None:
    found = cases(case("a", ("P", 10), ("S", 14)), case("b", ("P", 0.1)), case("noise"))
    picker = perfect(found)
    swept = sweep(picker, found, [picker.pick(each) for each in found.cases])
    for phase in ("P", "S"):
        for tolerance in (0.1, 0.5):
            score = swept.score(phase, 2, tolerance)
            assert (score.f1, score.residual_s, score.false_picks) == (1.0, 0.0, 0)


def test_every_pick_is_right_or_false_or_passed_over() -> None:
    record = case("a", ("P", 10), ("S", 14), unknown=((None, 30, 31), ("S", 40, 60)))
    picks = [(ns(at), 0.5) for at in (-1, 9.8, 10.3, 30.5, 45, 61)]
    p = judge(record, "P", picks, 0.5)
    assert (len(p.right), len(p.false), p.missed, p.passed_over) == (1, 2, 0, 1)
    assert p.residuals_s == pytest.approx((-0.2,))
    s = judge(record, "S", picks, 0.5)
    assert (len(s.right), len(s.false), s.missed, s.passed_over) == (0, 2, 1, 2)


def test_a_pick_outside_the_record_is_nothing_unless_it_has_a_label() -> None:
    record = case("a", ("P", 0.1))
    assert judge(record, "P", [(ns(-0.2), 0.9)], 0.5).residuals_s == pytest.approx((-0.3,))
    alone = judge(case("a"), "P", [(ns(-0.2), 0.9), (ns(60.1), 0.9)], 0.5)
    assert (alone.false, alone.passed_over) == ((), 0)


def test_a_narrower_tolerance_makes_a_hit_a_miss_and_a_false_pick() -> None:
    verdict = judge(case("a", ("P", 10)), "P", [(ns(10.3), 0.9)], 0.1)
    assert (verdict.right, verdict.false, verdict.missed) == ((), (0.9,), 1)


def test_only_labels_of_the_wanted_origin_count() -> None:
    mixed = case("mixed", ("P", 10), ("S", 14))
    first, second = mixed.labels
    auto = dataclasses.replace(second, origin="auto")
    found = only(
        cases(
            dataclasses.replace(mixed, labels=(first, auto)),
            case("auto", ("P", 3), origin="auto"),
            case("noise"),
        ),
        "manual",
    )
    assert [each.id for each in found.cases] == ["mixed", "noise"]
    assert [each.phase for each in found.cases[0].labels] == ["P"]
    assert not found.cases[0].is_known("S", ns(14.5))
    assert found.cases[0].is_known("P", ns(14.5))


def test_the_best_threshold_is_in_the_middle_of_the_best_ones() -> None:
    f1 = [Score(hits, 0, 10 - hits, ()) for hits in (3, 8, 9, 9, 9, 4)]
    assert best_threshold(f1) == 3


def test_a_rate_at_a_recall_lies_between_its_thresholds() -> None:
    points = [(0.95, 100.0), (0.9, 60.0), (0.8, 20.0), (0.1, 0.0)]
    assert rate_at_recall(points, 0.9) == 60
    assert rate_at_recall(points, 0.85) == pytest.approx(40)
    assert rate_at_recall(points, 0.96) is None
    assert rate_at_recall(points, 0.05) == 0


def _verdict(right: list[float], false: list[float], missed: int = 0) -> Verdict:
    return Verdict(tuple(right), (0.0,) * len(right), tuple(false), missed, 0)


def test_a_calibrated_picker_has_no_calibration_error() -> None:
    rng = np.random.default_rng(0)
    probability = rng.uniform(size=200_000)
    is_right = rng.uniform(size=probability.size) < probability
    found = reliability([_verdict(probability[is_right].tolist(), probability[~is_right].tolist())])
    assert sum(found.counts) == probability.size
    assert found.error is not None
    assert found.error < 0.005
    np.testing.assert_allclose(found.right, np.arange(0.05, 1, 0.1), atol=0.02)


def test_an_overconfident_picker_has_the_error_that_it_has() -> None:
    found = reliability([_verdict([1.0] * 6, [1.0] * 4), _verdict([0.25], [0.25] * 3)])
    assert found.error == pytest.approx(0.4 * 10 / 14)
    assert reliability([]).error is None


def test_records_of_one_group_are_drawn_together() -> None:
    good, bad = _verdict([1.0], []), _verdict([], [1.0], 1)
    low, high = f1_interval([("a", good)] * 5 + [("b", bad)] * 5)
    assert (low, high) == (0, 1)
    low, high = f1_interval([(str(at), good if at % 2 else bad) for at in range(200)])
    assert 0.3 < low < 0.5 < high < 0.7
    assert total([good, bad]).f1 == pytest.approx(0.5)


def test_picks_that_follow_each_other_are_one_alarm() -> None:
    record = case("a", ("P", 100), ("S", 110), seconds=400, unknown=((None, 299, 301),))
    onsets = [(ns(at), 0.9) for at in (20, 25, 101, 130, 200, 300, 350)]
    assert count_alarms(record, onsets) == (1, 1, 3)  # 20 with 25, 200, 350; 130 is coda, 300 is not known
    assert count_alarms(record, onsets[:2]) == (1, 0, 1)


def test_the_largest_recall_with_at_most_so_many_false_alarms() -> None:
    scores = [AlarmScore(10, 9, 40, 1.0), AlarmScore(10, 7, 8, 1.0), AlarmScore(10, 3, 0, 1.0)]
    assert [recall_at_rate(scores, each) for each in (0, 10, 100)] == [0.3, 0.7, 0.9]


def test_a_stopped_evaluation_keeps_records_that_are_done(tmp_path: Path) -> None:
    found = cases(*(case(name, ("P", 10)) for name in "abcd"))
    picker = perfect(found)
    plan = Plan((picker,), None, (found,), (), ())

    def stop() -> None:
        if len(picker.asked) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Evaluation(plan, PickStore(tmp_path), check=stop).run("")
    (kept,) = tmp_path.iterdir()
    kept.write_text(kept.read_text() + '{"id": "c", "picks": {"P": [[[10')  # a line that was cut off
    again = perfect(found)
    results = Evaluation(Plan((again,), None, (found,), (), ()), PickStore(tmp_path)).run("")
    assert again.asked == ["c", "d"]
    assert results.labelled[0].at["0.5"].f1 == 1
    assert Evaluation(plan, PickStore(None)).run("").labelled == results.labelled


def test_a_threshold_is_chosen_on_one_set_and_applied_to_another() -> None:
    train = cases(case("a", ("P", 10)), name="train")
    val = cases(case("v", ("P", 10)), name="val")
    picker = Fixed({"a": [("P", 10, 0.6), ("P", 30, 0.3)], "v": [("P", 10, 0.3), ("P", 30, 0.7)]})
    (result, _) = Evaluation(Plan((picker,), train, (val,), (), ()), PickStore(None)).run("").labelled
    assert (result.threshold, result.at["0.5"].false_picks, result.at["0.5"].missed) == (0.5, 1, 1)


def test_rates_on_continuous_records_are_per_station_day() -> None:
    record = case("a", ("P", 100), ("P", 200), seconds=8640, origin="consensus", unknown=((None, 299, 301),))
    picker = Fixed({"a": [("P", at, 0.6) for at in (100.2, 300, 400, 500)]}, phases=("P",))
    plan = Plan((picker,), None, (), (cases(record, kind="continuous"),), ())
    (row,) = Evaluation(plan, PickStore(None)).run("").continuous
    assert (row.recall, row.picks_per_day, row.unmatched_per_day) == (0.5, 40, 20)
    assert row.unmatched_at_recall["0.5"] == 20
    assert row.unmatched_at_recall["0.9"] is None


def test_unmatched_picks_that_others_have_are_counted() -> None:
    record = case("a", ("P", 100), ("P", 200), seconds=8640, origin="consensus", unknown=((None, 299, 301),))

    def picking(name: str, *times: float, probability: float = 0.6, family: str = "") -> Fixed:
        picks = {"a": [("P", at, probability) for at in times], "t": [("P", 10.0, 0.7), ("P", 30.0, 0.2)]}
        return Fixed(picks, phases=("P",), name=name, family=family or name)

    train = cases(case("t", ("P", 10)), name="train")  # 0.5 is the threshold of each
    pickers = (
        picking("first", 100, 200, 300, 400, 500, 600, family="one"),
        picking("kin", 600, family="one"),
        picking("second", 400.4, 500.6),
        picking("weak", 500, 600, probability=0.3),
    )
    plan = Plan(pickers, train, (), (cases(record, kind="continuous"),), ())
    (row,) = Evaluation(plan, PickStore(None)).run("").borne_out
    assert (row.picker, row.unmatched_per_day, row.by_none) == ("first", 30, 20)
    assert row.by == {"kin": 10, "second": 10, "weak": 0}


def test_components_are_placed_as_the_runtime_places_them() -> None:
    components = SEISMO_PERFORMER.components
    assert places(("1", "2", "Z"), components) == {"1": 0, "2": 1, "Z": 2}
    assert places(("1", "N", "Z"), components) == {"N": 0, "Z": 2}
    assert places(("Q",), components) is None


@pytest.mark.parametrize(
    ("channel", "sensor"), [("HHZ", "broadband"), ("EHZ", "short-period"), ("HNZ", "accelerometer"), ("x", "MEMS")]
)
def test_the_kind_of_sensor_is_in_the_channel(channel: str, sensor: str) -> None:
    assert sensor_of(channel) == sensor
