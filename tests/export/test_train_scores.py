"""Reading labelled windows, scoring picks."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import artefacts
import numpy as np
import pytest
from labelled import write_labelled

from seisedge.edge.manifest import Threshold
from seisedge.edge.preprocess import Preprocess
from seisedge.edge.session import OrtSession
from seisedge.export.dataset import LabelledWindow, read_labelled
from seisedge.export.errors import TrainingDataError
from seisedge.export.evaluate import Curve, score

MANIFEST = artefacts.tiny_manifest()


@pytest.fixture(scope="module")
def preprocess() -> Preprocess:
    return Preprocess(MANIFEST)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_labelled(tmp_path_factory.mktemp("labelled"))


def _window(**changes: Any) -> LabelledWindow:
    rng = np.random.default_rng(0)
    window = LabelledWindow("w", "g", rng.normal(size=(3, 1600)).astype(np.float32), {"P": 600.0, "S": 900.0}, (), None)
    return dataclasses.replace(window, **changes)


def test_components_are_put_into_the_models_order_and_rate(folder: Path, preprocess: Preprocess) -> None:
    found = read_labelled(folder / "labelled_train.npz", preprocess)
    stored = np.load(folder / "labelled_train.npz")
    vertical = stored["samples"][1600 * 3 : 1600 * 4]
    wanted = preprocess.record(vertical[np.newaxis].astype(np.float32), 100.0)[0]
    np.testing.assert_array_equal(found.windows[1].samples[2], wanted)
    assert found.windows[1].arrivals["S"] == 900


def test_arrivals_follow_the_change_of_rate(tmp_path: Path, preprocess: Preprocess) -> None:
    at_50 = read_labelled(write_labelled(tmp_path, rate=50.0) / "labelled_train.npz", preprocess)
    assert at_50.windows[1].arrivals["S"] == pytest.approx(900)


def test_a_set_that_is_not_there_or_not_whole_is_named(folder: Path, preprocess: Preprocess, tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match=r"labelled_train\.npz: no such file"):
        read_labelled(tmp_path / "labelled_train.npz", preprocess)
    (tmp_path / "labelled_train.npz").write_bytes((folder / "labelled_train.npz").read_bytes())
    (tmp_path / "labelled_train.csv").write_text("s_status,channels,other_picks\nnone,HHZ,\n")
    with pytest.raises(TrainingDataError, match="found 1 rows, wanted 24"):
        read_labelled(tmp_path / "labelled_train.npz", preprocess)


def _curve(window: LabelledWindow, *places: int) -> Curve:
    """Probability 0.9 of P at the windows whose reference sample is nearest to the places."""
    count = (window.samples.shape[1] - 400) // 10 + 1
    probabilities = np.tile(np.array([0.01, 0.01, 0.98], np.float32), (count, 1))
    for place in places:
        probabilities[(place - 200) // 10] = (0.9, 0.05, 0.05)
    return Curve(window, [probabilities])


def test_scores_count_hits_false_picks_and_misses() -> None:
    curves = [
        _curve(_window(), 610),  # hit, 0.1 s late
        _curve(_window(), 1200),  # miss, and a false pick
        _curve(_window(others=(1180.0,)), 610, 1200),  # hit, and a pick at an arrival of unknown phase
        _curve(_window(arrivals={})),  # nothing, rightly
        _curve(_window(arrivals={"P": 100.0})),  # the model never sees it at its reference sample
    ]
    result = score(MANIFEST, curves, "P", Threshold(0.5, 0.25))
    assert (result.hits, result.false_picks, result.missed) == (2, 1, 1)
    np.testing.assert_allclose(result.residuals_s, (0.1, 0.1))
    assert result.f1 == pytest.approx(2 / 3)
    assert abs(result.precision - 2 / 3) < 1e-9
    assert abs(result.recall - 2 / 3) < 1e-9


def test_the_runtime_and_the_trainer_share_their_preprocessing(tiny_session: OrtSession) -> None:
    preprocess = Preprocess(tiny_session.manifest)
    samples = np.random.default_rng(1).integers(-500, 500, (3, 2000)).astype(np.int32)
    chains = [preprocess.stream(100.0) for _ in range(3)]
    for chain, row in zip(chains, samples, strict=True):
        chain.start(float(row[0]))
    streamed = np.stack(
        [np.concatenate([c.push(row[:7]), c.push(row[7:])]) for c, row in zip(chains, samples, strict=True)]
    )
    np.testing.assert_array_equal(preprocess.record(samples, 100.0), streamed)
