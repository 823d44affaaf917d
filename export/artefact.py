"""A torch network and a recipe → an ONNX artefact with its manifest inside."""

from __future__ import annotations

import gc
import hashlib
import importlib.metadata
import logging
import math
import os
import platform
import tempfile
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import torch
from torch import nn

from seisedge.edge.manifest import METADATA_KEY, Manifest, Provenance, Quantization, Verification
from seisedge.edge.seal import metadata_entry, seal_of
from seisedge.edge.session import drawn
from seisedge.edge.whole_file import whole_file

from .networks.edge_picker import EdgePicker
from .networks.gru_export import gru_translations
from .recipe import Recipe
from .single_file import join_weights

UNQUANTIZED = Quantization("fp32", "any", None, None, ())
"""What the manifest of every fp32 artefact says."""

GOLDEN_SEED = 20210401
_GOLDEN_WINDOWS = 4
_LARGE_INPUT = 4096  # numbers of a window above which two windows are enough: the outputs are as many
GOLDEN_TOLERANCE = 1e-4  # fp32 on another CPU: a few units in the last place through every layer
_LARGEST_BATCH = 4096


@dataclass(frozen=True)
class Source:
    """Where an artefact's weights come from, for its provenance."""

    version: str
    weights_digest: str
    training_data: str
    licence: str
    citation: str


def export_fp32(
    module: nn.Module, recipe: Recipe, source: Source, path: Path, *, quality: dict[str, float] | None = None
) -> Manifest:
    """Write the fp32 artefact. The file appears whole or not at all.

    Parameters
    ----------
    module
        The network; its weights are read in evaluation mode.
    quality
        Figures of its evaluation, for the manifest.
    """
    with whole_file(path) as draft:
        _export_model(_deployed(module.eval()), recipe, draft)
        golden, difference = _golden(module, draft, recipe)
        manifest = recipe.manifest(
            version=source.version,
            quantization=UNQUANTIZED,
            verification=Verification(
                golden_seed=GOLDEN_SEED,
                golden_windows=_golden_count(recipe.input.shape),
                golden_output=tuple(float(value) for value in drawn(golden)),
                tolerance=GOLDEN_TOLERANCE,
                parity={"torch_to_onnx_max_abs": difference},
                quality=quality or {},
            ),
            provenance=Provenance(
                weights_digest=source.weights_digest,
                training_data=source.training_data,
                licence=source.licence,
                citation=source.citation,
                tools=tool_versions(),
            ),
        )
        _complete(draft, manifest)
    return manifest


def tool_versions() -> dict[str, str]:
    """Versions of what made an artefact."""
    names = ("seisedge", "torch", "onnx", "onnxscript", "onnxruntime", "numpy")
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in names}}


def write_artefact(graph: onnx.ModelProto, manifest: Manifest, path: Path) -> None:
    """Write the graph with the manifest as its only metadata, sealed: see `edge.seal`."""
    del graph.metadata_props[:]
    with whole_file(path) as draft:
        draft.write_bytes(graph.SerializeToString())
        _complete(draft, manifest)


def _complete(draft: Path, manifest: Manifest) -> None:
    """Check a model's file and append manifest and seal: never is a second copy of the weights in memory for it."""
    onnx.checker.check_model(str(draft), full_check=True)
    with draft.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        file.write(metadata_entry(METADATA_KEY, manifest.to_json()))
        file.seek(0)
        file.write(seal_of(file))


def _deployed(module: nn.Module) -> nn.Module:
    """Give the network in the form that runs fastest, where it has one of its own; what it gives is the same."""
    return module.deployed() if isinstance(module, EdgePicker) else module


def _export_model(module: nn.Module, recipe: Recipe, path: Path) -> None:
    """Write the model with a free batch and the recipe's names, without the exporter's notes on source files."""
    with tempfile.TemporaryDirectory(prefix="seisedge-graph-") as folder:
        exported = Path(folder) / "graph.onnx"
        _save_program(module, recipe, exported)
        gc.collect()  # what the exporter made on the way hangs in cycles
        model = onnx.load(exported, load_external_data=False)
        graph = model.graph
        for node in graph.node:
            node.doc_string = ""
        for each in (*graph.node, *graph.value_info, *graph.input, *graph.output, graph, model):
            del each.metadata_props[:]
        join_weights(model, exported.parent, path)


def _save_program(module: nn.Module, recipe: Recipe, path: Path) -> None:
    """Export to a file with the weights beside it."""
    batch = torch.export.Dim("batch", min=1, max=_LARGEST_BATCH)
    with _quiet_exporter():
        program = torch.onnx.export(
            module,
            (torch.zeros(2, *recipe.input.shape),),
            dynamo=True,
            dynamic_shapes=({0: batch},),
            input_names=[recipe.input.name],
            output_names=[output.name for output in recipe.outputs],
            custom_translation_table=gru_translations(),
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program: it does so only without dynamo")
    program.save(path, external_data=True)


@contextmanager
def _quiet_exporter() -> Generator[None, None, None]:
    """Leave out the exporter's own deprecation notes: they are none of the user's business."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def tensors_digest(module: nn.Module) -> str:
    """SHA-256 over a network's tensors, for weights that no file holds."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(name.encode() + b"\0" + tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def torch_outputs(module: nn.Module, windows: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], ...]:
    """What the network gives for windows, as arrays; a network with one output gives a tuple of one."""
    with torch.inference_mode():
        given = module(torch.from_numpy(windows))
    outputs: tuple[torch.Tensor, ...] = given if isinstance(given, tuple) else (given,)
    return tuple(output.numpy() for output in outputs)


def golden_windows(recipe_shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """The golden input, as `Verification` defines it."""
    shape = (_golden_count(recipe_shape), *recipe_shape)
    return np.random.default_rng(GOLDEN_SEED).standard_normal(shape, dtype=np.float32)


def _golden_count(recipe_shape: tuple[int, ...]) -> int:
    return _GOLDEN_WINDOWS if math.prod(recipe_shape) <= _LARGE_INPUT else _GOLDEN_WINDOWS // 2


def _golden(module: nn.Module, graph: Path, recipe: Recipe) -> tuple[npt.NDArray[np.float32], float]:
    """First golden output of torch, and how far ONNX Runtime is from any of them."""
    windows = golden_windows(recipe.input.shape)
    wanted = torch_outputs(module, windows)
    options = ort.SessionOptions()
    options.add_session_config_entry(
        "session.disable_prepacking", "1"
    )  # one run: a third copy of the weights is too dear
    session = ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    found = session.run([output.name for output in recipe.outputs], {recipe.input.name: windows})
    worst = max(float(np.abs(np.asarray(ours) - theirs).max()) for ours, theirs in zip(found, wanted, strict=True))
    return wanted[0], worst
