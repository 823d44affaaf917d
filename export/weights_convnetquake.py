"""Variables under the names of ConvNetQuake's checkpoint → the network: names, shapes, order of axes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ._keras_layouts import TensorSpec
from .errors import WeightError
from .networks.convnetquake import ConvNetQuake
from .weights_report import ImportReport, MatchedTensor, require_complete
from .weights_tensorbundle import read_tensorbundle

# What a Saver keeps beside the weights, by the last part of the name: the step, and the state of Adam.
_BOOKKEEPING = ("global_step", "beta1_power", "beta2_power", "Adam", "Adam_1")


def load_tensorbundle_weights(path: Path, module: nn.Module) -> ImportReport:
    """Load the checkpoint whose index is `path` into `module`, a `ConvNetQuake`.

    The module keeps its mode, device and precision. The step and the state of the optimiser are passed over.
    Raises `WeightError`, and leaves the module as it was, for files that are absent, damaged or something
    else, and for variables that are not exactly the network's (name, shape, float32, finite values).
    """
    if not isinstance(module, ConvNetQuake):
        raise WeightError(f"found a network of type {type(module).__name__}, wanted a ConvNetQuake")
    return load_variables(path, read_tensorbundle(path), module)


def load_variables(path: Path, variables: dict[str, NDArray[np.generic]], module: ConvNetQuake) -> ImportReport:
    """Load variables under the names of ConvNetQuake's checkpoint, from whatever file they come; as above."""
    report, state = _compare(path, variables, module), module.state_dict()
    require_complete(report)
    for match in report.matched:
        values = variables[match.file_path]
        if values.dtype != np.float32:
            raise WeightError(f"{path}: {match.file_path}: found type {values.dtype}, wanted float32")
        if not np.isfinite(np.asarray(values, np.float32)).all():
            raise WeightError(f"{path}: {match.file_path}: found NaN or infinity, wanted finite weights")
        # TensorFlow has (tap, in, out) and (in, out) where torch has (out, in, tap) and (out, in).
        state[match.module_path] = torch.from_numpy(np.array(values.T, order="C"))
    module.load_state_dict(state)
    return report


def _compare(path: Path, variables: dict[str, NDArray[np.generic]], module: ConvNetQuake) -> ImportReport:
    """Match the variables with the network's tensors by name and shape."""
    layers = {f"conv{index + 1}": f"blocks.{index}.conv" for index in range(len(module.blocks))}
    layers |= {f"fc{index + 1}": f"dense.{index}" for index in range(len(module.dense))}
    layers["logits"] = "classify"
    wanted: dict[str, TensorSpec] = {}
    for scope, layer in layers.items():
        for kind, ours in (("weights", "weight"), ("biases", "bias")):
            parameter = module.get_parameter(f"{layer}.{ours}")
            wanted[f"{scope}/{kind}"] = TensorSpec(f"{layer}.{ours}", kind, tuple(reversed(parameter.shape)))
    specs = (TensorSpec(name, name.rpartition("/")[2], values.shape) for name, values in variables.items())
    found = {spec.path: spec for spec in specs if spec.kind not in _BOOKKEEPING}
    fitting = [name for name in wanted if name in found and found[name].shape == wanted[name].shape]
    return ImportReport(
        path=path,
        network=type(module).__name__,
        matched=tuple(MatchedTensor(name, wanted[name].path, wanted[name].shape) for name in fitting),
        missing=tuple(spec for name, spec in wanted.items() if name not in fitting),
        surplus=tuple(spec for name, spec in found.items() if name not in fitting),
    )
