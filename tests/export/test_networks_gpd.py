"""GPD in both orders of its layers, against the table and against slow NumPy forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from naive_networks import fill, naive_gpd, naive_softmax, weights
from torch import Tensor, nn

from seisedge.export.errors import ExportError, NetworkError
from seisedge.export.networks import parameter_count
from seisedge.export.networks.gpd import Gpd

BOTH = pytest.mark.parametrize("original", [False, True], ids=["fixed", "original"])


def waveforms(batch: int, seed: int = 11) -> Tensor:
    """Noise within one, (batch, 400, 3)."""
    return torch.from_numpy(np.random.default_rng(seed).uniform(-1.0, 1.0, (batch, 400, 3)))


@BOTH
def test_network_has_the_published_number_of_parameters(*, original: bool) -> None:
    module = Gpd(original=original)
    assert parameter_count(module) == 1_742_763
    assert sum(parameter.numel() for parameter in module.parameters()) == 1_741_003


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("blocks.0.conv", 2_048),
        ("blocks.0.norm", 128),
        ("blocks.1.conv", 30_784),
        ("blocks.1.norm", 256),
        ("blocks.2.conv", 90_240),
        ("blocks.2.norm", 512),
        ("blocks.3.conv", 295_168),
        ("blocks.3.norm", 1_024),
        ("dense.0.dense", 1_280_200),
        ("dense.0.norm", 800),
        ("dense.1.dense", 40_200),
        ("dense.1.norm", 800),
        ("classify", 603),
    ],
)
def test_layer_has_the_published_number_of_parameters(path: str, count: int) -> None:
    assert parameter_count(Gpd().get_submodule(path)) == count


def test_convolutions_give_the_published_shapes() -> None:
    shapes: list[tuple[int, ...]] = []

    def note(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        shapes.append(tuple(output.shape))

    module = Gpd().eval()
    for block in module.blocks:
        block.register_forward_hook(note)
    module(torch.zeros(1, 400, 3))
    assert shapes == [(1, 32, 200), (1, 64, 100), (1, 128, 50), (1, 256, 25)]


@BOTH
def test_network_equals_its_formula(*, original: bool) -> None:
    module, x = fill(Gpd(original=original)), waveforms(2)
    ours = module(x).detach().numpy()
    theirs = [naive_gpd(row.numpy(), weights(module), original=original) for row in x]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-11)
    assert np.ptp(ours, axis=0).max() > 1e-3  # or a network blind to its input would pass


def test_the_two_orders_are_two_networks_with_the_same_tensors() -> None:
    fixed, published = fill(Gpd()), Gpd(original=True).double().eval()
    published.load_state_dict(fixed.state_dict())
    x = waveforms(2)
    assert (fixed(x) - published(x)).abs().max() > 1e-3
    assert (fixed.original, published.original) == (False, True)


def test_batch_norms_use_the_defaults_of_keras() -> None:
    norms = [module for module in Gpd().modules() if isinstance(module, nn.BatchNorm1d)]
    assert [(norm.eps, norm.momentum) for norm in norms] == [(1e-3, 0.01)] * 6


@BOTH
def test_probabilities_are_the_softmax_of_the_logits(*, original: bool) -> None:
    module, x = fill(Gpd(original=original)), waveforms(3)
    probabilities, logits = module(x).detach().numpy(), module.logits(x).detach().numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=0, atol=1e-12)
    np.testing.assert_allclose(probabilities, [naive_softmax(row) for row in logits], rtol=0, atol=1e-12)


@BOTH
def test_row_does_not_depend_on_its_neighbours(*, original: bool) -> None:
    module, x = fill(Gpd(original=original)), waveforms(4)
    together = module(x)
    others = x.clone()
    others[1:] = 40.0
    torch.testing.assert_close(module(others)[0], together[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(module(x[2:3])[0], together[2], rtol=0, atol=1e-12)


@BOTH
def test_exported_graph_takes_any_batch(*, original: bool) -> None:
    module = fill(Gpd(original=original))
    batch = torch.export.Dim("batch", min=1, max=4096)
    program = torch.export.export(module, (waveforms(2),), dynamic_shapes={"x": {0: batch}}, strict=False)
    for size in (1, 3):
        torch.testing.assert_close(program.module()(waveforms(size)), module(waveforms(size)))


def test_options_resize_the_network() -> None:
    module = Gpd(channels=1, samples=160, classes=2).eval()
    assert module(torch.zeros(2, 160, 1)).shape == (2, 2)


@pytest.mark.parametrize("samples", [0, 8, 401])
def test_length_that_does_not_halve_four_times_is_refused(samples: int) -> None:
    with pytest.raises(NetworkError, match=f"samples: found {samples}, wanted a multiple of 16") as caught:
        Gpd(samples=samples)
    assert isinstance(caught.value, ExportError)
