"""What was trained and is kept: every row has its record, and the artefact is the one that the record speaks of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from seisedge.edge.models import embedded_models
from seisedge.edge.session import OrtSession
from seisedge.export.registry import REGISTRY

ROOT = Path(__file__).resolve().parents[1]
TRAINED = ROOT / "export" / "trained"
OPTIONS = ROOT / "docs" / "models" / "training"
NAMES = [name for name in REGISTRY if name not in embedded_models()]
MOST_BYTES = 3_000_000
SMALL = [name for name in NAMES if 4 * REGISTRY[name].parameters < MOST_BYTES]


def _record(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((TRAINED / f"{name}.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_row_was_trained_by_the_options_that_are_kept(name: str) -> None:
    record = _record(name)
    options = json.loads((OPTIONS / f"{name}.json").read_text(encoding="utf-8"))
    examples = options.pop("examples", {})
    assert {key: record["options"][key] for key in options} == options
    assert {key: record["options"]["examples"][key] for key in examples} == examples
    assert f" --options docs/models/training/{name}.json " in record["command"]
    assert record["curve"][-1]["step"] <= record["options"]["steps"]
    assert record["scores"]


@pytest.mark.parametrize("name", SMALL)
def test_an_artefact_is_that_of_its_record_and_runs(name: str) -> None:
    path = TRAINED / f"{name}.onnx"
    assert path.stat().st_size <= MOST_BYTES
    session = OrtSession(path)
    session.check_golden()
    assert session.manifest.name == name
    assert session.manifest.provenance.weights_digest == _record(name)["weights_digest"]
