"""An artefact on ONNX Runtime: the graph, its manifest, its digest. Stateless: one serves many stations."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from onnxruntime.capi import (
    onnxruntime_pybind11_state as ort_errors,  # pyright: ignore[reportAttributeAccessIssue]  # compiled, no stub
)

from .errors import DataError, ModelError, UsageError
from .manifest import METADATA_KEY, Manifest, read_manifest
from .seal import check_seal
from .targets import host_target, runs_on

Float32 = npt.NDArray[np.float32]

MAX_MODEL_BYTES = 1 << 30
_LOAD_ERRORS: tuple[type[Exception], ...] = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoModel,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)

RUN_ERRORS: tuple[type[Exception], ...] = (MemoryError, ort_errors.Fail, ort_errors.RuntimeException)
"""What `OrtSession.run` raises where the machine fails it, above all for want of memory."""


Provider = Literal["cpu", "cuda", "tensorrt"]
_PROVIDERS: dict[Provider, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}


@dataclass(frozen=True)
class Engine:
    """How ONNX Runtime runs a graph.

    Attributes
    ----------
    provider
        Where.
    threads
        Within an operator.
    spinning
        Threads that wait keep their core busy: a little sooner, at the cost of everything else.
    """

    provider: Provider = "cpu"
    threads: int = 1
    spinning: bool = False


_DRAWN = 64


def drawn(output: Float32) -> Float32:
    """Flatten an output; of more than 64 numbers, give 64 evenly drawn ones, the first and the last among them.

    This is what `Verification.golden_output` holds.
    """
    flat = output.ravel()
    if flat.size <= _DRAWN:
        return flat
    return flat[np.linspace(0, flat.size - 1, _DRAWN).round().astype(np.intp)]


class Session(Protocol):
    """What the pipeline asks of an inference engine."""

    @property
    def manifest(self) -> Manifest:
        """The artefact's manifest."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of the artefact, hexadecimal."""
        ...

    def run(self, windows: Float32) -> list[Float32]:
        """Give the outputs, in the manifest's order, of float32 (count, *shape)."""
        ...


class OrtSession:
    """An ONNX artefact on ONNX Runtime: its CPU provider, one thread, no spinning, unless told otherwise.

    Parameters
    ----------
    path
        The artefact.
    any_target
        Take artefacts for other processors too: their numbers are then those of this one. For tools that look at or
        judge artefacts; a station never wants it.
    engine
        How to run it.

    Raises
    ------
    UsageError
        This ONNX Runtime lacks the provider.
    ModelError
        The file is no ONNX model, was changed after its export, is for another class of processors, or its graph is
        not what its manifest says.
    ManifestError
        The manifest is missing or breaks its format.
    """

    def __init__(self, path: Path, *, any_target: bool = False, engine: Engine = Engine()) -> None:
        identity = _identity(path)
        self._session = load_graph(path, engine)
        text = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        if text is None:
            raise ModelError(
                f"{path}: found no manifest, wanted one under the metadata key {METADATA_KEY!r}: "
                "a network of your own becomes an artefact by `edge-export wrap` with a recipe"
            )
        self.manifest = read_manifest(text, str(path))
        self.digest = _digest(path)
        if _identity(path) != identity:
            raise ModelError(f"{path}: found another file there than before it was read, wanted one that stays")
        if not any_target:
            _check_target(self.manifest, path)
        self._outputs = [output.name for output in self.manifest.outputs]
        _check_graph(self._session, self.manifest, path)

    def run(self, windows: Float32) -> list[Float32]:
        """Give the outputs, in the manifest's order, of float32 (count, *shape).

        A window's outputs have the same bits whatever the count.
        """
        batch = self.manifest.input.batch
        if batch == "one":
            rows = [self._run(windows[index : index + 1]) for index in range(len(windows))]
            return [np.concatenate(each) for each in zip(*rows, strict=True)]
        if batch == "at_least_two" and len(windows) == 1:
            return [output[:1] for output in self._run(np.concatenate((windows, windows)))]
        return self._run(windows)

    def _run(self, windows: Float32) -> list[Float32]:
        outputs = self._session.run(self._outputs, {self.manifest.input.name: windows})
        return [np.asarray(output) for output in outputs]

    def check_golden(self) -> float:
        """Run the manifest's golden input on this device; give the largest difference to the golden output.

        Raises
        ------
        DataError
            The difference is above the manifest's tolerance: this device computes something else.
        """
        return golden_difference(self)


def golden_difference(session: Session) -> float:
    """Run the manifest's golden input; give the largest difference to the golden output.

    Raises
    ------
    DataError
        The difference is above the manifest's tolerance: this device computes something else.
    """
    golden = session.manifest.verification
    shape = (golden.golden_windows, *session.manifest.input.shape)
    windows = np.random.default_rng(golden.golden_seed).standard_normal(shape, dtype=np.float32)
    found = drawn(session.run(windows)[0])
    wanted = np.asarray(golden.golden_output, np.float32)
    if found.shape != wanted.shape:
        raise ModelError(f"golden output: found {found.size} numbers, wanted {wanted.size}")
    difference = float(np.abs(found - wanted).max(initial=0.0))
    if not difference <= golden.tolerance:
        raise DataError(f"golden input: found outputs {difference:.2g} off, wanted at most {golden.tolerance:.2g}")
    return difference


def _identity(path: Path) -> tuple[int, int, int]:
    """Size, time of change and number of a file that can be read and is not too large."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
    if status.st_size > MAX_MODEL_BYTES:
        raise ModelError(f"{path}: found more than {MAX_MODEL_BYTES} bytes, wanted an ONNX model")
    return status.st_size, status.st_mtime_ns, status.st_ino


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return check_seal(file, os.fstat(file.fileno()).st_size, str(path))


def load_graph(path: Path, engine: Engine = Engine()) -> ort.InferenceSession:
    """Load a graph from the file itself: its bytes in memory beside it would be the largest thing there.

    Raises
    ------
    UsageError
        This ONNX Runtime lacks the provider.
    ModelError
        ONNX Runtime cannot load it, or would run it elsewhere than on the provider that was asked for.
    """
    provider, there = _PROVIDERS[engine.provider], ort.get_available_providers()
    if provider not in there:
        names = ", ".join(name for name, full in _PROVIDERS.items() if full in there)
        raise UsageError(f"provider {engine.provider}: this ONNX Runtime lacks it, found {names}")
    options = ort.SessionOptions()
    options.intra_op_num_threads = engine.threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(engine.spinning)))
    options.log_severity_level = 4  # what fails is raised; ORT would print it a second time
    try:
        session = ort.InferenceSession(str(path), options, providers=[provider])
    except _LOAD_ERRORS as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{path}: found no loadable ONNX model ({reason}), wanted one") from error
    if session.get_providers()[0] != provider:  # ONNX Runtime only warns, and goes on with the CPU
        raise ModelError(f"{path}: found {session.get_providers()[0]}, wanted {provider}: its libraries do not load")
    return session


def _check_target(manifest: Manifest, path: Path) -> None:
    target, host = manifest.quantization.target, host_target()
    if not runs_on(target, host):
        way = "build its engine" if target == "tensorrt" else f"make one with edge-export quantize --target {host}"
        raise ModelError(f"{path}: found an artefact for {target}, and this machine is {host or 'of no class'}: {way}")


def _check_graph(session: ort.InferenceSession, manifest: Manifest, path: Path) -> None:
    """Compare the graph's names, types and shapes with the manifest's."""
    inputs = {each.name: each for each in session.get_inputs()}
    graph_input = inputs.get(manifest.input.name)
    if graph_input is None or len(inputs) != 1:
        raise ModelError(f"{path}: found inputs {sorted(inputs)}, the manifest wants {manifest.input.name!r}")
    if graph_input.type != "tensor(float)":
        raise ModelError(f"{path}: input {graph_input.name}: found {graph_input.type}, wanted tensor(float)")
    if list(graph_input.shape[1:]) != list(manifest.input.shape):
        raise ModelError(
            f"{path}: input {graph_input.name}: found shape {list(graph_input.shape)}, "
            f"the manifest wants batch x {list(manifest.input.shape)}"
        )
    fixed = graph_input.shape[0]
    if isinstance(fixed, int) and not (manifest.input.batch == "one" and fixed == 1):
        raise ModelError(
            f"{path}: input {graph_input.name}: found a batch of {fixed}, the manifest wants any number of windows"
        )
    outputs = {each.name: each for each in session.get_outputs()}
    for output in manifest.outputs:
        found = outputs.get(output.name)
        if found is None:
            raise ModelError(f"{path}: found outputs {sorted(outputs)}, the manifest wants {output.name!r}")
        classes = found.shape[-1] if found.shape else None
        if output.kind == "class_probability" and classes != len(output.labels):
            raise ModelError(
                f"{path}: output {output.name}: found {classes} classes, "
                f"the manifest names {len(output.labels)}: {', '.join(output.labels)}"
            )
