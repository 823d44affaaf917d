"""The compiler: life without a cache, its options, and when it is not needed."""

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
from typing import Any

import pytest

from seisedge.kernels import _jit
from seisedge.kernels._kernel import KERNELS

FOLDER = Path(_jit.__file__).parent
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
TINY = """
from ._kernel import kernel

@kernel("f8(f8)")
def third(x):
    return x / 3.0
"""


def run(folder: Path, *, user: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA", "SEISEDGE", "HOME", "XDG", "COVERAGE"))}
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
    """Give a read-only package of one tiny kernel, with no library, where every user can read it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "twin"
        folder.mkdir()
        for each in ("_kernel.py", "_ahead.py", "_jit.py", "_signature.py"):
            shutil.copy(FOLDER / each, folder / each)
        (folder / "__init__.py").write_text(TINY)
        for path in folder.iterdir():
            path.chmod(0o444)
        folder.chmod(0o555)
        folder.parent.chmod(0o755)
        yield folder
        folder.chmod(0o755)


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
        _jit.compile_now(lambda: None, [])


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


def test_kernels_are_compiled_without_fastmath() -> None:
    kernel = next(each for each in KERNELS if each.name == "row_max_abs")
    compiled: Any = _jit.compile_now(kernel.function, kernel.signatures)
    options = compiled.targetoptions
    assert (options["fastmath"], options["error_model"], options["nogil"]) == (False, "numpy", True)


def test_a_change_of_a_file_that_a_kernel_calls_into_is_another_name_in_the_cache() -> None:
    kernels = {each.name: each for each in KERNELS}
    names = {Path(file).name for file in kernels["windows_into"].files}
    assert names == {"_window_loops.py", "_row_steps.py", "_row_sums.py", "_sections.py"}
    assert kernels["row_sum"].version() == ""
    assert len({kernels[name].version() for name in ("windows_into", "divide_by_std", "_filter_from_rest")}) == 3
    first = Path(kernels["divide_by_std"].function.__code__.co_filename)
    compiled: Any = _jit.compile_now(kernels["row_sum"].function, kernels["row_sum"].signatures, version="1f")
    assert (compiled.py_func.__qualname__, first.name) == ("row_sum_1f", "_row_steps.py")
