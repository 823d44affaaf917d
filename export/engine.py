"""An artefact → a TensorRT engine for the GPU of this machine, with its sidecar.

The network is strongly typed: its precision is that of the graph (float32, half, or symmetric quantisation), which is
all that TensorRT 11 knows and what 10.3 can do too. No precision flag, no calibrator, no TF32: float32 stays float32.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seisedge.edge.cuda_driver import LIBRARY, CudaDriver
from seisedge.edge.errors import GpuError, ModelError, UsageError
from seisedge.edge.interrupt import StopSignal
from seisedge.edge.manifest import Manifest
from seisedge.edge.session import OrtSession, golden_difference
from seisedge.edge.tensorrt_api import import_tensorrt, make_logger, start
from seisedge.edge.tensorrt_session import SIDECAR_FORMAT, DeviceEngine, Sidecar, sidecar_path
from seisedge.edge.whole_file import write_whole

OnStep = Callable[[str, int, int], None]
"""Takes the name of a phase, the steps that are done and how many it has."""


@dataclass(frozen=True)
class EngineOptions:
    """How an engine is built.

    Attributes
    ----------
    largest_batch
        Windows in one run, at most.
    usual_batch
        The number of windows that it is made fastest for.
    workspace_mb
        Memory that building and running may take for scratch.
    timing_cache
        A file that remembers what was measured, read and written; None for none. The second build is much faster.
    """

    largest_batch: int = 64
    usual_batch: int = 1
    workspace_mb: int = 512
    timing_cache: Path | None = None


def build_engine(
    artefact: Path,
    plan: Path,
    options: EngineOptions,
    *,
    on_step: OnStep = lambda *_: None,
    library: str = LIBRARY,
) -> Sidecar:
    """Build, check the golden input on the GPU, and write the engine and `<plan>.json`, or nothing.

    Raises
    ------
    ModelError
        The artefact is for another target.
    UsageError
        The batches contradict each other.
    GpuError
        There is no GPU, driver or TensorRT, or the build failed.
    DataError
        The engine computes something else than the artefact.
    KeyboardInterrupt
        Ctrl-C: the build stops at its next step.
    """
    manifest, content = _read_artefact(artefact)
    options = _checked(manifest, options, str(artefact))
    if plan.resolve() == artefact.resolve():
        raise UsageError(f"{plan}: found the artefact itself as the engine's name, wanted another")
    with closing(CudaDriver(library)) as driver:
        trt = import_tensorrt()
        built = _build(trt, content, manifest, options, on_step)
        with closing(DeviceEngine(trt, driver, built, manifest)) as engine:
            difference = golden_difference(engine)
        gpu = driver.gpu()
    sidecar = Sidecar(
        format=SIDECAR_FORMAT,
        manifest=manifest,
        artefact_digest=hashlib.sha256(content).hexdigest(),
        plan_digest=engine.digest,
        tensorrt=str(trt.__version__),
        gpu=gpu.name,
        compute_capability=gpu.compute_capability,
        driver_version=gpu.driver_version,
        largest_batch=options.largest_batch,
        golden_difference=difference,
    )
    write_whole(built, plan)
    write_whole(sidecar.to_json().encode(), sidecar_path(plan))
    return sidecar


def _read_artefact(path: Path) -> tuple[Manifest, bytes]:
    """Give manifest and bytes; the session that looked at them is gone before the builder wants its memory."""
    session, content = OrtSession(path, any_target=True), path.read_bytes()
    if hashlib.sha256(content).hexdigest() != session.digest:
        raise ModelError(f"{path}: found another file there than a moment before, wanted one that stays")
    return session.manifest, content


def _checked(manifest: Manifest, options: EngineOptions, where: str) -> EngineOptions:
    quantization = manifest.quantization
    if quantization.precision == "int8" and quantization.target != "tensorrt":
        raise ModelError(
            f"{where}: found int8 for {quantization.target}, whose zero points TensorRT refuses: make one with "
            "edge-export quantize --precision int8 --target tensorrt"
        )
    if manifest.input.batch == "one":
        return EngineOptions(1, 1, options.workspace_mb, options.timing_cache)
    if not 1 <= options.usual_batch <= options.largest_batch:
        raise UsageError(
            f"batch: found {options.usual_batch} as the usual one, wanted 1 to {options.largest_batch}, the largest"
        )
    return options


def _build(trt: Any, model: bytes, manifest: Manifest, options: EngineOptions, on_step: OnStep) -> bytes:  # noqa: ANN401
    logger = make_logger(trt)
    builder = start(trt.Builder, logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model):
        reasons = [" ".join(parser.get_error(place).desc().split()) for place in range(parser.num_errors)]
        raise GpuError(f"{manifest.name}: TensorRT {trt.__version__} cannot read the graph: {'; '.join(reasons)}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mb << 20)
    config.clear_flag(trt.BuilderFlag.TF32)
    config.add_optimization_profile(_profile(builder, manifest, options))
    _load_timings(config, options.timing_cache)
    with StopSignal() as stop:
        config.progress_monitor = _monitor(trt, stop, on_step)
        built = builder.build_serialized_network(network, config)
        stop.check()
    if built is None:
        raise GpuError(f"{manifest.name}: TensorRT {trt.__version__} built no engine: {'; '.join(logger.errors)}")
    if options.timing_cache is not None:
        write_whole(bytes(config.get_timing_cache().serialize()), options.timing_cache)
    return bytes(built)


def _profile(builder: Any, manifest: Manifest, options: EngineOptions) -> Any:  # noqa: ANN401
    profile = builder.create_optimization_profile()
    batches = (1, options.usual_batch, options.largest_batch)
    profile.set_shape(manifest.input.name, *((each, *manifest.input.shape) for each in batches))
    return profile


def _load_timings(config: Any, path: Path | None) -> None:  # noqa: ANN401
    if path is None:
        return
    cache = config.create_timing_cache(path.read_bytes() if path.is_file() else b"")
    # A cache of another GPU or version, or a damaged one, is no error: it is measured anew, into an empty one.
    if cache is None or not config.set_timing_cache(cache, False):
        config.set_timing_cache(config.create_timing_cache(b""), False)


def _monitor(trt: Any, stop: StopSignal, on_step: OnStep) -> Any:  # noqa: ANN401
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # the base comes at run time
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if parent_phase is None:
                self._steps[phase_name] = num_steps
                on_step(phase_name, 0, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            if phase_name in self._steps:
                on_step(phase_name, step + 1, self._steps[phase_name])
            return not stop.is_set

        def phase_finish(self, phase_name: str) -> None:
            if (steps := self._steps.pop(phase_name, None)) is not None:
                on_step(phase_name, steps, steps)

    return Monitor()
