"""A stand-in for TensorRT's Python module: exactly the names of `tensorrt_api.USED`, and nothing else.

Its engines are the ONNX graphs themselves, run by ONNX Runtime on the memory of the stub driver. What it cannot show is
whether a real engine is built or right: no test of this project ever built one.
"""

from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime as ort

from seisedge.edge.tensorrt_api import USED

_SEPARATOR = b"|"
_STEPS = 5


@dataclass
class Behaviour:
    """What the stand-in does: as it should, or one of the ways in which the real one fails."""

    version: str = "10.3.0"
    parse_errors: tuple[str, ...] = ()
    starts: bool = True
    builds: bool = True
    has_room: bool = True
    runs: bool = True
    error_added: float = 0.0
    timings_fit: bool = True
    calls: list[str] = field(default_factory=list[str])
    at_step: Any = None


def make_tensorrt(behaviour: Behaviour) -> SimpleNamespace:
    """Build the module."""
    module = SimpleNamespace(__version__=behaviour.version)
    for name, made in _classes(behaviour, module).items():
        setattr(module, name, _only(made, USED[name]))
    _only(module.ILogger.Severity, USED["ILogger.Severity"])
    assert {name for name in vars(module) if not name.startswith("_")} == {name for name in USED if "." not in name}
    return module


def _only(made: Any, members: tuple[str, ...]) -> Any:
    public = {name for name in vars(made) if not name.startswith("_")}
    assert public == set(members), f"{made}: has {public}, the table says {members}"
    return made


def _classes(behaviour: Behaviour, module: SimpleNamespace) -> dict[str, Any]:  # noqa: C901 - a list of classes
    severity = SimpleNamespace(INTERNAL_ERROR=0, ERROR=1)

    class ILogger:
        Severity = severity

        def log(self, severity: object, msg: str) -> None:
            raise NotImplementedError

    class IProgressMonitor:
        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None: ...
        def step_complete(self, phase_name: str, step: int) -> bool: ...  # type: ignore[empty-body]
        def phase_finish(self, phase_name: str) -> None: ...

    class ITimingCache:
        def __init__(self, content: bytes) -> None:
            self._content = content

        def serialize(self) -> bytes:
            return self._content + b"measured"

    class IOptimizationProfile:
        def set_shape(self, name: str, least: Any, usual: Any, most: Any) -> None:
            self._shapes = (least, usual, most)
            behaviour.calls.append(f"profile {name} {least} {usual} {most}")

    class IBuilderConfig:
        progress_monitor: Any = None

        def set_memory_pool_limit(self, pool: object, size: int) -> None:
            behaviour.calls.append(f"{pool} {size}")

        def create_timing_cache(self, content: bytes) -> ITimingCache | None:
            return None if content == b"damaged" else ITimingCache(content)

        def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:  # noqa: FBT001 - its signature
            assert ignore_mismatch is False
            self._cache = cache
            return behaviour.timings_fit or cache.serialize() == b"measured"  # an empty one always fits

        def get_timing_cache(self) -> ITimingCache:
            return self._cache

        def add_optimization_profile(self, profile: IOptimizationProfile) -> int:
            self._profile = profile
            return 0

        def clear_flag(self, flag: object) -> None:
            behaviour.calls.append(f"clear {flag}")

    class ParserError:
        def __init__(self, text: str) -> None:
            self._text = text

        def desc(self) -> str:
            return self._text

    class OnnxParser:
        num_errors = property(lambda _: len(behaviour.parse_errors))

        def __init__(self, network: Any, logger: ILogger) -> None:
            self._network, self._logger = network, logger

        def parse(self, model: bytes) -> bool:
            self._network._model = model
            return not behaviour.parse_errors

        def get_error(self, place: int) -> ParserError:
            return ParserError(behaviour.parse_errors[place])

    class Builder:
        def __init__(self, logger: ILogger) -> None:
            if not behaviour.starts:
                raise TypeError("pybind11::init(): factory function returned nullptr")
            self._logger = logger

        def create_network(self, flags: int) -> Any:
            assert flags == 1 << 3
            return SimpleNamespace()

        def create_builder_config(self) -> IBuilderConfig:
            return IBuilderConfig()

        def create_optimization_profile(self) -> IOptimizationProfile:
            return IOptimizationProfile()

        def build_serialized_network(self, network: Any, config: Any) -> Any:
            monitor = config.progress_monitor
            monitor.phase_start("Building", None, _STEPS)
            for step in range(_STEPS):
                monitor.phase_start("inner", "Building", 1)
                if behaviour.at_step is not None:
                    behaviour.at_step(step)
                if not monitor.step_complete("Building", step):
                    return None
            monitor.phase_finish("Building")
            if not behaviour.builds:
                self._logger.log(severity.ERROR, "no kernel\nfor this")
                return None
            most = config._profile._shapes[2][0]
            return str(most).encode() + _SEPARATOR + network._model

    class IExecutionContext:
        def __init__(self, engine: Any) -> None:
            self._engine, self._addresses = engine, dict[str, int]()
            self._name, self._shape = "", tuple[int, ...]()

        def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
            if shape[0] > self._engine._most or tuple(shape[1:]) != self._engine._shapes[name][1:]:
                return False
            self._name, self._shape = name, shape
            return True

        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            return (self._shape[0], *self._engine._shapes[name][1:])

        def set_tensor_address(self, name: str, address: int) -> bool:
            self._addresses[name] = address
            return name in self._engine._shapes

        def execute_async_v3(self, stream: int) -> bool:
            assert stream
            if not behaviour.runs:
                return False
            numbers = math.prod(self._shape)
            given = (ctypes.c_float * numbers).from_address(self._addresses[self._name])
            windows = np.ctypeslib.as_array(given).reshape(self._shape)
            session = self._engine._session
            names = [each.name for each in session.get_outputs()]
            for name, output in zip(names, session.run(names, {self._name: windows}), strict=True):
                values = np.ascontiguousarray(output + np.float32(behaviour.error_added))
                ctypes.memmove(self._addresses[name], values.ctypes.data, values.nbytes)
            return True

    class ICudaEngine:
        def __init__(self, plan: bytes) -> None:
            most, _, model = plan.partition(_SEPARATOR)
            self._most, self._session = int(most), ort.InferenceSession(model)
            every = [*self._session.get_inputs(), *self._session.get_outputs()]
            self._shapes = {each.name: (-1, *each.shape[1:]) for each in every}

        def create_execution_context(self) -> IExecutionContext | None:
            return IExecutionContext(self) if behaviour.has_room else None

        def get_tensor_dtype(self, name: str) -> object:
            assert name in self._shapes
            return module.DataType.FLOAT

        def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
            assert profile == 0
            rest = self._shapes[name][1:]
            return [(1, *rest), (1, *rest), (self._most, *rest)]

    class Runtime:
        def __init__(self, logger: ILogger) -> None:
            self._logger = logger

        def deserialize_cuda_engine(self, plan: bytes) -> ICudaEngine | None:
            if _SEPARATOR not in plan[:8]:
                self._logger.log(severity.ERROR, "bad magic")
                return None
            return ICudaEngine(plan)

    return {
        **{each.__name__: each for each in (ILogger, IProgressMonitor, ITimingCache, IOptimizationProfile)},
        **{each.__name__: each for each in (IBuilderConfig, ParserError, OnnxParser, Builder, IExecutionContext)},
        **{each.__name__: each for each in (ICudaEngine, Runtime)},
        "NetworkDefinitionCreationFlag": SimpleNamespace(STRONGLY_TYPED=3),
        "BuilderFlag": SimpleNamespace(TF32="TF32"),
        "MemoryPoolType": SimpleNamespace(WORKSPACE="workspace"),
        "DataType": SimpleNamespace(FLOAT="float32"),
    }
