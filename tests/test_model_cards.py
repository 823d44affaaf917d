"""The cards and the lock of the embedded models are those of the files that are there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from seisedge.edge import models
from seisedge.edge.session import OrtSession

DOCS = Path(__file__).resolve().parents[1] / "docs"


def test_cards_and_lock_are_up_to_date() -> None:
    """`make cards` mends it."""
    done = subprocess.run([sys.executable, DOCS / "model_cards.py", "--check"], check=False)
    assert done.returncode == 0


def test_the_figures_are_of_the_files_that_are_there() -> None:
    """Scores of an older file would be a claim about another model."""
    found = json.loads((DOCS / "models" / "evaluation.json").read_text(encoding="utf-8"))["pickers"]
    digests = {OrtSession(path, any_target=True).digest for path in models.embedded_files().values()}
    own = {digest for name, digest in found.items() if name.split()[0] in models.embedded_models()}
    assert own
    assert own <= digests
