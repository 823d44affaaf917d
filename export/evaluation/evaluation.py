"""One evaluation: pickers on sets, thresholds chosen on one set and applied to all others."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from seisedge.edge.whole_file import write_whole

from .alarms import alarm_scores
from .cases import Case, CaseSet, only
from .events import BEGIN, EventPicker, event_scores
from .pick_store import PickStore, pick_all
from .pickers import Check, Picker
from .results import AlarmResult, ContinuousResult, LabelledResult, alarm_result, continuous_result, labelled_result
from .sweep import Sweep, best_threshold, sweep
from .witnesses import BorneOut, Judged, borne_out

_FORMAT = 1


@dataclass(frozen=True)
class Plan:
    """What is to be evaluated.

    Attributes
    ----------
    choose
        Set on which thresholds are chosen; None for those that the pickers bring along.
    report
        Labelled sets to report on.
    origin
        Whose labels count; None for all.
    reference
        Picker whose recall on continuous records the others are put at; None for the first.
    detectors
        Say of windows whether they hold an event; all labels count for them, whoever's they are.
    """

    pickers: tuple[Picker, ...]
    choose: CaseSet | None
    report: tuple[CaseSet, ...]
    continuous: tuple[CaseSet, ...]
    mems: tuple[CaseSet, ...]
    origin: str | None = "manual"
    reference: str | None = None
    detectors: tuple[EventPicker, ...] = ()

    @property
    def sets(self) -> tuple[CaseSet, ...]:
        """All sets that are picked."""
        chosen = () if self.choose is None else (self.choose,)
        return (*chosen, *self.report, *self.continuous, *self.mems)


@dataclass(frozen=True)
class SetFacts:
    """What a set is."""

    name: str
    kind: str
    digest: str
    records: int
    station_days: float
    labels: dict[str, int]


@dataclass
class Results:
    """All figures of an evaluation.

    Attributes
    ----------
    thresholds
        Picker → phase → threshold.
    chosen_on
        Name of the set; empty where thresholds are the pickers' own.
    """

    command: str
    labels: str
    chosen_on: str
    reference: str
    pickers: dict[str, str] = field(default_factory=dict[str, str])
    sets: list[SetFacts] = field(default_factory=list[SetFacts])
    thresholds: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])
    labelled: list[LabelledResult] = field(default_factory=list[LabelledResult])
    continuous: list[ContinuousResult] = field(default_factory=list[ContinuousResult])
    borne_out: list[BorneOut] = field(default_factory=list[BorneOut])
    mems: list[AlarmResult] = field(default_factory=list[AlarmResult])
    events: list[AlarmResult] = field(default_factory=list[AlarmResult])

    def write(self, path: Path) -> None:
        """Write the figures as JSON."""
        text = json.dumps({"format": _FORMAT, **asdict(self)}, indent=1, allow_nan=False)
        write_whole(text.encode() + b"\n", path)


class Evaluation:
    """Runs a plan.

    Parameters
    ----------
    store
        Keeps the picks of records that are done.
    jobs
        Threads.
    check, advance
        See `pick_all`.
    """

    def __init__(
        self,
        plan: Plan,
        store: PickStore,
        *,
        jobs: int = 1,
        check: Check = lambda: None,
        advance: Callable[[Picker, Case], None] = lambda _picker, _case: None,
    ) -> None:
        self._plan, self._store, self._jobs = plan, store, jobs
        self._check, self._advance = check, advance

    def run(self, command: str) -> Results:
        """Pick every set with every picker, choose the thresholds, and judge."""
        plan = self._plan
        every = (*plan.pickers, *plan.detectors)
        results = Results(
            command=command,
            labels=plan.origin or "all",
            chosen_on=plan.choose.name if plan.choose else "",
            reference=plan.reference or every[0].name,
            pickers={picker.name: picker.source for picker in every},
            sets=[_facts(only(each, plan.origin) if each.kind == "labelled" else each) for each in plan.sets],
        )
        chosen = {picker.name: self._thresholds(picker) for picker in plan.pickers}
        for picker in plan.pickers:
            places = chosen[picker.name]
            results.thresholds[picker.name] = {phase: picker.grid[place] for phase, place in places.items()}
            for cases in plan.report:
                swept = self._sweep(picker, cases)
                results.labelled += [labelled_result(swept, phase, place) for phase, place in places.items()]
            for cases in plan.mems:
                scores = alarm_scores(picker, cases, self._picks(picker, cases))
                results.mems.append(alarm_result(picker.name, cases.name, picker.grid, scores, places.get("P", 0)))
        for cases in plan.continuous:
            judged = {picker.name: self._judged(picker, cases, chosen[picker.name]) for picker in plan.pickers}
            results.continuous += _continuous(judged, results.reference)
            for name, each in judged.items():
                others = [other for other in judged.values() if other is not each]
                rows = [borne_out(each, others, phase) for phase in chosen[name]] if others else []
                results.borne_out += [row for row in rows if row is not None]
        for detector in plan.detectors:
            self._detect(detector, results)
        return results

    def _detect(self, detector: EventPicker, results: Results) -> None:
        """Judge a detector of events on every set."""
        plan = self._plan
        place = detector.own_threshold(BEGIN)
        if plan.choose is not None:
            place = best_threshold(event_scores(detector, plan.choose, self._picks(detector, plan.choose)))
        results.thresholds[detector.name] = {"event": detector.grid[place]}
        for cases in (*plan.report, *plan.continuous, *plan.mems):
            scores = event_scores(detector, cases, self._picks(detector, cases))
            results.events.append(alarm_result(detector.name, cases.name, detector.grid, scores, place))

    def _judged(self, picker: Picker, cases: CaseSet, chosen: dict[str, int]) -> Judged:
        found = self._picks(picker, cases)
        return Judged(sweep(picker, cases, found), found, chosen)

    def _thresholds(self, picker: Picker) -> dict[str, int]:
        """Phase → place in the picker's grid."""
        if self._plan.choose is None:
            return {phase: picker.own_threshold(phase) for phase in picker.phases}
        swept = self._sweep(picker, self._plan.choose)
        return {phase: best_threshold(swept.scores(phase)) for phase in picker.phases}

    def _picks(self, picker: Picker, cases: CaseSet) -> list[dict[str, list[list[tuple[int, float]]]]]:
        return pick_all(
            picker,
            cases,
            self._store,
            jobs=self._jobs,
            check=self._check,
            advance=lambda case: self._advance(picker, case),
        )

    def _sweep(self, picker: Picker, cases: CaseSet) -> Sweep:
        judged = only(cases, self._plan.origin) if cases.kind == "labelled" else cases
        return sweep(picker, judged, self._picks(picker, replace(cases, cases=judged.cases)))


def _facts(cases: CaseSet) -> SetFacts:
    labels = {phase: sum(label.phase == phase for case in cases.cases for label in case.labels) for phase in ("P", "S")}
    return SetFacts(cases.name, cases.kind, cases.digest, len(cases.cases), round(cases.days, 4), labels)


def _continuous(judged: dict[str, Judged], reference: str) -> list[ContinuousResult]:
    found: list[ContinuousResult] = []
    for each in judged.values():
        for phase, place in each.chosen.items():
            at = judged[reference].chosen.get(phase)
            recall = () if at is None else (judged[reference].sweep.score(phase, at).recall,)
            found.append(continuous_result(each.sweep, phase, place, recall))
    return found
