"""A manifest is read strictly: what is unknown, missing, of a wrong type or impossible is an error that names it."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import artefacts
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisedge.edge import Manifest, ManifestError, read_manifest, strict
from seisedge.edge.manifest import MAX_BYTES, METADATA_KEY, Output, Postprocess, Threshold
from seisedge.edge.preprocess import Preprocess
from seisedge.edge.seal import SEAL_KEY
from seisedge.edge.steps import OPERATIONS, Number, Step
from seisedge.export.recipes import SEISMO_PERFORMER, SPEC_CNN


def read(value: object) -> Manifest:
    return read_manifest(json.dumps(value), "m.onnx")


def broken(path: str, value: object) -> dict[str, Any]:
    """The tiny manifest with one value put at a path such as `steps.0.params.order`."""
    manifest = artefacts.manifest_object()
    at: Any = manifest
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    for key in parents:
        at = at[key]
    at[last] = value
    return manifest


def without(path: str) -> dict[str, Any]:
    manifest = artefacts.manifest_object()
    at: Any = manifest
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    for key in parents:
        at = at[key]
    del at[last]
    return manifest


@pytest.mark.parametrize("recipe", [SEISMO_PERFORMER, SPEC_CNN], ids=lambda recipe: recipe.name)
def test_written_and_read_manifests_are_equal(recipe: Any) -> None:
    manifest = artefacts.tiny_manifest(recipe)
    assert read_manifest(manifest.to_json(), "m.onnx") == manifest


def test_a_manifest_survives_the_onnx_file(tmp_path: Path) -> None:
    path = artefacts.write_tiny(tmp_path / "m.onnx")
    loaded = onnx.load(path)
    onnx.save(loaded, tmp_path / "again.onnx")
    again = onnx.load(tmp_path / "again.onnx")
    entry, seal = again.metadata_props
    assert seal.key == SEAL_KEY
    assert entry.key == METADATA_KEY
    assert read_manifest(entry.value, "again.onnx") == artefacts.tiny_manifest()


LEVELS = [
    "",
    "components.",
    "steps.0.",
    "input.",
    "outputs.0.",
    "postprocess.",
    "postprocess.thresholds.P.",
    "quantization.",
    "verification.",
    "budgets.0.",
    "provenance.",
]


@pytest.mark.parametrize("level", LEVELS)
def test_an_unknown_key_is_an_error_at_every_level(level: str) -> None:
    dotted = re.sub(r"\.(\d+)", r"[\1]", f"manifest.{level}".rstrip("."))
    with pytest.raises(ManifestError, match=re.escape(f"m.onnx: {dotted}: unknown key 'sampling_rte'")):
        read(broken(f"{level}sampling_rte", 1))


MISSING = {
    "name": "manifest: missing key 'name'",
    "components.missing": "manifest.components: missing key 'missing'",
    "steps.1.scope": "manifest.steps[1]: missing key 'scope'",
    "steps.1.params.order": "manifest.steps[1].params: missing key 'order' of step 'highpass'",
    "outputs.0.labels": "manifest.outputs[0]: missing key 'labels'",
    "postprocess.thresholds.S.off": "manifest.postprocess.thresholds.S: missing key 'off'",
    "provenance.licence": "manifest.provenance: missing key 'licence'",
}


@pytest.mark.parametrize("path", MISSING)
def test_a_missing_key_is_an_error_that_names_it(path: str) -> None:
    with pytest.raises(ManifestError, match=re.escape(f"m.onnx: {MISSING[path]}")):
        read(without(path))


WRONG: list[tuple[str, object, str]] = [
    ("format", 2, "manifest.format: found 2, wanted 1: another release wrote this artefact"),
    ("format", True, "manifest.format: found True, wanted 1"),
    ("format", "1", "manifest.format: found '1', wanted 1"),
    ("name", 3, "manifest.name: found int 3, wanted str"),
    ("task", "picking", "manifest.task: found str 'picking', wanted phase_picking | phase_classification"),
    ("sampling_rate", "100", "manifest.sampling_rate: found str '100', wanted float"),
    ("sampling_rate", True, "manifest.sampling_rate: found bool True, wanted float"),
    ("sampling_rate", float("nan"), "manifest.sampling_rate: found nan, wanted a finite number"),
    ("sampling_rate", float("inf"), "manifest.sampling_rate: found inf, wanted a finite number"),
    ("sampling_rate", 0, "manifest.sampling_rate: found 0.0, wanted more than 0"),
    ("window_samples", 400.0, "manifest.window_samples: found float 400.0, wanted int"),
    ("window_samples", -1, "manifest.window_samples: found -1, wanted more than 0"),
    ("stride_samples", 0, "manifest.stride_samples: found 0, wanted more than 0"),
    ("components", [], "manifest.components: found list [], wanted an object"),
    ("components.order", "NEZ", "manifest.components.order: found str 'NEZ', wanted a list"),
    ("components.order", [], "manifest.components.order: found [], wanted distinct letters"),
    ("components.order", ["Z", "Z"], "manifest.components.order: found ['Z', 'Z'], wanted distinct letters"),
    ("components.aliases", {"1": "Q"}, "manifest.components: found 'Q', wanted one of N, E, Z"),
    ("components.aliases", {"N": "E"}, "manifest.components.aliases: found 'N', which is a component itself"),
    ("components.required", ["X"], "manifest.components: found 'X', wanted one of N, E, Z"),
    ("components.missing", "ignore", "manifest.components.missing: found str 'ignore', wanted zeros | refuse"),
    ("steps.0.op", "resampel", "manifest.steps[0].op: unknown step 'resampel'; did you mean 'resample'?"),
    ("steps.1.scope", "window", "manifest.steps[1].scope: found 'window', wanted 'stream' for highpass"),
    ("steps.1.scope", "both", "manifest.steps[1].scope: found str 'both', wanted stream | window"),
    ("steps.1.params.order", 4.0, "manifest.steps[1].params.order: found 4.0, wanted int"),
    ("steps.1.params.order", True, "manifest.steps[1].params.order: found True, wanted int"),
    ("steps.1.params.corner_hz", "2", "manifest.steps[1].params.corner_hz: found '2', wanted float"),
    ("steps.1.params.corner_hz", None, "manifest.steps[1].params.corner_hz: found NoneType None, wanted bool or int"),
    ("steps.1.params.corner", 2, "manifest.steps[1].params: unknown key 'corner'; did you mean 'corner_hz'?"),
    ("steps.1.params.phase", "zero", "manifest.steps[1].params.phase: found 'zero' in a stream step, wanted 'causal'"),
    ("steps.1.params.phase", "linear", "manifest.steps[1].params.phase: found 'linear', wanted causal | zero"),
    ("steps.1.params.corner_hz", 50, "manifest.steps[1].params.corner_hz: found 50 Hz, wanted less than 50 Hz, half"),
    ("steps.1.params.corner_hz", 0, "manifest.steps[1].params.corner_hz: found 0, wanted float, 0.0001 to 1000000.0"),
    ("steps.2.params.hop_samples", 0, "manifest.steps[2].params.hop_samples: found 0, wanted int, 1 to 1048576"),
    ("steps.2.params.frame_samples", 64.0, "manifest.steps[2].params.frame_samples: found 64.0, wanted 16 | 32 | 64"),
    ("steps.2.params.frame_samples", 512, "manifest.steps[2].params.frame_samples: found 512 samples, wanted at most"),
    ("window_samples", 1 << 40, "manifest.window_samples: found 1099511627776, wanted more than 0, at most 67108864"),
    ("input.shape", [1 << 14, 1 << 14], "manifest.input.shape: found [16384, 16384], wanted positive sizes whose pro"),
    ("input.shape", [], "manifest.input.shape: found [], wanted positive sizes"),
    ("input.shape", [22, 0, 3], "manifest.input.shape: found [22, 0, 3], wanted positive sizes"),
    ("input.shape", [22, 33.0, 3], "manifest.input.shape[1]: found float 33.0, wanted int"),
    ("input.dtype", "float16", "manifest.input.dtype: found str 'float16', wanted float32"),
    ("outputs", [], "manifest.outputs: found none, wanted at least one"),
    ("outputs.0.reference_sample", "200", "manifest.outputs[0].reference_sample: found str '200', wanted int"),
    ("postprocess.thresholds.Q", {"on": 0.5, "off": 0.2}, "manifest.postprocess.thresholds.Q: unknown label"),
    ("postprocess.thresholds.P.on", 1.5, "manifest.postprocess.thresholds.P: found on 1.5, off 0.5, wanted 0 < off"),
    ("postprocess.thresholds.P.off", 0, "manifest.postprocess.thresholds.P: found on 0.95, off 0.0, wanted 0 < off"),
    ("postprocess.thresholds.P", 0.5, "manifest.postprocess.thresholds.P: found float 0.5, wanted an object"),
    ("postprocess.minimum_separation_s", -1, "manifest.postprocess.minimum_separation_s: found less than 0"),
    ("postprocess.pick_time", "offset", "manifest.postprocess.pick_time: found offset, but no time_offset output"),
    ("postprocess.pick_time", "middle", "manifest.postprocess.pick_time: found str 'middle', wanted peak | centroid"),
    ("postprocess.blinding_samples", [1, 0], "manifest.postprocess.blinding_samples: found 1 and 0, wanted 0 and 0"),
    ("postprocess.blinding_samples", [-1, 0], "manifest.postprocess.blinding_samples: found -1 and 0, wanted less"),
    ("postprocess.blinding_samples", [200, 200], "manifest.postprocess.blinding_samples: found 200 and 200, wanted"),
    ("postprocess.blinding_samples", [0], "manifest.postprocess.blinding_samples: found 1 items, wanted 2"),
    ("outputs.0.kind", "waveform", "manifest.outputs[0].kind: found waveform, wanted class_probability for phase_cl"),
    ("outputs.0.reference_sample", None, "manifest.outputs[0].reference_sample: found None, wanted 0 to 400"),
    ("outputs.0.reference_sample", 401, "manifest.outputs[0].reference_sample: found 401, wanted 0 to 400"),
    ("task", "phase_picking", "manifest.outputs[0].kind: found class_probability, wanted sample_probability for"),
    ("quantization.exceptions", None, "manifest.quantization.exceptions: found NoneType None, wanted a list"),
    ("verification.golden_output", [1, "x"], "manifest.verification.golden_output[1]: found str 'x', wanted float"),
    ("provenance.tools", {"a\nb": 2}, "manifest.provenance.tools.a b: found int 2, wanted str"),
    ("provenance.tools", {"torch": 2}, "manifest.provenance.tools.torch: found int 2, wanted str"),
]


@pytest.mark.parametrize(("path", "value", "message"), WRONG, ids=lambda value: str(value)[:40])
def test_a_wrong_value_is_an_error_that_names_it(path: str, value: object, message: str) -> None:
    with pytest.raises(ManifestError, match=re.escape(f"m.onnx: {message}")):
        read(broken(path, value))


def test_a_stream_step_behind_a_window_step_is_refused() -> None:
    manifest = artefacts.manifest_object()
    manifest["steps"].append(manifest["steps"].pop(0))
    message = "manifest.steps[2]: found stream step 'resample' behind a window step, wanted it before"
    with pytest.raises(ManifestError, match=re.escape(message)):
        read(manifest)


def parameter(wanted: object) -> st.SearchStrategy[Any]:
    """What a parameter may be: mostly what stations use, and the ends of its range."""
    if isinstance(wanted, tuple):
        return st.sampled_from(wanted)
    if not isinstance(wanted, Number):
        return st.booleans()
    least, most = wanted.least, min(wanted.most, 40)
    usual = st.integers(int(least), int(most)) if wanted.kind is int else st.floats(least, most)
    return st.one_of(usual, usual, usual, st.sampled_from([wanted.least, wanted.most, 0, 49.9]))


STEPS = st.sampled_from(sorted(OPERATIONS)).flatmap(
    lambda op: st.fixed_dictionaries({key: parameter(wanted) for key, wanted in OPERATIONS[op].params.items()}).map(
        lambda params: Step(op, OPERATIONS[op].scope, params)
    )
)


def set_up(steps: list[Step], window_samples: int, shape: tuple[int, ...] = (1,)) -> Preprocess | None:
    """The steps of a model whose input has the shape that they give; None where they are refused."""
    try:
        manifest = artefacts.tiny_manifest(
            steps=tuple(steps),
            window_samples=window_samples,
            outputs=(dataclasses.replace(SEISMO_PERFORMER.outputs[0], reference_sample=0),),
            input=dataclasses.replace(SEISMO_PERFORMER.input, shape=shape),
        )
        return Preprocess(manifest)
    except ManifestError as error:
        named = re.search(r"the steps give \[(.*)\]", str(error))
    if named is None:
        return None
    fits = tuple(map(int, named[1].split(",")))
    assert fits != shape
    return set_up(steps, window_samples, fits)


@given(st.lists(STEPS, max_size=2), st.integers(16, 300))
def test_steps_that_a_manifest_takes_can_be_set_up_and_run(steps: list[Step], window_samples: int) -> None:
    preprocess = set_up(steps, window_samples)
    if preprocess is None:
        return
    samples = np.random.default_rng(0).integers(-1000, 1000, (3, 2 * window_samples)).astype(np.int32)
    stream = preprocess.record(samples, 100.0)
    windows = preprocess.windows(stream, count=2, stride=window_samples)
    assert windows.shape == (2, *preprocess.manifest.input.shape)


def test_a_manifest_that_contradicts_itself_cannot_even_be_built() -> None:
    with pytest.raises(
        ManifestError, match=r"^manifest.stride_samples: found -10, wanted more than 0, at most 67108864$"
    ):
        artefacts.tiny_manifest(stride_samples=-10)


PROBABILITY = Output("probability", "sample_probability", ("P", "S"), None, None)
OFFSET = Output("offset", "time_offset", ("P", "S"), None, 20.0)
PICKED = {"P": Threshold(0.8, 0.8), "S": Threshold(0.8, 0.8)}


def per_sample(*outputs: Output, blinding: tuple[int, int] = (100, 50), stride: int = 250) -> Manifest:
    postprocess = Postprocess(PICKED, 2.0, "offset", blinding)
    return artefacts.tiny_manifest(
        task="phase_picking", outputs=outputs, postprocess=postprocess, stride_samples=stride
    )


def test_a_per_sample_model_with_offsets_is_a_manifest() -> None:
    manifest = per_sample(PROBABILITY, OFFSET)
    assert read_manifest(manifest.to_json(), "m.onnx") == manifest


def test_offsets_and_blinding_that_do_not_fit_are_refused() -> None:
    one_label = dataclasses.replace(OFFSET, labels=("P",))
    with pytest.raises(ManifestError, match=r"pick_time: found offset, but no time_offset output of S$"):
        per_sample(PROBABILITY, one_label)
    for scale in (None, 0.0, -20.0):
        with pytest.raises(ManifestError, match=r"outputs\[1\].time_offset_scale: found .*, wanted more than 0"):
            per_sample(PROBABILITY, dataclasses.replace(OFFSET, time_offset_scale=scale))
    with pytest.raises(ManifestError, match=r"outputs\[1\].kind: found sample_probability beside sample_probability"):
        per_sample(PROBABILITY, PROBABILITY)
    with pytest.raises(ManifestError, match="stride_samples: found 251, wanted at most the 250 samples of a window"):
        per_sample(PROBABILITY, OFFSET, stride=251)


def test_an_int_is_taken_for_a_float_and_nothing_else_is_converted() -> None:
    assert read(broken("sampling_rate", 100)).sampling_rate == 100.0
    assert isinstance(read(broken("sampling_rate", 100)).sampling_rate, float)


def test_other_text_than_json_is_refused() -> None:
    with pytest.raises(ManifestError, match=r"^m.onnx: manifest: found no JSON \(.*\), wanted an object$"):
        read_manifest("{", "m.onnx")
    with pytest.raises(ManifestError, match=r"^m.onnx: manifest: found list \[\], wanted an object$"):
        read_manifest("[]", "m.onnx")


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, " " * (MAX_BYTES + 1)])
def test_hostile_text_is_refused_and_bounded(text: str) -> None:
    with pytest.raises(ManifestError, match=r"^m.onnx: manifest: found"):
        read_manifest(text, "m.onnx")


def test_messages_shorten_long_values() -> None:
    with pytest.raises(ManifestError) as caught:
        read(broken("components", "x" * 10_000))
    assert len(str(caught.value)) < 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
PATHS = [
    *("format", "name", "task", "components", "components.aliases", "sampling_rate", "window_samples", "steps"),
    *("steps.0", "steps.1.params", "steps.1.params.order", "input", "input.shape", "outputs", "outputs.0"),
    *("outputs.0.labels", "postprocess", "postprocess.thresholds", "verification", "budgets", "provenance.tools"),
]


@given(path=st.sampled_from(PATHS), value=JSON)
def test_any_value_anywhere_gives_a_manifest_or_a_manifest_error(path: str, value: object) -> None:
    text = json.dumps(broken(path, value))
    try:
        manifest = read_manifest(text, "m.onnx")
    except ManifestError:
        with pytest.raises(ManifestError, match=r"^m.onnx: manifest[^\n]*$"):
            read_manifest(text, "m.onnx")
    else:
        assert read_manifest(manifest.to_json(), "m.onnx") == manifest


def test_suggestions_are_the_nearest_name_or_all_names() -> None:
    assert strict.suggestion("hihgpass", {"highpass", "lowpass"}) == "; did you mean 'highpass'?"
    assert strict.suggestion("xyz", {"P", "S"}) == ", wanted one of P, S"
    assert strict.suggestion("xyz", set()) == ""
