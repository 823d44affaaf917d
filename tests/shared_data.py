"""Where the team's shared waveforms and published weights are, and the mark of the tests that need them."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Labelled windows, continuous records and published weights; described by `README.md` in it."""

needs_shared = pytest.mark.needs_shared
"""`tests/conftest.py` skips these tests, with the reason, where `SHARED` is absent."""
