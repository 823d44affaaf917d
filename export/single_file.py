"""An ONNX model with its weights in a file beside it → one file, without a copy of the weights in memory.

Protobuf's own writer holds a message twice, and reading it back holds it twice more: too much for a network of 168 MB
on a small machine. Here the weights go from file to file; the rest, which is small, is written by protobuf.

Forms: `onnx.proto` (ModelProto.graph, GraphProto.initializer, TensorProto.raw_data, external data); protobuf's
encoding of fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import onnx
from onnx.external_data_helper import uses_external_data

from seisedge.edge.seal import field_header

_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9
_PIECE = 1 << 20


@dataclass(frozen=True)
class _Weights:
    """A tensor without its values, and where they are."""

    head: bytes
    file: Path
    offset: int
    size: int

    @property
    def header(self) -> bytes:
        """What stands before the values in `GraphProto`."""
        inner = self.head + field_header(_RAW_DATA, self.size)
        return field_header(_INITIALIZER, len(inner) + self.size) + inner


def join_weights(model: onnx.ModelProto, folder: Path, path: Path) -> None:
    """Write a model that was read without its external data, and that lies in `folder`, as one file."""
    inside = [each for each in model.graph.initializer if not uses_external_data(each)]
    weights = [_taken_out(each, folder) for each in model.graph.initializer if uses_external_data(each)]
    del model.graph.initializer[:]
    model.graph.initializer.extend(inside)
    graph = model.graph.SerializeToString()
    model.ClearField("graph")
    with path.open("wb") as out:
        out.write(model.SerializeToString())
        out.write(field_header(_GRAPH, len(graph) + sum(len(each.header) + each.size for each in weights)))
        out.write(graph)
        for each in weights:
            out.write(each.header)
            _copy(each, out)


def _taken_out(tensor: onnx.TensorProto, folder: Path) -> _Weights:
    place = {each.key: each.value for each in tensor.external_data}
    file = folder / place["location"]
    offset = int(place.get("offset", "0"))
    size = int(place["length"]) if "length" in place else file.stat().st_size - offset
    tensor.ClearField("data_location")
    del tensor.external_data[:]
    return _Weights(tensor.SerializeToString(), file, offset, size)


def _copy(weights: _Weights, out: BinaryIO) -> None:
    with weights.file.open("rb") as file:
        file.seek(weights.offset)
        left = weights.size
        while left:
            piece = file.read(min(left, _PIECE))
            if not piece:
                raise OSError(f"{weights.file}: ends {left} bytes too early")
            out.write(piece)
            left -= len(piece)
