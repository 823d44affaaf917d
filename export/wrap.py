"""A user's ONNX file and a recipe → an artefact, after the checks that an export of our own networks passes.

What an export compares with torch is compared here within ONNX Runtime: the graph as it is written with the graph as
it is optimised, every size of batch with every other, and the outputs with what the recipe says they are.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from seisedge.edge.manifest import Manifest, Output, Provenance, Verification
from seisedge.edge.preprocess import Preprocess
from seisedge.edge.session import OrtSession, Session, drawn, load_graph
from seisedge.edge.whole_file import write_whole

from .artefact import (
    GOLDEN_SEED,
    GOLDEN_TOLERANCE,
    UNQUANTIZED,
    Source,
    golden_windows,
    tool_versions,
    write_artefact,
)
from .errors import VerificationError
from .export_job import require_passed
from .foreign_graph import RUN_ERRORS, ForeignGraph, check_contract
from .gate_figures import batch_difference, output_errors, output_scales, run_in_parts
from .quantize_job import write_report
from .recipe import Recipe
from .verify import AWKWARD, Check, awkward_windows, real_windows, verify

Float32 = npt.NDArray[np.float32]
Batch = Literal["any", "at_least_two", "one"]

PARITY = "onnx_as_written_to_optimised"
"""The figure under `verification.parity`: how far ONNX Runtime's optimised graph is from the one in the file, on the
golden input; of outputs that are no probabilities, in units of their root mean square."""

_CAUTION: tuple[Batch, ...] = ("any", "at_least_two", "one")  # which batches give the same bits: the later, the safer
_NOISE_WINDOWS = 33  # in sevens and in twos they leave a batch of 5 and of 1
_RANGE = 1e-5  # float32 may put a probability that far outside [0, 1]
_SUM = 1e-4  # and the sum of classes that far from 1


def wrap(
    graph: ForeignGraph, recipe: Recipe, source: Source, output: Path, data: tuple[Path, ...] = ()
) -> tuple[Check, ...]:
    """Write an artefact and, beside it, a report of its checks. Where one fails, no file is written.

    Parameters
    ----------
    graph
        From `foreign_graph.read_graph`.
    recipe
        What it is fed and what it gives. Of its `input.batch` and what is measured, the more cautious is kept.
    source
        For the provenance.
    output
        The artefact, .onnx.
    data
        miniSEED files or folders whose windows are run too.

    Raises
    ------
    ModelError
        ONNX Runtime cannot load the graph, or its input or outputs are not the recipe's.
    VerificationError
        Its outputs are not what the recipe says: another shape, not finite, no probabilities.
    ChecksError
        A figure is outside its bound.
    """
    is_single = check_contract(load_graph(graph.path), recipe, graph.path)
    if is_single:
        recipe = replace(recipe, input=replace(recipe.input, batch="one"))
    manifest = _unmeasured(recipe, source)
    with tempfile.TemporaryDirectory(prefix="seisedge-wrap-") as folder:
        draft = Path(folder) / "draft.onnx"
        try:
            manifest = _measured(graph, manifest, draft, _windows(Preprocess(manifest), data))
        except RUN_ERRORS as error:
            reason = " ".join(str(error).split())[:300]
            raise VerificationError(
                f"{graph.path}: found a graph that fails on windows of {list(recipe.input.shape)} ({reason}), "
                "wanted one that takes them in batches of any size, or of one"
            ) from error
        write_artefact(graph.model, manifest, draft)
        parity = manifest.verification.parity[PARITY]
        figure = Check("golden input: the graph as written against optimised", parity, GOLDEN_TOLERANCE)
        checks = (figure, *verify(draft, None, data))
        require_passed(checks, str(graph.path))
        write_whole(draft.read_bytes(), output)
    write_report(output, checks, None)
    return checks


def _measured(graph: ForeignGraph, manifest: Manifest, draft: Path, windows: dict[str, Float32]) -> Manifest:
    """Give the manifest with the batches that give the same bits and the golden output; refuse other outputs."""
    session = _measure_batch(graph, manifest, draft, windows)
    for name, each in windows.items():
        _check_outputs(session.manifest, run_in_parts(session, each), name, graph.path)
    return _with_golden(session, draft)


def _unmeasured(recipe: Recipe, source: Source) -> Manifest:
    """Give the manifest without golden output."""
    return recipe.manifest(
        version=source.version,
        quantization=UNQUANTIZED,
        verification=Verification(GOLDEN_SEED, len(golden_windows(recipe.input.shape)), (), GOLDEN_TOLERANCE, {}, {}),
        provenance=Provenance(
            source.weights_digest, source.training_data, source.licence, source.citation, tool_versions()
        ),
    )


def _windows(preprocess: Preprocess, data: tuple[Path, ...]) -> dict[str, Float32]:
    shape = (_NOISE_WINDOWS, *preprocess.manifest.input.shape)
    windows = {
        "awkward windows": awkward_windows(preprocess),
        "noise": np.random.default_rng(GOLDEN_SEED).standard_normal(shape, dtype=np.float32),
    }
    return {**windows, "real windows": real_windows(preprocess, data)} if data else windows


def _measure_batch(graph: ForeignGraph, manifest: Manifest, draft: Path, windows: dict[str, Float32]) -> OrtSession:
    """Give a session of the least cautious batches that are not less so than the recipe's and give the same bits."""
    claimed = _CAUTION.index(manifest.input.batch)
    for batch in _CAUTION[claimed:-1]:
        session = _session(graph, manifest, batch, draft)
        if all(_same_bits(session, each) for each in windows.values()):
            return session
    return _session(graph, manifest, _CAUTION[-1], draft)


def _same_bits(session: Session, windows: Float32) -> bool:
    """Whether batches of any size give the same; those of a graph whose size was fixed unawares fail."""
    try:
        return batch_difference(session, windows) == 0
    except RUN_ERRORS:
        return False


def _session(graph: ForeignGraph, manifest: Manifest, batch: Batch, draft: Path) -> OrtSession:
    write_artefact(graph.model, replace(manifest, input=replace(manifest.input, batch=batch)), draft)
    return OrtSession(draft)


def _with_golden(session: OrtSession, draft: Path) -> Manifest:
    """Give a session's manifest with what ONNX Runtime makes of the golden input, as written and optimised."""
    manifest = session.manifest
    windows = golden_windows(manifest.input.shape)
    found, plain = session.run(windows), _run_as_written(session, draft, windows)
    scales = output_scales(manifest, plain)
    golden = replace(
        manifest.verification,
        golden_output=tuple(float(value) for value in drawn(found[0])),
        tolerance=GOLDEN_TOLERANCE * max(1.0, scales[0]),
        parity={PARITY: output_errors(plain, found, scales).largest},
    )
    return replace(manifest, verification=golden)


def _run_as_written(session: Session, draft: Path, windows: Float32) -> list[Float32]:
    """What ONNX Runtime gives for windows, in batches that the artefact allows, when it leaves the graph as it is."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    plain = ort.InferenceSession(str(draft), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.manifest.outputs]
    size = 1 if session.manifest.input.batch == "one" else len(windows)
    parts = [windows[at : at + size] for at in range(0, len(windows), size)]
    rows = [plain.run(names, {session.manifest.input.name: part}) for part in parts]
    return [np.concatenate([np.asarray(each) for each in column]) for column in zip(*rows, strict=True)]


def _check_outputs(manifest: Manifest, outputs: list[Float32], what: str, path: Path) -> None:
    for output, values in zip(manifest.outputs, outputs, strict=True):
        where = f"{path}: output {output.name}"
        _check_shape(output, values, manifest.window_samples, where)
        rows = np.isfinite(values).reshape(len(values), -1).all(axis=1)
        if not rows.all():
            first = int(np.argmin(rows))
            name = f"awkward window {AWKWARD[first]!r}" if what == "awkward windows" else f"{what}, window {first}"
            raise VerificationError(f"{where}: found NaN or infinity for {name}, wanted finite numbers for any input")
        if output.kind.endswith("probability"):
            _check_probabilities(output, values, where)


def _check_shape(output: Output, values: Float32, samples: int, where: str) -> None:
    labels = len(output.labels)
    wanted = (labels,) if output.kind == "class_probability" else (samples, labels)
    found = values.shape[1:]
    if found == wanted:
        return
    advice = "; end the graph with a Transpose of its last two axes" if found == wanted[::-1] else ""
    raise VerificationError(
        f"{where}: found shape {list(found)} per window, wanted {list(wanted)} for {output.kind} of "
        f"{', '.join(output.labels)}{advice}"
    )


def _check_probabilities(output: Output, values: Float32, where: str) -> None:
    low, high = float(values.min()), float(values.max())
    if low < -_RANGE or high > 1 + _RANGE:
        end = "a Softmax over its last axis" if output.kind == "class_probability" else "a Softmax or a Sigmoid"
        raise VerificationError(
            f"{where}: found values from {low:.3g} to {high:.3g}, wanted probabilities from 0 to 1: "
            f"these look like logits; end the graph with {end}"
        )
    if output.kind == "class_probability":
        sums = values.sum(axis=-1, dtype=np.float64)
        worst = float(sums[np.argmax(np.abs(sums - 1))])
        if abs(worst - 1) > _SUM:
            raise VerificationError(
                f"{where}: found classes that sum to {worst:.3g}, wanted 1: end the graph with a Softmax over its "
                "last axis, with a class for what is none of the others"
            )
