"""A recipe file says all of a recipe, explains every key, and is read strictly."""

from __future__ import annotations

import dataclasses
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisedge.edge.errors import DataError, ManifestError
from seisedge.edge.manifest import Budget, Output, Threshold
from seisedge.edge.session import OrtSession
from seisedge.edge.steps import OPERATIONS
from seisedge.export import recipe_comments
from seisedge.export.recipe import Recipe
from seisedge.export.recipe_toml import MAX_BYTES, read_recipe, recipe_of, write_recipe
from seisedge.export.recipes import SEISMO_PERFORMER
from seisedge.export.registry import REGISTRY

if sys.version_info < (3, 11):
    pytest.skip("Python 3.10 has no tomllib", allow_module_level=True)

TEXT = write_recipe(SEISMO_PERFORMER)


def read_text(text: str | bytes, folder: Path) -> Recipe:
    path = folder / "recipe.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_recipe(path)


def parts(cls: type) -> Iterator[type]:
    """The dataclasses that a dataclass is made of, itself included."""
    yield cls
    for hint in get_type_hints(cls).values():
        for each in (hint, *get_args(hint)):
            if isinstance(each, type) and dataclasses.is_dataclass(each):
                yield from parts(each)


@pytest.mark.parametrize("name", REGISTRY)
def test_what_is_written_is_read(name: str, tmp_path: Path) -> None:
    recipe = REGISTRY[name].recipe
    assert read_text(write_recipe(recipe), tmp_path) == recipe


@settings(max_examples=50)
@given(
    text=st.text(st.characters(exclude_categories=["Cs"])),
    labels=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4, unique=True),
    number=st.floats(allow_nan=False, allow_infinity=False),
)
def test_any_text_and_any_number_survives(
    text: str, labels: list[str], number: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    recipe = dataclasses.replace(
        SEISMO_PERFORMER,
        name=text,
        outputs=(Output("y", "class_probability", tuple(labels), 0, number),),
        postprocess=dataclasses.replace(
            SEISMO_PERFORMER.postprocess, thresholds={label: Threshold(0.5, 0.25) for label in labels}
        ),
        budgets=(Budget(number, text, text, text),),
    )
    assert read_text(write_recipe(recipe), tmp_path_factory.getbasetemp()) == recipe


def test_every_field_operation_and_parameter_is_explained() -> None:
    fields = {cls: {field.name for field in dataclasses.fields(cls)} for cls in parts(Recipe)}
    assert {cls: set(comments) for cls, comments in recipe_comments.FIELDS.items()} == fields
    wanted = {name: set(operation.params) for name, operation in OPERATIONS.items()}
    assert {name: set(params) for name, (_, params) in recipe_comments.OPERATIONS.items()} == wanted


@pytest.mark.parametrize("name", ["seismo-performer", "inception", "spectrogram-cnn", "source-inversion"])
def test_every_key_stands_under_its_comment_where_it_first_stands(name: str) -> None:
    seen = set[str]()
    lines = write_recipe(REGISTRY[name].recipe).splitlines()
    for above, line in itertools.pairwise(lines):
        key = line.removeprefix("# ").partition(" =")[0]
        if key.isidentifier() and " =" in line and key not in seen:
            seen.add(key)
            assert above.startswith("# "), line
        assert len(line) <= 100 or not line.startswith("#")
    assert {"sampling_rate", "shape", "kind", "blinding_samples"} <= seen


def test_allowed_words_come_from_the_types() -> None:
    assert "One of: phase_picking,\n# phase_classification, event_detection, waveform_inversion." in TEXT
    assert "One of: hann_periodic." in TEXT


def test_the_recipe_of_an_artefact_is_the_one_it_was_made_by(tiny_session: OrtSession, tmp_path: Path) -> None:
    recipe = recipe_of(tiny_session.manifest)
    assert recipe == dataclasses.replace(SEISMO_PERFORMER, name="tiny")
    assert read_text(write_recipe(recipe), tmp_path) == recipe


CHANGED: list[tuple[str, str, str]] = [
    ("sampling_rate = 100.0", "sampling_rat = 100.0", "unknown key 'sampling_rat'; did you mean 'sampling_rate'?"),
    ("sampling_rate = 100.0\n", "", "missing key 'sampling_rate'"),
    ("sampling_rate = 100.0", "sampling_rate = nan", "sampling_rate: found nan, wanted a finite number"),
    ("window_samples = 400", "window_samples = 400.0", "window_samples: found float 400.0, wanted int"),
    ("window_samples = 400", "window_samples = 800", "input.shape: found [22, 33, 3], the steps give [47, 33, 3]"),
    (
        "window_samples = 400",
        "window_samples = 4000000000",
        "window_samples: found 4000000000, wanted more than 0, at most 67108864",
    ),
    ("frame_samples = 64", "frame_samples = 6400000000", "frame_samples: found 6400000000, wanted 16 | 32 |"),
    ("hop_samples = 16", "hop_samples = 0", "steps[2].params.hop_samples: found 0, wanted int, 1 to 1048576"),
    ('missing = "zeros"', 'missing = "nothing"', "components.missing: found str 'nothing', wanted zeros | refuse"),
    ('op = "highpass"', 'op = "hipass"', "steps[1].op: unknown step 'hipass'; did you mean 'highpass'?"),
    ('phase = "causal"', 'phase = "zero"', "steps[1].params.phase: found 'zero' in a stream step, wanted 'causal'"),
    ("corner_hz = 2.0", "corner_hz = 60.0", "corner_hz: found 60.0 Hz, wanted less than 50 Hz, half the"),
    ("corner_hz = 2.0", "corner_hz = 2.0\nripple = 1", "steps[1].params: unknown key 'ripple'"),
    ("shape = [22, 33, 3]", "shape = [22, 33, 1]", "input.shape: found [22, 33, 1], the steps give [22, 33, 3]"),
    ("reference_sample = 200", "", "outputs[0].reference_sample: found None, wanted 0 to 400"),
    ("reference_sample = 200", "reference_sampel = 200", "did you mean 'reference_sample'?"),
    ("[postprocess.thresholds.P]", "[postprocess.thresholds.p]", "postprocess.thresholds.p: unknown label"),
]


@pytest.mark.parametrize(("old", "new", "message"), CHANGED)
def test_what_is_wrong_is_named_in_one_line(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in TEXT
    with pytest.raises(ManifestError) as caught:
        read_text(TEXT.replace(old, new, 1), tmp_path)
    text = str(caught.value)
    assert text.startswith(f"{tmp_path / 'recipe.toml'}: ")
    assert message in text
    assert "manifest" not in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name = ", "found no TOML"),
        (b"name = '\xff'", "found no TOML"),
        (b"a = " + b"[" * 20_000, "found no TOML"),
        (b"#" * (MAX_BYTES + 1), f"found more than {MAX_BYTES} bytes"),
        (b"a = 1\na = 2", "found no TOML"),
    ],
)
def test_bytes_that_are_no_recipe_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_text(content, tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["outputs = 3", "outputs = [1]", "[outputs]\nname = 'x'", "outputs = [[{}]]"])
def test_outputs_of_another_type_are_refused(value: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError):
        read_text(value, tmp_path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.toml: cannot be read: No such file"):
        read_recipe(tmp_path / "nowhere.toml")


def test_a_change_of_any_line_of_values_changes_the_recipe_or_is_refused(tmp_path: Path) -> None:
    """No key is read and forgotten: without its line, each is missed or read as null."""
    lines = TEXT.splitlines()
    for place, line in enumerate(lines):
        if " = " not in line or line.startswith("#"):
            continue
        found: Any = None
        try:
            found = read_text("\n".join([*lines[:place], *lines[place + 1 :]]), tmp_path)
        except DataError:
            continue
        assert found != SEISMO_PERFORMER, line
