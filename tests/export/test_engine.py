"""Building an engine: what TensorRT is asked for, what becomes of its failures, and what is written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import artefacts
import gpu
import pytest
from click.testing import CliRunner, Result
from fake_tensorrt import Behaviour

from seisedge.edge import DataError, ModelError, UsageError
from seisedge.edge.errors import GpuError
from seisedge.edge.tensorrt_session import read_sidecar, sidecar_path
from seisedge.export.cli import main
from seisedge.export.engine import EngineOptions, build_engine


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> str:
    return gpu.compile_driver(tmp_path_factory.mktemp("driver"))


def test_the_network_is_strongly_typed_and_float32_stays_so(tiny_path: Path, tmp_path: Path, driver: str) -> None:
    behaviour = Behaviour()
    with gpu.tensorrt_is(behaviour):
        sidecar = build_engine(tiny_path, tmp_path / "a.plan", EngineOptions(16, 4, 64), library=driver)
    assert behaviour.calls == [
        "workspace 67108864",
        "clear TF32",
        "profile spectrogram (1, 22, 33, 3) (4, 22, 33, 3) (16, 22, 33, 3)",
    ]
    assert read_sidecar(tmp_path / "a.plan") == sidecar
    assert (sidecar.gpu, sidecar.compute_capability, sidecar.tensorrt) == ("Stub Orin", "8.7", "10.3.0")
    assert sidecar.largest_batch == 16
    assert 0 <= sidecar.golden_difference < 1e-5
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.plan", "a.plan.json"]


def test_what_was_measured_is_remembered(tiny_path: Path, tmp_path: Path, driver: str) -> None:
    cache = tmp_path / "timings.bin"
    for fits, wanted in ((True, b"measured"), (True, b"measuredmeasured"), (False, b"measured")):
        with gpu.tensorrt_is(Behaviour(timings_fit=fits)):
            build_engine(tiny_path, tmp_path / "a.plan", EngineOptions(timing_cache=cache), library=driver)
        assert cache.read_bytes() == wanted  # of another machine: measured anew


@pytest.mark.parametrize(
    ("behaviour", "error", "message"),
    [
        (Behaviour(parse_errors=("op\nA", "op B")), GpuError, "TensorRT 10.3.0 cannot read the graph: op A; op B"),
        (Behaviour(builds=False), GpuError, "TensorRT 10.3.0 built no engine: no kernel for this"),
        (Behaviour(error_added=0.5), DataError, "golden input: found outputs 0.5 off"),
        (Behaviour(starts=False), GpuError, "found a Builder that does not start .*: see nvidia-smi"),
        (Behaviour(has_room=False), GpuError, "engine of tiny: the GPU has no room for it"),
        (Behaviour(runs=False), GpuError, "engine of tiny: a run failed"),
        (None, GpuError, "found no Python module"),
    ],
)
def test_a_failure_is_one_line_and_leaves_no_file(
    behaviour: Behaviour | None, error: type[Exception], message: str, tiny_path: Path, tmp_path: Path, driver: str
) -> None:
    before = gpu.live_allocations(driver)
    with gpu.tensorrt_is(behaviour), pytest.raises(error, match=message) as caught:
        build_engine(tiny_path, tmp_path / "a.plan", EngineOptions(), library=driver)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert gpu.live_allocations(driver) == before


def test_a_damaged_file_of_timings_is_measured_anew(tiny_path: Path, tmp_path: Path, driver: str) -> None:
    cache = tmp_path / "timings.bin"
    cache.write_bytes(b"damaged")
    with gpu.tensorrt_is(Behaviour()):
        build_engine(tiny_path, tmp_path / "a.plan", EngineOptions(timing_cache=cache), library=driver)
    assert cache.read_bytes() == b"measured"


def test_an_engine_never_takes_its_artefacts_place(tiny_path: Path, driver: str) -> None:
    content = tiny_path.read_bytes()
    with pytest.raises(UsageError, match="found the artefact itself as the engine's name"):
        build_engine(tiny_path, tiny_path, EngineOptions(), library=driver)
    assert tiny_path.read_bytes() == content


def test_ctrl_c_ends_the_build_and_leaves_no_file(tiny_path: Path, tmp_path: Path, driver: str) -> None:
    steps: list[int] = []

    def interrupt(step: int) -> None:
        steps.append(step)
        if step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with gpu.tensorrt_is(Behaviour(at_step=interrupt)), pytest.raises(KeyboardInterrupt):
        build_engine(tiny_path, tmp_path / "a.plan", EngineOptions(), library=driver)
    assert steps == [0, 1, 2]
    assert list(tmp_path.iterdir()) == []


def test_progress_is_of_the_outermost_phase(tiny_path: Path, tmp_path: Path, driver: str) -> None:
    seen: list[tuple[str, int, int]] = []

    def note(phase: str, done: int, steps: int) -> None:
        seen.append((phase, done, steps))

    with gpu.tensorrt_is(Behaviour()):
        build_engine(tiny_path, tmp_path / "a.plan", EngineOptions(), on_step=note, library=driver)
    assert seen == [("Building", done, 5) for done in (0, 1, 2, 3, 4, 5, 5)]


def quantised(path: Path, target: str, batch: str = "any") -> Path:
    value = artefacts.manifest_object()
    value["quantization"] |= {"precision": "int8", "target": target}
    value["input"]["batch"] = batch
    return artefacts.write_artefact(path, artefacts.tiny_graph(), json.dumps(value))


def test_int8_of_another_target_is_refused_before_anything_is_asked_of_a_gpu(tmp_path: Path) -> None:
    path = quantised(tmp_path / "vnni.onnx", "x86-vnni")
    with pytest.raises(ModelError, match=r"found int8 for x86-vnni, .* --precision int8 --target tensorrt"):
        build_engine(path, tmp_path / "a.plan", EngineOptions(), library="libcuda-nowhere.so")


def test_int8_for_tensorrt_is_built_and_a_batch_of_one_stays_one(tmp_path: Path, driver: str) -> None:
    behaviour = Behaviour()
    with gpu.tensorrt_is(behaviour):
        path = quantised(tmp_path / "int8.onnx", "tensorrt", batch="one")
        assert build_engine(path, tmp_path / "a.plan", EngineOptions(), library=driver).largest_batch == 1


def test_batches_that_contradict_each_other_are_named(tiny_path: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="batch: found 8 as the usual one, wanted 1 to 4, the largest"):
        build_engine(tiny_path, tmp_path / "a.plan", EngineOptions(4, 8), library="libcuda-nowhere.so")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


def test_the_command_without_a_gpu_is_one_line(
    tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(build_engine.__kwdefaults__ or {}, "library", "libcuda-nowhere.so")
    result = run("engine", tiny_path, "-o", tmp_path / "a.plan")
    assert result.exit_code == 1
    lines = [line for line in result.stderr.splitlines() if line.startswith("edge-export: ")]
    assert lines == [line for line in lines if "wanted NVIDIA's driver: a Jetson has it from JetPack" in line] != []


def test_the_command_says_what_it_built(
    tiny_path: Path, tmp_path: Path, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(build_engine.__kwdefaults__ or {}, "library", driver)
    with gpu.tensorrt_is(Behaviour(version="11.4.0.106")):
        result = run("engine", tiny_path, "-o", tmp_path / "a.plan", "--max-batch", 8)
    assert result.exit_code == 0, result.output
    assert "for Stub Orin (compute capability 8.7), TensorRT 11.4.0.106; golden input" in result.stdout
    assert sidecar_path(tmp_path / "a.plan").is_file()


def test_an_engine_is_built_without_torch_and_onnx(tiny_path: Path, tmp_path: Path) -> None:
    """A Jetson has neither: the command itself may not want them."""
    program = (
        "import sys\n"
        "for name in ('torch', 'onnx', 'onnxscript', 'h5py', 'scipy', 'obspy'): sys.modules[name] = None\n"
        "from seisedge.export.cli import main\n"
        f"main(['engine', {str(tiny_path)!r}, '-o', {str(tmp_path / 'a.plan')!r}])\n"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert "edge-export: " in found.stderr
    assert "Traceback" not in found.stderr
