"""A TensorRT engine and the file beside it: what `edge-export engine` builds, as a `Session`.

An engine (`.plan`) runs on the kind of GPU and with the version of TensorRT that it was built with, and holds no
manifest: that, and all that decides whether the engine may run here, stands in `<plan>.json`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import strict
from .cuda_driver import LIBRARY, CudaDriver
from .errors import GpuError, ModelError
from .manifest import MAX_BYTES, Manifest
from .session import golden_difference
from .tensorrt_api import import_tensorrt, make_logger

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
    sidecar = strict.read(Sidecar, value, str(path))
    if sidecar.format != SIDECAR_FORMAT:
        raise ModelError(f"{path}: found format {sidecar.format}, wanted {SIDECAR_FORMAT}: build the engine again")
    return sidecar


class DeviceEngine:
    """An engine on the GPU with its buffers, which are taken once."""

    def __init__(self, trt: Any, driver: CudaDriver, plan: bytes, manifest: Manifest) -> None:  # noqa: ANN401
        self._driver, self._manifest, self._logger = driver, manifest, make_logger(trt)
        self._runtime = trt.Runtime(self._logger)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise GpuError(f"engine of {manifest.name}: TensorRT cannot read it: {'; '.join(self._logger.errors)}")
        self._context = self._engine.create_execution_context()
        name = manifest.input.name
        self.largest_batch = int(next(iter(self._engine.get_tensor_profile_shape(name, 0)[2])))
        self._shapes = {each: tuple(self._engine.get_tensor_shape(each))[1:] for each in self._names()}
        for each in self._names():
            if self._engine.get_tensor_dtype(each) != trt.DataType.FLOAT:
                raise GpuError(f"engine of {manifest.name}: {each}: found another type, wanted float32")
        self._addresses = {
            each: driver.allocate(4 * self.largest_batch * math.prod(shape)) for each, shape in self._shapes.items()
        }
        for each, address in self._addresses.items():
            self._context.set_tensor_address(each, address)

    def _names(self) -> list[str]:
        return [self._manifest.input.name, *(output.name for output in self._manifest.outputs)]

    def run(self, windows: Float32) -> list[Float32]:
        """Give the outputs of any number of windows, `largest_batch` of them at a time."""
        most = self.largest_batch
        parts = [self._run(windows[at : at + most]) for at in range(0, len(windows), most)]
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    def _run(self, windows: Float32) -> list[Float32]:
        source = np.ascontiguousarray(windows, np.float32)
        self._driver.use()
        first, *others = self._names()
        self._context.set_input_shape(first, source.shape)
        self._driver.write(self._addresses[first], source)
        if not self._context.execute_async_v3(self._driver.stream):
            raise GpuError(f"engine of {self._manifest.name}: a run failed: {'; '.join(self._logger.errors[-3:])}")
        outputs = [np.empty((len(source), *self._shapes[each]), np.float32) for each in others]
        for name, output in zip(others, outputs, strict=True):
            self._driver.read(output, self._addresses[name])
        self._driver.wait()
        return outputs

    def close(self) -> None:
        """Give the buffers back."""
        for address in self._addresses.values():
            self._driver.free(address)
        self._addresses = {}


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
        self.digest = hashlib.sha256(content).hexdigest()
        if self.digest != sidecar.plan_digest:
            raise ModelError(f"{plan}: found SHA-256 {self.digest[:16]}…, its sidecar names another: build it again")
        self.manifest = sidecar.manifest
        self._driver = CudaDriver(library)
        trt = import_tensorrt()
        _require_same(plan, "TensorRT", str(trt.__version__), sidecar.tensorrt)
        _require_same(plan, "compute capability", self._driver.gpu().compute_capability, sidecar.compute_capability)
        self._engine = DeviceEngine(trt, self._driver, content, self.manifest)

    def run(self, windows: Float32) -> list[Float32]:
        """Give the outputs, in the manifest's order, of float32 (count, *shape)."""
        return self._engine.run(windows)

    def check_golden(self) -> float:
        """As `OrtSession.check_golden`."""
        return golden_difference(self)

    def close(self) -> None:
        """Give memory and GPU back."""
        self._engine.close()
        self._driver.close()


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
