"""Does an artefact compute what its source computes? On real windows, on awkward ones, in batches of any size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import nn

from seisedge.edge.archive import index_paths, read_packets
from seisedge.edge.errors import DataError
from seisedge.edge.pipeline import StationStream
from seisedge.edge.preprocess import Preprocess
from seisedge.edge.session import OrtSession
from seisedge.edge.stations import group_stations

from .artefact import torch_outputs
from .errors import VerificationError

Float32 = npt.NDArray[np.float32]

_TOLERANCE = 1e-5  # |torch - ONNX| of fp32 probabilities: other kernels, other order of sums
_BATCHES = (1, 2, 7)
_MOST_REAL = 256


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
        checks.append(Check(f"{name}: batch of 1, 2, 7 or all, same bits", _batch_difference(session, windows), 0))
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


def real_windows(preprocess: Preprocess, data: tuple[Path, ...]) -> Float32:
    """Network input cut from archives by the runtime, evenly drawn from what they hold."""
    manifest = preprocess.manifest
    blocks: list[Float32] = []
    for station in group_stations(index_paths(data).traces, manifest.components):
        if station.refused is not None:
            continue
        stream = StationStream(preprocess, stride=manifest.window_samples)
        for component, packet, _ in read_packets(station.traces, on_problem=lambda _: None):
            stream.push(component, packet)
            while block := stream.cutter.take(64):
                blocks.append(preprocess.windows(block.samples, count=block.count, stride=manifest.window_samples))
    if not blocks:
        raise VerificationError(f"{', '.join(map(str, data))}: found no whole window of {manifest.name}")
    windows = np.concatenate(blocks)
    chosen = np.linspace(0, len(windows) - 1, min(_MOST_REAL, len(windows))).round().astype(np.intp)
    return windows[chosen]


def _golden(session: OrtSession) -> Check:
    bound = session.manifest.verification.tolerance
    try:
        return Check("golden input on this device", session.check_golden(), bound)
    except DataError:
        return Check("golden input on this device", float("inf"), bound)


def _batch_difference(session: OrtSession, windows: Float32) -> float:
    """Largest difference between a window's outputs in batches of different sizes."""
    whole = session.run(windows)
    worst = 0.0
    for size in _BATCHES:
        parts = [session.run(windows[at : at + size]) for at in range(0, len(windows), size)]
        for output, rows in zip(whole, zip(*parts, strict=True), strict=True):
            worst = max(worst, float(np.abs(np.concatenate(rows) - output).max()))
    return worst


def _torch_checks(name: str, session: OrtSession, module: nn.Module, windows: Float32) -> list[Check]:
    checks: list[Check] = []
    for size in _BATCHES:
        worst = 0.0
        for at in range(0, len(windows), size):
            part = windows[at : at + size]
            for found, wanted in zip(session.run(part), torch_outputs(module, part), strict=True):
                worst = max(worst, float(np.abs(found - wanted).max()))
        checks.append(Check(f"{name}: torch against ONNX, batch {size}", worst, _TOLERANCE))
    return checks
