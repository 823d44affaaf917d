"""The published Keras weights must give the documented probabilities, from the record to the softmax."""

from __future__ import annotations

from collections.abc import Callable

import artefacts
import numpy as np
import pytest
import torch
from golden_windows import GOLDEN, components, decibels, spectrograms
from shared_data import SHARED, needs_shared
from torch import nn

from seisedge.export.errors import WeightError
from seisedge.export.networks import parameter_count
from seisedge.export.networks.seismo_performer import SeismoPerformer, SpecCnn
from seisedge.export.weights_keras import load_keras_weights

WEIGHTS = SHARED / "weights" / "seismo-performer"

PERFORMER_V1, PERFORMER_V2 = "w_model_performer_with_spec.hd5", "w_model_performer_v2.0.h5"
CNN_V1, CNN_V2 = "weights_model_cnn_spec.hd5", "w_model_cnn_v2.0.h5"


@needs_shared
def test_front_end_of_these_tests_gives_the_documented_levels() -> None:
    np.testing.assert_allclose(np.abs(components()).max(axis=1), [25154.329, 21595.770, 5939.742], rtol=1e-7)
    levels = {start: decibels(start) for start in (0, 1350, 2230, 3000)}
    highest = {start: float(level.max()) for start, level in levels.items()}
    assert highest == pytest.approx({0: 7.713, 1350: 10.877, 2230: 11.570, 3000: 11.140}, abs=6e-4)
    lowest = [float(level.min()) for level in levels.values()]
    assert lowest == pytest.approx([-27.791, -50.0, -50.0, -50.0], abs=6e-4)


@needs_shared
@pytest.mark.parametrize("name", artefacts.PUBLISHED)
def test_published_weights_give_the_documented_probabilities(name: str) -> None:
    module = SpecCnn() if "cnn" in name else SeismoPerformer()
    report = load_keras_weights(WEIGHTS / artefacts.PUBLISHED[name][1], module.eval())
    assert report.is_complete
    assert sum(int(np.prod(match.shape)) for match in report.matched) == parameter_count(module)
    with torch.no_grad():
        probabilities = module(torch.from_numpy(spectrograms())).numpy()
    # Six digits in the table; seen: 5e-7. In the last window bins lie beside the floor of -50 dB, so that the
    # rounding of a float32 front end alone moves the answer by 6e-5; seen: 3e-5.
    differences = np.abs(probabilities - np.array(GOLDEN[name])).max(axis=1)
    assert (differences < [5e-6, 5e-6, 5e-6, 2e-4]).all(), differences


@needs_shared
def test_blocks_of_the_published_file_keep_their_order() -> None:
    report = load_keras_weights(WEIGHTS / PERFORMER_V1, SeismoPerformer())
    places = {match.module_path: match.file_path for match in report.matched}
    assert places["blocks.0.expand.weight"] == "/performer_block_8/performer_block_8/dense_33/kernel:0"
    assert places["blocks.1.expand.weight"] == "/performer_block_9/performer_block_9/dense_35/kernel:0"
    assert places["expand.weight"] == "/dense_37/dense_37/kernel:0"


@needs_shared
@pytest.mark.parametrize(
    ("name", "build", "found"),
    [
        (CNN_V1, SeismoPerformer, r"found kernel \(3, 3, 3, 32\)"),
        (CNN_V2, SeismoPerformer, r"found kernel \(3, 3, 3, 32\)"),
        (PERFORMER_V1, SpecCnn, r"found kernel \(198, 48\)"),
        (PERFORMER_V2, SpecCnn, r"found kernel \(198, 48\)"),
    ],
)
def test_weights_of_the_other_network_are_refused(name: str, build: Callable[[], nn.Module], found: str) -> None:
    with pytest.raises(WeightError, match=f"{name}: not the weights of") as caught:
        load_keras_weights(WEIGHTS / name, build())
    assert caught.match(found)
    assert "\n" not in str(caught.value)
