"""Seismo-Performer and Spec-CNN against their tables and against slow NumPy forms of their formulae."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from naive_networks import (
    fill,
    images,
    naive_attention,
    naive_block,
    naive_cnn,
    naive_dense,
    naive_patches,
    naive_performer,
    naive_softmax,
    weights,
)
from torch import nn

from seisedge.export.errors import ExportError, NetworkError
from seisedge.export.networks import parameter_count
from seisedge.export.networks.seismo_performer import (
    LABELS,
    LinearAttention,
    PerformerBlock,
    PerformerOptions,
    SeismoPerformer,
    SpecCnn,
)

BOTH = pytest.mark.parametrize("build", [SeismoPerformer, SpecCnn])
Build = type[SeismoPerformer] | type[SpecCnn]


# Parameters


@pytest.mark.parametrize(("build", "trained", "moving"), [(SeismoPerformer, 57_123, 0), (SpecCnn, 175_939, 448)])
def test_network_has_the_published_number_of_parameters(build: Build, trained: int, moving: int) -> None:
    module = build()
    assert sum(parameter.numel() for parameter in module.parameters()) == trained
    assert parameter_count(module) == trained + moving


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("embed", 9_552),
        ("blocks.0", 18_672),
        ("blocks.1", 18_672),
        ("blocks.0.norm", 96),
        ("blocks.0.attention", 9_216),
        ("blocks.0.expand", 4_704),
        ("blocks.0.contract", 4_656),
        ("norm", 96),
        ("expand", 4_704),
        ("contract", 4_656),
        ("classify", 147),
    ],
)
def test_performer_layer_has_the_published_number_of_parameters(path: str, count: int) -> None:
    assert parameter_count(SeismoPerformer().get_submodule(path)) == count


def test_performer_token_and_positions_have_the_published_shapes() -> None:
    module = SeismoPerformer()
    assert module.class_token.numel() == 48
    assert module.positions.shape == (12, 48)


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("blocks.0.conv", 896),
        ("blocks.0.norm", 128),
        ("blocks.1.conv", 18_496),
        ("blocks.1.norm", 256),
        ("blocks.2.conv", 73_856),
        ("blocks.2.norm", 512),
        ("hidden", 82_000),
        ("classify", 243),
    ],
)
def test_cnn_layer_has_the_published_number_of_parameters(path: str, count: int) -> None:
    assert parameter_count(SpecCnn().get_submodule(path)) == count


def test_shared_parameters_count_once() -> None:
    layer = nn.Linear(3, 3)
    assert parameter_count(nn.Sequential(layer, layer)) == 12


# What trained weights depend on


def test_patch_runs_time_then_frequency_then_channel() -> None:
    image = np.arange(22 * 33 * 3, dtype=np.float64).reshape(22, 33, 3)
    ours = SeismoPerformer().patches(torch.from_numpy(image)[None])
    assert ours.shape == (1, 11, 198)
    np.testing.assert_array_equal(ours[0].numpy(), naive_patches(image, 3))


def test_tokens_are_class_token_then_embedded_patches_each_with_its_position() -> None:
    module = fill(SeismoPerformer())
    w, x = weights(module), images(2)
    ours = module.tokens(x).detach().numpy()
    for row in range(2):
        embedded = naive_dense(naive_patches(x[row].numpy(), 3), w, "embed")
        theirs = np.concatenate([w["class_token"], embedded]) + w["positions"]
        np.testing.assert_allclose(ours[row], theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("heads", [1, 2, 3])
def test_attention_equals_its_formula(heads: int) -> None:
    module = fill(LinearAttention(48, heads))
    x = np.random.default_rng(heads).normal(size=(2, 12, 48))
    tokens = torch.from_numpy(x)
    ours = module(tokens, tokens).detach().numpy()
    first = module(tokens, tokens[:, :1]).detach().numpy()
    np.testing.assert_allclose(first, ours[:, :1], rtol=0, atol=1e-12)
    for row in range(2):
        np.testing.assert_allclose(ours[row], naive_attention(x[row], weights(module), heads), rtol=0, atol=1e-12)


def test_attention_stays_finite_where_relu_leaves_nothing() -> None:
    module = fill(LinearAttention(48, 2))
    with torch.no_grad():
        for layer in (module.query, module.key):
            layer.weight.fill_(-1.0)
        tokens = torch.ones(1, 12, 48, dtype=torch.float64)
        assert torch.isfinite(module(tokens, tokens)).all()


def test_block_has_one_normalisation_and_uses_it_twice() -> None:
    block = PerformerBlock(PerformerOptions())
    assert [module for module in block.modules() if isinstance(module, nn.LayerNorm)] == [block.norm]
    calls: list[int] = []

    def count(*_: object) -> None:
        calls.append(1)

    block.norm.register_forward_hook(count)
    block(torch.zeros(1, 12, 48))
    assert len(calls) == 2


def test_block_equals_its_formula_with_gelu_after_the_second_dense_layer() -> None:
    module = fill(PerformerBlock(PerformerOptions()))
    x = np.random.default_rng(5).normal(size=(12, 48))
    ours = module(torch.from_numpy(x)[None]).detach().numpy()[0]
    np.testing.assert_allclose(ours, naive_block(x, weights(module), 2), rtol=0, atol=1e-11)


def test_layer_norms_use_one_millionth_and_batch_norms_the_defaults_of_keras() -> None:
    assert {m.eps for m in SeismoPerformer().modules() if isinstance(m, nn.LayerNorm)} == {1e-6}
    norms = [m for m in SpecCnn().modules() if isinstance(m, nn.BatchNorm2d)]
    assert [(norm.eps, norm.momentum) for norm in norms] == [(1e-3, 0.01)] * 3


def test_performer_equals_its_formula() -> None:
    module, x = fill(SeismoPerformer()), images(3)
    theirs = np.stack([naive_performer(row.numpy(), weights(module)) for row in x])
    np.testing.assert_allclose(module(x).detach().numpy(), theirs, rtol=0, atol=1e-11)
    assert np.ptp(theirs, axis=0).max() > 1e-3  # or a network blind to its input would pass


def test_cnn_equals_its_formula() -> None:
    module, x = fill(SpecCnn()), images(3)
    theirs = np.stack([naive_cnn(row.numpy(), weights(module)) for row in x])
    np.testing.assert_allclose(module(x).detach().numpy(), theirs, rtol=0, atol=1e-11)
    assert np.ptp(theirs, axis=0).max() > 1e-3


# Outputs


def test_labels_are_in_the_published_order() -> None:
    assert LABELS == ("P", "S", "noise")


@BOTH
def test_probabilities_are_the_softmax_of_the_logits(build: Build) -> None:
    module, x = fill(build()), images(4)
    probabilities, logits = module(x).detach().numpy(), module.logits(x).detach().numpy()
    assert probabilities.shape == (4, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=0, atol=1e-12)
    np.testing.assert_allclose(probabilities, [naive_softmax(row) for row in logits], rtol=0, atol=1e-12)


@BOTH
def test_row_does_not_depend_on_its_neighbours(build: Build) -> None:
    module, x = fill(build()), images(5)
    together = module(x)
    for row in range(5):
        torch.testing.assert_close(module(x[row : row + 1])[0], together[row], rtol=0, atol=1e-12)
    others = x.clone()
    others[1:] = 40.0
    torch.testing.assert_close(module(others)[0], together[0], rtol=0, atol=1e-12)


@BOTH
def test_exported_graph_takes_any_batch(build: Build) -> None:
    module = fill(build())
    batch = torch.export.Dim("batch", min=1, max=4096)
    program = torch.export.export(module, (images(2),), dynamic_shapes={"x": {0: batch}}, strict=False).module()
    for size in (1, 3):
        torch.testing.assert_close(program(images(size)), module(images(size)))


# Training


@pytest.mark.parametrize(("build", "rate", "calls"), [(SeismoPerformer, 0.1, 7), (SpecCnn, 0.5, 2)])
def test_dropout_acts_where_the_tables_have_it(build: Build, rate: float, calls: int) -> None:
    module = build().train()
    seen: list[float] = []

    def note(dropout: nn.Dropout, *_: object) -> None:
        seen.append(dropout.p)

    for layer in module.modules():
        if isinstance(layer, nn.Dropout):
            layer.register_forward_hook(note)
    module(images(2).float())
    assert seen == [rate] * calls


@BOTH
def test_gradient_reaches_every_parameter(build: Build) -> None:
    module = fill(build()).train()
    functional_loss = nn.CrossEntropyLoss()
    functional_loss(module.logits(images(6)), torch.tensor([0, 1, 2, 0, 1, 2])).backward()
    idle = [n for n, p in module.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert idle == []


# Options


def test_options_resize_the_performer() -> None:
    options = PerformerOptions(channels=1, depth=3, heads=4, patch_frequencies=11, classes=2)
    module = SeismoPerformer(options=options).eval()
    assert module.tokens(torch.zeros(2, 22, 33, 1)).shape == (2, 4, 48)
    assert module(torch.zeros(2, 22, 33, 1)).shape == (2, 2)
    assert len(module.blocks) == 3


def test_options_resize_the_cnn() -> None:
    assert SpecCnn(channels=1, classes=2).eval()(torch.zeros(2, 22, 33, 1)).shape == (2, 2)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"patch_frequencies": 4}, "frequencies into patches: found 33 / 4"),
        ({"patch_frequencies": 0}, "frequencies into patches: found 33 / 0"),
        ({"heads": 5}, "width into heads: found 48 / 5"),
    ],
)
def test_sizes_that_do_not_divide_are_refused(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(NetworkError, match=message) as caught:
        PerformerOptions(**sizes)
    assert isinstance(caught.value, ExportError)
