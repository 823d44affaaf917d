"""Each network's multiply-adds, and the least time that this machine needs for them, beside its documented budget.

    python benchmarks/least_time.py [MODEL...]

The machine's rate is the best of a large matrix product in ONNX Runtime, fp32, one thread: no network of convolutions
comes to it. A budget below the least time cannot be kept here in fp32, whatever the code does.
"""

from __future__ import annotations

import time
from math import prod
from pathlib import Path

import click
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, shape_inference
from onnxruntime.tools.onnx_model_utils import make_dim_param_fixed

from seisedge.edge.bench.environment import cpu_name
from seisedge.edge.models import embedded_models
from seisedge.export.registry import REGISTRY, find

BUILD = Path(__file__).resolve().parents[1] / "build" / "bench"
_SIZE = 1024


def multiply_adds(model: onnx.ModelProto) -> int:
    """Count those of convolutions, matrix products and recurrent layers, for one window."""
    for axis in model.graph.input[0].type.tensor_type.shape.dim:
        if axis.dim_param:
            make_dim_param_fixed(model.graph, axis.dim_param, 1)
    graph = shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {each.name: tuple(each.dims) for each in graph.initializer}
    for each in (*graph.input, *graph.value_info, *graph.output):
        shapes[each.name] = tuple(axis.dim_value for axis in each.type.tensor_type.shape.dim)
    return sum(_of_node(node, shapes) for node in graph.node)


def _of_node(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> int:
    if node.op_type == "Conv":
        return prod(shapes[node.output[0]]) * prod(shapes[node.input[1]][1:])
    if node.op_type == "ConvTranspose":
        return prod(shapes[node.input[0]]) * prod(shapes[node.input[1]][1:])
    if node.op_type in {"MatMul", "Gemm"}:
        transposed = any(each.name == "transA" and each.i for each in node.attribute)
        return prod(shapes[node.output[0]]) * shapes[node.input[0]][0 if transposed else -1]
    if node.op_type in {"GRU", "LSTM"}:
        steps, directions = shapes[node.input[0]][0], shapes[node.input[1]][0]
        return steps * directions * (prod(shapes[node.input[1]][1:]) + prod(shapes[node.input[2]][1:]))
    return 0


def reachable() -> float:
    """Multiply-adds per second of a matrix product, the best of a second of them."""
    shape = [_SIZE, _SIZE]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xyz"]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "y"], ["z"])], "product", values[:2], values[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    feed = {name: rng.standard_normal(shape, dtype=np.float32) for name in "xy"}
    times: list[float] = []
    end = time.perf_counter() + 1
    while time.perf_counter() < end:
        began = time.perf_counter()
        session.run(None, feed)
        times.append(time.perf_counter() - began)
    return _SIZE**3 / min(times)


@click.command(help=__doc__)
@click.argument("names", nargs=-1, metavar="MODEL...")
def main(names: tuple[str, ...]) -> None:
    """Print the table."""
    rate, embedded = reachable(), embedded_models()
    click.echo(f"{cpu_name()}: {rate / 1e9:.1f} GMAC/s in fp32 on one core\n")
    click.echo("| model | GMAC a window | least time | budget | can be kept |\n|---|---|---|---|---|")
    for model in [find(name) for name in names] or REGISTRY.values():
        path = embedded.get(model.name, BUILD / f"{model.name}-fp32.onnx")
        if not path.exists():
            click.echo(f"{path}: no such file, left out: make bench-artefacts", err=True)
            continue
        count = multiply_adds(onnx.load(path))
        budget = next((each.seconds for each in model.recipe.budgets if each.covers.startswith("one ")), None)
        told = ("", "") if budget is None else (f"{budget:g} s", "yes" if count / rate <= budget else "no")
        click.echo(f"| {model.name} | {count / 1e9:.4f} | {count / rate * 1e3:.2f} ms | {told[0]} | {told[1]} |")


if __name__ == "__main__":
    main()
