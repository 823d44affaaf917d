"""The README's tables are generated; its commands exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_tables_are_those_of_the_generator() -> None:
    """`make readme` mends it."""
    done = subprocess.run([sys.executable, ROOT / "docs" / "readme_tables.py", "--check"], check=False)
    assert done.returncode == 0


def test_every_make_target_that_the_readme_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:`|\$ )make ([a-z-]+)", (ROOT / "README.md").read_text(encoding="utf-8")):
        family = re.sub(r"-.*", "-%", target)  # train-unet is made by the rule of train-%
        assert re.search(rf"^({target}|{family}):", makefile, flags=re.MULTILINE), target
