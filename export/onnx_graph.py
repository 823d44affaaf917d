"""Reading an ONNX graph: who makes a tensor, who reads it, which tensors are constants."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class GraphIndex:
    """A graph's tensors by name. It does not follow later changes of the graph.

    Attributes
    ----------
    producer
        Tensor → the node that makes it; inputs and constants have none.
    consumers
        Tensor → the nodes that read it, in order. Reading it inside the body of a control-flow node counts.
    initialisers
        Constant → its value as the file holds it.
    outputs
        The graph's own outputs.
    names
        Every name in use.
    """

    producer: dict[str, onnx.NodeProto]
    consumers: dict[str, list[onnx.NodeProto]]
    initialisers: dict[str, onnx.TensorProto]
    outputs: frozenset[str]
    names: set[str] = field(repr=False)

    def constant(self, name: str) -> Array | None:
        """The value of a constant; None for anything that is computed."""
        if name in self.initialisers:
            return np.asarray(numpy_helper.to_array(self.initialisers[name]))
        made_by = self.producer.get(name)
        if made_by is None or made_by.op_type != "Constant":
            return None
        value = next((each for each in made_by.attribute if each.name == "value"), None)
        return None if value is None else np.asarray(numpy_helper.to_array(value.t))

    def only_consumer(self, name: str) -> onnx.NodeProto | None:
        """The one node that reads a tensor; None where there are several, or where it leaves the graph."""
        readers = self.consumers.get(name, [])
        return readers[0] if len(readers) == 1 and name not in self.outputs else None

    def fresh(self, name: str) -> str:
        """A name that is not in use yet; from now on it is."""
        found, count = name, 1
        while found in self.names:
            count += 1
            found = f"{name}_{count}"
        self.names.add(found)
        return found


def index_graph(graph: onnx.GraphProto) -> GraphIndex:
    """Index a graph as it is now."""
    producer = {output: node for node in graph.node for output in node.output if output}
    consumers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in graph.node:
        for name in dict.fromkeys(_read_by(node)):
            consumers[name].append(node)
    initialisers = {each.name: each for each in graph.initializer}
    outputs = frozenset(each.name for each in graph.output)
    inputs = {each.name for each in graph.input}
    names = {*producer, *consumers, *initialisers, *outputs, *inputs, *(node.name for node in graph.node)}
    return GraphIndex(producer, dict(consumers), initialisers, outputs, names)


def attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    """An integer attribute, or its default where the node does not say."""
    return next((int(each.i) for each in node.attribute if each.name == name), default)


def copy_model(model: onnx.ModelProto) -> onnx.ModelProto:
    """A model of its own with the same content."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def drop_unused_constants(graph: onnx.GraphProto) -> None:
    """Remove initialisers that no node reads any more."""
    used = {name for node in graph.node for name in _read_by(node)} | {each.name for each in graph.output}
    kept = [each for each in graph.initializer if each.name in used]
    if len(kept) < len(graph.initializer):
        del graph.initializer[:]
        graph.initializer.extend(kept)


def shorten_names(graph: onnx.GraphProto, kept: frozenset[str]) -> None:
    """Number the inner tensors and leave nodes unnamed: in a small int8 file the names weigh a tenth of the weights.

    Parameters
    ----------
    kept
        Tensors that keep their names, beside the inputs and outputs of the graph; a graph with bodies keeps all.
    """
    if any(each.HasField("g") or each.graphs for node in graph.node for each in node.attribute):
        return
    kept |= {each.name for each in (*graph.input, *graph.output)} | {""}
    free = (name for count in itertools.count() if (name := f"t{count}") not in kept)
    short: dict[str, str] = {}

    def name_of(long: str) -> str:
        if long not in kept and long not in short:
            short[long] = next(free)
        return short.get(long, long)

    for tensor in graph.initializer:
        tensor.name = name_of(tensor.name)
    for node in graph.node:
        node.name = ""
        node.input[:] = [name_of(each) for each in node.input]
        node.output[:] = [name_of(each) for each in node.output]
    del graph.value_info[:]


def replace_nodes(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    """Give a graph other nodes, which may be its own: emptying its list would take the content of those in it."""
    kept: list[onnx.NodeProto] = []
    for node in nodes:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        kept.append(copy)
    del graph.node[:]
    graph.node.extend(kept)


def _read_by(node: onnx.NodeProto) -> list[str]:
    """Tensors that a node reads, those that its bodies take from outside too."""
    names = [name for name in node.input if name]
    for each in node.attribute:
        for body in (each.g, *each.graphs) if each.HasField("g") else each.graphs:
            made = {output for inner in body.node for output in inner.output}
            names += [name for inner in body.node for name in _read_by(inner) if name not in made]
    return names
