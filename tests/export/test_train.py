"""Reading labelled windows, cutting crops, fitting, scoring."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import artefacts
import numpy as np
import pytest
import torch
from labelled import write_labelled

from seisedge.edge.manifest import Threshold
from seisedge.edge.preprocess import Preprocess
from seisedge.edge.session import OrtSession
from seisedge.export.dataset import LabelledWindow, read_labelled
from seisedge.export.errors import TrainingDataError
from seisedge.export.evaluate import Curve, best_threshold, score
from seisedge.export.registry import find
from seisedge.export.train import CropMaker, TrainOptions, train

MANIFEST = artefacts.tiny_manifest()
QUICK = TrainOptions(epochs=3, crops_per_window=4, batch=32)


@pytest.fixture(scope="module")
def preprocess() -> Preprocess:
    return Preprocess(MANIFEST)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_labelled(tmp_path_factory.mktemp("labelled"))


def _window(**changes: Any) -> LabelledWindow:
    rng = np.random.default_rng(0)
    window = LabelledWindow(
        "w", "g", rng.normal(size=(3, 1600)).astype(np.float32), {"P": 600.0, "S": 900.0}, (), None, is_manual=True
    )
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
    (tmp_path / "labelled_train.csv").write_text("id\nw0\n")
    with pytest.raises(TrainingDataError, match="found 1 rows, wanted 24"):
        read_labelled(tmp_path / "labelled_train.npz", preprocess)


def test_a_target_peaks_where_the_onset_is_at_the_reference_sample() -> None:
    maker = CropMaker((_window(),), MANIFEST, QUICK)
    at_p, beside, far = (maker.target(_window(), start) for start in (400, 410, 520))
    assert at_p is not None
    assert beside is not None
    assert far is not None
    np.testing.assert_allclose(at_p, [1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(beside, [np.exp(-0.5), 0, 1 - np.exp(-0.5)], atol=1e-6)
    np.testing.assert_allclose(far, [0, 0, 1], atol=1e-6)


def test_crops_at_what_is_not_known_are_left_out() -> None:
    maker = CropMaker((_window(),), MANIFEST, QUICK)
    assert maker.target(_window(others=(1150.0,)), 1000) is None
    unlabelled = _window(arrivals={"P": 600.0}, unlabelled_from=600.0)
    assert maker.target(unlabelled, 600) is None
    assert maker.target(unlabelled, 300) is not None


def test_an_epoch_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    maker = CropMaker((_window(), _window(arrivals={})), MANIFEST, QUICK)
    first, again, other = (maker.epoch(np.random.default_rng(seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first[0], again[0])
    assert first[0].shape != other[0].shape or not np.array_equal(first[0], other[0])


def test_training_lowers_the_loss_and_repeats_with_its_seed(folder: Path, preprocess: Preprocess) -> None:
    sets = (
        read_labelled(folder / "labelled_train.npz", preprocess),
        read_labelled(folder / "labelled_val.npz", preprocess),
    )
    curves = []
    for _ in range(2):
        torch.manual_seed(0)
        curves.append(train(find("seismo-performer").build(), preprocess, sets, QUICK)[1])
    assert curves[0][-1]["loss"] < 0.9 * curves[0][0]["loss"]
    assert [row["loss"] for row in curves[0]] == [row["loss"] for row in curves[1]]


def test_an_interrupted_training_keeps_what_was_learnt(folder: Path, preprocess: Preprocess) -> None:
    found = read_labelled(folder / "labelled_train.npz", preprocess)

    def interrupt(row: dict[str, float]) -> None:
        if row["epoch"] == 2:
            raise KeyboardInterrupt

    _, curve = train(find("seismo-performer").build(), preprocess, (found, found), QUICK, progress=interrupt)
    assert len(curve) == 2


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


def test_the_best_threshold_leaves_out_what_is_less_probable() -> None:
    weak = _curve(_window(), 610)
    weak.outputs[0][100] = (0.6, 0.2, 0.2)
    assert best_threshold(MANIFEST, [weak], "P").on > 0.6


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
