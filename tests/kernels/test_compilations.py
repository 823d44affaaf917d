"""One source, several compilations: they give the same bits, refuse the same arrays, and one is chosen."""

# Which compilation is used is decided in private, and under test here.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import logging
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from seisedge.kernels import _ahead, _kernel, build
from seisedge.kernels._kernel import Compilation, CompilationError, compilation
from seisedge.kernels._signature import symbol

DIGEST = """
import hashlib
from fractions import Fraction
import numpy as np
import seisedge.kernels as k
digest = hashlib.sha256()
noise = np.random.default_rng(1).standard_normal((3, 150))
for x in ((noise * 1e3).astype(t) for t in (np.int16, np.int32, np.float32)):
    out = np.zeros(x.shape, np.float32)
    line = np.zeros(400, np.float32)
    resampler = k.design_resampler(Fraction(250), Fraction(100))
    sos = k.butterworth_sos(4, "bandpass", (1.0, 20.0), 100.0)
    for step in (
        lambda: k.demean_into(x, out),
        lambda: k.detrend_into(x, out),
        lambda: k.taper_into(x, k.cosine_ramp(150, 0.1), out),
        lambda: k.normalise_std_into(x, out, joint=True, ddof=1, eps=1e-6),
        lambda: k.normalise_max_abs_into(x, out, joint=False, eps=1e-6),
        lambda: k.sos_step_into(x[0], k.SosState(sos, k.steady_state(sos)), out[0]),
        lambda: k.sos_step_into(x, k.SosState(sos, np.stack([k.steady_state(sos)] * 3)), out),
        lambda: k.sos_step_into(x, k.SosState(sos[:2].copy(), np.zeros((3, 2, 2))), out),
        lambda: k.resample_step_into(x[0], resampler, k.resample_state(resampler), line),
    ):
        step()
        digest.update(out.tobytes() + line.tobytes())
    for order in (2, 4):
        band = k.butterworth_sos(order, "bandpass", (1.0, 20.0), 100.0)
        ops = ("demean", "detrend", "taper", "filter", "normalise_std")
        steps = [k.WindowStep(op, fraction=0.05, sos=band if op == "filter" else None) for op in ops]
        cut = np.zeros((2, 100, 3), np.float32)
        k.cut_windows_into(x, k.window_plan(steps, channels=3, width=100, is_turned=True), cut, stride=50)
        digest.update(cut.tobytes())
q = np.zeros(x.shape, np.int16)
k.quantise_into(x, 0.013, 3.0, q)
k.dequantise_into(q, 0.013, 3.0, out)
windows = np.zeros((6, 4, 9, 3), np.float32)
options = dict(stride=10, width=70, hop=16, transform=k.frame_transform(16), floor_db=-50.0, divisor=50.0)
for count in (6, 1):
    k.spectrogram_windows_into(x, k.spectrogram_scratch(len(x), **options), windows[:count], first=3)
    digest.update(windows.tobytes())
digest.update(q.tobytes() + out.tobytes() + windows.tobytes())
print(digest.hexdigest())
"""


@pytest.fixture
def choice(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Let the compilation be chosen anew, here and in the next test."""
    monkeypatch.delenv(_kernel.VARIABLE, raising=False)
    compilation.cache_clear()
    yield monkeypatch
    compilation.cache_clear()


def has_no_library(_: object = None) -> str:
    return "no library"


def has_no_module(_: str) -> None:
    return None


def run(program: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_compilation_gives_the_same_bits() -> None:
    levels = [level for level, wanted in _ahead.LEVELS[platform.machine()] if wanted <= _ahead._features()]
    assert levels
    only = "from seisedge.kernels import _ahead\n_ahead._level = lambda machine: {!r}\n"
    digests = {level: run(only.format(level) + DIGEST, SEISEDGE_KERNELS="ahead") for level in levels}
    digests |= {kind: run(DIGEST, SEISEDGE_KERNELS=kind) for kind in ("jit", "plain")}
    assert len(set(digests.values())) == 1, digests


def test_the_library_has_every_kernel_for_every_level() -> None:
    library = _ahead.library()
    assert isinstance(library, _ahead.Library), library
    names = [symbol(each.name, signature) for each in _kernel.KERNELS for signature in each.signatures]
    assert len(names) == len(set(names)) > 40
    for level, _ in _ahead.LEVELS[platform.machine()]:
        assert all(hasattr(library._loaded, f"{name}_{level}") for name in names)


def test_the_library_needs_nothing_but_libc() -> None:
    library = _ahead.FOLDER / _ahead.library_name(platform.machine())
    listed = subprocess.run(["nm", "-D", "--undefined-only", library], capture_output=True, text=True, check=True)
    assert {line.split()[-1].partition("@")[0] for line in listed.stdout.splitlines()} <= {"memset", "memcpy"}


def test_a_process_with_the_library_loads_no_compiler_and_binds_what_it_calls() -> None:
    run(
        "import sys, numpy as np\n"
        "from seisedge import kernels\n"
        "from seisedge.kernels import _kernel, _row_steps, filters\n"
        "out = np.zeros((1, 3), np.float32)\n"
        "kernels.demean_into(np.array([[1, 2, 3]], np.int16), out)\n"
        "assert out.tolist() == [[-1, 0, 1]]\n"
        "assert not isinstance(_row_steps.demean_channels, _kernel.Kernel)\n"
        "assert any(isinstance(each, _kernel.Kernel) for each in vars(filters).values())\n"
        "assert not {'numba', 'llvmlite', 'cffi', 'pycparser'} & set(sys.modules)\n",
        SEISEDGE_KERNELS="ahead",
    )


@pytest.mark.parametrize("kind", ["ahead", "jit"])
def test_compiled_kernels_refuse_other_arrays(kind: str) -> None:
    run(
        "import numpy as np\n"
        "from seisedge.kernels import _levels, _row_steps\n"
        "out = np.zeros((2, 8), np.float32)\n"
        "fixed = out.copy()\n"
        "fixed.flags.writeable = False\n"
        "for function, arguments in (\n"
        "    (_row_steps.demean_channels, (np.zeros((2, 8)), out)),\n"
        "    (_row_steps.demean_channels, (np.zeros((2, 16), np.float32)[:, ::2], out)),\n"
        "    (_row_steps.demean_channels, (np.zeros(8, np.float32), out)),\n"
        "    (_row_steps.demean_channels, (np.zeros((2, 8), '>i2'), out)),\n"
        "    (_row_steps.demean_channels, (out, fixed)),\n"
        "    (_row_steps.demean_channels, (out, out, out)),\n"
        "    (_row_steps.demean_channels, (out,)),\n"
        "    (_levels.levels_in_place, (out[0], 'one')),\n"
        "):\n"
        "    try:\n"
        "        function(*arguments)\n"
        "    except TypeError:\n"
        "        continue\n"
        "    raise AssertionError(arguments)\n",
        SEISEDGE_KERNELS=kind,
    )


def test_kernel_keeps_name_and_documentation() -> None:
    kernel = next(each for each in _kernel.KERNELS if each.name == "row_max_abs")
    assert "largest" in (kernel.__doc__ or "")
    bound = kernel.bound()
    assert (bound.__name__, bound.__doc__) == ("row_max_abs", kernel.__doc__)


def test_without_library_and_numba_it_runs_uncompiled_with_one_warning(
    choice: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    choice.setattr(_ahead, "library", has_no_library)
    choice.setattr("importlib.util.find_spec", has_no_module)
    with caplog.at_level(logging.WARNING):
        assert compilation().kind == "plain"
        assert compilation() == Compilation("plain", "no library, and no numba")
    (record,) = caplog.records
    assert record.getMessage() == (
        "kernels run uncompiled, hundreds of times slower: no library; pip install 'seisedge[jit]'"
    )


def test_numba_is_used_where_there_is_no_library(choice: pytest.MonkeyPatch) -> None:
    choice.setattr(_ahead, "library", has_no_library)
    assert compilation() == Compilation("jit", "no library")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("fast", "SEISEDGE_KERNELS: found 'fast', wanted ahead, jit or plain$"),
        ("ahead", "found 'ahead', wanted ahead, jit or plain; this one cannot be had: no library$"),
        ("jit", "found 'jit', wanted ahead, jit or plain; this one cannot be had: no numba: pip install"),
    ],
)
def test_a_compilation_that_cannot_be_had_is_an_error(wanted: str, message: str, choice: pytest.MonkeyPatch) -> None:
    choice.setattr(_ahead, "library", has_no_library)
    choice.setattr("importlib.util.find_spec", has_no_module)
    choice.setenv(_kernel.VARIABLE, wanted)
    with pytest.raises(CompilationError, match=message):
        compilation()


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (None, "is not there: make kernels"),
        (5000, "is damaged, or was made from other sources: make kernels"),
        (0, "is damaged, or was made from other sources: make kernels"),
    ],
)
def test_a_library_that_is_missing_or_damaged_is_not_used(
    kept: int | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = _ahead.library_name(platform.machine())
    if kept is not None:
        (tmp_path / name).write_bytes((_ahead.FOLDER / name).read_bytes()[:kept])
    monkeypatch.setattr(_ahead, "FOLDER", tmp_path)
    assert message in str(_ahead.library.__wrapped__())


def test_a_library_of_other_sources_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_ahead, "source_digest", lambda: "0" * 64)
    assert "is damaged, or was made from other sources: make kernels" in str(_ahead.library.__wrapped__())


def test_a_processor_has_the_highest_level_whose_features_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    v3 = frozenset(["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "abm", "sse4_2"])
    for features, level in ((frozenset[str](), "v1"), (v3 - {"fma"}, "v1"), (v3, "v3"), (v3 | {"avx512f"}, "v3")):
        monkeypatch.setattr(_ahead, "_features", lambda features=features: features)
        assert _ahead._level("x86_64") == level
    assert _ahead._level("aarch64") == "v8"


def test_the_build_names_what_it_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = dict(os.environ)
    assert build.main(["--machine", "vax", "--output", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "kernels: machine: found vax, wanted one of x86_64, aarch64\n"
    assert dict(os.environ) == before  # numba reads it whenever it compiles: later tests would compile otherwise


def test_several_threads_may_make_the_first_call_at_once() -> None:
    program = (
        "import threading, numpy as np\n"
        "from seisedge import kernels\n"
        "x = np.arange(300, dtype=np.int32).reshape(3, 100)\n"
        "outs = [np.zeros((3, 100), np.float32) for _ in range(8)]\n"
        "calls = [threading.Thread(target=kernels.detrend_into, args=(x, out)) for out in outs]\n"
        "[each.start() for each in calls]; [each.join() for each in calls]\n"
        "assert all(np.array_equal(out, outs[0]) for out in outs) and np.abs(outs[0]).max() < 1e-3\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
