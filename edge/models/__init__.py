"""The models that come with the package."""

from __future__ import annotations

from pathlib import Path

from seisedge.edge.errors import UsageError
from seisedge.edge.strict import suggestion

DEFAULT = "edge-picker"


def embedded_models() -> dict[str, Path]:
    """Name → artefact."""
    return {path.stem: path for path in sorted(Path(__file__).parent.glob("*.onnx"))}


def find_model(name_or_path: str) -> Path:
    """Find an embedded model by its name, or an artefact by its path.

    Raises
    ------
    UsageError
        Neither is there.
    """
    models = embedded_models()
    if name_or_path in models:
        return models[name_or_path]
    path = Path(name_or_path)
    if path.is_file():
        return path
    hint = suggestion(name_or_path, set(models))
    raise UsageError(f"model {name_or_path!r}: no such file, and no embedded model of that name{hint}")
