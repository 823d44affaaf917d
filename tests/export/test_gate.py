"""The gate lets nothing through that is worse or slower than fp32, and says why."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import artefacts
import numpy as np
import numpy.typing as npt
import onnx
import pytest
import small_networks
from onnx import TensorProto
from shared_data import SHARED, needs_shared

from seisedge.edge.manifest import METADATA_KEY, Manifest, Quantization, read_manifest
from seisedge.edge.preprocess import Preprocess
from seisedge.edge.seal import SEAL_KEY
from seisedge.edge.session import OrtSession, Session
from seisedge.edge.targets import ProcessorTarget
from seisedge.export.candidates import Candidate, Precision, list_candidates
from seisedge.export.dataset import read_labelled
from seisedge.export.gate import Bench, Evidence, GateError, Report, TaskMetric, Wanted, best_artefact, gate
from seisedge.export.gate_contest import TASK_SHARE, open_to_judge
from seisedge.export.gate_figures import Stopwatch, golden_tolerance, race
from seisedge.export.quantize import TARGETS, QuantizationError, require_host_target
from seisedge.export.quantize_dynamic import quantize_dynamic
from seisedge.export.task_metric import pick_metric
from seisedge.export.verify import awkward_windows

Float32 = npt.NDArray[np.float32]
Cost = Callable[[Manifest, int], float]
"""Seconds of a run, by the artefact and the number of windows."""

HOST = require_host_target()
AUTO, INT8 = Wanted("auto", HOST), Wanted("int8", HOST)


class _Clock:
    """Time that passes only while a session runs, as long as the test says: no noise, no sleep."""

    def __init__(self, cost: Cost) -> None:
        self.seconds = 0.0
        self.cost = cost

    def read(self) -> float:
        return self.seconds

    def open(self, path: Path) -> Session:
        return _Timed(open_to_judge(path), self)


class _Timed:
    def __init__(self, session: OrtSession, clock: _Clock) -> None:
        self.manifest, self.digest = session.manifest, session.digest
        self._session, self._clock = session, clock

    def run(self, windows: Float32) -> list[Float32]:
        self._clock.seconds += self._clock.cost(self.manifest, len(windows))
        return self._session.run(windows)


def _bench(cost: Cost) -> Bench:
    clock = _Clock(cost)
    return Bench(clock.open, Stopwatch(clock=clock.read, seconds=0.02))


def _fast(manifest: Manifest, windows: int) -> float:
    """int8 takes half of fp32's millisecond."""
    return 1e-3 * windows * (0.5 if manifest.quantization.precision == "int8" else 1.0)


def _evidence(metric: TaskMetric | None = None) -> Evidence:
    return Evidence(
        [small_networks.small_windows(60)],
        {"real windows": small_networks.small_windows(40, seed=6), "awkward windows": _awkward()},
        metric,
    )


def _awkward() -> Float32:
    return np.stack([np.zeros(small_networks.SHAPE), np.ones(small_networks.SHAPE)]).astype(np.float32)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_networks.write_small(tmp_path_factory.mktemp("gate") / "fp32.onnx")


@pytest.fixture(scope="module")
def static(source: Path) -> Candidate:
    """A sound int8 candidate."""
    model = onnx.load(str(source))
    found = list_candidates(model, "int8", HOST, [small_networks.small_windows(60)])
    return next(each for each in found if each.name.endswith("mse"))


def _spoilt(candidate: Candidate) -> Candidate:
    """The candidate with another bias in its first convolution."""
    graph = onnx.ModelProto()
    graph.CopyFrom(candidate.graph)
    bias = next(each.name for each in graph.graph.initializer if each.data_type == TensorProto.INT32)
    small_networks.change_constant(graph, bias, lambda b: b + 20_000)
    return dataclasses.replace(candidate, graph=graph)


def _named(candidate: Candidate, scheme: str) -> Candidate:
    quantization = dataclasses.replace(candidate.quantization, scheme=scheme)
    return dataclasses.replace(candidate, name=scheme, family=scheme, quantization=quantization)


def _gate(
    source: Path,
    output: Path,
    wanted: Wanted,
    candidates: list[Candidate],
    *,
    cost: Cost = _fast,
    metric: TaskMetric | None = None,
) -> Report:
    return gate(source, output, wanted, _evidence(metric), candidates=candidates, bench=_bench(cost))


def test_a_good_candidate_becomes_the_artefact(source: Path, static: Candidate, tmp_path: Path) -> None:
    output = tmp_path / "int8.onnx"
    report = _gate(source, output, INT8, [static], metric=lambda _: {"f1": 0.8})
    chosen = report.chosen
    assert chosen is not None
    assert chosen.name == static.name
    assert chosen.latency_ratio == {1: pytest.approx(0.5), 64: pytest.approx(0.5)}
    assert chosen.size < 0.7 * source.stat().st_size
    session = OrtSession(output)
    assert session.check_golden() == 0
    manifest = session.manifest
    assert manifest.quantization == static.quantization
    assert manifest.quantization.calibration_digest is not None
    assert manifest.verification.quality == {"f1": 0.8}
    assert manifest.verification.parity["to_fp32_max_abs"] == chosen.max_error > 0
    assert manifest.verification.golden_output != OrtSession(source).manifest.verification.golden_output
    assert manifest.input.batch == "any"
    assert [each.name for each in tmp_path.iterdir()] == ["int8.onnx"]


def test_manifest_and_seal_are_all_the_metadata_of_the_final_bytes(
    source: Path, static: Candidate, tmp_path: Path
) -> None:
    _gate(source, tmp_path / "int8.onnx", INT8, [static])
    model = onnx.load_from_string((tmp_path / "int8.onnx").read_bytes())
    assert [each.key for each in model.metadata_props] == [METADATA_KEY, SEAL_KEY]
    manifest = read_manifest(model.metadata_props[0].value, "file")
    original = OrtSession(source).manifest
    for name in ("name", "version", "steps", "outputs", "postprocess", "components", "budgets"):
        assert getattr(manifest, name) == getattr(original, name)
    assert manifest.provenance.weights_digest == original.provenance.weights_digest


@pytest.mark.parametrize(
    ("precision", "target"), [*(("int8", target) for target in TARGETS), ("fp16", "tensorrt"), ("fp16", HOST)]
)
def test_every_target_gets_a_file_that_says_so(
    source: Path, tmp_path: Path, precision: Precision, target: ProcessorTarget
) -> None:
    output = tmp_path / "out.onnx"
    report = best_artefact(source, output, Wanted(precision, target), _evidence(), bench=_bench(_fast))
    session = open_to_judge(output)
    session.check_golden()
    quantization = session.manifest.quantization
    assert quantization.precision == precision
    assert precision == "fp16" or quantization.target == target
    assert report.is_timed == (target == HOST)
    assert bool(report.chosen and report.chosen.latency_ms) == (target == HOST)


def test_a_spoilt_candidate_is_refused_with_its_figures(source: Path, static: Candidate, tmp_path: Path) -> None:
    output = tmp_path / "int8.onnx"
    output.write_bytes(b"old")
    with pytest.raises(
        GateError, match=r"small: int8 for .*: no candidate passed; .*found an (rms )?error of"
    ) as caught:
        _gate(source, output, INT8, [_spoilt(static)])
    row = caught.value.report.rows[1]
    assert row.verdict == "failed"
    assert row.rms_error > 0.03
    assert output.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["int8.onnx"]


def test_nothing_is_written_where_nothing_passes(source: Path, static: Candidate, tmp_path: Path) -> None:
    with pytest.raises(GateError) as caught:
        _gate(source, tmp_path / "int8.onnx", INT8, [_spoilt(static)])
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(GateError, match="found no operator that can take it"):
        _gate(source, tmp_path / "int8.onnx", INT8, [])


def test_a_slower_candidate_is_refused(source: Path, static: Candidate, tmp_path: Path) -> None:
    def cost(manifest: Manifest, windows: int) -> float:
        return 1e-3 * windows * (1.25 if manifest.quantization.precision == "int8" else 1.0)

    with pytest.raises(GateError, match=r"batch of 1: found 1\.250 of fp32's time, wanted at most 1"):
        _gate(source, tmp_path / "int8.onnx", INT8, [static], cost=cost)


def test_a_candidate_that_couples_the_windows_of_a_batch_is_refused(source: Path, tmp_path: Path) -> None:
    graph = quantize_dynamic(onnx.load(str(source)), HOST)
    coupling = Candidate("coupling", "coupling", graph, Quantization("int8", HOST, "dynamic", None, ()))
    with pytest.raises(GateError, match="outputs depend on the batch: found a difference of"):
        _gate(source, tmp_path / "int8.onnx", INT8, [coupling])
    _gate(source, tmp_path / "int8.onnx", INT8, [dataclasses.replace(coupling, batch="one")])
    assert OrtSession(tmp_path / "int8.onnx").manifest.input.batch == "one"


def test_a_candidate_that_does_its_task_worse_is_refused(source: Path, static: Candidate, tmp_path: Path) -> None:
    def metric(share: float) -> TaskMetric:
        return lambda session: {"f1": 0.9 * (share if session.manifest.quantization.precision == "int8" else 1)}

    with pytest.raises(GateError, match=r"f1: found 0\.8865, wanted 99% of fp32's 0\.9000") as caught:
        _gate(source, tmp_path / "int8.onnx", INT8, [static], metric=metric(TASK_SHARE - 0.005))
    assert [row.task for row in caught.value.report.rows] == [{"f1": 0.9}, {"f1": pytest.approx(0.8865)}]
    _gate(source, tmp_path / "int8.onnx", INT8, [static], metric=metric(TASK_SHARE + 0.001))
    for missing in ({}, {"f1": float("nan")}):
        with pytest.raises(GateError, match="f1: found nan"):
            _gate(source, tmp_path / "no.onnx", INT8, [static], metric=_only_fp32({"f1": 0.9}, missing))


def _only_fp32(fp32: dict[str, float], others: dict[str, float]) -> TaskMetric:
    return lambda session: fp32 if session.manifest.quantization.precision == "fp32" else others


def test_a_candidate_that_cannot_be_loaded_is_refused(source: Path, static: Candidate, tmp_path: Path) -> None:
    renamed = dataclasses.replace(static, graph=_renamed_input(static.graph))
    with pytest.raises(GateError, match=r"it: found inputs \['other'\], the manifest wants 'waveform'"):
        _gate(source, tmp_path / "int8.onnx", INT8, [renamed])


def _renamed_input(model: onnx.ModelProto) -> onnx.ModelProto:
    graph = onnx.ModelProto()
    graph.CopyFrom(model)
    graph.graph.input[0].name = "other"
    for node in graph.graph.node:
        node.input[:] = ["other" if name == "waveform" else name for name in node.input]
    return graph


def test_auto_takes_the_fastest_that_passes(source: Path, static: Candidate, tmp_path: Path) -> None:
    def cost(manifest: Manifest, windows: int) -> float:
        times = {"fastest but spoilt": 0.1, "fast but bad": 0.3, "good": 0.5, "slow": 0.7}
        return 1e-3 * windows * times.get(manifest.quantization.scheme or "", 1.0)

    def metric(session: Session) -> dict[str, float]:
        return {"f1": 0.5 if session.manifest.quantization.scheme == "fast but bad" else 0.9}

    candidates = [
        _named(static, "slow"),
        _named(static, "good"),
        _spoilt(_named(static, "fastest but spoilt")),
        _named(static, "fast but bad"),
    ]
    report = _gate(source, tmp_path / "auto.onnx", AUTO, candidates, cost=cost, metric=metric)
    verdicts = {row.name: row.verdict for row in report.rows}
    assert verdicts == {
        "fp32": "reference",
        "slow": "beaten",
        "good": "chosen",
        "fast but bad": "failed",
        "fastest but spoilt": "failed",
    }
    assert {row.name: row.reason for row in report.rows}["slow"] == "good passes and is faster"
    assert OrtSession(tmp_path / "auto.onnx").manifest.quantization.scheme == "good"


def test_auto_keeps_fp32_when_nothing_wins(source: Path, static: Candidate, tmp_path: Path) -> None:
    output = tmp_path / "auto.onnx"

    def cost(manifest: Manifest, windows: int) -> float:
        return 1e-3 * windows * (0.99 if manifest.quantization.precision == "int8" else 1.0)  # a gain, but noise

    for candidates in ([static], [_spoilt(static)], []):
        report = _gate(source, output, AUTO, candidates, cost=cost)
        assert report.chosen is report.rows[0]
        assert OrtSession(output).manifest == OrtSession(source).manifest
        assert onnx.load(str(output)).graph == onnx.load(str(source)).graph


def test_auto_takes_nothing_that_is_slow_in_large_batches(source: Path, static: Candidate, tmp_path: Path) -> None:
    def cost(manifest: Manifest, windows: int) -> float:
        is_int8 = manifest.quantization.precision == "int8"
        return 1e-3 * windows * ((0.5 if windows == 1 else 1.2) if is_int8 else 1.0)

    report = _gate(source, tmp_path / "auto.onnx", AUTO, [static], cost=cost)
    assert report.rows[0].verdict == "chosen"
    assert report.rows[1].reason == "batch of 64: found 1.200 of fp32's time, wanted at most 1.1"
    _gate(source, tmp_path / "int8.onnx", INT8, [static], cost=cost)  # who names int8 gets it


def test_the_next_of_a_family_has_its_turn_where_the_nearest_fails_its_task(
    source: Path, static: Candidate, tmp_path: Path
) -> None:
    others = list_candidates(onnx.load(str(source)), "int8", HOST, [small_networks.small_windows(60)])
    family = [each for each in others if each.family == static.family]
    nearest = _gate(source, tmp_path / "first.onnx", INT8, family).chosen
    assert nearest is not None

    def metric(session: Session) -> dict[str, float]:
        return {"f1": 0.1 if f"int8 {session.manifest.quantization.scheme}".startswith(nearest.name) else 0.9}

    report = _gate(source, tmp_path / "second.onnx", INT8, family, metric=metric)
    rows = sorted((row for row in report.rows[1:] if row.errors), key=lambda row: row.rms_error)
    assert [row.verdict for row in rows[:3]] == ["failed", "chosen", "beaten"]
    assert rows[1].latency_ratio[1] == pytest.approx(0.5)


def test_auto_for_another_machine_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(QuantizationError, match=r"auto for tensorrt: found .* here, and auto chooses by speed"):
        best_artefact(source, tmp_path / "auto.onnx", Wanted("auto", "tensorrt"), _evidence())


@pytest.fixture(scope="module")
def report(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    output = tmp_path_factory.mktemp("report") / "auto.onnx"
    return best_artefact(source, output, AUTO, _evidence(lambda _: {"f1": 0.8}), bench=_bench(_fast))


def test_auto_tries_a_whole_field(report: Report) -> None:
    names = [row.name for row in report.rows]
    assert names[0] == "fp32"
    assert any(name.startswith("int8 qdq") for name in names)
    if HOST != "arm":
        assert "fp32 conv1d as 1 x k images" in names
        assert any(name.startswith("int8 dynamic") for name in names)
    assert all(row.reason for row in report.rows if row.verdict in {"beaten", "failed"})


def test_a_report_is_a_table_json_and_a_page(report: Report) -> None:
    lines = report.lines()
    assert lines[0] == f"small: auto for {HOST}, compared on 40 real windows, 2 awkward windows."
    assert sum(line.startswith("int8") and "chosen" in line for line in lines) == 1
    value = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert value["rows"][0]["latency_ms"]["1"] == pytest.approx(1)
    assert {row["verdict"] for row in value["rows"]} >= {"chosen", "reference"}
    page = report.markdown()
    assert page.startswith("### small\n")
    assert page.count("\n|") == 2 + len(report.rows)


def test_sessions_are_timed_in_turns() -> None:
    """Nobody is always first, so what else the machine does hits all alike."""
    order: list[str] = []
    clock = itertools.count()
    sessions = [_Named(name, order) for name in "abc"]
    laps = race(sessions, np.zeros((4, 1), np.float32), 1, Stopwatch(lambda: 1e-3 * next(clock), 0.0, 3, 3))
    turns = [name for name, _ in itertools.groupby(order)][-9:]
    assert {turns[0], turns[3], turns[6]} == set("abc")
    assert all(set(turns[at : at + 3]) == set("abc") for at in (0, 3, 6))
    assert [lap.ratio for lap in laps] == [1, 1, 1]


class _Named:
    def __init__(self, name: str, order: list[str]) -> None:
        self.manifest, self.digest = artefacts.tiny_manifest(), name
        self._order = order

    def run(self, windows: Float32) -> list[Float32]:
        self._order.append(self.digest)
        return [windows]


def test_a_batch_that_would_take_long_is_not_run() -> None:
    order: list[str] = []
    clock = itertools.count()
    assert race([_Named("a", order)], np.zeros((4, 1), np.float32), 64, Stopwatch(lambda: float(next(clock)))) == []
    assert order == ["a"]


def test_the_golden_tolerance_has_a_floor_and_grows_with_what_jitter_does(source: Path) -> None:
    fp32 = OrtSession(source)
    assert golden_tolerance(fp32, fp32) == 1e-3

    edge = np.random.default_rng(fp32.manifest.verification.golden_seed)
    nervous = _Nervous(fp32, edge.standard_normal((3, *small_networks.SHAPE), dtype=np.float32))
    assert golden_tolerance(nervous, fp32) == pytest.approx(0.04, rel=1e-3)


class _Nervous:
    """Adds 0.01 where the input is above the golden one, however little: as a value that tips to the next level."""

    def __init__(self, session: OrtSession, edge: Float32) -> None:
        self.manifest, self.digest = session.manifest, session.digest
        self._session, self._edge = session, edge

    def run(self, windows: Float32) -> list[Float32]:
        above = (windows[:, :1, 0] > self._edge[:, :1, 0]).astype(np.float32)
        return [self._session.run(windows)[0] + np.float32(0.01) * above]


@needs_shared
def test_a_published_network_passes_in_int8(artefact_folder: Path, tmp_path: Path) -> None:
    path = artefacts.export_published("spec-cnn-v1", artefact_folder)
    preprocess = Preprocess(OrtSession(path).manifest)
    labelled = read_labelled(SHARED / "labelled" / "labelled_val.npz", preprocess).windows[:40]
    cut = [preprocess.windows(each.samples, count=4, stride=400) for each in labelled if each.samples.shape[1] > 3000]
    evidence = Evidence(
        [np.concatenate(cut[::2])],
        {"real windows": np.concatenate(cut[1::2]), "awkward windows": awkward_windows(preprocess)},
        None,
    )
    report = best_artefact(path, tmp_path / "int8.onnx", INT8, evidence, bench=_bench(_fast))
    chosen = report.chosen
    assert chosen is not None
    assert chosen.rms_error < 0.02
    assert chosen.size < 0.66 * path.stat().st_size
    figures = pick_metric(labelled[:4])(OrtSession(tmp_path / "int8.onnx"))
    assert figures.keys() == {"P_f1", "P_timing", "S_f1", "S_timing"}
    assert all(0 <= each <= 1 for each in figures.values())
