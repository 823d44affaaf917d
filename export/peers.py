"""What `edge-bench peers` compares with where torch is: the same network with the same weights, eager and compiled.

Registered under the entry-point group `seisedge.bench.peers`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from seisedge.edge.bench.peers import Subject

from .artefact import tensors_digest
from .registry import REGISTRY
from .weights import load_weights

_CLOSE = 1e-2  # of what a network of the same weights gives: it proves that they are the same, not how well it rounds


def eager(subject: Subject) -> Callable[[], object] | None:
    """Run the network in PyTorch, one thread; None where its weights are not at hand."""
    network = network_of(subject)
    return None if network is None else _run(network, subject)


def compiled(subject: Subject) -> Callable[[], object] | None:
    """Run what `torch.compile` makes of the network, one thread; compiling is not timed."""
    network = network_of(subject)
    if network is None:
        return None
    network.compile(dynamic=False)
    return _run(network, subject)


def network_of(subject: Subject) -> nn.Module | None:
    """Build the network of an artefact: with the weights beside it, or the random ones of seed 0, by their digest."""
    manifest = subject.manifest
    model = REGISTRY.get(manifest.name)
    if model is None:
        return None
    torch.manual_seed(0)
    network = model.build()
    wanted = manifest.provenance.weights_digest
    if tensors_digest(network) == wanted:
        return network.eval()
    beside = subject.path.with_suffix(".npz")
    if beside.is_file():
        load_weights(beside, network)
        return network.eval()
    return None


def _run(network: nn.Module, subject: Subject) -> Callable[[], object]:
    torch.set_num_threads(1)
    windows = torch.from_numpy(subject.windows)

    def run() -> object:
        with torch.inference_mode():
            return network(windows)

    found = run()
    first = found[0] if isinstance(found, tuple | list) else found
    if subject.manifest.quantization.precision == "fp32" and isinstance(first, torch.Tensor):
        off = float(np.abs(first.numpy() - subject.expected).max())
        if not off <= _CLOSE:
            raise ValueError(f"found outputs {off:.2g} from the artefact's, wanted the same weights")
    return run
