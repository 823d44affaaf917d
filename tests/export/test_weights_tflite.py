"""TFLite files of GPD: the published one, and ones written here with Google's own FlatBuffers, whole and damaged."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import flatbuffers  # type: ignore[import-untyped] # comes with onnxruntime, which has no stubs for it
import numpy as np
import pytest
import torch
from golden_windows import GOLDEN, waveforms
from naive_networks import F64Array, fill, weights
from numpy.typing import NDArray
from shared_data import SHARED, needs_shared
from torch import nn

from seisedge.export.errors import WeightError
from seisedge.export.networks.gpd import Gpd
from seisedge.export.weights_report import MatchedTensor
from seisedge.export.weights_tflite import load_tflite_weights

PUBLISHED = SHARED / "weights" / "gpd_tflite" / "gpd_v2.tflite"
FLOAT32, FLOAT16 = 0, 1
ADD, CONV, DEQUANTIZE, DENSE, POOL, MULTIPLY, RESHAPE, SOFTMAX, EXPAND = 0, 3, 6, 9, 17, 18, 22, 25, 70
Options = dict[int, tuple[int, int]]  # number of the field → its bytes and its value


@dataclass
class Operator:
    code: int
    inputs: list[int]
    output: int
    options: Options


@dataclass
class Graph:
    """What a TFLite file says, before it is written; a test may change it."""

    version: int = 3
    identifier: bytes = b"TFL3"
    tensors: list[tuple[tuple[int, ...], int, int]] = field(default_factory=list)  # shape, type, buffer
    buffers: list[bytes] = field(default_factory=lambda: [b""])
    operators: list[Operator] = field(default_factory=list)

    def tensor(self, *shape: int, kind: int = FLOAT32, content: bytes = b"") -> int:
        self.buffers.append(content)
        self.tensors.append((shape, kind, len(self.buffers) - 1))
        return len(self.tensors) - 1

    def constant(self, values: F64Array | float) -> int:
        """A float16 constant behind its DEQUANTIZE."""
        array = np.asarray(values, "<f2")
        stored = self.tensor(*array.shape, kind=FLOAT16, content=array.tobytes())
        return self.add(DEQUANTIZE, [stored], array.shape)

    def add(self, code: int, inputs: list[int], shape: tuple[int, ...], options: Options | None = None) -> int:
        self.operators.append(Operator(code, inputs, self.tensor(*shape), dict(options or {})))
        return self.operators[-1].output


def folded(module: Gpd, layer: str, norm: str) -> tuple[F64Array, F64Array]:
    """Weight and bias of a layer with the batch normalisation after it."""
    w = weights(module)
    scale = w[f"{norm}.weight"] / np.sqrt(w[f"{norm}.running_var"] + 1e-3)
    weight = (w[f"{layer}.weight"].T * scale).T
    return weight, (w[f"{layer}.bias"] - w[f"{norm}.running_mean"]) * scale + w[f"{norm}.bias"]


def graph_of(module: Gpd) -> Graph:
    """GPD as TensorFlow's converter writes it, for windows of sixteen samples."""
    graph, samples = Graph(), 16
    conv = {0: (1, 0), 1: (4, 1), 2: (4, 1), 3: (1, 1)}  # SAME, stride 1, ReLU
    pool = {0: (1, 1), 1: (4, 1), 2: (4, 2), 3: (4, 1), 4: (4, 2)}  # VALID, 2 by 2 along the samples
    at = graph.tensor(1, samples, 2)
    for index in range(4):
        weight, bias = folded(module, f"blocks.{index}.conv", f"blocks.{index}.norm")
        filters, channels, _ = weight.shape
        constants = [graph.constant(weight.transpose(0, 2, 1)[:, None]), graph.constant(bias)]
        at = graph.add(EXPAND, [at, 0], (1, 1, samples, channels))
        at = graph.add(CONV, [at, *constants], (1, 1, samples, filters), conv)
        at = graph.add(RESHAPE, [at, 0], (1, samples, 1, filters))
        samples //= 2
        at = graph.add(POOL, [at], (1, samples, 1, filters), pool)
    at = graph.add(RESHAPE, [at, 0], (1, 256))
    for index in range(2):
        weight, bias = folded(module, f"dense.{index}.dense", f"dense.{index}.norm")
        at = graph.add(DENSE, [at, graph.constant(weight), graph.constant(bias)], (1, 200), {0: (1, 1)})
    last = [graph.constant(weights(module)[f"classify.{name}"]) for name in ("weight", "bias")]
    at = one = graph.add(SOFTMAX, [graph.add(DENSE, [at, *last], (1, 3))], (1, 3), {0: (4, 0x3F800000)})
    for _ in range(2):
        at = graph.add(ADD, [at, one], (1, 3))
    graph.add(MULTIPLY, [at, graph.constant(1 / 3)], (1, 3))
    return graph


class Writer:
    """Serialises tables whose fields are numbers (bytes and value) or offsets."""

    def __init__(self) -> None:
        self.builder = flatbuffers.Builder(1 << 20)

    def table(self, fields: dict[int, tuple[int, int] | int]) -> int:
        self.builder.StartObject(10)
        for slot, value in fields.items():
            if isinstance(value, int):
                self.builder.PrependUOffsetTRelativeSlot(slot, value, 0)
            else:
                {1: self.builder.PrependUint8Slot, 4: self.builder.PrependUint32Slot}[value[0]](slot, value[1], 0)
        return int(self.builder.EndObject())

    def offsets(self, tables: list[int]) -> int:
        self.builder.StartVector(4, len(tables), 4)
        for table in reversed(tables):
            self.builder.PrependUOffsetTRelative(table)
        return int(self.builder.EndVector())

    def numbers(self, values: NDArray[np.integer] | list[int] | tuple[int, ...]) -> int:
        return int(self.builder.CreateNumpyVector(np.asarray(values, getattr(values, "dtype", np.int32))))


def content_of(graph: Graph, graphs: int = 1) -> bytes:
    writer = Writer()
    contents = [writer.numbers(np.frombuffer(content, np.uint8)) for content in graph.buffers]
    buffers = [writer.table({0: content}) for content in contents]
    tensors: list[int] = []
    for index, (shape, kind, buffer) in enumerate(graph.tensors):
        name = int(writer.builder.CreateString(f"tensor_{index};fused"))
        tensors.append(writer.table({0: writer.numbers(shape), 1: (1, kind), 2: (4, buffer), 3: name}))
    codes = sorted({operator.code for operator in graph.operators})
    operators: list[int] = []
    for each in graph.operators:
        inputs, outputs = writer.numbers(each.inputs), writer.numbers([each.output])
        options = writer.table(dict(each.options))
        operators.append(writer.table({0: (4, codes.index(each.code)), 1: inputs, 2: outputs, 4: options}))
    ends = writer.numbers([0]), writer.numbers([graph.operators[-1].output])
    subgraph = writer.table({0: writer.offsets(tensors), 1: ends[0], 2: ends[1], 3: writer.offsets(operators)})
    listed = writer.offsets([writer.table({0: (1, code), 3: (4, code)}) for code in codes])
    subgraphs, stored = writer.offsets([subgraph] * graphs), writer.offsets(buffers)
    model = writer.table({0: (4, graph.version), 1: listed, 2: subgraphs, 4: stored})
    writer.builder.Finish(model, file_identifier=graph.identifier)
    return bytes(writer.builder.Output())


def small(seed: int = 7) -> Gpd:
    return fill(Gpd(samples=16, channels=2, original=True), seed)


def write(folder: Path, graph: Graph) -> Path:
    path = folder / "gpd.tflite"
    path.write_bytes(content_of(graph))
    return path


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_folded_network_gives_what_the_trained_one_gives(tmp_path: Path, dtype: torch.dtype) -> None:
    source, target = small(), small(seed=1).to(dtype)
    report = load_tflite_weights(write(tmp_path, graph_of(source)), target)
    x = torch.from_numpy(np.random.default_rng(3).uniform(-1.0, 1.0, (9, 16, 2)))
    wanted = source(x)
    torch.testing.assert_close(target(x.to(dtype)).double(), wanted, rtol=0, atol=5e-4)  # float16 keeps 11 bits
    assert wanted.std(dim=0).max() > 0.02
    found = report.network, report.is_complete, len(report.matched), target.classify.weight.dtype
    assert found == ("Gpd", True, 14, dtype)
    assert MatchedTensor("1 tensor_1", "blocks.0.conv.weight", (32, 1, 21, 2)) in report.matched
    weight, bias = folded(source, "blocks.2.conv", "blocks.2.norm")
    np.testing.assert_array_equal(weights(target)["blocks.2.conv.weight"], weight.astype(np.float16))
    np.testing.assert_array_equal(weights(target)["blocks.2.conv.bias"], bias.astype(np.float16))
    for norm in (layer for layer in target.modules() if isinstance(layer, nn.BatchNorm1d)):
        values = torch.linspace(-1e3, 1e3, 12 * norm.num_features, dtype=dtype).reshape(12, -1)
        torch.testing.assert_close(norm(values), values, rtol=0 if dtype == torch.float32 else 3e-16, atol=0)


@needs_shared
def test_published_file_gives_the_documented_probabilities() -> None:
    module = Gpd(original=True).eval()
    report = load_tflite_weights(PUBLISHED, module)
    assert report.matched[1].file_path == "11 gpd_model/sequential_1/activation_1_1/Relu"
    x = torch.from_numpy(waveforms())  # seen: 5e-7
    np.testing.assert_allclose(module(x).detach().numpy(), GOLDEN["gpd-original"], rtol=0, atol=5e-6)


def require_refused(path: Path, message: str, module: nn.Module | None = None) -> None:
    """See loading fail with one line that names the file, and leave the module alone."""
    module = small() if module is None else module
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(WeightError, match=message) as caught:
        load_tflite_weights(path, module)
    assert "\n" not in str(caught.value)
    torch.testing.assert_close(module.state_dict(), before, rtol=0, atol=0)


def nth(graph: Graph, code: int, number: int = 0) -> Operator:
    return [operator for operator in graph.operators if operator.code == code][number]


def spoil(graph: Graph, code: int, values: list[float]) -> None:
    """Put other numbers into the last constant that an operator reads."""
    stored = next(each.inputs[0] for each in graph.operators if each.output == nth(graph, code).inputs[-1])
    graph.buffers[graph.tensors[stored][2]] = np.array(values, "<f2").tobytes()


DAMAGES: list[tuple[Callable[[Graph], object], str]] = [
    (lambda g: setattr(g, "version", 2), "found version 2 with 1 graphs, wanted 3 with 1"),
    (lambda g: setattr(g, "identifier", b"TFL2"), "found b'TFL2' at byte 4, wanted a TFLite file with b'TFL3'"),
    (lambda g: nth(g, CONV).options.update({2: (4, 2)}), r"found .*2D \(0, 1, 2, 1.*, wanted CONV_2D \(0, 1, 1, 1"),
    (lambda g: nth(g, CONV, 3).options.update({0: (1, 1)}), r"found CONV_2D \(1, 1, 1, 1, 1, 1\) .*blocks.3.conv"),
    (lambda g: nth(g, CONV).options.update({3: (1, 0)}), r"found CONV_2D \(0, 1, 1, 0, 1, 1\) from \(1, 1, 16, 2\) to"),
    (lambda g: nth(g, POOL).options.update({4: (4, 3)}), r"found MAX_POOL_2D \(1, 1, 2, 1, 3, 0\)"),
    (lambda g: nth(g, DENSE, 2).options.update({0: (1, 1)}), r"found FULLY_CONNECTED \(1, 0, 0\) .* classify of"),
    (lambda g: nth(g, SOFTMAX).options.clear(), r"found SOFTMAX \(0,\).*wanted SOFTMAX \(106"),
    (lambda g: setattr(nth(g, EXPAND), "code", POOL), r"found MAX_POOL_2D .*, wanted CONV_2D"),
    (lambda g: setattr(nth(g, EXPAND), "code", 40), r"found an operator of code \[40\], wanted those of GPD"),
    (lambda g: nth(g, CONV).inputs.pop(), "found .*, wanted .*blocks.0.conv"),
    (lambda g: nth(g, CONV).inputs.reverse(), r"found CONV_2D of tensors \(4, 2, 5\), wanted one of tensor 5"),
    (lambda g: nth(g, DEQUANTIZE).inputs.__setitem__(0, 900), r"found a reference to tensor 900, wanted one of "),
    (lambda g: g.operators.__delitem__(slice(-7, None)), r"found the graph's end, wanted .*classify"),
    (lambda g: nth(g, ADD).inputs.pop(), "found ADD after the softmax, wanted the mean of copies"),
    (lambda g: g.operators.__delitem__(slice(-2, None)), "found 3.0 times the softmax as output, wanted it once"),
    (lambda g: spoil(g, MULTIPLY, [0.25]), "found 0.75 times the softmax as output"),
    (lambda g: spoil(g, CONV, [1.0] * 31), "tensor_3: found 62 bytes in buffer 4, wanted 64"),
    (lambda g: spoil(g, CONV, [1.0] * 31 + [np.nan]), "3 tensor_3: found NaN or infinity"),
    (lambda g: g.tensors.__setitem__(3, ((32,), FLOAT32, 4)), r"3 tensor_3: found shape \(32,\) of type 0, wanted"),
    (lambda g: g.tensors.__setitem__(5, ((1, 16, 1, 2), FLOAT32, 0)), r"from \(1, 16, 1, 2\) .* from \(1, 1, 16, 2\)"),
    (lambda g: g.tensors.__setitem__(3, ((32,), FLOAT16, 99)), "3 tensor_3: found 0 bytes in buffer 99"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES, ids=range(len(DAMAGES)))
def test_graphs_that_are_not_gpd_are_refused(tmp_path: Path, damage: Callable[[Graph], object], message: str) -> None:
    graph = graph_of(small())
    damage(graph)
    require_refused(write(tmp_path, graph), message)


def test_other_files_and_networks_are_refused(tmp_path: Path) -> None:
    whole = content_of(graph_of(small()))
    path = tmp_path / "gpd.tflite"
    for damaged in (b"", whole[:7], whole[:20], whole[: len(whole) // 2], whole[:-9], b"PK\x03\x04" + bytes(900)):
        path.write_bytes(damaged)
        require_refused(path, r"gpd.tflite: found (b'.*' at byte 4|an offset to byte \d+), wanted")
    path.write_bytes(bytes(2**23 + 1))
    require_refused(path, "found no file or too large a one, wanted TFLite of at most 8388608 bytes")
    require_refused(tmp_path, "found no file")
    path.write_bytes(content_of(graph_of(small()), graphs=2))
    require_refused(path, "found version 3 with 2 graphs")
    require_refused(path, "found a network of type Gpd, wanted a Gpd with original=True", Gpd())
    require_refused(path, "found a network of type Linear, wanted a Gpd", nn.Linear(2, 2))


@needs_shared
def test_other_published_networks_are_refused() -> None:
    require_refused(
        SHARED / "weights" / "redpan_mit" / "REDPAN_30s_v2.tflite", "REDPAN_30s_v2.tflite: found .*, wanted"
    )
    require_refused(PUBLISHED, r"found CONV_2D .* from \(1, 1, 400, 3\).*, wanted .* from \(1, 1, 16, 2\)")


@pytest.mark.parametrize("seed", range(4))
def test_changed_files_load_or_are_refused(tmp_path: Path, seed: int) -> None:
    graph = graph_of(small())
    whole, path, module, refusals = content_of(graph), tmp_path / "gpd.tflite", small(), list[str]()
    random, tables = np.random.default_rng(seed), len(whole) - sum(map(len, graph.buffers))
    tracemalloc.start()
    for _ in range(50):
        damaged = bytearray(whole)
        for at in random.integers(tables, size=random.integers(1, 4)):
            damaged[at] = random.integers(256)
        path.write_bytes(damaged)
        try:
            load_tflite_weights(path, module)
        except WeightError as error:
            refusals.append(str(error))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**24
    assert not any("\n" in refusal for refusal in refusals)
    assert 10 < len(refusals) < 50
    assert all(torch.isfinite(tensor).all() for tensor in module.state_dict().values())
