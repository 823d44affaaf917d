"""Read safetensors files: eight bytes with the length of a JSON header, the header, and the numbers.

Form: huggingface/safetensors, README, "Format". Everything is bounded and checked: the numbers must fill the rest of
the file without gaps or overlaps.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from .errors import WeightError

Array = NDArray[np.generic]

_MAX_HEADER = 1 << 24
_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4"}


def is_safetensors(path: Path, start: bytes) -> bool:
    """Whether a file that begins so is one."""
    length = int.from_bytes(start[:8], "little")
    return len(start) > 8 and start[8:9] == b"{" and 2 <= length <= min(_MAX_HEADER, path.stat().st_size - 8)


def read_safetensors(path: Path) -> dict[str, Array]:
    """Read all tensors by name; bfloat16 comes as float32.

    Raises
    ------
    WeightError
        The file is damaged, or holds what weights are not made of.
    """
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    if not 2 <= length <= min(_MAX_HEADER, len(content) - 8):
        raise WeightError(f"{path}: found a header of {length} bytes, wanted one that fits the file")
    try:
        header = json.loads(content[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        raise WeightError(f"{path}: found no JSON header ({error}), wanted a safetensors file") from error
    if not isinstance(header, dict):
        raise WeightError(f"{path}: found a header that is no object, wanted a safetensors file")
    entries = cast("dict[str, object]", header)
    entries.pop("__metadata__", None)
    data, tensors, end = memoryview(content)[8 + length :], dict[str, Array](), 0
    places = {name: _place(path, name, entry) for name, entry in entries.items()}
    for name, (kind, shape, start, stop) in sorted(places.items(), key=lambda item: item[1][2]):
        if start != end or stop - start != math.prod(shape) * np.dtype(_TYPES[kind]).itemsize or stop > len(data):
            raise WeightError(f"{path}: {name}: found bytes {start} to {stop} for {kind} {shape}, wanted {end} on")
        end = stop
        values = np.frombuffer(data[start:stop], _TYPES[kind]).reshape(shape)
        tensors[name] = _widened(values) if kind == "BF16" else values
    if end != len(data):
        raise WeightError(f"{path}: found {len(data) - end} bytes behind the tensors, wanted none")
    return tensors


def _place(path: Path, name: str, entry: object) -> tuple[str, tuple[int, ...], int, int]:
    fields = cast("dict[str, object]", entry) if isinstance(entry, dict) else {}
    kind, shape, offsets = fields.get("dtype"), fields.get("shape"), fields.get("data_offsets")
    if not isinstance(kind, str) or kind not in _TYPES:
        raise WeightError(f"{path}: {name}: found type {kind!r}, wanted one of {', '.join(_TYPES)}")
    sizes, ends = _numbers(shape), _numbers(offsets)
    if sizes is None or ends is None or len(ends) != 2:
        raise WeightError(f"{path}: {name}: found shape {shape!r} at {offsets!r}, wanted whole numbers")
    return kind, sizes, ends[0], ends[1]


def _numbers(value: object) -> tuple[int, ...] | None:
    if not isinstance(value, list):
        return None
    numbers = tuple(each for each in cast("list[object]", value) if type(each) is int and 0 <= each < 1 << 40)
    return numbers if len(numbers) == len(cast("list[object]", value)) else None


def _widened(values: Array) -> Array:
    """Bfloat16 is the upper half of float32."""
    return (values.astype(np.uint32) << np.uint32(16)).view(np.float32)
