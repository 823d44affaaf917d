"""The project's own picker: where its probabilities stand, and that what is exported gives what was trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from seisedge.edge.session import OrtSession
from seisedge.export.artefact import Source, export_fp32
from seisedge.export.networks.edge_picker import LATE, WINDOW, EdgePicker
from seisedge.export.networks.edge_picker_phases import in_phases, phase_taps, phases_of, samples_of
from seisedge.export.recipes_picker import EDGE_PICKER


def drawn(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def lived_in() -> EdgePicker:
    """A network whose normalisations have seen something, as after a training."""
    torch.manual_seed(3)
    network = EdgePicker()
    for each in network.modules():
        if isinstance(each, nn.BatchNorm1d) and each.running_mean is not None and each.running_var is not None:
            nn.init.normal_(each.running_mean, std=0.3)
            nn.init.uniform_(each.running_var, 0.3, 3.0)
            nn.init.uniform_(each.weight, 0.5, 1.5)
            nn.init.normal_(each.bias, std=0.3)
    nn.init.normal_(network.head.weight, std=0.5)
    return network.eval()


def test_each_phase_stands_so_much_later_than_the_network_says() -> None:
    network, x = EdgePicker().eval(), drawn(2, 3, 512)
    with torch.inference_mode():
        said, found = torch.sigmoid(network.logits(x)), network(x)
    assert found.shape == (2, 512, 2)
    for row, by in enumerate(LATE):
        assert torch.equal(found[:, by:, row], said[:, row, :-by])
        assert not found[:, :by, row].any()


def test_four_samples_are_four_channels_and_back() -> None:
    x = torch.arange(24).reshape(1, 2, 12)
    assert phases_of(x)[0, :, 0].tolist() == [0, 1, 2, 3, 12, 13, 14, 15]
    assert torch.equal(samples_of(phases_of(x)), x)


@pytest.mark.parametrize("taps", [1, 3, 5, 7, 9, 15])
@pytest.mark.parametrize("stride", [1, 4])
def test_a_convolution_of_phases_gives_that_of_samples(taps: int, stride: int) -> None:
    conv, norm = nn.Conv1d(3, 5, taps, stride=stride, padding=taps // 2), nn.BatchNorm1d(5).eval()
    norm.running_mean, norm.running_var = drawn(5), drawn(5, seed=2).exp()
    x = drawn(2, 3, 64)
    with torch.inference_mode():
        wanted = norm(conv(x))
        found = in_phases(conv, norm)(phases_of(x))
        torch.testing.assert_close(samples_of(found) if stride == 1 else found, wanted, rtol=1e-5, atol=1e-5)
    assert phase_taps(conv.weight, stride=stride).shape[0] == 5 * 4 // stride


@pytest.mark.parametrize("npts", [512, WINDOW])
def test_what_is_deployed_gives_what_was_trained(npts: int) -> None:
    network, x = lived_in(), drawn(2, 3, npts)
    with torch.inference_mode():
        wanted, found = network(x), network.deployed()(x)
    assert wanted[:, max(LATE) :].std() > 0.1
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)


def test_no_convolution_of_the_artefact_is_at_the_full_rate(tmp_path: Path) -> None:
    path, network = tmp_path / "picker.onnx", lived_in()
    export_fp32(network, EDGE_PICKER, Source("1", "0" * 64, "none", "MIT", "none"), path)
    x = drawn(2, 3, WINDOW)
    with torch.inference_mode():
        np.testing.assert_allclose(OrtSession(path).run(x.numpy())[0], network(x).numpy(), rtol=0, atol=1e-5)
    graph = onnx.shape_inference.infer_shapes(onnx.load(path)).graph
    lengths = {each.name: each.type.tensor_type.shape.dim[-1].dim_value for each in graph.value_info}
    made = [lengths[node.output[0]] for node in graph.node if node.op_type == "Conv"]
    assert max(made) == WINDOW // 4
