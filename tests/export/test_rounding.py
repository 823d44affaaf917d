"""Training as if in int8: the numbers are those of the quantiser, and a network learns to live with them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import nn

from seisedge.export.calibration import Range
from seisedge.export.qdq import activation_scale, quantised_weight, weight_scales
from seisedge.export.quantize import FORMATS
from seisedge.export.rounding import round_activation, round_weight, rounded

FLOATS = st.floats(-1e4, 1e4, width=32)
UNSIGNED = FORMATS["x86-vnni"]


@given(arrays.arrays(np.float32, (3, 2, 4), elements=FLOATS))
def test_weights_are_those_of_the_quantiser(weight: np.ndarray) -> None:
    scales = weight_scales(weight, 0, 127)
    wanted = quantised_weight(weight, scales, 0, 127) * scales[:, np.newaxis, np.newaxis]
    found = round_weight(torch.from_numpy(weight)).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6 * float(scales.max()))


@given(arrays.arrays(np.float32, (2, 3, 5), elements=FLOATS))
def test_activations_are_those_of_the_quantiser_with_the_range_of_the_batch(x: np.ndarray) -> None:
    scale, _ = activation_scale(Range(float(x.min()), float(x.max())), UNSIGNED)
    found = round_activation(torch.from_numpy(x)).numpy() / scale
    assert np.abs(found - np.rint(found)).max() < 1e-3
    assert found.max() - found.min() < 255.01
    assert np.abs(found - x / scale).max() < 1.01  # half a step, and half of one for zero at a level


def test_nothing_is_rounded_that_is_zero() -> None:
    zero = torch.zeros(2, 3)
    assert not round_weight(zero).any()
    assert not round_activation(zero).any()


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv1d(4, 6, 5, stride=2, padding=4, dilation=1, groups=2), (2, 4, 20)),
        (nn.Conv2d(2, 3, (3, 1), padding="same", bias=False), (2, 2, 9, 4)),
        (nn.Linear(5, 3), (2, 7, 5)),
    ],
)
def test_a_layer_does_what_it_does_but_in_eight_bits(layer: nn.Module, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), requires_grad=True)
    exact = layer(x)
    with rounded(layer):
        found = layer(x)
    with rounded(layer, on=False):
        off = layer(x)
    again = layer(x)
    torch.testing.assert_close(again, exact, rtol=0, atol=0)
    torch.testing.assert_close(off, exact, rtol=0, atol=0)
    apart = (found - exact).detach().abs().max()
    assert 0 < apart < 0.05 * exact.detach().abs().max()
    (gradient,) = torch.autograd.grad(found.sum(), x)
    assert gradient.abs().min() > 0  # rounding itself has none anywhere


def test_an_error_leaves_the_layers_as_they_were() -> None:
    layer = nn.Linear(2, 2)
    with pytest.raises(RuntimeError), rounded(layer):
        layer(torch.zeros(1, 3))
    assert "forward" not in vars(layer)


def _trained(*, as_if: bool) -> tuple[float, float]:
    """Errors of a small network, exact and in eight bits; one input is much larger than what counts."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 1))
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    for step in range(600):
        x = torch.randn(64, 3) * torch.tensor([1.0, 1.0, 300.0])
        with rounded(network, on=as_if and step >= 300):
            loss = nn.functional.mse_loss(network(x), (x[:, :1] * x[:, 1:2]).tanh())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimiser.step()
    x = torch.randn(512, 3) * torch.tensor([1.0, 1.0, 300.0])
    errors = []
    for on in (False, True):
        with torch.no_grad(), rounded(network, on=on):
            errors.append(float(nn.functional.mse_loss(network(x), (x[:, :1] * x[:, 1:2]).tanh())))
    return errors[0], errors[1]


def test_a_network_that_was_trained_so_loses_less_by_int8() -> None:
    exact, lost = _trained(as_if=False)
    _, learnt = _trained(as_if=True)
    assert lost > exact
    assert learnt < lost
