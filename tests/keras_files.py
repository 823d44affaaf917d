"""Write the tensors of our networks into HDF5 as Keras' `save_weights` does, from tables of their own."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from seisedge.export.networks.seismo_performer import SeismoPerformer, SpecCnn

F32Array = NDArray[np.float32]
Layers = list[tuple[str, list[tuple[str, F32Array]]]]
"""Layers in the model's order, each a name and its variables in order, each a name and its values."""

BATCH_NORM = (
    ("weight", "gamma"),
    ("bias", "beta"),
    ("running_mean", "moving_mean"),
    ("running_var", "moving_variance"),
)


def performer_layers(module: SeismoPerformer, *, first: int = 0, dense: int = 0) -> Layers:
    """Name and shape the tensors as Keras does, counting blocks from `first`, dense layers from `dense`."""
    w = {name: value.numpy() for name, value in module.state_dict().items()}

    def pair(ours: str, owner: str) -> list[tuple[str, F32Array]]:
        return [(f"{owner}/kernel:0", w[f"{ours}.weight"].T), (f"{owner}/bias:0", w[f"{ours}.bias"])]

    def norm(ours: str, owner: str) -> list[tuple[str, F32Array]]:
        return [(f"{owner}/gamma:0", w[f"{ours}.weight"]), (f"{owner}/beta:0", w[f"{ours}.bias"])]

    layers: Layers = [
        ("input_1", []),
        (f"dense_{dense}", pair("embed", f"dense_{dense}")),
        ("cls_token", [("ClsTokenW:0", w["class_token"][None])]),
        ("pos_embeding2", [("pos_embeding2/embedding/embeddings:0", w["positions"])]),
    ]
    for i in range(2):
        name, ours = f"performer_block_{first + i}", f"blocks.{i}"
        into = [(role, w[f"{ours}.attention.{role}.weight"].T.reshape(48, 2, 24)) for role in ("query", "key", "value")]
        out = ("output_transform", w[f"{ours}.attention.output.weight"].T.reshape(2, 24, 48))
        weights = [(f"{name}/attention_{first + i}/{role}/kernel:0", array) for role, array in (*into, out)]
        weights += pair(f"{ours}.expand", f"{name}/dense_{dense + 1 + 2 * i}")
        weights += pair(f"{ours}.contract", f"{name}/dense_{dense + 2 + 2 * i}")
        layers.append((name, weights + norm(f"{ours}.norm", f"{name}/layer_normalization_{2 * (first + i)}")))
    last = f"layer_normalization_{2 * (first + 2)}"
    layers.append((last, norm("norm", last)))
    for i, ours in enumerate(("expand", "contract", "classify")):
        layers.append((f"dense_{dense + 5 + i}", pair(ours, f"dense_{dense + 5 + i}")))
    return layers


def cnn_layers(module: SpecCnn) -> Layers:
    w = {name: value.numpy() for name, value in module.state_dict().items()}
    layers: Layers = []
    for i in range(3):
        conv, norm = f"conv2d_{i}", f"batch_normalization_{i}"
        kernel = w[f"blocks.{i}.conv.weight"].transpose(2, 3, 1, 0)
        layers.append((conv, [(f"{conv}/kernel:0", kernel), (f"{conv}/bias:0", w[f"blocks.{i}.conv.bias"])]))
        names = (
            ("weight", "gamma"),
            ("bias", "beta"),
            ("running_mean", "moving_mean"),
            ("running_var", "moving_variance"),
        )
        layers.append((norm, [(f"{norm}/{theirs}:0", w[f"blocks.{i}.norm.{ours}"]) for ours, theirs in names]))
    for i, ours in enumerate(("hidden", "classify")):
        weights = [(f"dense_{i}/kernel:0", w[f"{ours}.weight"].T), (f"dense_{i}/bias:0", w[f"{ours}.bias"])]
        layers.append((f"dense_{i}", weights))
    return layers


def write(path: Path, layers: Layers, *, as_bytes: bool = False) -> Path:
    """Write `layers` as Keras' save_weights does; its older versions stored the names as bytes."""

    def listed(names: list[str]) -> NDArray[np.void] | list[str]:
        return np.array([name.encode() for name in names], dtype="S") if as_bytes and names else names

    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = listed([name for name, _ in layers])
        for layer, weights in layers:
            group = file.create_group(layer)
            group.attrs["weight_names"] = listed([name for name, _ in weights])
            for name, array in weights:
                group.create_dataset(name, data=array)
    return path
