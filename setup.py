"""The part of the build that a table cannot say: the wheel of a platform carries its library of kernels.

Everything else stands in pyproject.toml. The library is compiled by `kernels/build.py` in a process of its own, since
numba reads how to compile when it is imported. Without a linker the build stops, unless the environment says
SEISEDGE_WITHOUT_LIBRARY=1; the package then needs its extra `jit`, or runs uncompiled.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
HAS_LIBRARY = sys.platform == "linux" and not os.environ.get("SEISEDGE_WITHOUT_LIBRARY")


class BuildWithKernels(build_py):
    """Compile the kernels beside the Python files: into the wheel, or for an editable install into the tree."""

    def run(self) -> None:
        super().run()
        if not HAS_LIBRARY:
            return
        root = HERE if self.editable_mode else Path(self.build_lib, "seisedge")
        command = [sys.executable, "-m", "kernels.build", "--output", str((root / "kernels").absolute())]
        subprocess.run(command, cwd=HERE, check=True)


class WithLibrary(Distribution):
    """What belongs to a platform."""

    def has_ext_modules(self) -> bool:
        return HAS_LIBRARY


class PlatformWheel(bdist_wheel):
    """A wheel for any Python of one platform: the library is called through cffi and knows no Python."""

    def get_tag(self) -> tuple[str, str, str]:
        if not HAS_LIBRARY:
            return super().get_tag()
        return "py3", "none", sysconfig.get_platform().replace("-", "_").replace(".", "_")


setup(distclass=WithLibrary, cmdclass={"build_py": BuildWithKernels, "bdist_wheel": PlatformWheel})
