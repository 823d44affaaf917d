"""Names in a graph."""

from __future__ import annotations

import numpy as np
import onnx
import small_networks
from onnx import helper

from seisedge.export.onnx_graph import copy_model, shorten_names


def test_short_names_change_no_output_and_keep_what_is_kept() -> None:
    model = small_networks.small_model()
    short = copy_model(model)
    inner = model.graph.node[0].output[0]
    shorten_names(short.graph, frozenset({inner}))
    onnx.checker.check_model(short, full_check=True)
    assert short.graph.node[0].output[0] == inner
    assert [each.name for each in short.graph.output] == [each.name for each in model.graph.output]
    assert short.ByteSize() < model.ByteSize()
    windows = small_networks.small_windows(3)
    np.testing.assert_array_equal(small_networks.run(short, windows), small_networks.run(model, windows))


def test_a_kept_name_of_the_short_kind_is_not_given_twice() -> None:
    nodes = [helper.make_node("Relu", [source], [made]) for source, made in (("x", "a"), ("a", "t0"), ("t0", "y"))]
    border = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "names", border[:1], border[1:])
    shorten_names(graph, frozenset({"t0"}))
    assert [node.output[0] for node in graph.node] == ["t1", "t0", "y"]


def test_a_graph_with_bodies_keeps_its_names() -> None:
    body = helper.make_graph(
        [helper.make_node("Identity", ["outer_tensor"], ["made"])],
        "body",
        [],
        [helper.make_tensor_value_info("made", onnx.TensorProto.FLOAT, [1])],
    )
    node = helper.make_node("If", ["wanted"], ["y"], then_branch=body, else_branch=body, name="long_name")
    graph = helper.make_graph([node], "bodies", [], [])
    shorten_names(graph, frozenset())
    assert graph.node[0].name == "long_name"
