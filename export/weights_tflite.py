"""Read the float16 TFLite form of GPD as published into `Gpd(original=True)`, without TensorFlow.

A TFLite file is one FlatBuffer: tables, vectors and texts that point to each other by offsets. The graph in it
is followed from its input to its output and must be GPD, operator by operator; the weights are float16
constants, each behind a DEQUANTIZE. Two things differ from the network as trained:

- The batch normalisations are folded into the layers before them. Those of the `Gpd` become the identity.
- The output is the mean of three copies of the softmax, whose third is rounded to float16: its rows sum to
  0.999756. It is dropped, so that they sum to one.

A FlatBuffer has no checksum: a changed weight cannot be found, unless it is no longer finite.

Forms: TFLite's `schema.fbs`, version 3; FlatBuffers' "Internals" page.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .errors import WeightError
from .networks.gpd import POOL, ConvBlock, DenseBlock, Gpd
from .weights_report import ImportReport, MatchedTensor

# What is read is bounded. The published file has 3.5 MB, 76 buffers, 72 tensors, 46 operators of 9 kinds.
_MAX_BYTES, _MAX_TABLES, _MAX_NUMBERS, _MAX_NAME_BYTES = 1 << 23, 512, 8, 1 << 12
_IDENTIFIER, _VERSION, _FLOAT16 = b"TFL3", 3, 1

# The fields that are read, by their number in the table of that name.
_MODEL_VERSION, _MODEL_CODES, _MODEL_GRAPHS, _MODEL_BUFFERS = 0, 1, 2, 4
_CODE_OLD, _CODE_NEW = 0, 3
_GRAPH_TENSORS, _GRAPH_INPUTS, _GRAPH_OUTPUTS, _GRAPH_OPERATORS = 0, 1, 2, 3
_TENSOR_SHAPE, _TENSOR_TYPE, _TENSOR_BUFFER, _TENSOR_NAME = 0, 1, 2, 3
_OPERATOR_CODE, _OPERATOR_INPUTS, _OPERATOR_OUTPUTS, _OPERATOR_OPTIONS, _BUFFER_DATA = 0, 1, 2, 4, 0

# The builtin operators that may occur. Views leave the numbers where they are.
_VIEWS = {22: "RESHAPE", 43: "SQUEEZE", 70: "EXPAND_DIMS"}
_ADDED = {0: "ADD", 6: "DEQUANTIZE", 18: "MUL"}  # by the converter; the rest is GPD's
_KINDS = _VIEWS | _ADDED | {3: "CONV_2D", 9: "FULLY_CONNECTED", 17: "MAX_POOL_2D", 25: "SOFTMAX"}
# Bytes and default of the options of those that compute, in the order of their table.
_OPTIONS = {
    "CONV_2D": ((1, 0), (4, 0), (4, 0), (1, 0), (4, 1), (4, 1)),  # padding, strides, activation, dilations
    "MAX_POOL_2D": ((1, 0), (4, 0), (4, 0), (4, 0), (4, 0), (1, 0)),  # padding, strides, window, activation
    "FULLY_CONNECTED": ((1, 0), (1, 0), (1, 0)),  # activation, weights' format, whether to keep dimensions
    "SOFTMAX": ((4, 0),),  # the bits of the factor beta
    "ADD": ((1, 0),),  # activation
    "MUL": ((1, 0),),
}
_SAME, _VALID, _LINEAR, _RELU, _ONE = 0, 1, 0, 1, 0x3F800000  # the last: the bits of 1.0 in float32


class _DamageError(Exception):
    """What is wrong with a file, without its path."""


@dataclass(frozen=True)
class _Table:
    """A table of a FlatBuffer. Whatever is read is inside the file, or `_DamageError` is raised."""

    data: bytes
    at: int

    def take(self, at: int, size: int) -> bytes:
        if not 0 <= at <= len(self.data) - size:
            raise _DamageError(f"found an offset to byte {at}, wanted {size} bytes inside the {len(self.data)}")
        return self.data[at : at + size]

    def unsigned(self, at: int, size: int = 4) -> int:
        return int.from_bytes(self.take(at, size), "little")

    def field(self, index: int) -> int | None:
        """Where a field lies; None where the table leaves it out."""
        vtable = self.at - int.from_bytes(self.take(self.at, 4), "little", signed=True)
        place = 4 + 2 * index
        offset = self.unsigned(vtable + place, 2) if place < self.unsigned(vtable, 2) else 0
        return self.at + offset if offset else None

    def number(self, index: int, size: int = 4, default: int = 0) -> int:
        at = self.field(index)
        return default if at is None else self.unsigned(at, size)

    def vector(self, index: int, item: int, most: int) -> tuple[int, int]:
        """Number of items, and where the first lies."""
        at = self.field(index)
        if at is None:
            return 0, 0
        start = at + self.unsigned(at)
        count = self.unsigned(start)
        if count > most:
            raise _DamageError(f"found {count} items at byte {start}, wanted {most} at most")
        self.take(start + 4, count * item)
        return count, start + 4

    def content(self, index: int, most: int) -> bytes:
        count, start = self.vector(index, 1, most)
        return self.take(start, count)

    def numbers(self, index: int) -> tuple[int, ...]:
        count, start = self.vector(index, 4, _MAX_NUMBERS)
        return tuple(self.unsigned(start + 4 * i) for i in range(count))

    def tables(self, index: int) -> list[_Table]:
        count, start = self.vector(index, 4, _MAX_TABLES)
        return [_Table(self.data, at + self.unsigned(at)) for at in range(start, start + 4 * count, 4)]

    def table(self, index: int) -> _Table | None:
        at = self.field(index)
        return None if at is None else _Table(self.data, at + self.unsigned(at))


@dataclass(frozen=True)
class _Operator:
    """One operator: what it is, the tensors that it reads and writes, its options."""

    kind: str
    inputs: tuple[int, ...]
    output: int
    options: tuple[int, ...]


@dataclass(frozen=True)
class _Step:
    """What an operator of GPD must be, and the layer whose weights it has."""

    kind: str
    options: tuple[int, ...]
    taken: tuple[int, ...]
    given: tuple[int, ...]
    layer: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.options} from {self.taken} to {self.given} {self.layer}".rstrip()


class _Graph:
    """The graph of a TFLite file: its tensors and operators."""

    def __init__(self, data: bytes) -> None:
        if data[4:8] != _IDENTIFIER:
            raise _DamageError(f"found {data[4:8]!r} at byte 4, wanted a TFLite file with {_IDENTIFIER!r}")
        model = _Table(data, int.from_bytes(data[:4], "little"))
        graphs, version = model.tables(_MODEL_GRAPHS), model.number(_MODEL_VERSION)
        if (version, len(graphs)) != (_VERSION, 1):
            raise _DamageError(f"found version {version} with {len(graphs)} graphs, wanted {_VERSION} with 1")
        codes = [max(code.number(_CODE_OLD, 1), code.number(_CODE_NEW)) for code in model.tables(_MODEL_CODES)]
        self._buffers = model.tables(_MODEL_BUFFERS)
        self._tensors = graphs[0].tables(_GRAPH_TENSORS)
        self.operators = [_operator(table, codes) for table in graphs[0].tables(_GRAPH_OPERATORS)]
        self.input = _single(graphs[0].numbers(_GRAPH_INPUTS), "input of the graph")
        self.output = _single(graphs[0].numbers(_GRAPH_OUTPUTS), "output of the graph")

    def tensor(self, index: int) -> _Table:
        if index >= len(self._tensors):
            raise _DamageError(f"found a reference to tensor {index}, wanted one of {len(self._tensors)}")
        return self._tensors[index]

    def shape(self, index: int) -> tuple[int, ...]:
        return self.tensor(index).numbers(_TENSOR_SHAPE)

    def name(self, index: int) -> str:
        """Number and first name; the converter lists all that it fused, with semicolons between them."""
        text = self.tensor(index).content(_TENSOR_NAME, _MAX_NAME_BYTES).partition(b";")[0].decode("latin-1")
        return f"{index} {ascii(text)[1:-1]}"

    def values(self, index: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Read a float16 constant of this shape."""
        tensor, name = self.tensor(index), self.name(index)
        kind, buffer = tensor.number(_TENSOR_TYPE, 1), tensor.number(_TENSOR_BUFFER)
        if kind != _FLOAT16 or self.shape(index) != shape:
            raise _DamageError(f"{name}: found shape {self.shape(index)} of type {kind}, wanted {shape} of {_FLOAT16}")
        content = self._buffers[buffer].content(_BUFFER_DATA, _MAX_BYTES) if buffer < len(self._buffers) else b""
        if len(content) != (size := 2 * int(np.prod(shape))):
            raise _DamageError(f"{name}: found {len(content)} bytes in buffer {buffer}, wanted {size}")
        values = np.frombuffer(content, "<f2").astype(np.float32).reshape(shape)
        if not np.isfinite(values).all():
            raise _DamageError(f"{name}: found NaN or infinity, wanted finite weights")
        return values


def load_tflite_weights(path: Path, module: nn.Module) -> ImportReport:
    """Load the TFLite file `path` into `module`, a `Gpd` with `original=True`.

    The module keeps its mode, device and precision; its batch normalisations become the identity. Raises
    `WeightError`, and leaves the module as it was, for a file that is absent, damaged or something else, and
    for a graph that is not exactly the network's (operators, shapes, float16 constants, finite values).
    """
    if not isinstance(module, Gpd) or not module.original:
        raise WeightError(f"found a network of type {type(module).__name__}, wanted a Gpd with original=True")
    if not path.is_file() or path.stat().st_size > _MAX_BYTES:
        raise WeightError(f"{path}: found no file or too large a one, wanted TFLite of at most {_MAX_BYTES} bytes")
    state, matched = module.state_dict(), list[MatchedTensor]()
    try:
        graph = _Graph(path.read_bytes())
        for step, weight, bias in _layers(graph, module):
            sizes = state[f"{step.layer}.weight"].shape
            # TFLite has (out, 1, tap, in) where torch has (out, in, tap); dense layers agree.
            shape = (sizes[0], 1, sizes[2], sizes[1]) if len(sizes) == 3 else tuple(sizes)
            for kind, index, wanted in (("weight", weight, shape), ("bias", bias, shape[:1])):
                values = graph.values(index, wanted)
                values = values[:, 0].transpose(0, 2, 1) if values.ndim == 4 else values
                state[f"{step.layer}.{kind}"] = torch.from_numpy(np.array(values, order="C"))
                matched.append(MatchedTensor(graph.name(index), f"{step.layer}.{kind}", wanted))
    except (_DamageError, OSError) as damage:
        raise WeightError(f"{path}: {damage}") from damage
    module.load_state_dict(state | _identities(module))
    return ImportReport(path, type(module).__name__, tuple(matched), (), ())


def _identities(module: Gpd) -> dict[str, Tensor]:
    """What makes the batch normalisations give what they get: a variance that the epsilon makes one."""
    tensors: dict[str, Tensor] = {}
    for path, norm in module.named_modules():
        if isinstance(norm, nn.BatchNorm1d):
            values = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0 - norm.eps}
            state = norm.state_dict()
            tensors |= {f"{path}.{name}": torch.full_like(state[name], value) for name, value in values.items()}
    return tensors


def _single(numbers: tuple[int, ...], what: str) -> int:
    if len(numbers) != 1:
        raise _DamageError(f"{what}: found {len(numbers)} tensors, wanted 1")
    return numbers[0]


def _operator(table: _Table, codes: list[int]) -> _Operator:
    code = table.number(_OPERATOR_CODE)
    kind = _KINDS.get(codes[code]) if code < len(codes) else None
    if kind is None:
        raise _DamageError(f"found an operator of code {codes[code : code + 1] or code}, wanted those of GPD")
    options, fields = table.table(_OPERATOR_OPTIONS), enumerate(_OPTIONS.get(kind, ()))
    values = tuple(default if options is None else options.number(i, size, default) for i, (size, default) in fields)
    output = _single(table.numbers(_OPERATOR_OUTPUTS), f"output of a {kind}")
    return _Operator(kind, table.numbers(_OPERATOR_INPUTS), output, values)


def _steps(module: Gpd) -> list[_Step]:
    """Give what computes in GPD, in order, each with the shapes between which it stands."""
    steps: list[_Step] = []
    convs = [block.conv for block in module.blocks if isinstance(block, ConvBlock)]
    layers = [block.dense for block in module.dense if isinstance(block, DenseBlock)]
    samples = layers[0].in_features // convs[-1].out_channels * POOL ** len(convs)
    for index, conv in enumerate(convs):
        inputs, outputs, half = conv.in_channels, conv.out_channels, samples // POOL
        filtered, path = (1, 1, samples, outputs), f"blocks.{index}.conv"
        steps.append(_Step("CONV_2D", (_SAME, 1, 1, _RELU, 1, 1), (1, 1, samples, inputs), filtered, path))
        pool = (_VALID, 1, POOL, 1, POOL, _LINEAR)
        steps.append(_Step("MAX_POOL_2D", pool, (1, samples, 1, outputs), (1, half, 1, outputs)))
        samples = half
    named = [(f"dense.{index}.dense", layer, _RELU) for index, layer in enumerate(layers)]
    for path, layer, activation in (*named, ("classify", module.classify, _LINEAR)):
        shapes = (1, layer.in_features), (1, layer.out_features)
        steps.append(_Step("FULLY_CONNECTED", (activation, 0, 0), *shapes, path))
    return [*steps, _Step("SOFTMAX", (_ONE,), steps[-1].given, steps[-1].given)]


def _layers(graph: _Graph, module: Gpd) -> list[tuple[_Step, int, int]]:
    """Follow the graph, and give its layers, each with the tensors of weight and bias."""
    constants = {each.output: each.inputs[0] for each in graph.operators if each.kind == "DEQUANTIZE" and each.inputs}
    operators = [each for each in graph.operators if each.kind != "DEQUANTIZE"]
    steps, layers, at = _steps(module), list[tuple[_Step, int, int]](), graph.input
    while steps:
        if not operators:
            raise _DamageError(f"found the graph's end, wanted {steps[0]}")
        operator = operators.pop(0)
        if operator.inputs[:1] != (at,):
            raise _DamageError(f"found {operator.kind} of tensors {operator.inputs}, wanted one of tensor {at}")
        if operator.kind not in _VIEWS.values():
            step = steps.pop(0)
            weights = [constants[index] for index in operator.inputs[1:] if index in constants]
            found = _Step(operator.kind, operator.options, graph.shape(at), graph.shape(operator.output), step.layer)
            if found != step or [len(weights), len(operator.inputs)] != ([2, 3] if step.layer else [0, 1]):
                raise _DamageError(f"found {found} of tensors {operator.inputs}, wanted {step}")
            if step.layer:
                layers.append((step, weights[0], weights[1]))
        at = operator.output
    _require_mean(graph, operators, at, constants)
    return layers


def _require_mean(graph: _Graph, operators: list[_Operator], softmax: int, constants: dict[int, int]) -> None:
    """See that what follows the softmax gives it back: sums of it, times a constant."""
    factors = {softmax: 1.0}
    for operator in operators:
        known = [factors[index] for index in operator.inputs if index in factors]
        others = [constants[index] for index in operator.inputs if index in constants]
        found = operator.kind, operator.options, len(known), len(others)
        if found == ("ADD", (_LINEAR,), 2, 0):
            factors[operator.output] = known[0] + known[1]
        elif found == ("MUL", (_LINEAR,), 1, 1):
            factors[operator.output] = known[0] * float(graph.values(others[0], ()))
        else:
            raise _DamageError(f"found {operator.kind} after the softmax, wanted the mean of copies")
    if abs(factors.get(graph.output, 0.0) - 1.0) > 1e-3:  # the published file is 2.4e-4 short of one
        raise _DamageError(f"found {factors.get(graph.output, 0.0)} times the softmax as output, wanted it once")
