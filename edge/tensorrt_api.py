"""TensorRT's Python module: what of it is used, and how it is found.

One code path serves 10.3 (JetPack 6) to 11.4: the network is strongly typed, precision is in the ONNX graph, and no
builder flag of a precision and no calibrator is touched, for those are gone in 11. `benchmarks/check_tensorrt_api.py`
holds `USED` against the real modules of both ends, and the tests' stand-in has these names and no others.
"""

from __future__ import annotations

import importlib
import re
from collections import deque
from collections.abc import Callable
from typing import Any

from .errors import GpuError

USED: dict[str, tuple[str, ...]] = {
    "ILogger": ("log", "Severity"),
    "ILogger.Severity": ("ERROR", "INTERNAL_ERROR"),
    "Builder": (
        "create_network",
        "create_builder_config",
        "create_optimization_profile",
        "build_serialized_network",
    ),
    "NetworkDefinitionCreationFlag": ("STRONGLY_TYPED",),
    "OnnxParser": ("parse", "num_errors", "get_error"),
    "ParserError": ("desc",),
    "IOptimizationProfile": ("set_shape",),
    "IBuilderConfig": (
        "set_memory_pool_limit",
        "create_timing_cache",
        "set_timing_cache",
        "get_timing_cache",
        "add_optimization_profile",
        "clear_flag",
        "progress_monitor",
    ),
    "BuilderFlag": ("TF32",),
    "MemoryPoolType": ("WORKSPACE",),
    "ITimingCache": ("serialize",),
    "IProgressMonitor": ("phase_start", "step_complete", "phase_finish"),
    "Runtime": ("deserialize_cuda_engine",),
    "ICudaEngine": (
        "create_execution_context",
        "get_tensor_dtype",
        "get_tensor_profile_shape",
    ),
    "IExecutionContext": ("set_input_shape", "set_tensor_address", "get_tensor_shape", "execute_async_v3"),
    "DataType": ("FLOAT",),
}
"""Class → its members that are used."""

OLDEST, TOO_NEW = (10, 3), (12, 0)
_ERRORS_KEPT = 8


def import_tensorrt() -> Any:  # noqa: ANN401 - a compiled module without types
    """Import the module. Ask the driver first (`CudaDriver`): without one, TensorRT ends the process.

    Raises
    ------
    GpuError
        It is not there, or of a version that is not supported.
    """
    try:
        module = importlib.import_module("tensorrt")
    except ImportError as error:
        raise GpuError(
            f"TensorRT: found no Python module ({' '.join(str(error).split())}), wanted 10.3 to 11.4: on a Jetson "
            "'sudo apt-get install python3-libnvinfer' and a virtual environment with --system-site-packages; on a PC "
            "'pip install tensorrt --extra-index-url https://pypi.nvidia.com'"
        ) from error
    found = str(module.__version__)
    numbers = re.match(r"(\d+)\.(\d+)", found)
    version = (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)
    if not OLDEST <= version < TOO_NEW:
        raise GpuError(f"TensorRT: found version {found}, wanted 10.3 to 11.x")
    return module


def make_logger(trt: Any) -> Any:  # noqa: ANN401 - TensorRT's own classes
    """A logger that keeps the last errors for our messages, in `.errors`, and says nothing itself."""
    severe = (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR)

    class Logger(trt.ILogger):  # type: ignore[misc]  # the base comes at run time
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: deque[str] = deque(maxlen=_ERRORS_KEPT)

        def log(self, severity: object, msg: str) -> None:
            if severity in severe:
                self.errors.append(" ".join(msg.split()))

    return Logger()


def start(factory: Callable[[Any], Any], logger: Any) -> Any:  # noqa: ANN401 - TensorRT's own classes
    """Make a `Builder` or a `Runtime`.

    Raises
    ------
    GpuError
        TensorRT does not start, as with a driver that is older than it wants.
    """
    try:
        return factory(logger)
    except TypeError as error:  # what its bindings make of a null pointer
        reason = "; ".join(logger.errors) or str(error)
        raise GpuError(
            f"TensorRT: found a {factory.__name__} that does not start ({reason}): see nvidia-smi"
        ) from error
