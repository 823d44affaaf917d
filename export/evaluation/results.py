"""The figures of an evaluation, as they stand in its JSON, and how they come out of a sweep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .alarms import AlarmScore, recall_at_rate
from .cases import Case
from .reliability import Reliability, reliability
from .scores import PERCENTILES, Score, Verdict, f1_interval, total
from .sweep import CHOSEN_AT_S, TOLERANCES_S, Sweep, rate_at_recall

RECALLS = (0.5, 0.7, 0.8, 0.9)
FALSE_ALARMS_PER_DAY = (0.0, 10.0, 25.0, 50.0, 100.0)


@dataclass(frozen=True)
class Figures:
    """A score as it is written: residuals in s, pick less label; None where there is no hit."""

    labels: int
    hits: int
    false_picks: int
    missed: int
    precision: float
    recall: float
    f1: float
    mean_absolute_residual_s: float | None
    residual_percentiles_s: dict[str, float]


@dataclass(frozen=True)
class LabelledResult:
    """A picker on labelled windows, one phase, at one threshold.

    Attributes
    ----------
    at
        Tolerance in s → figures.
    f1_interval
        5th and 95th percentile of F1 at 0.5 s when groups of records are drawn anew.
    by_source, by_sensor
        Figures at 0.5 s.
    false_per_noise_day
        Picks per station-day of records that have no arrival; None where there are none.
    reliability
        Of the picks at the lowest threshold; None where the picker gives no probabilities.
    curve
        (threshold, precision, recall, F1) at 0.5 s.
    residuals_s
        At 0.5 s.
    """

    picker: str
    set: str
    phase: str
    threshold: float
    at: dict[str, Figures]
    f1_interval: tuple[float, float]
    by_source: dict[str, Figures]
    by_sensor: dict[str, Figures]
    false_per_noise_day: float | None
    reliability: Reliability | None
    curve: list[tuple[float, float, float, float]]
    residuals_s: tuple[float, ...]


@dataclass(frozen=True)
class ContinuousResult:
    """A picker on continuous records, one phase; rates are per station-day.

    Attributes
    ----------
    recall
        Of the consensus picks, within 0.5 s.
    picks_per_day, unmatched_per_day
        All picks, and those that are within 0.5 s of no consensus pick, at the threshold.
    unmatched_at_recall, picks_at_recall
        The same at the threshold that gives a recall; None where it gives none.
    curve
        (threshold, recall, picks per day, unmatched per day).
    """

    picker: str
    set: str
    phase: str
    threshold: float
    labels: int
    days: float
    recall: float
    picks_per_day: float
    unmatched_per_day: float
    mean_absolute_residual_s: float | None
    unmatched_at_recall: dict[str, float | None]
    picks_at_recall: dict[str, float | None]
    curve: list[tuple[float, float, float, float]]


@dataclass(frozen=True)
class AlarmResult:
    """A picker on long records of MEMS sensors; see `alarms`.

    Attributes
    ----------
    recall, per_day
        At the threshold of P.
    recall_at
        At most so many false alarms per station-day → largest recall.
    curve
        (threshold, recall, false alarms per day).
    """

    picker: str
    set: str
    threshold: float
    events: int
    days: float
    recall: float
    per_day: float
    recall_at: dict[str, float]
    curve: list[tuple[float, float, float]]


def figures(score: Score) -> Figures:
    """Round a score to what it is good for."""
    percentiles = score.percentiles_s()
    return Figures(
        labels=score.hits + score.missed,
        hits=score.hits,
        false_picks=score.false_picks,
        missed=score.missed,
        precision=round(score.precision, 4),
        recall=round(score.recall, 4),
        f1=round(score.f1, 4),
        mean_absolute_residual_s=round(score.residual_s, 4) if score.hits else None,
        residual_percentiles_s={str(each): round(percentiles[each], 4) for each in PERCENTILES if percentiles},
    )


def labelled_result(swept: Sweep, phase: str, number: int) -> LabelledResult:
    """Figures at the threshold with this place in the grid."""
    picker = swept.picker
    judged = swept.grouped(phase, number)
    score = swept.score(phase, number)
    noise = [(case, verdict) for case, verdict in judged if not case.labels and not case.unknown]
    days = sum(case.days for case, _ in noise)
    return LabelledResult(
        picker=picker.name,
        set=swept.cases.name,
        phase=phase,
        threshold=picker.grid[number],
        at={str(each): figures(swept.score(phase, number, each)) for each in TOLERANCES_S},
        f1_interval=f1_interval([(case.group, verdict) for case, verdict in judged]),
        by_source=_parts(judged, lambda case: case.source),
        by_sensor=_parts(judged, lambda case: case.sensor),
        false_per_noise_day=sum(len(each.false) for _, each in noise) / days if days else None,
        reliability=reliability(swept.verdicts[phase, CHOSEN_AT_S][0]) if picker.is_probability else None,
        curve=[
            (on, round(each.precision, 4), round(each.recall, 4), round(each.f1, 4))
            for on, each in zip(picker.grid, swept.scores(phase), strict=True)
        ],
        residuals_s=tuple(round(each, 4) for each in score.residuals_s),
    )


def _parts(judged: list[tuple[Case, Verdict]], key: Callable[[Case], str]) -> dict[str, Figures]:
    names = sorted({key(case) for case, _ in judged})
    return {name: figures(total(verdict for case, verdict in judged if key(case) == name)) for name in names}


def continuous_result(swept: Sweep, phase: str, number: int, more_recalls: tuple[float, ...] = ()) -> ContinuousResult:
    """Figures at the threshold with this place in the grid, and at recalls, `more_recalls` among them."""
    days = swept.cases.days
    rows = [
        (on, score.recall, sum(_count(each) for each in verdicts) / days, score.false_picks / days)
        for on, verdicts, score in zip(
            swept.picker.grid, swept.verdicts[phase, CHOSEN_AT_S], swept.scores(phase), strict=True
        )
    ]
    score = swept.score(phase, number)
    wanted = sorted({*RECALLS, *more_recalls})
    return ContinuousResult(
        picker=swept.picker.name,
        set=swept.cases.name,
        phase=phase,
        threshold=swept.picker.grid[number],
        labels=score.hits + score.missed,
        days=round(days, 4),
        recall=round(score.recall, 4),
        picks_per_day=round(rows[number][2], 1),
        unmatched_per_day=round(rows[number][3], 1),
        mean_absolute_residual_s=round(score.residual_s, 4) if score.hits else None,
        unmatched_at_recall={f"{each:.3g}": _rate([(row[1], row[3]) for row in rows], each) for each in wanted},
        picks_at_recall={f"{each:.3g}": _rate([(row[1], row[2]) for row in rows], each) for each in wanted},
        curve=[(on, round(recall, 4), round(every, 1), round(unmatched, 1)) for on, recall, every, unmatched in rows],
    )


def _count(verdict: Verdict) -> int:
    return len(verdict.right) + len(verdict.false) + verdict.passed_over


def _rate(points: list[tuple[float, float]], recall: float) -> float | None:
    rate = rate_at_recall(points, recall)
    return None if rate is None else round(rate, 1)


def alarm_result(
    picker: str, cases: str, grid: tuple[float, ...], scores: list[AlarmScore], number: int
) -> AlarmResult:
    """Figures at the threshold with this place in the grid, and at rates of false alarms."""
    chosen = scores[number]
    return AlarmResult(
        picker=picker,
        set=cases,
        threshold=grid[number],
        events=chosen.events,
        days=round(chosen.days, 4),
        recall=round(chosen.recall, 4),
        per_day=round(chosen.per_day, 1),
        recall_at={f"{each:g}": round(recall_at_rate(scores, each), 4) for each in FALSE_ALARMS_PER_DAY},
        curve=[(on, round(each.recall, 4), round(each.per_day, 1)) for on, each in zip(grid, scores, strict=True)],
    )
