"""A recipe as a TOML file: written with a comment for every key, read strictly.

TOML has no null: a key of `Output` that may be null is left out. Every other key is wanted, as in a manifest.

Form: TOML 1.0.0 (toml.io). The writer is ours because the files are for people: a comment above each key where it
first stands, and the dataclasses decide everything else.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import textwrap
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from seisedge.edge import strict
from seisedge.edge.errors import DataError, ManifestError, UsageError
from seisedge.edge.manifest import Manifest, Output, Provenance, Quantization, Verification
from seisedge.edge.preprocess import Preprocess
from seisedge.edge.steps import OPERATIONS, Step

from . import recipe_comments
from .recipe import Recipe

MAX_BYTES = 1 << 16  # far above any real recipe; bounds what a file can make us parse
_WIDTH = 100

_HEAD = """\
# A recipe for `edge-export wrap`: what a model is fed and what its outputs mean.
# Every key is wanted unless it says otherwise. A key is explained where it first stands.

"""


def recipe_of(manifest: Manifest) -> Recipe:
    """Give the part of a manifest that does not depend on weights."""
    return Recipe(**{field.name: getattr(manifest, field.name) for field in dataclasses.fields(Recipe)})


def write_recipe(recipe: Recipe) -> str:
    """Write a recipe as commented TOML; `read_recipe` gives back an equal one."""
    writer = _Writer()
    writer.table(recipe, ())
    return _HEAD + "\n".join(writer.lines) + "\n"


def read_recipe(path: Path) -> Recipe:
    """Read a recipe strictly, and check all that can be checked without the network.

    Raises
    ------
    DataError
        The file cannot be read, is too large or is no TOML.
    ManifestError
        A key is unknown, missing or of a wrong type, or the keys contradict each other; the message has its path.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise DataError(f"{path}: found more than {MAX_BYTES} bytes, wanted a recipe")
    value = _with_nulls(_decoded(content, path))
    try:
        recipe = strict.read(Recipe, value, "manifest")
        _check(recipe)
    except ManifestError as error:
        line = re.sub(r"^manifest(\.|: )", "", " ".join(str(error).split()))
        raise ManifestError(f"{path}: {line}") from error
    return recipe


def _decoded(content: bytes, path: Path) -> dict[str, Any]:
    if sys.version_info < (3, 11):
        raise UsageError(f"{path}: found Python 3.10, wanted 3.11 or later, which reads TOML")
    import tomllib  # noqa: PLC0415 - absent from 3.10, on which everything else here works

    try:
        return tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: found no TOML ({error}), wanted a recipe: see `edge-export recipe`") from error


def _with_nulls(value: dict[str, Any]) -> dict[str, Any]:
    outputs = value.get("outputs")
    for output in outputs if isinstance(outputs, list) else ():
        if isinstance(output, dict):
            for key in _optional(Output):
                output.setdefault(key, None)
    return value


def _optional(cls: type) -> list[str]:
    return [key for key, hint in get_type_hints(cls).items() if type(None) in get_args(hint)]


def _check(recipe: Recipe) -> None:
    """Set up all that the recipe describes: what contradicts itself is an error here and not at the station."""
    manifest = recipe.manifest(
        version="",
        quantization=Quantization(precision="fp32", target="any", scheme=None, calibration_digest=None, exceptions=()),
        verification=Verification(0, 0, (), 0.0, {}, {}),
        provenance=Provenance("", "", "", "", {}),
    )
    Preprocess(manifest).stream(recipe.sampling_rate)


class _Writer:
    """Lines of TOML; each comment once."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._explained: set[str] = set()

    def table(self, value: Any, path: tuple[str, ...]) -> None:  # noqa: ANN401 - any of the recipe's dataclasses
        """Write a dataclass: its plain keys, then its tables, for TOML knows no way back."""
        items = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        for key, item in items.items():
            if not _is_table(item):
                self._comment(key, _field_comment(type(value), key))
                self.lines.append(f"# {key} =" if item is None else f"{key} = {_inline(item)}")
        for key, item in items.items():
            if _is_table(item):
                self.lines.append("")
                self._comment(key, _field_comment(type(value), key))
                if isinstance(value, Step):
                    self._params(value, path)
                else:
                    self._tables(item, (*path, key))

    def _tables(self, item: Any, path: tuple[str, ...]) -> None:  # noqa: ANN401 - see `table`
        if isinstance(item, tuple):
            for place, each in enumerate(item):
                self.lines += ["", f"[[{_dotted(path)}]]"] if place else [f"[[{_dotted(path)}]]"]
                self.table(each, path)
            return
        self.lines.append(f"[{_dotted(path)}]")
        if not isinstance(item, dict):
            self.table(item, path)
            return
        for name, each in item.items():
            if isinstance(each, str):
                self.lines.append(f"{_quoted(name)} = {_quoted(each)}")
            else:
                self.lines.append("")
                self._tables(each, (*path, name))

    def _params(self, step: Step, path: tuple[str, ...]) -> None:
        """Write a step's parameters, whose types are in the table of operations."""
        self.lines.append(f"[{_dotted((*path, 'params'))}]")
        for name, item in step.params.items():
            wanted = OPERATIONS[step.op].params[name]
            words = f" One of: {', '.join(map(str, wanted))}." if isinstance(wanted, tuple) else ""
            self._comment(name, recipe_comments.OPERATIONS[step.op][1][name] + words)
            self.lines.append(f"{name} = {_inline(item)}")

    def _comment(self, key: str, text: str) -> None:
        if f"{key}: {text}" not in self._explained:
            self._explained.add(f"{key}: {text}")
            self.lines += textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")
            self.lines += _operations() if text.startswith(recipe_comments.FIELDS[Recipe]["steps"]) else []


def _field_comment(cls: type, key: str) -> str:
    """What a field means, its allowed words, and whether it may be left out."""
    hint = get_type_hints(cls)[key]
    words = f" One of: {', '.join(get_args(hint))}." if get_origin(hint) is Literal else ""
    left_out = " Left out where there is none." if key in _optional(cls) else ""
    return recipe_comments.FIELDS[cls][key] + words + left_out


def _operations() -> list[str]:
    width = max(map(len, OPERATIONS)) + 2
    lines = ["#"]
    for name, (text, params) in recipe_comments.OPERATIONS.items():
        wants = f". Parameters: {', '.join(params)}" if params else ""
        line = f"#   {name:<{width}}{OPERATIONS[name].scope}: {text}{wants}"
        lines += textwrap.wrap(line, _WIDTH, subsequent_indent="#   " + " " * width)
    return lines


def _is_table(item: object) -> bool:
    if isinstance(item, tuple):
        return bool(item) and dataclasses.is_dataclass(item[0])
    return isinstance(item, dict) or dataclasses.is_dataclass(item)


def _inline(item: object) -> str:
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, str):
        return _quoted(item)
    if isinstance(item, tuple):
        return f"[{', '.join(map(_inline, item))}]"
    return repr(item)


def _quoted(text: str) -> str:
    """Give a basic string: the escapes of JSON are TOML's, but for one character that JSON does not escape."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else _quoted(part) for part in path)
