"""What was trained besides the embedded models: a table of the records in export/trained/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from seisedge.export.registry import REGISTRY

TRAINED = Path(__file__).resolve().parents[1] / "export" / "trained"

_MOST_BYTES = 3_000_000
_HEAD = ["| row | steps | minutes | on validation | analysts' labels | artefact | weights, SHA-256 |"]
_RULE = ["|---|---:|---:|---|---|---:|---|"]


def trained_table() -> str:
    """Every row of the registry that has a record, in its order."""
    records = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in TRAINED.glob("*.json")}
    return "\n".join(_HEAD + _RULE + [_row(name, records[name]) for name in REGISTRY if name in records])


def _row(name: str, record: dict[str, Any]) -> str:
    length = record["options"]["window_samples"]
    steps = f"{record['curve'][-1]['step']:,.0f}" + (f" of {length} samples" if length else "")
    path = TRAINED / f"{name}.onnx"
    size = f"[{path.stat().st_size / 1e6:.2f} MB](../export/trained/{name}.onnx)" if is_kept(name) else "over 3 MB"
    cells = (steps, f"{record['seconds'] / 60:.0f}", *_scores(record["scores"]), size)
    return f"| `{name}` | {' | '.join(cells)} | `{record['weights_digest'][:16]}…` |"


def is_kept(name: str) -> bool:
    """Whether an artefact is in the repository: those above 3 MB are not."""
    path = TRAINED / f"{name}.onnx"
    return path.is_file() and path.stat().st_size <= _MOST_BYTES


def _scores(scores: dict[str, float]) -> tuple[str, str]:
    if "validation_event_f1" in scores:
        found = (scores[f"validation_event_{each}"] for each in ("precision", "recall", "f1"))
        return "events: precision {:.2f}, recall {:.2f}, F1 {:.2f}".format(*found), ""
    if "synthetic_correlation" in scores:
        error = scores["synthetic_mean_squared_error"]
        return f"synthetic: correlation {scores['synthetic_correlation']:.2f}, squared error {error:.2f}", ""
    every, manual = (
        ", ".join(f"{phase} {scores[f'{name}_{phase}_f1']:.2f}" for phase in "PS" if f"{name}_{phase}_f1" in scores)
        for name in ("validation", "validation_manual")
    )
    return f"F1: {every}", f"F1: {manual}"
