"""The tree: imports go one way, the runtime stays lean, the package list is the tree, files stay short."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no tomllib")

ROOT = Path(__file__).resolve().parents[1]
MAY_IMPORT = {
    "kernels": set[str](),
    "firmware_bridge": set[str](),
    "edge": {"kernels", "firmware_bridge"},
    "export": {"edge", "kernels"},
}
"""The map of architecture.md: folder → the packages of ours that it may import besides itself."""

COMMANDS = {"cli.py", "scan_cli.py", "bridge_cli.py", "daemon_cli.py", "bench_cli.py"}
MAX_LINES = 400


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


ALL = [pytest.param(path, id=str(path.relative_to(ROOT))) for folder in MAY_IMPORT for path in modules(folder)]


def faults(source: str, folder: str, package: str) -> Iterator[str]:
    """What the imports of a file of `folder` break; `package` is the dotted name of the file's package."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level:
            if node.level != 1:
                yield f"line {node.lineno}: a relative import of level {node.level}"
            continue
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (f"line {node.lineno}: {fault}" for name in names if (fault := _fault(name, folder, package)))


def _fault(name: str, folder: str, package: str) -> str | None:
    top, _, rest = name.partition(".")
    if top in MAY_IMPORT:
        return f"a bare import of {top}"
    if top == "numba" and package != "seisedge.kernels._jit":
        return "numba outside kernels/_jit.py"
    if top != "seisedge":
        return None
    ours = rest.partition(".")[0]
    own = ours == folder
    if ours not in MAY_IMPORT[folder] and not own:
        return f"{folder} imports {ours}"
    private = [part for part in rest.split(".")[1:] if part.startswith("_")]
    return f"a private module of {ours}" if private and not own else None


def dotted(path: Path) -> str:
    return "seisedge." + ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("path", ALL)
def test_imports_go_one_way(path: Path) -> None:
    folder = path.relative_to(ROOT).parts[0]
    assert list(faults(path.read_text(encoding="utf-8"), folder, dotted(path))) == []


PLANTED = {
    "from seisedge.edge import Pick": ("kernels", "line 1: kernels imports edge"),
    "import seisedge.export.recipes": ("edge", "line 1: edge imports export"),
    "from seisedge import edge": ("firmware_bridge", "line 1: firmware_bridge imports edge"),
    "from seisedge.firmware_bridge import Packet": ("export", "line 1: export imports firmware_bridge"),
    "from ..kernels import demean": ("edge", "line 1: a relative import of level 2"),
    "import kernels": ("edge", "line 1: a bare import of kernels"),
    "from edge.picks import Pick": ("export", "line 1: a bare import of edge"),
    "def f():\n    import numba": ("edge", "line 2: numba outside kernels/_jit.py"),
    "from seisedge.kernels._jit import kernel": ("edge", "line 1: a private module of kernels"),
}


@pytest.mark.parametrize("source", PLANTED)
def test_a_planted_import_is_found(source: str) -> None:
    folder, fault = PLANTED[source]
    assert list(faults(source, folder, f"seisedge.{folder}.planted")) == [fault]


def test_allowed_imports_are_allowed() -> None:
    source = "import numpy\nfrom . import times\nfrom .picks import Pick\nfrom seisedge import kernels\n"
    assert list(faults(source, "edge", "seisedge.edge.planted")) == []
    assert list(faults("import numba", "kernels", "seisedge.kernels._jit")) == []


LEAN = {"torch", "onnx", "scipy", "obspy", "matplotlib", "onnxscript", "h5py", "pandas"}

REFUSING = """
import sys

class Refuse:
    asked = set()

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {lean!r}:
            self.asked.add(name)
            raise ImportError(name)

sys.meta_path.insert(0, Refuse())
import {module}
print(*sorted(Refuse.asked))
"""


@pytest.mark.parametrize("module", ["seisedge.edge", "seisedge.edge.scan_cli", "seisedge.kernels"])
def test_the_runtime_imports_nothing_heavy(module: str) -> None:
    program = REFUSING.format(lean=LEAN, module=module)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) <= {"scipy"}  # numba asks for its version, where there is one


def test_the_firmware_bridge_needs_no_runtime() -> None:
    program = "import sys, seisedge.firmware_bridge; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    loaded = set(done.stdout.split())
    assert not loaded & {"onnxruntime", "numba", "click", "seisedge.edge", "seisedge.kernels", *LEAN}


def test_the_package_list_is_the_tree() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    folders = {path.parent for folder in MAY_IMPORT for path in (ROOT / folder).rglob("__init__.py")}
    found = {".".join(("seisedge", *folder.relative_to(ROOT).parts)) for folder in folders}
    assert sorted(tool["packages"]) == sorted(found)
    assert tool["package-dir"] == {f"seisedge.{folder}": folder for folder in MAY_IMPORT}
    for folder in MAY_IMPORT:
        assert (ROOT / folder / "py.typed").exists()
        assert "py.typed" in tool["package-data"][f"seisedge.{folder}"]


@pytest.mark.parametrize("path", ALL)
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", ALL)
def test_only_commands_print(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    assert (
        path.name in COMMANDS
        or [node.lineno for node in calls if isinstance(node.func, ast.Name) and node.func.id == "print"] == []
    )


@pytest.mark.parametrize("path", ALL)
def test_no_handler_is_broad(path: Path) -> None:
    """`except Exception` belongs to the daemon's supervisor alone (style.md, rule 12)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    broad = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}))
    ]
    assert broad == []


def test_absent_shared_data_fails_the_collection_only_where_it_was_vouched_for(tmp_path: Path) -> None:
    """The tree copied beside no `shared` folder: its tests skip with the reason, or are refused."""
    tests = tmp_path / "work" / "tests"
    tests.mkdir(parents=True)
    for name in ("conftest.py", "shared_data.py", "artefacts.py"):
        (tests / name).write_text((ROOT / "tests" / name).read_text(encoding="utf-8"), encoding="utf-8")
    (tests / "test_needy.py").write_text(
        "from shared_data import needs_shared\n\n\n@needs_shared\ndef test_needy() -> None:\n    pass\n",
        encoding="utf-8",
    )
    (tmp_path / "work" / "pyproject.toml").write_text(
        (ROOT / "pyproject.toml").read_text(encoding="utf-8"), encoding="utf-8"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    runs = {
        vouched: subprocess.run(
            command,
            cwd=tmp_path / "work",
            env={**os.environ, "SEISEDGE_NEED_SHARED": vouched},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        for vouched in ("0", "1")
    }
    assert runs["0"].returncode == 0, runs["0"].stdout
    assert "the team's shared data is absent" in runs["0"].stdout
    assert runs["1"].returncode == 4
    assert "SEISEDGE_NEED_SHARED=1: found no shared data" in runs["1"].stderr
