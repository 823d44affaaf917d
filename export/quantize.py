"""Static quantisation to int8: which operators become integers, and how each class of processors wants them.

The pass is our own. ONNX Runtime's quantiser takes ranges from its own calibrators only, puts operators between two
quantised ones into integers too (a softmax then takes 58 % of a transformer's time), and cannot leave out nodes by
where they stand. Here Conv, Gemm and MatMul with constant weights are quantised and nothing else; a runtime may carry
integers through what stands between two pairs, never through a softmax or a normalisation. Weights have a scale per
output channel, activations one per tensor.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass

import numpy as np
import onnx

from seisedge.edge.targets import ProcessorTarget, host_target

from .calibration import Range
from .errors import ExportError
from .onnx_graph import GraphIndex, attribute, copy_model, drop_unused_constants, index_graph
from .qdq import NumberFormat, Plan, write_pairs

TARGETS: tuple[ProcessorTarget, ...] = ("x86-vnni", "x86-avx2", "arm", "tensorrt")
QUANTISABLE = ("Conv", "Gemm", "MatMul")
_NEVER = frozenset({"ConvTranspose", "GRU", "LSTM", "Softmax", "LayerNormalization"})
_SOFTMAX = frozenset({"Softmax", "LogSoftmax"})
_JOINED_TO_GEMM = frozenset(
    {"Elu", "HardSigmoid", "LeakyRelu", "Relu", "Selu", "Sigmoid", "Softplus", "Softsign", "Tanh"}
)
_MOVES = frozenset({"MaxPool", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Slice", "Gather"})

FORMATS: dict[ProcessorTarget, NumberFormat] = {
    "x86-vnni": NumberFormat(
        "u8s8", np.uint8, is_symmetric=False, weight_limit=127, quantises_bias=True, quantises_output=True
    ),
    # Without VNNI two products of u8 and s8 are added in 16 bits that saturate; 2 * 255 * 64 < 2 ** 15 does not.
    "x86-avx2": NumberFormat(
        "u8s8 with 7-bit weights",
        np.uint8,
        is_symmetric=False,
        weight_limit=64,
        quantises_bias=True,
        quantises_output=True,
    ),
    # The numbers of x86-vnni less 128: ARM's dot product takes two signed factors.
    "arm": NumberFormat(
        "s8s8", np.int8, is_symmetric=False, weight_limit=127, quantises_bias=True, quantises_output=True
    ),
    # TensorRT refuses zero points and quantised biases, and places the outputs' quantisation itself.
    "tensorrt": NumberFormat(
        "s8s8 symmetric", np.int8, is_symmetric=True, weight_limit=127, quantises_bias=False, quantises_output=False
    ),
}


class QuantizationError(ExportError, ValueError):
    """A graph, a range or a machine that int8 cannot be made for."""


@dataclass(frozen=True)
class Scheme:
    """Which nodes become integer.

    Attributes
    ----------
    ops
        Of `QUANTISABLE`.
    has_ends
        The first node and the last ones are quantised too: they cost most accuracy and save least time.
    through_moves
        What only moves numbers between two quantised nodes (pooling by maximum, reshaping) keeps their scale and
        so works on integers.
    """

    ops: tuple[str, ...]
    has_ends: bool
    through_moves: bool

    @property
    def text(self) -> str:
        """For the manifest."""
        ends = "" if self.has_ends else " without ends"
        return "+".join(self.ops).lower() + ends + (", moves int8" if self.through_moves else "")


def require_host_target() -> ProcessorTarget:
    """The class of this machine's processor.

    Raises
    ------
    QuantizationError
        It belongs to none.
    """
    host = host_target()
    if host is None:
        raise QuantizationError(f"this machine: found {platform.machine()!r}, wanted x86-64 or aarch64: name a target")
    return host


def tensors_to_calibrate(model: onnx.ModelProto) -> list[str]:
    """Every tensor whose range some scheme and target need."""
    index = index_graph(model.graph)
    able = [node for node in model.graph.node if is_able(index, node)]
    return list(dict.fromkeys(name for node in able for name in (node.input[0], _made_by(index, node))))


def quantised_nodes(model: onnx.ModelProto, scheme: Scheme) -> tuple[str, ...]:
    """Outputs of the nodes that a scheme quantises."""
    return tuple(node.output[0] for node in _chosen(index_graph(model.graph), model.graph, scheme))


def has_moves(model: onnx.ModelProto, scheme: Scheme) -> bool:
    """Whether `through_moves` makes a difference."""
    index = index_graph(model.graph)
    nodes = _chosen(index, model.graph, scheme)
    made = _made(index, nodes)
    return any(_moved_from(index, node.input[0], made) for node in nodes)


def quantize_static(
    model: onnx.ModelProto, ranges: dict[str, Range], scheme: Scheme, target: ProcessorTarget
) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """An int8 graph, and a line for each operator that could be integer and is not.

    Parameters
    ----------
    ranges
        Of `tensors_to_calibrate`.

    Raises
    ------
    QuantizationError
        The scheme finds no node, or a range is missing.
    """
    quantised = copy_model(model)
    graph = quantised.graph
    index = index_graph(graph)
    nodes = _chosen(index, graph, scheme)
    if not nodes:
        raise QuantizationError(f"{scheme.text}: found no such node with constant weights, wanted one")
    inputs = {node.input[0] for node in nodes}
    made = _made(index, nodes) if FORMATS[target].quantises_output else set[str]()
    if missing := sorted((inputs | made) - ranges.keys()):
        raise QuantizationError(f"tensor {missing[0]}: found no range, wanted one: calibrate it")
    known = {name: ranges[name] for name in sorted(inputs | made)}
    tied = _tied(index, sorted(inputs - made), made, known) if scheme.through_moves else {}
    exceptions = _exceptions(index, graph, nodes)
    write_pairs(graph, index, Plan(nodes, frozenset(made | tied.keys()), known | tied), FORMATS[target])
    drop_unused_constants(graph)
    return quantised, exceptions


def _chosen(index: GraphIndex, graph: onnx.GraphProto, scheme: Scheme) -> list[onnx.NodeProto]:
    able = [node for node in graph.node if is_able(index, node)]
    ends = {node.output[0] for place, node in enumerate(able) if place == 0 or _is_last(index, node)}
    return [node for node in able if node.op_type in scheme.ops and (scheme.has_ends or node.output[0] not in ends)]


def is_able(index: GraphIndex, node: onnx.NodeProto) -> bool:
    """Whether a node has integer kernels and constant weights, and does not read a softmax.

    A pair behind a softmax would let the runtime put the softmax into integers.
    """
    if node.op_type not in QUANTISABLE or node.domain not in {"", "ai.onnx"}:
        return False
    weight = index.initialisers.get(node.input[1])
    if weight is None or weight.data_type != onnx.TensorProto.FLOAT or node.input[0] in index.initialisers:
        return False
    source = index.producer.get(node.input[0])
    if source is not None and source.op_type in _SOFTMAX:
        return False
    bias = node.input[2] if len(node.input) > 2 else ""
    if bias and bias not in index.initialisers:
        return False
    if node.op_type == "Conv":
        return True
    return len(weight.dims) == 2 and (node.op_type == "MatMul" or _is_plain_gemm(index, node, weight))


def _is_plain_gemm(index: GraphIndex, node: onnx.NodeProto, weight: onnx.TensorProto) -> bool:
    """Whether a Gemm is x W + b, with one bias per output."""
    factors = [each.f for each in node.attribute if each.name in {"alpha", "beta"}]
    if attribute(node, "transA", 0) or any(factor != 1 for factor in factors):
        return False
    channels = weight.dims[0] if attribute(node, "transB", 0) else weight.dims[1]
    return len(node.input) < 3 or int(np.prod(index.initialisers[node.input[2]].dims)) == channels


def _is_last(index: GraphIndex, node: onnx.NodeProto) -> bool:
    """Whether an output of the graph is reached without another node that can be quantised."""
    ahead, seen = [*node.output], set[str]()
    while ahead:
        name = ahead.pop()
        if name in index.outputs:
            return True
        if name not in seen:
            seen.add(name)
            readers = index.consumers.get(name, [])
            ahead += [output for each in readers if not is_able(index, each) for output in each.output]
    return False


def _made_by(index: GraphIndex, node: onnx.NodeProto) -> str:
    """A node's output, behind the ReLU that belongs to it: eight bits from zero up do what the ReLU does."""
    reader = index.only_consumer(node.output[0])
    made: str = reader.output[0] if reader is not None and reader.op_type == "Relu" else node.output[0]
    return made


def _made(index: GraphIndex, nodes: list[onnx.NodeProto]) -> set[str]:
    """Tensors to quantise where they are made, without which ONNX Runtime would compute in float.

    It has no integer convolution with a float output, and joins a Gemm and its activation to a float kernel first.
    """
    readers = {node.output[0]: index.only_consumer(node.output[0]) for node in nodes}
    joined = {name for name, reader in readers.items() if reader is not None and reader.op_type in _JOINED_TO_GEMM}
    return {
        _made_by(index, node)
        for node in nodes
        if node.op_type == "Conv" or (node.op_type == "Gemm" and node.output[0] in joined)
    }


def _moved_from(index: GraphIndex, name: str, made: set[str]) -> list[str]:
    """The tensors from one made in integers to this one, with only moves between them; none where it is not so."""
    chain = [name]
    while chain[-1] not in made:
        source = index.producer.get(chain[-1])
        if source is None or source.op_type not in _MOVES or len(source.output) != 1:
            return []
        chain.append(source.input[0])
    return chain[::-1] if len(chain) > 1 else []


def _tied(index: GraphIndex, inputs: list[str], made: set[str], known: dict[str, Range]) -> dict[str, Range]:
    """One range for all tensors of each chain of moves: an equal scale on both sides is what makes it exact."""
    common: dict[str, Range] = {}
    chains = [chain for name in inputs if (chain := _moved_from(index, name, made))]
    for chain in chains:
        common[chain[0]] = common.get(chain[0], known[chain[0]]).union(known[chain[-1]])
    return {name: common[chain[0]] for chain in chains for name in chain}


def _exceptions(index: GraphIndex, graph: onnx.GraphProto, chosen: list[onnx.NodeProto]) -> tuple[str, ...]:
    taken = {node.output[0] for node in chosen}
    left: list[str] = []
    for node in graph.node:
        if node.op_type in QUANTISABLE and node.output[0] not in taken:
            reason = "left out" if is_able(index, node) else "no constant weights, or behind a softmax"
            left.append(f"{node.op_type} {node.output[0]}: float, {reason}")
    kinds = sorted({node.op_type for node in graph.node} & _NEVER)
    return (*left, *(f"{kind}: float" for kind in kinds))
