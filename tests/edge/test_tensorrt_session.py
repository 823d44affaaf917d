"""The driver by ctypes and an engine as a session, on a stub driver and a stand-in for TensorRT."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gpu
import numpy as np
import pytest
from fake_tensorrt import Behaviour

from seisedge.edge import DataError, ManifestError, ModelError, OrtSession
from seisedge.edge.cuda_driver import CudaDriver, Gpu
from seisedge.edge.errors import GpuError
from seisedge.edge.tensorrt_api import import_tensorrt
from seisedge.edge.tensorrt_session import TensorRtSession, sidecar_path
from seisedge.export.engine import EngineOptions, build_engine


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> str:
    return gpu.compile_driver(tmp_path_factory.mktemp("driver"))


@pytest.fixture
def plan(tmp_path: Path, tiny_path: Path, driver: str) -> Path:
    with gpu.tensorrt_is(Behaviour()):
        build_engine(tiny_path, tmp_path / "tiny.plan", EngineOptions(largest_batch=4), library=driver)
    return tmp_path / "tiny.plan"


def test_the_driver_describes_its_gpu_and_moves_memory(tmp_path: Path) -> None:
    driver = gpu.compile_driver(tmp_path)
    cuda = CudaDriver(driver)
    assert cuda.gpu() == Gpu("Stub Orin", "8.7", 8 << 30, 12060)
    sent = np.arange(1000, dtype=np.float32)
    address, received = cuda.allocate(sent.nbytes), np.zeros(1000, np.float32)
    cuda.write(address, sent)
    cuda.read(received, address)
    cuda.wait()
    np.testing.assert_array_equal(received, sent)
    cuda.free(address)
    cuda.close()
    assert gpu.live_allocations(driver) == 0


@pytest.mark.parametrize(
    ("defines", "message"),
    [
        ({"GPUS": 0}, "GPU: found a driver and no GPU, wanted one"),
        ({"FAIL": 100}, "GPU: cuInit failed: CUDA_ERROR_NO_DEVICE (100)"),
        ({"FAIL": 4321}, "GPU: cuInit failed: unknown (4321)"),
    ],
)
def test_a_driver_that_cannot_is_one_line(defines: dict[str, int], message: str, tmp_path: Path) -> None:
    with pytest.raises(GpuError, match=re.escape(message)) as caught:
        CudaDriver(gpu.compile_driver(tmp_path, **defines))
    assert "\n" not in str(caught.value)


def test_no_driver_is_one_line() -> None:
    with pytest.raises(GpuError, match=r"GPU: found no libcuda-nowhere\.so, wanted NVIDIA's driver: a Jetson has it"):
        CudaDriver("libcuda-nowhere.so")


def test_no_tensorrt_is_one_line_that_says_where_it_comes_from() -> None:
    with (
        gpu.tensorrt_is(None),
        pytest.raises(GpuError, match=r"found no Python module .* apt-get .*pip install") as caught,
    ):
        import_tensorrt()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("version", "fits"), [("8.6.1", False), ("10.2.9", False), ("10.3.0", True), ("11.4.0.106", True), ("12.0", False)]
)
def test_only_versions_with_the_same_interface_are_taken(version: str, *, fits: bool) -> None:
    with gpu.tensorrt_is(Behaviour(version=version)):
        if fits:
            assert import_tensorrt().__version__ == version
            return
        with pytest.raises(GpuError, match=f"found version {version}, wanted 10.3 to 11.x"):
            import_tensorrt()


def test_an_engine_gives_what_its_artefact_gives_in_any_number(plan: Path, tiny_path: Path, driver: str) -> None:
    windows = np.random.default_rng(0).standard_normal((11, 22, 33, 3)).astype(np.float32)
    with gpu.tensorrt_is(Behaviour()):
        session = TensorRtSession(plan, library=driver)
    assert session.manifest == OrtSession(tiny_path).manifest
    for count in (1, 4, 5, 11):  # engines of four windows
        (found,) = session.run(windows[:count])
        np.testing.assert_array_equal(found, OrtSession(tiny_path).run(windows[:count])[0])
    with pytest.raises(GpuError, match=r"engine of tiny: no input of shape \(1, 2, 3\)"):
        session.run(np.zeros((1, 2, 3), np.float32))
    assert session.check_golden() < 1e-5
    before = gpu.live_allocations(driver)
    session.close()
    assert gpu.live_allocations(driver) == before - 2  # its input and its output


def test_a_device_that_computes_something_else_is_found_by_the_golden_input(plan: Path, driver: str) -> None:
    with gpu.tensorrt_is(Behaviour(error_added=0.01)):
        session = TensorRtSession(plan, library=driver)
    with pytest.raises(DataError, match=r"golden input: found outputs 0\.01 off"):
        session.check_golden()


def _without_manifest(sidecar: dict[str, Any]) -> None:
    del sidecar["manifest"]


def _with(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda sidecar: sidecar.__setitem__(key, value)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (_with("compute_capability", "7.2"), ModelError, "found compute capability 8.7 here, and the engine was built"),
        (_with("tensorrt", "10.4.0"), ModelError, "found TensorRT 10.3.0 here, and the engine was built with 10.4.0"),
        (_with("plan_digest", "0" * 64), ModelError, "its sidecar names another"),
        (_with("format", 2), ModelError, "found format 2, wanted 1"),
        (_with("gpus", 1), ManifestError, "unknown key 'gpus'; did you mean 'gpu'?"),
        (_without_manifest, ManifestError, "missing key 'manifest'"),
    ],
)
def test_an_engine_of_another_machine_or_with_another_sidecar_is_refused(
    change: Callable[[dict[str, Any]], None], error: type[Exception], message: str, plan: Path, driver: str
) -> None:
    sidecar = json.loads(sidecar_path(plan).read_text())
    change(sidecar)
    sidecar_path(plan).write_text(json.dumps(sidecar))
    with gpu.tensorrt_is(Behaviour()), pytest.raises(error, match=re.escape(message)) as caught:
        TensorRtSession(plan, library=driver)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "no json", "[]", "\udcff", '{"a": ' * 3000])
def test_a_damaged_sidecar_is_one_line(text: str, plan: Path, driver: str) -> None:
    sidecar_path(plan).write_bytes(text.encode("utf-8", "surrogateescape"))
    with gpu.tensorrt_is(Behaviour()), pytest.raises((ModelError, ManifestError)) as caught:
        TensorRtSession(plan, library=driver)
    assert "\n" not in str(caught.value)


def test_an_engine_that_cannot_be_read_is_one_line(plan: Path, driver: str) -> None:
    import hashlib  # noqa: PLC0415

    plan.write_bytes(b"nothing that TensorRT knows")
    sidecar = json.loads(sidecar_path(plan).read_text())
    sidecar["plan_digest"] = hashlib.sha256(plan.read_bytes()).hexdigest()
    sidecar_path(plan).write_text(json.dumps(sidecar))
    with gpu.tensorrt_is(Behaviour()), pytest.raises(GpuError, match="TensorRT cannot read it: bad magic"):
        TensorRtSession(plan, library=driver)
    plan.unlink()
    with pytest.raises(ModelError, match=r"tiny\.plan: cannot be read"):
        TensorRtSession(plan, library=driver)


def test_several_outputs_come_in_the_manifests_order(tmp_path: Path, driver: str) -> None:
    from seisedge.export.artefact import Source, export_fp32  # noqa: PLC0415 - torch
    from seisedge.export.registry import find  # noqa: PLC0415

    path = tmp_path / "unet.onnx"
    export_fp32(find("unet").build(), find("unet").recipe, Source("1", "0" * 64, "none", "none", "none"), path)
    windows = np.random.default_rng(0).standard_normal((3, 3, 3000)).astype(np.float32)
    with gpu.tensorrt_is(Behaviour(version="11.4.0.106")):
        build_engine(path, tmp_path / "unet.plan", EngineOptions(largest_batch=2), library=driver)
        session = TensorRtSession(tmp_path / "unet.plan", library=driver)
    for found, wanted in zip(session.run(windows), OrtSession(path).run(windows), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)
