"""The models that come with the package: each in fp32, and some in int8 for a class of processors.

`NAME.onnx` is fp32 and runs everywhere; `NAME.int8-TARGET.onnx` is for processors of that class. A model's name alone
means what is best on this machine, `NAME:fp32` or `NAME:int8-arm` one file.
"""

from __future__ import annotations

from pathlib import Path

from seisedge.edge.errors import UsageError
from seisedge.edge.strict import suggestion
from seisedge.edge.targets import ProcessorTarget, host_target, runs_by_preference

DEFAULT = "edge-picker"
ARCHIVE = "edge-picker-long"
"""What archives are scanned with, where no model is named: its windows are twice as long as those of the default."""


def embedded_files() -> dict[str, Path]:
    """Every embedded artefact: `NAME:fp32` or `NAME:int8-TARGET` → file."""
    paths = sorted(Path(__file__).parent.glob("*.onnx"))
    return {f"{name}:{form or 'fp32'}": path for path in paths for name, _, form in [path.stem.partition(".")]}


def embedded_models() -> dict[str, Path]:
    """Name → the artefact for this machine."""
    return models_for(host_target())


def models_for(host: ProcessorTarget | None) -> dict[str, Path]:
    """Name → the artefact for processors of a class: int8 that was verified for it where there is one, else fp32."""
    files = embedded_files()
    forms = [*(f"int8-{target}" for target in runs_by_preference(host) if target != "any"), "fp32"]
    names = dict.fromkeys(key.partition(":")[0] for key in files)
    return {name: next(files[f"{name}:{form}"] for form in forms if f"{name}:{form}" in files) for name in names}


def find_model(name_or_path: str) -> Path:
    """Find an embedded model by its name, one of its files by `NAME:FORM`, or an artefact by its path.

    Raises
    ------
    UsageError
        None of them is there.
    """
    models = {**embedded_files(), **embedded_models()}
    if name_or_path in models:
        return models[name_or_path]
    path = Path(name_or_path)
    if path.is_file():
        return path
    hint = suggestion(name_or_path, set(models))
    raise UsageError(f"model {name_or_path!r}: no such file, and no embedded model of that name{hint}")
