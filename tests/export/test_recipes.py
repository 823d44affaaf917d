"""The recipes say what the sources say, and every row runs: preprocessing, graph, postprocess."""

from __future__ import annotations

from pathlib import Path

import artefacts
import numpy as np
import onnx
import packets
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from seisedge.edge import Detection, OrtSession, Pick, Preprocess, Result, StationId, StationPicker, Waveform
from seisedge.edge.session import drawn
from seisedge.export.artefact import Source, export_fp32
from seisedge.export.networks import convnetquake, seismictorch, seismo_performer
from seisedge.export.recipe import Recipe
from seisedge.export.registry import REGISTRY

# name → rate, window, components, labels of the first output; ../shared/design/models.md, part 1.
FACTS: dict[str, tuple[float, int, str, tuple[str, ...]]] = {
    **dict.fromkeys(("inception", "brnn", "wavenet", "unet"), (10, 3000, "ENZ", ("P", "S"))),
    **{f"{name}-z": (10, 3000, "Z", ("noise", "P", "S")) for name in ("inception", "brnn", "wavenet", "unet")},
    **dict.fromkeys(("seismo-performer", "spec-cnn", "gpd", "gpd-original"), (100, 400, "NEZ", ("P", "S", "noise"))),
    "convnetquake": (100, 1001, "NEZ", convnetquake.LABELS),
    "convnetquake-wenchuan": (100, 3001, "NEZ", ("no event", "unused", "event")),
    "deepquake": (100, 5001, "ZNE", convnetquake.DEEPQUAKE_LABELS),
    "edge-picker": (100, 2560, "ZNE", ("P", "S")),
    "edge-picker-long": (100, 5120, "ZNE", ("P", "S")),
    "source-inversion": (100, 1500, "0123456789", tuple(f"source {number}" for number in range(10))),
    "earthquake-cnn": (40, 80, "ENZ", seismictorch.EARTHQUAKE_LABELS),
    "spectrogram-cnn": (100, 48_000, "ZXY", seismictorch.SPECTROGRAM_LABELS),
}
BUDGETS = {
    **{
        f"{name}{form}": [seconds]
        for form in ("", "-z")
        for name, seconds in {"inception": 0.025, "brnn": 1.0, "wavenet": 0.17, "unet": 0.10}.items()
    },
    "seismo-performer": [0.1, 3.39],
    "spec-cnn": [0.1, 16.70],
    "gpd": [0.1, 6.32],
    "gpd-original": [0.1, 6.32],
    "convnetquake": [180 / 8640, 300 / 8640, 9, 27, 61, 144, 291],
    "deepquake": [180 / 8640, 300 / 8640, 9, 27, 61, 144, 291],
    "convnetquake-wenchuan": [],
    "source-inversion": [],
    "edge-picker": [0.05],
    "edge-picker-long": [0.05],
    "earthquake-cnn": [0.00169, 0.013],
    "spectrogram-cnn": [0.01258, 0.0968],
}
LONG = {"brnn", "brnn-z", "spectrogram-cnn", "source-inversion", "wavenet", "wavenet-z", "inception", "unet", "unet-z"}
KINDS = {
    "phase_picking": Pick,
    "phase_classification": Pick,
    "event_detection": Detection,
    "waveform_inversion": Waveform,
}
STATION = StationId("XX", "TEST", "", "HH")


def test_the_facts_are_of_all_rows() -> None:
    assert set(FACTS) == set(BUDGETS) == set(REGISTRY)
    assert len(REGISTRY) == 20
    assert list(seismo_performer.LABELS) == ["P", "S", "noise"]


@pytest.mark.parametrize("name", FACTS)
def test_a_recipe_says_what_its_source_says(name: str) -> None:
    recipe = REGISTRY[name].recipe
    first = recipe.outputs[0]
    found = (recipe.sampling_rate, recipe.window_samples, "".join(recipe.components.order), first.labels)
    assert found == FACTS[name]
    assert [budget.seconds for budget in recipe.budgets] == pytest.approx(BUDGETS[name])
    for budget in recipe.budgets:
        assert budget.source
        assert budget.covers
        assert budget.not_documented


def test_phasenet_is_fed_and_read_as_its_labels_were_made() -> None:
    recipe = REGISTRY["unet"].recipe
    assert recipe.outputs[1].time_offset_scale == 20.0
    assert recipe.steps[-1].params == {"joint": False, "ddof": 0, "eps": 1e-6}
    assert recipe.postprocess.pick_time == "offset"
    assert {each.on for each in recipe.postprocess.thresholds.values()} == {0.8}
    assert REGISTRY["unet-z"].recipe.postprocess.pick_time == "peak"


def stand_in(recipe: Recipe) -> onnx.ModelProto:
    """A graph with the row's names and shapes: each output is that of a small linear map of the input's numbers."""
    size = int(np.prod(recipe.input.shape))
    nodes = [helper.make_node("Flatten", [recipe.input.name], ["flat"], axis=1)]
    constants, values = [], []
    for place, output in enumerate(recipe.outputs):
        per_sample = output.kind != "class_probability"
        shape = (recipe.window_samples, len(output.labels)) if per_sample else (len(output.labels),)
        matrix = (np.random.default_rng(place).standard_normal((size, 8)) / np.sqrt(size)).astype(np.float32)
        spread = np.random.default_rng(place + 10).standard_normal((8, int(np.prod(shape)))).astype(np.float32)
        constants += [numpy_helper.from_array(matrix, f"m{place}"), numpy_helper.from_array(spread, f"s{place}")]
        constants.append(numpy_helper.from_array(np.array([-1, *shape], np.int64), f"shape{place}"))
        final = {"class_probability": "Softmax", "sample_probability": "Sigmoid"}.get(output.kind, "Identity")
        nodes += [
            helper.make_node("MatMul", ["flat", f"m{place}"], [f"a{place}"]),
            helper.make_node("MatMul", [f"a{place}", f"s{place}"], [f"b{place}"]),
            helper.make_node("Reshape", [f"b{place}", f"shape{place}"], [f"c{place}"]),
            helper.make_node(final, [f"c{place}"], [output.name]),
        ]
        values.append(helper.make_tensor_value_info(output.name, TensorProto.FLOAT, ["batch", *shape]))
    inputs = [helper.make_tensor_value_info(recipe.input.name, TensorProto.FLOAT, ["batch", *recipe.input.shape])]
    graph = helper.make_graph(nodes, "stand-in", inputs, values, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def feed_of(recipe: Recipe) -> list[packets.Feed]:
    """Noise with a burst on all components, three and a half windows long, at a rate that needs resampling."""
    rate = 2 * recipe.sampling_rate
    npts = round((2 * recipe.window_samples + 3 * recipe.stride_samples + 600) * 2)
    feed: list[packets.Feed] = []
    for component in range(len(recipe.components.order)):
        x = np.random.default_rng(component).standard_normal(npts) * 50
        x[npts // 2 : npts // 2 + round(rate)] *= 40
        feed.append((component, packets.packet(x.round().astype(np.int32), rate=rate)))
    return feed


def results(session: OrtSession, feed: list[packets.Feed], batch: int) -> list[Result]:
    picker = StationPicker(
        session,
        Preprocess(session.manifest),
        STATION,
        stride=session.manifest.stride_samples,
        thresholds=session.manifest.postprocess.thresholds,
        batch=batch,
    )
    found = [each for component, packet in feed for each in picker.push(component, packet)]
    return [*found, *picker.finish()]


def assert_same(found: list[Result], wanted: list[Result]) -> None:
    if wanted and isinstance(wanted[0], Waveform):
        joined = [
            np.concatenate([each.samples for each in side if isinstance(each, Waveform)]) for side in (found, wanted)
        ]
        np.testing.assert_array_equal(joined[0], joined[1])
        return
    assert found == wanted


@pytest.mark.parametrize("name", FACTS)
def test_every_row_runs_and_any_chunking_gives_the_same_bits(name: str, tmp_path: Path) -> None:
    recipe = REGISTRY[name].recipe
    manifest = artefacts.tiny_manifest(recipe)
    path = artefacts.write_artefact(tmp_path / "m.onnx", stand_in(recipe), manifest.to_json())
    session = OrtSession(path)
    feed = feed_of(recipe)
    # Sensors of one model have one clock here, and packets as long as the wait for late ones is not exceeded.
    wanted = results(session, packets.in_order(feed, round(2 * recipe.sampling_rate * 4)), batch=64)
    found = results(session, packets.in_order(feed, round(2 * recipe.sampling_rate * 1.7)), batch=1)
    assert_same(found, wanted)
    assert all(isinstance(each, KINDS[recipe.task]) for each in wanted)
    assert wanted or recipe.task == "phase_classification"


def with_holes(feed: list[packets.Feed]) -> list[packets.Feed]:
    """One component dies in the middle and comes back; every component has a short gap of its own."""
    found: list[packets.Feed] = []
    for component, whole in feed:
        npts = whole.samples.size
        gap = npts * (4 + component % 3) // 8
        found.append((component, whole.cut(0, gap)))
        found.append((component, whole.cut(gap + (npts // 20 if component == 0 else 7), npts)))
    return found


@pytest.mark.parametrize("name", FACTS)
def test_every_row_keeps_the_law_on_late_repeated_and_missing_packets(name: str, tmp_path: Path) -> None:
    recipe = REGISTRY[name].recipe
    path = artefacts.write_artefact(tmp_path / "m.onnx", stand_in(recipe), artefacts.tiny_manifest(recipe).to_json())
    session, feed = OrtSession(path), with_holes(feed_of(recipe))
    wanted = results(session, packets.in_order(feed, round(2 * recipe.sampling_rate * 4)), batch=64)
    cutting = packets.Cutting(seed=len(name), longest_s=20.0, late_s=4.0, twice=0.2, overlapping=0.2)
    assert_same(results(session, packets.shuffled(feed, cutting), batch=3), wanted)
    assert wanted or recipe.task == "phase_classification"


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.long] if name in LONG else []) for name in FACTS]
)
def test_every_row_is_exported_and_computes_what_torch_computes(name: str, tmp_path: Path) -> None:
    torch.manual_seed(7)
    model = REGISTRY[name]
    network = model.build().eval()
    source = Source("1", "0" * 64, "none: seeded random weights", "MIT", "none")
    manifest = export_fp32(network, model.recipe, source, tmp_path / "m.onnx")
    assert manifest.verification.parity["torch_to_onnx_max_abs"] < 1e-4
    assert len(manifest.verification.golden_output) <= 64
    session = OrtSession(tmp_path / "m.onnx")
    assert session.check_golden() <= manifest.verification.tolerance
    shapes = [output.shape[1:] for output in session.run(np.zeros((2, *model.recipe.input.shape), np.float32))]
    per_sample = model.recipe.outputs[0].kind != "class_probability"
    width = (model.recipe.window_samples,) if per_sample else ()
    assert shapes == [(*width, len(output.labels)) for output in model.recipe.outputs]


def test_of_a_large_output_the_golden_one_is_64_values_with_both_ends() -> None:
    values = np.arange(1000, dtype=np.float32).reshape(10, 100)
    kept = drawn(values)
    assert (kept.size, kept[0], kept[-1]) == (64, 0, 999)
    assert set(np.diff(kept).tolist()) <= {15.0, 16.0}
    assert drawn(values[:6, :10]).tolist() == values[:6, :10].ravel().tolist()
