"""What a training says of its artefact is what an evaluation would say of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from labelled import write_labelled

from seisedge.edge import models
from seisedge.edge.session import OrtSession
from seisedge.export.evaluation.cases import CaseSet
from seisedge.export.evaluation.evaluation import Evaluation, Plan
from seisedge.export.evaluation.labelled_cases import labelled_cases
from seisedge.export.evaluation.pick_store import PickStore
from seisedge.export.evaluation.pickers import ArtefactPicker
from seisedge.export.judges import PicksJudge


@pytest.mark.parametrize("origin", ["manual", "auto"])
def test_thresholds_and_scores_are_those_of_an_evaluation(tmp_path: Path, origin: str) -> None:
    """Chosen on the analysts' labels; on all, where there are none of theirs."""
    folder = write_labelled(tmp_path, count=9)
    for table in folder.glob("*.csv"):
        table.write_text(table.read_text(encoding="utf-8").replace("manual", origin), encoding="utf-8")
    training, validation = (labelled_cases(folder / f"labelled_{name}.npz") for name in ("train", "val"))
    path, judged = models.find_model("edge-picker"), list[None]()
    judge = PicksJudge(training, validation)
    thresholds, scores = judge(path, lambda: judged.append(None))
    assert len(judged) == judge.records == 18

    plan = Plan((ArtefactPicker("it", OrtSession(path)),), training, (validation,), (), (), origin=origin)
    results = Evaluation(plan, PickStore(None)).run("")
    assert {phase: each.on for phase, each in thresholds.items()} == results.thresholds["it"]
    for row in results.labelled:
        found = row.at["0.5"]
        assert found.hits > 0
        assert scores[f"validation_{row.phase}_f1"] == found.f1
        assert scores[f"validation_{row.phase}_residual_s"] == found.mean_absolute_residual_s
        manual = scores[f"validation_manual_{row.phase}_f1"]
        assert manual == (found.f1 if origin == "manual" else 0.0)


def test_a_phase_without_labels_of_analysts_has_a_threshold_all_the_same(tmp_path: Path) -> None:
    """Chosen on the labels that it has, while the other phase's is chosen on the analysts'."""
    folder = write_labelled(tmp_path, count=9)
    sets = [labelled_cases(folder / f"labelled_{name}.npz") for name in ("train", "val")]

    def by(origins: dict[str, str]) -> list[CaseSet]:
        return [
            replace(
                found,
                cases=tuple(
                    replace(case, labels=tuple(replace(each, origin=origins[each.phase]) for each in case.labels))
                    for case in found.cases
                ),
            )
            for found in sets
        ]

    path = models.find_model("edge-picker")
    mixed, _ = PicksJudge(*by({"P": "manual", "S": "auto"}))(path)
    auto, scores = PicksJudge(*by({"P": "auto", "S": "auto"}))(path)
    assert mixed["S"] == auto["S"]
    assert scores["validation_S_f1"] > 0.5
