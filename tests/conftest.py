"""Fixtures and settings for all tests: shared data, hypothesis profiles, the report's header."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterator
from pathlib import Path

import artefacts
import onnxruntime as ort
import pytest
from hypothesis import HealthCheck, settings
from shared_data import SHARED

from seisedge.edge import OrtSession

# The first call of a kernel compiles it, so no example has a deadline.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("default"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_report_header() -> list[str]:
    names = ("numpy", "numba", "onnxruntime", "pymseed")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    providers = ", ".join(ort.get_available_providers())
    found = "there" if SHARED.is_dir() else "absent"
    return [
        f"seisedge: {versions}; providers: {providers}",
        f"seisedge: {_cpu()}, {os.cpu_count()} cores; shared data {found}: {SHARED}",
    ]


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the shared data where it is absent, unless the caller vouches for it."""
    if SHARED.is_dir():
        return
    needing = [item for item in items if item.get_closest_marker("needs_shared")]
    if needing and os.environ.get("SEISEDGE_NEED_SHARED") == "1":
        raise pytest.UsageError(
            f"SEISEDGE_NEED_SHARED=1: found no shared data at {SHARED}, wanted it for {len(needing)} tests"
        )
    skip = pytest.mark.skip(reason=f"the team's shared data is absent: {SHARED}")
    for item in needing:
        item.add_marker(skip)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Torch adds in a fixed order: what is trained is the same to the bit."""
    import torch  # noqa: PLC0415 - few tests want it

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def artefact_folder(pytestconfig: pytest.Config) -> Path:
    """Where exported networks stay from session to session: an export takes seconds."""
    return pytestconfig.cache.mkdir("artefacts")


@pytest.fixture(scope="session")
def tiny_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return artefacts.write_tiny(tmp_path_factory.mktemp("tiny") / "tiny.onnx")


@pytest.fixture(scope="session")
def tiny_session(tiny_path: Path) -> OrtSession:
    return OrtSession(tiny_path)


@pytest.fixture(scope="session")
def published_path(artefact_folder: Path) -> Path:
    """The published Performer v1; only for tests marked `needs_shared`."""
    return artefacts.export_published("performer-v1", artefact_folder)


@pytest.fixture(scope="session")
def published_session(published_path: Path) -> OrtSession:
    return OrtSession(published_path)
