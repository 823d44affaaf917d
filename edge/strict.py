"""Strict reading of JSON-like values into frozen dataclasses: no unknown key, no conversion.

A key may be left out where its field has a default, as in a configuration; a manifest's fields have none. The types are
the schema. Supported: dataclasses, `str`, `int`, `float` (an int is accepted and widened), `bool`, `Literal`,
`tuple[T, ...]`, `dict[str, T]` and `T | None`.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import ManifestError

T = TypeVar("T")


def read(cls: type[T], value: object, path: str) -> T:
    """Build a dataclass from a decoded JSON object.

    Raises
    ------
    ManifestError
        Naming the path of the value, what was found and what was wanted.
    """
    listed = dataclasses.fields(cls)  # type: ignore[arg-type]  # every caller's cls is one
    fields = {field.name for field in listed}
    absent = dataclasses.MISSING
    needed = {each.name for each in listed if each.default is absent and each.default_factory is absent}
    found = _mapping(value, path)
    for key in found:
        if key not in fields:
            raise ManifestError(f"{path}: unknown key {key!r}{suggestion(key, fields)}")
    if missing := sorted(needed - found.keys()):
        raise ManifestError(f"{path}: missing key {missing[0]!r}")
    hints = get_type_hints(cls)
    return cls(**{key: _convert(hints[key], item, f"{path}.{key}") for key, item in found.items()})


def suggestion(found: str, wanted: set[str] | tuple[str, ...]) -> str:
    """`; did you mean 'x'?` for the nearest valid name, or the list of valid names when none is near."""
    near = difflib.get_close_matches(found, sorted(wanted), n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f", wanted one of {', '.join(sorted(wanted))}" if wanted else ""


def _convert(hint: Any, value: object, path: str) -> object:  # noqa: ANN401 - a type hint has no type of its own
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _convert_union(hint, value, path)
    if origin is Literal:
        return _convert_literal(hint, value, path)
    if origin is tuple:
        return _convert_tuple(hint, value, path)
    if origin is dict:
        item = get_args(hint)[1]
        return {key: _convert(item, each, f"{path}.{key}") for key, each in _mapping(value, path).items()}
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return read(hint, value, path)
    return _convert_scalar(hint, value, path)


def _convert_scalar(hint: type, value: object, path: str) -> object:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise ManifestError(f"{path}: found {_name(value)}, wanted {hint.__name__}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ManifestError(f"{path}: found {value}, wanted a finite number")
    return value


def _convert_union(hint: Any, value: object, path: str) -> object:  # noqa: ANN401 - see _convert
    choices = [choice for choice in get_args(hint) if choice is not type(None)]
    if value is None and len(choices) < len(get_args(hint)):
        return None
    failures: list[str] = []
    for choice in choices:
        try:
            return _convert(choice, value, path)
        except ManifestError as error:  # noqa: PERF203 - a choice that does not fit is no failure of the next
            failures.append(str(error))
    if len(failures) == 1:
        raise ManifestError(failures[0])
    wanted = " or ".join(getattr(choice, "__name__", str(choice)) for choice in choices)
    raise ManifestError(f"{path}: found {_name(value)}, wanted {wanted}")


def _convert_literal(hint: Any, value: object, path: str) -> object:  # noqa: ANN401 - see _convert
    allowed = get_args(hint)
    if value not in allowed or type(value) not in {type(each) for each in allowed}:
        wanted = " | ".join(str(each) for each in allowed)
        raise ManifestError(f"{path}: found {_name(value)}, wanted {wanted}")
    return value


def _convert_tuple(hint: Any, value: object, path: str) -> tuple[object, ...]:  # noqa: ANN401 - see _convert
    if not isinstance(value, list | tuple):
        raise ManifestError(f"{path}: found {_name(value)}, wanted a list")
    items = get_args(hint)
    if len(items) == 2 and items[1] is Ellipsis:
        return tuple(_convert(items[0], each, f"{path}[{i}]") for i, each in enumerate(value))
    if len(items) != len(value):
        raise ManifestError(f"{path}: found {len(value)} items, wanted {len(items)}")
    return tuple(_convert(item, each, f"{path}[{i}]") for i, (item, each) in enumerate(zip(items, value, strict=True)))


def _mapping(value: object, path: str) -> dict[str, object]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ManifestError(f"{path}: found {_name(value)}, wanted an object")
    return value


def _name(value: object) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
