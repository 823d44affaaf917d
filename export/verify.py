"""Does an artefact compute what its source computes? On real windows, on awkward ones, in batches of any size."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from seisedge.edge.archive_index import index_paths
from seisedge.edge.archive_packets import read_packets
from seisedge.edge.errors import DataError
from seisedge.edge.pipeline import StationStream
from seisedge.edge.preprocess import Preprocess
from seisedge.edge.session import OrtSession
from seisedge.edge.stations import group_stations
from seisedge.edge.windows import WindowBlock

from .artefact import torch_outputs
from .errors import VerificationError
from .gate_figures import BATCHES, batch_difference, output_errors, output_scales

Float32 = npt.NDArray[np.float32]

_TOLERANCE = 1e-5
"""|torch - ONNX| of fp32: other kernels, other order of sums. Of outputs that are no probabilities, in units of their
root mean square. Where an input is so awkward that torch itself is further than that from its own float64, the bound
is four times that distance."""

AWKWARD = ("silence", "a constant", "full scale", "one count", "a dead component", "noise", "an offset", "a ramp")
"""What the awkward windows are, in their order."""


@dataclass(frozen=True)
class Check:
    """One row of a verification: what was compared, the figure, its bound."""

    name: str
    found: float
    bound: float

    @property
    def passed(self) -> bool:
        """Whether the figure is within its bound; NaN never is."""
        return self.found <= self.bound


def verify(path: Path, module: nn.Module | None, data: tuple[Path, ...]) -> list[Check]:
    """Check an artefact.

    Parameters
    ----------
    path
        The artefact.
    module
        The torch network with the weights that the artefact was made from; None leaves out the comparison.
    data
        miniSEED files or folders whose windows are compared too, through the runtime's own preprocessing.

    Raises
    ------
    ModelError, ManifestError
        The artefact cannot be loaded.
    VerificationError
        The data hold no window.
    """
    session = OrtSession(path)
    preprocess = Preprocess(session.manifest)
    sets = {"awkward windows": awkward_windows(preprocess)}
    if data:
        sets["real windows"] = real_windows(preprocess, data)
    checks = [_golden(session)]
    for name, windows in sets.items():
        checks.append(Check(f"{name}: batch of 1, 2, 7 or all, same bits", batch_difference(session, windows), 0))
        if module is not None:
            checks += _torch_checks(name, session, module.eval(), windows)
    return checks


def awkward_windows(preprocess: Preprocess) -> Float32:
    """Network input of records that break careless code: silence, constants, full scale, a dead component."""
    manifest = preprocess.manifest
    width, components = manifest.window_samples, len(manifest.components.order)
    rng = np.random.default_rng(1)
    noise = rng.integers(-1000, 1000, (components, width)).astype(np.int32)
    spike = np.zeros_like(noise)
    spike[:, width // 2] = 1
    full = np.where(np.arange(width) % 20 < 10, 2**31 - 1, -(2**31)).astype(np.int32)
    dead = noise.copy()
    dead[0] = 0
    records = [
        np.zeros_like(noise),
        np.full_like(noise, 123_456),
        np.tile(full, (components, 1)),
        spike,
        dead,
        noise,
        noise + 8_000_000,
        np.tile(np.arange(width, dtype=np.int32) * 1000, (components, 1)),
    ]
    built = [
        preprocess.windows(preprocess.record(record, manifest.sampling_rate), count=1, stride=1) for record in records
    ]
    return np.concatenate(built)


def real_windows(preprocess: Preprocess, data: tuple[Path, ...], *, most: int = 256) -> Float32:
    """Network input cut from archives by the runtime, at most so many windows, evenly drawn from what they hold."""
    held = sum(block.count for block in _blocks(preprocess, data))
    if not held:
        raise VerificationError(f"{', '.join(map(str, data))}: found no whole window of {preprocess.manifest.name}")
    chosen = np.linspace(0, held - 1, min(most, held)).round().astype(np.intp)
    windows: list[Float32] = []
    first = 0
    for block in _blocks(preprocess, data):  # once more: an archive's windows need not fit into memory
        mine = chosen[(chosen >= first) & (chosen < first + block.count)] - first
        first += block.count
        if mine.size:
            stride = preprocess.manifest.window_samples
            windows.append(preprocess.windows(block.samples, count=block.count, stride=stride)[mine])
    return np.concatenate(windows)


def _blocks(preprocess: Preprocess, data: tuple[Path, ...]) -> Iterator[WindowBlock]:
    manifest = preprocess.manifest
    for station in group_stations(index_paths(data).traces, manifest.components):
        if station.refused is not None:
            continue
        stream = StationStream(preprocess, stride=manifest.window_samples)
        for component, packet, _ in read_packets(station.traces, on_problem=lambda _: None):
            stream.push(component, packet)
            while block := stream.cutter.take(64):
                yield block
        stream.flush()
        while block := stream.cutter.take(64):
            yield block


def _golden(session: OrtSession) -> Check:
    bound = session.manifest.verification.tolerance
    try:
        return Check("golden input on this device", session.check_golden(), bound)
    except DataError:
        return Check("golden input on this device", float("inf"), bound)


def _torch_checks(name: str, session: OrtSession, module: nn.Module, windows: Float32) -> list[Check]:
    alone = [list(torch_outputs(module, window[np.newaxis])) for window in windows]
    # One unit for the set: a window of small outputs must not be measured in that of a large one, nor the other way.
    scales = output_scales(session.manifest, [np.concatenate(each) for each in zip(*alone, strict=True)])
    worst = {size: _worst_difference(session, module, windows, size, scales) for size in BATCHES}
    bound = _TOLERANCE
    if max(worst.values()) > _TOLERANCE:
        bound = max(_TOLERANCE, 4 * _rounding(module, windows, alone, scales))
    return [Check(f"{name}: torch against ONNX, batch {size}", found, bound) for size, found in worst.items()]


def _worst_difference(
    session: OrtSession, module: nn.Module, windows: Float32, size: int, scales: list[float]
) -> float:
    worst = 0.0
    for at in range(0, len(windows), size):
        part = windows[at : at + size]
        worst = max(worst, output_errors(list(torch_outputs(module, part)), session.run(part), scales).largest)
    return worst


def _rounding(module: nn.Module, windows: Float32, alone: list[list[Float32]], scales: list[float]) -> float:
    """How far torch's float32 is from its float64, in the units of the tolerance."""
    exact = copy.deepcopy(module).double()
    worst = 0.0
    for window, wanted in zip(windows, alone, strict=True):
        with torch.inference_mode():
            given = exact(torch.from_numpy(window[np.newaxis]).double())
        outputs: tuple[torch.Tensor, ...] = given if isinstance(given, tuple) else (given,)
        found = [each.numpy().astype(np.float32) for each in outputs]
        worst = max(worst, output_errors(wanted, found, scales).largest)
    return worst
