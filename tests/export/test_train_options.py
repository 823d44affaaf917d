"""Options of a training: the defaults are in their ranges, and what is not is refused by its name."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from seisedge.edge.errors import UsageError
from seisedge.export.errors import NetworkError
from seisedge.export.networks.edge_picker import EdgePicker
from seisedge.export.registry import REGISTRY, find
from seisedge.export.train_job import draft_manifest
from seisedge.export.train_options import ExampleOptions, TrainOptions, default_options


@pytest.mark.parametrize("name", REGISTRY)
def test_the_defaults_of_every_row_have_examples_that_it_takes(name: str) -> None:
    manifest = draft_manifest(find(name))
    for steps in (None, 1, 10):
        options = default_options(manifest, steps)
        assert options.width_for(manifest) > 0
        assert options.are_those(dataclasses.asdict(options))
        assert not options.are_those(dataclasses.asdict(dataclasses.replace(options, seed=1)))


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("steps", 0, "1 or more"),
        ("batch", 0, "1 or more"),
        ("window_samples", -1, "0 or more"),
        ("learning_rate", 0.0, "more than 0"),
        ("weight_decay", -0.1, "0 or more"),
        ("average", 1.0, "0 or more and less than 1"),
        ("held_out", 1.0, "0 or more and less than 1"),
        ("warm_up", 1.5, "a share from 0 to 1"),
        ("taught", -0.1, "a share from 0 to 1"),
        ("rounded_from", 2.0, "a share from 0 to 1"),
    ],
)
def test_a_value_out_of_its_range_is_named(name: str, value: float, wanted: str) -> None:
    values: dict[str, Any] = {name: value}
    with pytest.raises(UsageError, match=f"options of a training: {name}: found {value}, wanted {wanted}"):
        TrainOptions(**values)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("swap", 1.1, "swap: found 1.1, wanted a share from 0 to 1"),
        ("burst", -0.1, "burst: found -0.1, wanted a share"),
        ("near_s", 0.0, "near_s: found 0.0, wanted more than 0"),
        ("avoid_after_s", -1.0, "avoid_after_s: found -1.0, wanted 0 or more"),
        ("shares", (0.5, 0.5, 0.5, 0.0, 0.0), r"shares: found \[0.5, 0.5, 0.5, 0.0, 0.0\], wanted five shares"),
        ("shares", (1.5, -0.5, 0.0, 0.0, 0.0), "shares: found"),
        ("label_widths_s", {"P": 0.1, "S": 0.0}, r"label_widths_s\.S: found 0.0, wanted more than 0 s"),
    ],
)
def test_a_value_of_the_examples_out_of_its_range_is_named(name: str, value: object, message: str) -> None:
    values: dict[str, Any] = {name: value}
    with pytest.raises(UsageError, match=message):
        ExampleOptions(**values)


def test_every_number_has_a_range() -> None:
    """A new option is not forgotten: each refuses a large negative number, but the seed, or is a switch or a table."""
    free = {"seed", "dropout", "examples", "label_widths_s", "shares"}
    for cls in (TrainOptions, ExampleOptions):
        for each in dataclasses.fields(cls):
            if each.name not in free:
                values: dict[str, Any] = {each.name: -1000}
                with pytest.raises(UsageError, match=each.name):
                    cls(**values)


def test_a_network_of_one_length_refuses_examples_of_another() -> None:
    manifest = draft_manifest(find("gpd"))
    assert TrainOptions(window_samples=0).width_for(manifest) == manifest.window_samples
    with pytest.raises(UsageError, match="window_samples: found 100, wanted 0: windows of gpd have 400"):
        TrainOptions(window_samples=100).width_for(manifest)


@pytest.mark.parametrize("npts", [100, 2559])
def test_the_picker_names_a_length_that_it_cannot_halve(npts: int) -> None:
    with pytest.raises(NetworkError, match=f"samples: found {npts}, wanted a multiple of 256"):
        EdgePicker().logits(torch.zeros(1, 3, npts))
