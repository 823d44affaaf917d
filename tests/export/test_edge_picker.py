"""The project's own picker: where its probabilities stand."""

from __future__ import annotations

import torch

from seisedge.export.networks.edge_picker import LATE, EdgePicker


def test_each_phase_stands_so_much_later_than_the_network_says() -> None:
    network, x = EdgePicker().eval(), torch.randn(2, 3, 512, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        said, found = torch.sigmoid(network.logits(x)), network(x)
    assert found.shape == (2, 512, 2)
    for row, by in enumerate(LATE):
        assert torch.equal(found[:, by:, row], said[:, row, :-by])
        assert not found[:, :by, row].any()
