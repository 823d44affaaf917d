"""The compiler's front door: signature language, refusal of other types, life without a cache."""

# The compiled functions themselves are under test.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numba
import numpy as np
import pytest
import reference

from seisedge.kernels import _fourier, _jit, _levels, baseline, filters, normalise, quantise, resample, taper

KERNELS = Path(_jit.__file__).parent
NOBODY = 65534
SCRIPT = """
import importlib.util, logging, os, pathlib, sys
import numba
logging.basicConfig()
folder, user = pathlib.Path(sys.argv[1]), int(sys.argv[2])
if user:
    # Compiling once loads the files of numba that another user may not be allowed to read.
    numba.njit("f8(f8[::1])", error_model="numpy")(lambda x: x[0] / 3)
    os.setgroups([]), os.setgid(user), os.setuid(user)
spec_of, places = importlib.util.spec_from_file_location, [str(folder)]
spec = spec_of("twin", folder / "__init__.py", submodule_search_locations=places)
module = importlib.util.module_from_spec(spec)
sys.modules["twin"] = module
spec.loader.exec_module(module)
print(module.third(6.0))
"""
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
        lambda: k.sos_step_into(x[0], sos, k.steady_state(sos), out[0]),
        lambda: k.resample_step_into(x[0], resampler, k.resample_state(resampler), line),
    ):
        step()
        digest.update(out.tobytes() + line.tobytes())
q = np.zeros(x.shape, np.int16)
k.quantise_int16_into(x, 0.013, 3.0, q)
k.dequantise_int16_into(q, 0.013, 3.0, out)
windows = np.zeros((6, 4, 9, 3), np.float32)
options = dict(stride=10, width=70, hop=16, transform=k.frame_transform(16), floor_db=-50.0, divisor=50.0)
k.spectrogram_windows(x, 3, 6, out=windows, **options)
digest.update(q.tobytes() + out.tobytes() + windows.tobytes())
print(digest.hexdigest())
"""
TINY = """
from ._jit import kernel

@kernel("f8(f8)")
def third(x):
    return x / 3.0
"""


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        ("f4[::1] -> f4", "wanted result"),
        ("void(f4[:])", r"cannot read argument 'f4\[:\]'"),
        ("void(u4[::1])", "cannot read argument 'u4"),
        ("void(f4[::1],f4)", "cannot read argument"),
        ("void(const f8)", "const is for arrays"),
        ("f4[::1](f8)", "wanted result"),
        ("void(f4[::1]); import os", "wanted result"),
        ("void(__import__('os'))", "cannot read argument"),
    ],
)
def test_unreadable_signature_is_refused(signature: str, message: str) -> None:
    with pytest.raises(_jit.SignatureError, match=message):
        _jit.parse_signature(signature)


def test_signature_becomes_these_types() -> None:
    types = numba.types
    parsed = _jit.parse_signature("i8(const i2[:,:,::1], f4[::1], b1, i1, i4, f8)")
    assert _jit.numba_type(parsed) == types.int64(
        types.Array(types.int16, 3, "C", readonly=True),
        types.Array(types.float32, 1, "C"),
        types.boolean,
        types.int8,
        types.int32,
        types.float64,
    )
    assert _jit.numba_type(_jit.parse_signature("void()")) == types.void()


@pytest.mark.skipif(not reference.COMPILED, reason="plain Python takes any array")
@pytest.mark.parametrize(
    "x",
    [
        np.zeros((2, 8)),
        np.zeros((2, 16), np.float32)[:, ::2],
        np.zeros(8, np.float32),
        np.zeros((2, 8), ">i2"),
    ],
    ids=["float64", "strided", "rank", "byte order"],
)
def test_compiled_kernel_refuses_other_arrays(x: np.ndarray) -> None:
    with pytest.raises(TypeError, match=r"No matching definition|nsupported"):
        baseline._demean_into(x, np.zeros((2, 8), np.float32))


def test_kernel_keeps_name_and_documentation() -> None:
    assert normalise._max_abs.__name__ == "_max_abs"
    assert "largest" in (normalise._max_abs.__doc__ or "")


def run(folder: Path, *, user: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA", "HOME", "XDG", "COVERAGE"))}
    return subprocess.run(
        [sys.executable, "-B", "-c", SCRIPT, str(folder), str(user)],
        env=clean | environment,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def small_copy() -> Iterator[Path]:
    """Give a read-only package of `_jit` and one tiny kernel where every user can read it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "twin"
        folder.mkdir()
        shutil.copy(KERNELS / "_jit.py", folder / "_jit.py")
        (folder / "__init__.py").write_text(TINY)
        for path in folder.iterdir():
            path.chmod(0o444)
        folder.chmod(0o555)
        folder.parent.chmod(0o755)
        yield folder
        folder.chmod(0o755)


@pytest.mark.skipif(not reference.COMPILED, reason="about the cache of compiled code")
@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="needs root, to become another user")
def test_user_without_a_home_compiles_without_cache(small_copy: Path) -> None:
    done = run(small_copy, user=NOBODY, HOME="/nonexistent")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "2.0"
    assert "no writable cache folder" in done.stderr
    cache = small_copy.parent / "cache"
    cache.mkdir()
    os.chown(cache, NOBODY, NOBODY)
    done = run(small_copy, user=NOBODY, HOME="/nonexistent", NUMBA_CACHE_DIR=str(cache))
    assert done.returncode == 0, done.stderr
    assert "without cache" not in done.stderr
    assert list(cache.rglob("*.nbi"))


def test_any_other_runtime_error_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> object:
        raise RuntimeError("the compiler is broken")

    monkeypatch.setattr(_jit, "_compile", fail)
    with pytest.raises(RuntimeError, match="the compiler is broken"):
        _jit._compile_cached(lambda: None, [])


@pytest.mark.skipif(not reference.COMPILED, reason="about the cache of compiled code")
def test_cache_file_cut_short_is_survived(small_copy: Path) -> None:
    cache = small_copy.parent / "cache"
    cache.mkdir()
    assert run(small_copy, NUMBA_CACHE_DIR=str(cache)).returncode == 0
    for suffix in (".nbc", ".nbi"):
        for file in cache.rglob(f"*{suffix}"):
            file.write_bytes(b"")
        done = run(small_copy, NUMBA_CACHE_DIR=str(cache))
        assert done.returncode == 0, done.stderr
        assert "cache unusable" in done.stderr
        assert done.stdout.strip() == "2.0"


def test_plain_python_gives_the_bits_of_compiled_code() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            env=os.environ | {"NUMBA_DISABLE_JIT": disabled},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for disabled in ("0", "1")
    }
    assert len(digests) == 1


@pytest.mark.skipif(not reference.COMPILED, reason="about compiled code")
@pytest.mark.parametrize("module", [_fourier, _levels, baseline, filters, normalise, quantise, resample, taper])
def test_no_kernel_of_the_package_has_fastmath(module: object) -> None:
    lazy = [value for value in vars(module).values() if isinstance(value, _jit.Kernel)]
    for each in lazy:
        each.compiled()
    kernels = [value for value in vars(module).values() if hasattr(value, "targetoptions")]
    assert len(kernels) >= len(lazy)
    assert kernels
    for compiled in kernels:
        assert compiled.targetoptions["fastmath"] is False
        assert compiled.targetoptions["error_model"] == "numpy"
        assert compiled.targetoptions["nogil"] is True


@pytest.mark.skipif(not reference.COMPILED, reason="about compiled code")
def test_a_process_pays_for_the_kernels_that_it_calls() -> None:
    program = (
        "import sys, numpy as np\n"
        "from seisedge import kernels\n"
        "from seisedge.kernels import _jit, baseline, filters\n"
        "assert 'numba' not in sys.modules\n"
        "assert isinstance(baseline._demean_into, _jit.Kernel)\n"
        "out = np.zeros((1, 3), np.float32)\n"
        "kernels.demean_into(np.array([[1, 2, 3]], np.int16), out)\n"
        "assert out.tolist() == [[-1, 0, 1]]\n"
        "assert not isinstance(baseline._demean_into, _jit.Kernel)\n"
        "assert any(isinstance(each, _jit.Kernel) for each in vars(filters).values())\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.skipif(not reference.COMPILED, reason="about compiled code")
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
