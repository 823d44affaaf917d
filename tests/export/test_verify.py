"""Verification passes a true artefact and fails a false one."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import dataclasses
from pathlib import Path
from unittest import mock

import artefacts
import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
from onnx import helper
from shared_data import SHARED, needs_shared
from torch import nn

from seisedge.edge.preprocess import Preprocess
from seisedge.edge.session import OrtSession
from seisedge.export import verify as verify_module
from seisedge.export.errors import VerificationError
from seisedge.export.verify import Check, awkward_windows, real_windows, verify


class _Tiny(nn.Module):
    """The tiny artefact's classifier in torch, off by `error` in its bias."""

    def __init__(self, error: float = 0.0) -> None:
        super().__init__()
        matrix, bias = artefacts.tiny_weights()
        self.matrix, self.bias = torch.from_numpy(matrix), torch.from_numpy(bias)
        self.error = error

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shift = torch.tensor([self.error, 0.0, 0.0])
        # In float64: the order in which torch adds float32 depends on its number of threads.
        scores = x.flatten(1).double() @ self.matrix.double() + self.bias + shift
        return torch.softmax(scores, dim=-1).float()


def _failed(checks: list[Check]) -> list[str]:
    return [check.name for check in checks if not check.passed]


def test_a_true_artefact_passes_every_check(tiny_path: Path) -> None:
    checks = verify(tiny_path, _Tiny(), ())
    assert _failed(checks) == []
    assert len(checks) == 5


def test_other_weights_fail_the_comparison_with_torch(tiny_path: Path) -> None:
    failed = _failed(verify(tiny_path, _Tiny(error=0.01), ()))
    assert failed == [f"awkward windows: torch against ONNX, batch {size}" for size in (1, 2, 7)]


def test_a_graph_that_couples_the_windows_of_a_batch_fails(tmp_path: Path) -> None:
    """As a dynamically quantised graph does: one station's output would depend on its neighbours."""
    graph = artefacts.tiny_graph()
    graph.graph.node[2].output[0] = "uncoupled"
    graph.graph.node.insert(3, helper.make_node("ReduceMax", ["uncoupled"], ["largest"], keepdims=0))
    graph.graph.node.insert(4, helper.make_node("Sub", ["uncoupled", "largest"], ["shifted"]))
    graph.graph.node.insert(5, helper.make_node("Tanh", ["shifted"], ["product"]))
    onnx.checker.check_model(graph)
    path = artefacts.write_artefact(tmp_path / "coupled.onnx", graph, artefacts.tiny_manifest().to_json())
    assert "awkward windows: batch of 1, 2, 7 or all, same bits" in _failed(verify(path, None, ()))


class _Cancelling(nn.Module):
    """Loses the digits of its input below those of 1e7: in float32 off by up to 0.5 from its float64."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x + 1e7) - 1e7


def test_an_ill_conditioned_window_is_judged_alike_alone_and_among_small_ones(tiny_session: OrtSession) -> None:
    """Its error and torch's own rounding are in one unit, whatever batch it travels in."""
    manifest = tiny_session.manifest
    output = dataclasses.replace(manifest.outputs[0], kind="waveform", reference_sample=None)
    session = mock.create_autospec(OrtSession, instance=True)
    session.manifest = mock.Mock(outputs=(output,))

    def off_by_one(windows: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        return [np.round(windows) + np.sign(windows)]

    session.run = off_by_one
    windows = np.zeros((7, 100), np.float32)
    windows[0] = np.linspace(1000.0, 1000.5, 100, dtype=np.float32)
    checks = verify_module._torch_checks("mixed", session, _Cancelling(), windows)
    assert _failed(checks) == []
    assert len({check.bound for check in checks}) == 1
    assert checks[0].found == checks[2].found > 1e-5


def test_a_device_that_computes_something_else_fails_the_golden_check(tmp_path: Path) -> None:
    value = artefacts.manifest_object()
    value["verification"]["golden_output"][0] += 0.1
    import json  # noqa: PLC0415

    path = artefacts.write_artefact(tmp_path / "off.onnx", artefacts.tiny_graph(), json.dumps(value))
    assert _failed(verify(path, None, ())) == ["golden input on this device"]


def test_a_figure_that_is_no_number_never_passes() -> None:
    assert not Check("x", float("nan"), 1.0).passed


def test_awkward_windows_are_finite_and_silence_is_the_floor(tiny_session: OrtSession) -> None:
    windows = awkward_windows(Preprocess(tiny_session.manifest))
    assert np.isfinite(windows).all()
    assert (windows[0] == -1).all()  # zeros
    assert (windows[1] == -1).all()  # a constant: the stream starts as if it had always been there


@needs_shared
def test_real_windows_come_through_the_runtime(tiny_session: OrtSession) -> None:
    windows = real_windows(Preprocess(tiny_session.manifest), (SHARED / "mseed" / "nysh_20210401",))
    assert windows.shape == (10, 22, 33, 3)


def test_data_without_a_window_are_named(tiny_session: OrtSession, tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match=r"found no whole window of tiny"):
        real_windows(Preprocess(tiny_session.manifest), (tmp_path,))
