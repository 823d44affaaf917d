"""The forms of a model that compete to become its artefact: which are tried is decided here and nowhere else.

What is not tried, because it never won or was never right (measured): dynamic convolution (two to five times slower
than float), integer softmax and normalisation, integer GRU (there are no kernels), dynamic quantisation on ARM (one
kernel of ONNX Runtime 1.31 disagrees with the others there). A transposed convolution becomes a plain one before it is
quantised, which makes no difference to the speed of fp32.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnx

from seisedge.edge.manifest import Quantization
from seisedge.edge.targets import ProcessorTarget, host_target

from .calibration import METHODS, PERCENTILE, Calibration, Method, calibrate
from .onnx_graph import shorten_names
from .precision import has_conv1d, join_products, lift_conv1d, store_in_half, to_fp16
from .quantize import (
    FORMATS,
    QUANTISABLE,
    Scheme,
    has_moves,
    quantised_nodes,
    quantize_static,
    tensors_to_calibrate,
)
from .quantize_dynamic import can_be_dynamic, quantize_dynamic
from .sub_pixel import split_transposed

Float32 = npt.NDArray[np.float32]
Precision = Literal["fp16", "int8", "auto"]

_RANGE_WINDOWS = 16  # whose inner tensors are looked at for values beyond half precision


@dataclass(frozen=True)
class Candidate:
    """A graph that wants to become the artefact.

    Attributes
    ----------
    name
        One line for people.
    family
        Candidates of one family have the same operators, so the same speed; the most accurate one stands for all.
    graph
        Without a manifest.
    quantization
        For the manifest.
    batch
        What the manifest must say of batches; None leaves the fp32 graph's word.
    """

    name: str
    family: str
    graph: onnx.ModelProto
    quantization: Quantization
    batch: Literal["any", "one"] | None = None


def list_candidates(
    model: onnx.ModelProto, precision: Precision, target: ProcessorTarget, windows: Iterable[Float32]
) -> Iterator[Candidate]:
    """Make the candidates of a precision one by one; of those for another machine the most quantised ones first.

    Parameters
    ----------
    model
        The fp32 graph.
    windows
        Batches to calibrate with.

    Raises
    ------
    CalibrationError, PrecisionError
        The graph or the windows do not allow it.
    """
    if precision == "fp16":
        yield _half(model, windows)
        return
    is_host = target == host_target()
    if precision == "auto" and has_conv1d(model) and target.startswith("x86"):
        scheme = "conv1d as 1 x k images"
        quantization = Quantization("fp32", "any", scheme, None, ())
        yield Candidate(f"fp32 {scheme}", scheme, lift_conv1d(model), quantization)
    joined = join_products(split_transposed(model))
    if tensors := tensors_to_calibrate(joined):
        yield from _static(joined, target, calibrate(joined, tensors, windows))
    if is_host and target.startswith("x86") and can_be_dynamic(model):
        yield _dynamic(model, target)


def schemes(model: onnx.ModelProto, target: ProcessorTarget) -> list[Scheme]:
    """Every different choice of nodes, the one with most of them first."""
    there = [op for op in QUANTISABLE if quantised_nodes(model, Scheme((op,), has_ends=True, through_moves=False))]
    products = tuple(op for op in there if op != "Conv")
    wanted = [
        Scheme(ops, has_ends, through_moves)
        for ops, has_ends in ((tuple(there), True), (tuple(there), False), (("Conv",), True), (products, True))
        for through_moves in (True, False)
    ]
    found: dict[tuple[tuple[str, ...], bool], Scheme] = {}
    for scheme in wanted:
        moves = scheme.through_moves and FORMATS[target].quantises_output and has_moves(model, scheme)
        if (nodes := quantised_nodes(model, scheme)) and moves == scheme.through_moves:
            found.setdefault((nodes, moves), scheme)
    return list(found.values())


def _static(model: onnx.ModelProto, target: ProcessorTarget, calibration: Calibration) -> Iterator[Candidate]:
    number = FORMATS[target]
    ranges = {method: calibration.ranges(method, symmetric=number.is_symmetric) for method in METHODS}
    for scheme, method in itertools.product(schemes(model, target), METHODS):
        graph, exceptions = quantize_static(model, ranges[method], scheme, target)
        # Sums of integers are exact in any order, so what makes a batch of one differ is gone with float products.
        is_exact = number.quantises_bias and not any(each.startswith(("Gemm", "MatMul")) for each in exceptions)
        if target != "tensorrt":  # which wants the weights of a transposed convolution as they are
            graph, stored = store_in_half(graph)
            exceptions += stored
        shorten_names(graph.graph, _named(exceptions))
        family = f"qdq {number.text} per channel, {scheme.text}"
        text = f"{family}, {_method_text(method)}"
        quantization = Quantization("int8", target, text, calibration.digest, exceptions)
        yield Candidate(f"int8 {text}", family, graph, quantization, "any" if is_exact else None)


def _dynamic(model: onnx.ModelProto, target: ProcessorTarget) -> Candidate:
    graph, stored = store_in_half(quantize_dynamic(model, target))
    shorten_names(graph.graph, frozenset())
    bits = 8 if FORMATS[target].weight_limit == 127 else 7
    text = f"dynamic u8s8 with {bits}-bit weights per channel, matmul+gemm+lstm"
    exceptions = ("input.batch one: activations take their range from the batch", "Conv: float", *stored)
    quantization = Quantization("int8", target, text, None, exceptions)
    return Candidate(f"int8 {text}", text, graph, quantization, "one")


def _half(model: onnx.ModelProto, windows: Iterable[Float32]) -> Candidate:
    inner = [each.name for each in model.graph.value_info if each.type.tensor_type.elem_type == onnx.TensorProto.FLOAT]
    measured = calibrate(model, inner, _first(windows, _RANGE_WINDOWS))
    scheme = "float16 inside, float32 input and output"
    return Candidate(f"fp16 {scheme}", scheme, to_fp16(model, measured), Quantization("fp16", "any", scheme, None, ()))


def _first(batches: Iterable[Float32], count: int) -> Iterator[Float32]:
    for batch in batches:
        yield batch[:count]
        count -= batch.shape[0]
        if count <= 0:
            return


def _named(exceptions: tuple[str, ...]) -> frozenset[str]:
    """The tensors that exceptions speak of, as in "Conv y: float": they must be found in the graph."""
    return frozenset(each.split(":")[0].split(" ", 1)[1] for each in exceptions if " " in each.split(":")[0])


def _method_text(method: Method) -> str:
    return f"percentile {PERCENTILE:g}" if method == "percentile" else method
