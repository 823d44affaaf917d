"""Keras weight files written here from tables of their own: what fits lands in place, all else is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from keras_files import cnn_layers, performer_layers, write
from numpy.typing import NDArray
from torch import nn

from seisedge.export.errors import ExportError, WeightError
from seisedge.export.networks.seismo_performer import SeismoPerformer, SpecCnn
from seisedge.export.weights_keras import compare_keras_weights, load_keras_weights

F32Array = NDArray[np.float32]


def seeded(module: nn.Module) -> nn.Module:
    """Give every tensor values that occur nowhere else."""
    for index, tensor in enumerate(module.state_dict().values()):
        if tensor.dtype.is_floating_point:
            tensor.copy_(torch.arange(tensor.numel()).reshape(tensor.shape) + index / 64)
    return module


def performer() -> SeismoPerformer:
    module = SeismoPerformer()
    seeded(module)
    return module


def cnn() -> SpecCnn:
    module = SpecCnn()
    seeded(module)
    return module


def require_equal(ours: nn.Module, theirs: nn.Module) -> None:
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=0, atol=0)


def require_one_line(error: Exception) -> None:
    assert isinstance(error, ExportError)
    assert isinstance(error, ValueError)
    assert "\n" not in str(error)


def require_refused(path: Path, message: str, build: Callable[[], nn.Module] = SeismoPerformer) -> None:
    """See loading fail with one line that names the file and leave the module alone."""
    module = build()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(WeightError, match=message) as caught:
        load_keras_weights(path, module)
    require_one_line(caught.value)
    assert str(path) in str(caught.value)
    torch.testing.assert_close(module.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize("as_bytes", [False, True], ids=["text", "bytes"])
@pytest.mark.parametrize(("first", "dense"), [(0, 0), (8, 32), (9, 6), (99, 95)])
def test_performer_tensors_land_where_they_belong(tmp_path: Path, first: int, dense: int, *, as_bytes: bool) -> None:
    source, target = performer(), SeismoPerformer()
    path = write(tmp_path / "w.h5", performer_layers(source, first=first, dense=dense), as_bytes=as_bytes)
    report = load_keras_weights(path, target)
    require_equal(target, source)
    assert (len(report.matched), report.missing, report.surplus) == (32, (), ())


def test_cnn_tensors_land_where_they_belong(tmp_path: Path) -> None:
    source, target = cnn(), SpecCnn()
    report = load_keras_weights(write(tmp_path / "w.h5", cnn_layers(source)), target)
    require_equal(target, source)
    assert (report.network, report.path, len(report.matched)) == ("SpecCnn", tmp_path / "w.h5", 22)


def test_nested_model_lists_its_moving_statistics_last(tmp_path: Path) -> None:
    source, target = cnn(), SpecCnn()
    weights = [weight for _, weights in cnn_layers(source) for weight in weights]
    weights.sort(key=lambda weight: "moving_" in weight[0])
    load_keras_weights(write(tmp_path / "w.h5", [("model_1", weights)]), target)
    require_equal(target, source)


def test_loading_keeps_mode_and_precision(tmp_path: Path) -> None:
    source, target = cnn(), SpecCnn().double().eval()
    load_keras_weights(write(tmp_path / "w.h5", cnn_layers(source)), target)
    assert not target.training
    require_equal(target, source.double())


# Files that do not fit


def test_missing_tensor_is_named(tmp_path: Path) -> None:
    layers = performer_layers(performer())
    del layers[4][1][5]
    path = write(tmp_path / "w.h5", layers)
    require_refused(
        path,
        r"found no such tensor, wanted bias \(96,\) at blocks.0.expand.bias; in all 1 missing, 0 surplus",
    )
    report = compare_keras_weights(path, SeismoPerformer())
    assert [spec.path for spec in report.missing] == ["blocks.0.expand.bias"]
    assert not report.is_complete


def test_second_normalisation_is_surplus(tmp_path: Path) -> None:
    layers = performer_layers(performer())
    name = "performer_block_0/layer_normalization_1/gamma:0"
    layers[4][1].append((name, np.ones(48, np.float32)))
    found = rf"found gamma \(48,\) at /performer_block_0/{name}, wanted no further tensor"
    require_refused(write(tmp_path / "w.h5", layers), found)


def test_unlisted_tensor_is_surplus(tmp_path: Path) -> None:
    path = write(tmp_path / "w.h5", performer_layers(performer()))
    with h5py.File(path, "a") as file:
        file.create_dataset("stray/kernel:0", data=np.ones((2, 3), np.float32))
    require_refused(
        path,
        r"found kernel \(2, 3\) at /stray/kernel:0, wanted no further tensor; in all 0 missing, 1 surplus",
    )


def test_misshapen_tensor_is_named_with_both_shapes(tmp_path: Path) -> None:
    layers = performer_layers(performer())
    name, array = layers[1][1][0]
    layers[1][1][0] = (name, array[:66])  # a one-component front end
    require_refused(
        write(tmp_path / "w.h5", layers),
        r"found kernel \(66, 48\) at /dense_0/dense_0/kernel:0, wanted kernel \(198, 48\) at embed.weight",
    )


def test_transposed_square_role_is_not_mistaken(tmp_path: Path) -> None:
    layers = performer_layers(performer())
    weights = layers[4][1]
    weights[0], weights[1] = weights[1], weights[0]  # key before query
    require_refused(write(tmp_path / "w.h5", layers), "query/kernel|key/kernel")


@pytest.mark.parametrize("first", [0, 9])
def test_listing_against_the_numbers_is_ambiguous(tmp_path: Path, first: int) -> None:
    layers = performer_layers(performer(), first=first)
    layers[4], layers[5] = layers[5], layers[4]
    message = f"ambiguous order of layers: found 'performer_block_{first + 1}' before 'performer_block_{first}'"
    require_refused(write(tmp_path / "w.h5", layers), message)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros(48, np.float64), "dense_2/bias:0: found type float64, wanted float32"),
        (np.zeros(48, np.int32), "dense_2/bias:0: found type int32, wanted float32"),
        (np.full(48, np.nan, np.float32), "dense_2/bias:0: found NaN or infinity"),
        (np.full(48, np.inf, np.float32), "dense_2/bias:0: found NaN or infinity"),
    ],
)
def test_unusable_values_are_refused(tmp_path: Path, value: F32Array, message: str) -> None:
    layers = performer_layers(performer())
    name, _ = layers[4][1][7]
    layers[4][1][7] = (name, value)
    require_refused(write(tmp_path / "w.h5", layers), message)


# Files that are not what Keras writes


def edit(path: Path, change: Callable[[h5py.File], None]) -> Path:
    with h5py.File(path, "a") as file:
        change(file)
    return path


def drop_layer_names(file: h5py.File) -> None:
    del file.attrs["layer_names"]


def drop_weight_names(file: h5py.File) -> None:
    del file["cls_token"].attrs["weight_names"]


def drop_group(file: h5py.File) -> None:
    del file["cls_token"]


def drop_tensor(file: h5py.File) -> None:
    del file["cls_token/ClsTokenW:0"]


def name_layer_twice(file: h5py.File) -> None:
    file.attrs["layer_names"] = [*np.asarray(file.attrs["layer_names"]).tolist(), "cls_token"]


def name_layer_in_half_characters(file: h5py.File) -> None:
    file.attrs.create("layer_names", [b"dense_\xff"], dtype=h5py.string_dtype("utf-8"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (name_layer_in_half_characters, r"found 'dense_\\udcff' in 'layer_names', wanted printable names"),
        (drop_layer_names, "/: found no attribute 'layer_names'"),
        (drop_weight_names, "/cls_token: found no attribute 'weight_names'"),
        (drop_group, "layer 'cls_token' is in `layer_names`: found no group"),
        (drop_tensor, "/cls_token: found no tensor 'ClsTokenW:0'"),
        (name_layer_twice, "found 'cls_token' twice in 'layer_names'"),
    ],
)
def test_broken_structure_is_named(tmp_path: Path, change: Callable[[h5py.File], None], message: str) -> None:
    require_refused(edit(write(tmp_path / "w.h5", performer_layers(performer())), change), message)


def test_absent_file_and_folder_are_refused(tmp_path: Path) -> None:
    require_refused(tmp_path / "none.h5", "found no file")
    require_refused(tmp_path, "found no file")


def test_other_kinds_of_file_are_refused(tmp_path: Path) -> None:
    for content in (b"", b"\x80\x04K\x01.", b"PK\x03\x04" + bytes(900)):
        path = tmp_path / "w.h5"
        path.write_bytes(content)
        require_refused(path, "wanted a whole HDF5 file of Keras weights, found: .*signature")


@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_truncated_file_is_refused(tmp_path: Path, share: float) -> None:
    path = write(tmp_path / "w.h5", performer_layers(performer()))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    require_refused(path, "wanted a whole HDF5 file of Keras weights, found: .*truncated")


def test_unknown_network_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "w.h5", cnn_layers(cnn()))
    with pytest.raises(WeightError, match="found a network of type Linear, wanted") as caught:
        load_keras_weights(path, nn.Linear(2, 2))
    require_one_line(caught.value)


def test_damaged_type_of_numbers_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "w.h5", performer_layers(performer()))
    # HDF5's description of a 32-bit IEEE float, from its bit offset on; the bias of the exponent is changed.
    ours = bytes.fromhex("0000 2000 17 08 00 17 7f000000")
    content = path.read_bytes()
    assert content.count(ours) == 32
    path.write_bytes(content.replace(ours, ours[:-4] + bytes.fromhex("ffffff7f")))
    require_refused(path, "wanted a whole HDF5 file of Keras weights, found: Insufficient precision")
