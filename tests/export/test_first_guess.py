"""A network that is begun says of every sample how often an onset is there, and learns from its first step on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from labelled import write_labelled

from seisedge.edge.preprocess import Preprocess
from seisedge.export.dataset import read_labelled
from seisedge.export.first_guess import begin, onset_share
from seisedge.export.lessons import lesson_of
from seisedge.export.objective_samples import SampleObjective
from seisedge.export.recipe import with_window
from seisedge.export.records import labelled_records
from seisedge.export.registry import find
from seisedge.export.train_job import draft_manifest
from seisedge.export.train_options import ExampleOptions, TrainOptions, default_options

PHASENETS = ["unet", "unet-z", "inception-z", "brnn-z"]


@pytest.mark.parametrize("name", PHASENETS)
def test_a_new_network_says_the_share_of_every_sample(name: str) -> None:
    manifest, options = draft_manifest(find(name)), default_options(draft_manifest(find(name)))
    network = begin(find(name), manifest, options).eval()
    said = network(torch.randn(2, len(manifest.components.order), 120))
    probability = said[0] if isinstance(said, tuple) else said
    onsets = probability[..., -2:]  # P, S; before them the noise of a softmax over all three
    torch.testing.assert_close(onsets, torch.full_like(onsets, onset_share(manifest, options)))
    if isinstance(said, tuple):
        assert not said[1].any()


@pytest.mark.parametrize("name", ["unet", "unet-z"])
def test_the_share_is_about_that_of_the_targets(name: str, tmp_path: Path) -> None:
    targets, weights, share = _drawn(name, tmp_path)
    onsets, known = (targets[:, :2], weights[:, :2]) if name == "unet" else (targets[:, 1:], weights)
    assert 0.5 < float((onsets * known).sum() / known.expand_as(onsets).sum()) / share < 2


@pytest.mark.parametrize(("name", "part"), [("unet", 0.95), ("unet-z", 0.1), ("wavenet-z", 0.1)])
def test_it_begins_with_less_loss_than_random_heads(name: str, part: float, tmp_path: Path) -> None:
    targets, weights, _ = _drawn(name, tmp_path)
    manifest, options = draft_manifest(find(name)), default_options(draft_manifest(find(name)))
    objective = SampleObjective(manifest, options.examples)
    inputs = torch.randn(len(targets), len(manifest.components.order), options.window_samples)
    torch.manual_seed(0)
    losses = []
    for network in (begin(find(name), manifest, options), find(name).build()):
        with torch.no_grad():
            losses.append(float(objective.loss(objective.scores(network, inputs), targets, weights)))
    begun, random = losses
    assert begun < part * random  # beside offsets the onsets have a third of the weight: half was near


def test_a_share_leaves_something_for_the_noise() -> None:
    manifest = draft_manifest(find("unet"))
    options = dataclasses.replace(default_options(manifest), window_samples=16)
    assert onset_share(manifest, options) == pytest.approx(1 / 3)


def test_a_network_that_expects_nothing_is_the_registrys() -> None:
    torch.manual_seed(0)
    begun = begin(find("edge-picker"), draft_manifest(find("edge-picker")), TrainOptions()).state_dict()
    torch.manual_seed(0)
    assert all(torch.equal(begun[name], each) for name, each in find("edge-picker").build().state_dict().items())


def _drawn(name: str, folder: Path) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Targets and weights of examples at arrivals and of noise, as they are shared by default; and what is guessed."""
    manifest = draft_manifest(find(name))
    options = default_options(manifest)
    found = read_labelled(write_labelled(folder, count=9) / "labelled_train.npz", Preprocess(manifest))
    examples = dataclasses.replace(options.examples.unchanged(), shares=(0.63, 0.37, 0.0, 0.0, 0.0))
    records = tuple(labelled_records(found, manifest.sampling_rate))
    lesson = lesson_of(with_window(manifest, options.width_for(manifest)), records, _but(options, examples))
    _, targets, weights = lesson.examples.batch(64, np.random.default_rng(0))
    return torch.from_numpy(targets), torch.from_numpy(weights), onset_share(manifest, options)


def _but(options: TrainOptions, examples: ExampleOptions) -> TrainOptions:
    return dataclasses.replace(options, examples=examples, held_out=0.0)
