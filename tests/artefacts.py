"""Artefacts for tests: a tiny real ONNX model that needs no torch, and the published networks."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from shared_data import SHARED

from seisedge.edge.manifest import METADATA_KEY, Manifest, Provenance, Quantization, Verification
from seisedge.edge.seal import seal_of
from seisedge.export.recipes import SEISMO_PERFORMER, Recipe

Float32 = npt.NDArray[np.float32]

PUBLISHED = {
    "performer-v1": ("seismo-performer", "w_model_performer_with_spec.hd5"),
    "performer-v2.1": ("seismo-performer", "w_model_performer_v2.0.h5"),
    "spec-cnn-v1": ("spec-cnn", "weights_model_cnn_spec.hd5"),
    "spec-cnn-v2.1": ("spec-cnn", "w_model_cnn_v2.0.h5"),
}
"""Published model → name in the registry, file of weights."""

SEED = 20210401
WINDOWS = 3


def tiny_weights(shape: tuple[int, ...] = (22, 33, 3)) -> tuple[Float32, Float32]:
    """Weights and bias of a linear classifier: P where Z grows louder in the window's middle, S where N and E do."""
    frames, bins, components = shape
    half = np.where(np.arange(frames) < frames // 2, -1.0, 1.0) * 2 / (frames * bins)
    growth = np.zeros((frames, bins, components, 3))
    growth[:, :, components - 1, 0] = 20 * half[:, np.newaxis]
    for component in range(components - 1):
        growth[:, :, component, 1] = 20 / (components - 1) * half[:, np.newaxis]
    return growth.reshape(-1, 3).astype(np.float32), np.array([-3, -3, 0], np.float32)


def tiny_graph(
    shape: tuple[int, ...] = (22, 33, 3),
    *,
    classes: int = 3,
    batch: str | int = "batch",
    input_name: str = "spectrogram",
    output_name: str = "probability",
    input_type: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    """Flatten, MatMul, Add, Softmax. More than three classes get weights of zero."""
    matrix, bias = tiny_weights((*shape, 1, 1)[:3])
    matrix = np.pad(matrix, ((0, 0), (0, max(0, classes - 3))))[:, :classes]
    bias = np.pad(bias, (0, max(0, classes - 3)))[:classes]
    nodes = [
        helper.make_node("Cast", [input_name], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["cast"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "matrix"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], [output_name], axis=-1),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(input_name, input_type, [batch, *shape])],
        [helper.make_tensor_value_info(output_name, TensorProto.FLOAT, [batch, classes])],
        [numpy_helper.from_array(matrix, "matrix"), numpy_helper.from_array(bias, "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def tiny_golden(shape: tuple[int, ...] = (22, 33, 3)) -> Float32:
    """What the tiny classifier gives for the golden input, in NumPy."""
    windows = np.random.default_rng(SEED).standard_normal((WINDOWS, *shape), dtype=np.float32)
    matrix, bias = tiny_weights(shape)
    logits = windows.reshape(WINDOWS, -1) @ matrix + bias
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Float32 = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return probabilities


def tiny_manifest(recipe: Recipe = SEISMO_PERFORMER, **changes: Any) -> Manifest:
    """The tiny model's manifest; `changes` replace fields of the recipe."""
    recipe = dataclasses.replace(recipe, **{"name": "tiny", **changes})
    return recipe.manifest(
        version="1",
        quantization=Quantization("fp32", "any", None, None, ()),
        verification=Verification(
            golden_seed=SEED,
            golden_windows=WINDOWS,
            golden_output=tuple(float(value) for value in tiny_golden().ravel()),
            tolerance=1e-5,
            parity={},
            quality={},
        ),
        provenance=Provenance("0" * 64, "none: weights by hand", "MIT", "none", {"onnx": onnx.__version__}),
    )


def sealed(model: bytes) -> bytes:
    """Give a serialised model the seal of an artefact."""
    return model + seal_of(io.BytesIO(model))


def write_artefact(path: Path, graph: onnx.ModelProto, text: str | None) -> Path:
    """Write a graph with any text as its manifest, or with none."""
    copy = onnx.ModelProto()
    copy.CopyFrom(graph)
    if text is not None:
        entry = copy.metadata_props.add()
        entry.key, entry.value = METADATA_KEY, text
    path.write_bytes(sealed(copy.SerializeToString()))
    return path


def write_tiny(path: Path, manifest: Manifest | None = None) -> Path:
    """Write the tiny model with its manifest."""
    return write_artefact(path, tiny_graph(), (manifest or tiny_manifest()).to_json())


def manifest_object(manifest: Manifest | None = None) -> dict[str, Any]:
    """A manifest as a JSON object that a test may break."""
    value: dict[str, Any] = json.loads((manifest or tiny_manifest()).to_json())
    return value


ROOT = Path(__file__).resolve().parents[1]


def _export_digest(weights: Path) -> str:
    """Digest of all that decides what the export writes: its code, the manifest's, the weights, the tools."""
    sources = [*ROOT.glob("export/**/*.py"), *(ROOT / "edge" / f"{name}.py" for name in ("manifest", "seal", "steps"))]
    names = ("torch", "onnx", "onnxscript", "onnxruntime", "numpy")
    content = [importlib.metadata.version(name).encode() for name in names]
    content += [path.read_bytes() for path in (*sorted(sources), weights)]
    return hashlib.sha256(b"\0".join(content)).hexdigest()[:16]


@cache
def export_published(name: str, folder: Path) -> Path:
    """Export one of the published networks, unless `folder` has what the present code made of it."""
    weights_path = SHARED / "weights" / "seismo-performer" / PUBLISHED[name][1]
    path = folder / f"{name}-{_export_digest(weights_path)}.onnx"
    if path.exists():
        return path
    for old in folder.glob(f"{name}-*.onnx"):
        old.unlink()
    from seisedge.export import artefact, registry, weights  # noqa: PLC0415 - torch, only where it is needed

    model = registry.find(PUBLISHED[name][0])
    module = model.build()
    loaded = weights.load_weights(weights_path, module)
    source = artefact.Source(name, loaded.digest, "published", "MIT", "Sensors 2021, 21, 6290")
    artefact.export_fp32(module, model.recipe, source, path)
    return path
