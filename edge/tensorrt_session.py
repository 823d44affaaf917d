"""A TensorRT engine and the file beside it: what `edge-export engine` builds, as a `Session`.

An engine (`.plan`) runs on the kind of GPU and with the version of TensorRT that it was built with, and holds no
manifest: that, and all that decides whether the engine may run here, stands in `<plan>.json`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import threading
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import strict
from .cuda_driver import LIBRARY, CudaDriver
from .errors import GpuError, ManifestError, ModelError
from .manifest import MAX_BYTES, Manifest
from .session import golden_difference
from .tensorrt_api import import_tensorrt, make_logger, start

Float32 = npt.NDArray[np.float32]

SIDECAR_FORMAT = 1
_MAX_PLAN_BYTES = 1 << 31


@dataclass(frozen=True)
class Sidecar:
    """What an engine is and where it runs.

    Attributes
    ----------
    artefact_digest
        SHA-256 of the ONNX artefact that it was built from.
    plan_digest
        SHA-256 of the engine.
    tensorrt, gpu, compute_capability, driver_version
        What it was built with.
    largest_batch
        Windows in one run, at most.
    golden_difference
        Of its first output from the manifest's golden output, on that GPU.
    """

    format: int
    manifest: Manifest
    artefact_digest: str
    plan_digest: str
    tensorrt: str
    gpu: str
    compute_capability: str
    driver_version: int
    largest_batch: int
    golden_difference: float

    def to_json(self) -> str:
        """The file's text."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def sidecar_path(plan: Path) -> Path:
    """Where the file beside an engine is."""
    return plan.with_name(f"{plan.name}.json")


def read_sidecar(plan: Path) -> Sidecar:
    """Read the file beside an engine, strictly.

    Raises
    ------
    ModelError, ManifestError
        It is missing, or breaks its format.
    """
    path = sidecar_path(plan)
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_BYTES + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: cannot be read ({error}), wanted what edge-export engine writes") from error
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: found no JSON ({error}), wanted what edge-export engine writes") from error
    try:
        sidecar = strict.read(Sidecar, value, "sidecar")
    except ManifestError as error:
        line = " ".join(str(error).split())  # a key may hold a line break
        raise ManifestError(f"{path}: {line}") from error
    if sidecar.format != SIDECAR_FORMAT:
        raise ModelError(f"{path}: found format {sidecar.format}, wanted {SIDECAR_FORMAT}: build the engine again")
    return sidecar


class DeviceEngine:
    """An engine on the GPU with its buffers, which are taken once; threads take turns.

    Raises
    ------
    GpuError
        TensorRT cannot read it, it is not the manifest's, or the GPU has no room for it.
    """

    def __init__(self, trt: Any, driver: CudaDriver, plan: bytes, manifest: Manifest) -> None:  # noqa: ANN401
        self.manifest, self.digest = manifest, hashlib.sha256(plan).hexdigest()
        self._driver, self._logger, self._lock = driver, make_logger(trt), threading.Lock()
        self._runtime = start(trt.Runtime, self._logger)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        self._require(self._engine is not None, "TensorRT cannot read it")
        self._context = self._engine.create_execution_context()
        self._require(self._context is not None, "the GPU has no room for it")
        name = manifest.input.name
        self.largest_batch = int(self._engine.get_tensor_profile_shape(name, 0)[2][0])
        self._set_batch(self.largest_batch, manifest.input.shape)
        self._input = self._take_buffer(trt, name)
        self._outputs = [self._take_buffer(trt, output.name) for output in manifest.outputs]

    def run(self, windows: Float32) -> list[Float32]:
        """Give the outputs of any number of windows, `largest_batch` of them at a time."""
        source = np.ascontiguousarray(windows, np.float32)
        outputs = [np.empty((len(source), *buffer.shape), np.float32) for buffer in self._outputs]
        with self._lock:
            self._driver.use()
            for at in range(0, len(source), self.largest_batch):
                part = slice(at, at + self.largest_batch)
                self._run(source[part], [output[part] for output in outputs])
        return outputs

    def close(self) -> None:
        """Give everything back; nothing may be called afterwards."""
        self._context = self._engine = self._runtime = None  # in this order, while the driver is there
        for buffer in (self._input, *self._outputs):
            self._driver.free(buffer.address)

    def _run(self, windows: Float32, outputs: list[Float32]) -> None:
        self._set_batch(len(windows), windows.shape[1:])
        self._driver.write(self._input.address, windows)
        self._require(self._context.execute_async_v3(self._driver.stream), "a run failed")
        for buffer, output in zip(self._outputs, outputs, strict=True):
            self._driver.read(output, buffer.address)
        self._driver.wait()

    def _set_batch(self, batch: int, shape: tuple[int, ...]) -> None:
        whole = (batch, *shape)
        self._require(self._context.set_input_shape(self.manifest.input.name, whole), f"no input of shape {whole}")

    def _take_buffer(self, trt: Any, name: str) -> _Buffer:  # noqa: ANN401
        self._require(self._engine.get_tensor_dtype(name) == trt.DataType.FLOAT, f"{name} is not float32")
        batch, *shape = tuple(self._context.get_tensor_shape(name))
        is_fixed = batch == self.largest_batch and min(shape, default=1) > 0
        self._require(is_fixed, f"{name}: found shape {(batch, *shape)}, wanted (batch, …) of fixed sizes")
        address = self._driver.allocate(4 * batch * math.prod(shape))
        self._require(self._context.set_tensor_address(name, address), f"{name}: no such tensor")
        return _Buffer(address, tuple(shape))

    def _require(self, is_so: bool, otherwise: str) -> None:  # noqa: FBT001 - a condition
        if not is_so:
            reasons = f": {'; '.join(self._logger.errors)}" if self._logger.errors else ""
            raise GpuError(f"engine of {self.manifest.name}: {otherwise}{reasons}")


@dataclass(frozen=True)
class _Buffer:
    """Memory on the GPU for `largest_batch` windows, and the shape of one."""

    address: int
    shape: tuple[int, ...]


class TensorRtSession:
    """An engine as a session. A window's outputs may differ in their last bits with the batch it travels in.

    Parameters
    ----------
    plan
        The engine; its sidecar stands beside it.
    library
        The driver's library.

    Raises
    ------
    ModelError
        Engine and sidecar do not belong together, or were made for another GPU or another TensorRT.
    GpuError
        There is no GPU, no driver or no TensorRT.
    """

    def __init__(self, plan: Path, *, library: str = LIBRARY) -> None:
        sidecar = read_sidecar(plan)
        content = _read_plan(plan)
        self.manifest, self.digest = sidecar.manifest, hashlib.sha256(content).hexdigest()
        if self.digest != sidecar.plan_digest:
            raise ModelError(f"{plan}: found SHA-256 {self.digest[:16]}…, its sidecar names another: build it again")
        with ExitStack() as opened:
            driver = opened.enter_context(closing(CudaDriver(library)))
            trt = import_tensorrt()
            _require_same(plan, "TensorRT", str(trt.__version__), sidecar.tensorrt)
            _require_same(plan, "compute capability", driver.gpu().compute_capability, sidecar.compute_capability)
            self._engine = opened.enter_context(closing(DeviceEngine(trt, driver, content, self.manifest)))
            self._opened = opened.pop_all()

    def run(self, windows: Float32) -> list[Float32]:
        """Give the outputs, in the manifest's order, of float32 (count, *shape)."""
        return self._engine.run(windows)

    def check_golden(self) -> float:
        """As `OrtSession.check_golden`."""
        return golden_difference(self)

    def close(self) -> None:
        """Give memory and GPU back."""
        self._opened.close()


def _read_plan(plan: Path) -> bytes:
    try:
        if plan.stat().st_size > _MAX_PLAN_BYTES:
            raise ModelError(f"{plan}: found more than {_MAX_PLAN_BYTES} bytes, wanted an engine")
        return plan.read_bytes()
    except OSError as error:
        raise ModelError(f"{plan}: cannot be read: {error.strerror}") from error


def _require_same(plan: Path, what: str, found: str, wanted: str) -> None:
    if found != wanted:
        raise ModelError(
            f"{plan}: found {what} {found} here, and the engine was built with {wanted}: build it on this machine "
            "with edge-export engine"
        )
