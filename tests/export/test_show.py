"""`show` says all that a recipe and a manifest hold, in lines that fit a terminal."""

from __future__ import annotations

import dataclasses
import string
from pathlib import Path

import artefacts
import pytest

from seisedge.edge.manifest import Quantization
from seisedge.edge.session import OrtSession
from seisedge.edge.steps import OPERATIONS, Step
from seisedge.export.recipe import highpass
from seisedge.export.registry import REGISTRY
from seisedge.export.show import STEPS, describe_artefact, describe_recipe, step_words


def joined(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())


@pytest.mark.parametrize("name", REGISTRY)
def test_every_recipe_fits_a_terminal_and_says_its_words(name: str) -> None:
    recipe = REGISTRY[name].recipe
    lines = describe_recipe(recipe)
    assert max(map(len, lines)) <= 100
    text = joined(lines)
    assert f"{recipe.sampling_rate:g} Hz" in text
    assert f"{recipe.window_samples:,} samples ({recipe.window_samples / recipe.sampling_rate:g} s)" in text
    for step in recipe.steps:
        assert step_words(step, recipe.sampling_rate) in text
    for label, threshold in recipe.postprocess.thresholds.items():
        assert f"{label} opens at {threshold.on:g}, closes below {threshold.off:g}" in text
    for budget in recipe.budgets:
        assert budget.covers in text
        assert budget.not_documented in text


def test_every_operation_has_words_with_all_its_parameters() -> None:
    found = {op: {name for _, name, _, _ in string.Formatter().parse(words) if name} for op, words in STEPS.items()}
    assert {op: names - {"rate"} for op, names in found.items()} == {
        op: set(operation.params) for op, operation in OPERATIONS.items()
    }


def test_a_step_in_words() -> None:
    assert step_words(highpass(2.0), 100.0) == "above 2 Hz: Butterworth of order 4, causal (first sample)"
    joint = Step("normalise_max_abs", "window", {"joint": True, "eps": 0.0})
    assert step_words(joint, 100.0) == "divided by the largest |x| + 0, all components together"


def test_an_artefact_says_where_it_comes_from_and_what_it_is_for(tiny_session: OrtSession, tiny_path: Path) -> None:
    size = tiny_path.stat().st_size
    lines = describe_artefact(tiny_session.manifest, digest=tiny_session.digest, size=size)
    assert lines[0] == "tiny, version 1"
    text = joined(lines)
    provenance = tiny_session.manifest.provenance
    for wanted in (
        tiny_session.digest,
        f"{size:,} bytes",
        provenance.training_data,
        provenance.licence,
        "fp32, for any",
    ):
        assert wanted in text
    assert max(map(len, lines)) <= 100


def test_a_quantised_artefact_says_how_and_for_what() -> None:
    manifest = dataclasses.replace(
        artefacts.tiny_manifest(),
        quantization=Quantization(
            precision="int8", target="arm", scheme="static", calibration_digest="c" * 64, exceptions=("Softmax", "Add")
        ),
    )
    text = joined(describe_artefact(manifest, digest="d" * 64, size=1))
    for wanted in ("int8, for arm", "scheme static", f"SHA-256 {'c' * 64}", "left in fp32 Softmax, Add"):
        assert wanted in text
