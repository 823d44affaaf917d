"""The source inversion against its table, torch's own encoder, a slow NumPy form, and ONNX Runtime."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np
import onnxruntime as ort
import pytest
import torch
from naive_networks import F64Array, fill, naive_dense, naive_softmax, weights
from torch import Tensor, nn

from seisedge.export.errors import ExportError, NetworkError
from seisedge.export.networks import parameter_count
from seisedge.export.networks.source_inversion import (
    EncoderLayer,
    InversionOptions,
    SelfAttention,
    SourceInversion,
    sinusoidal_positions,
)

SMALL = InversionOptions(samples=17, channels=3, width=12, heads=3, depth=2, feed_forward=20)


def waveforms(batch: int, options: InversionOptions, seed: int = 4) -> Tensor:
    """Noise of the size of one, (batch, samples, channels)."""
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((batch, *options.input_shape)))


# Tables


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("", 563_658),
        ("embed", 704),
        ("layers.0", 281_152),
        ("layers.1", 281_152),
        ("layers.0.attention", 4 * 64 * 64 + 4 * 64),
        ("layers.0.expand", 64 * 2048 + 2048),
        ("layers.0.contract", 2048 * 64 + 64),
        ("layers.0.attention_norm", 128),
        ("layers.0.feed_forward_norm", 128),
        ("output", 650),
    ],
)
def test_network_and_layers_have_the_published_number_of_parameters(path: str, count: int) -> None:
    assert parameter_count(SourceInversion().get_submodule(path)) == count


def test_normalisations_use_the_epsilon_of_torch() -> None:
    norms = [layer.eps for layer in SourceInversion().modules() if isinstance(layer, nn.LayerNorm)]
    assert norms == [1e-5] * 4  # two in each layer, none after the last


# Positions


def test_positions_are_sines_and_cosines_to_the_base_10000() -> None:
    positions = sinusoidal_positions(1500, 64)
    assert positions.dtype == torch.float32
    assert positions.shape == (1500, 64)
    for sample in (0, 1, 2, 750, 1499):
        for column in range(64):
            angle = sample / 10_000 ** (column // 2 * 2 / 64)
            wanted = math.cos(angle) if column % 2 else math.sin(angle)
            assert positions[sample, column].item() == pytest.approx(wanted, abs=6e-8)


def test_positions_are_added_as_they_are() -> None:
    module = SourceInversion()
    seen: list[Tensor] = []

    def note(_layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        seen.append(given[0])

    module.layers.register_forward_pre_hook(note)
    nn.init.zeros_(module.embed.weight)
    nn.init.constant_(module.embed.bias, 0.25)
    module(torch.zeros(1, 1500, 10))
    torch.testing.assert_close(seen[0][0], sinusoidal_positions(1500, 64) + 0.25)


def test_positions_are_neither_trained_nor_saved() -> None:
    module = SourceInversion()
    assert not [name for name in module.state_dict() if "position" in name]
    assert [(name, tensor.numel()) for name, tensor in module.named_buffers()] == [("positions", 96_000)]


# The formula


def layer_norm(x: F64Array, w: dict[str, F64Array], path: str) -> F64Array:
    mean, variance = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    normalised: F64Array = (x - mean) / np.sqrt(variance + 1e-5) * w[f"{path}.weight"] + w[f"{path}.bias"]
    return normalised


def naive_attention(x: F64Array, w: dict[str, F64Array], path: str, heads: int) -> F64Array:
    """Weigh the values by the softmax of q . k / sqrt(size), sample by sample."""
    q, k, v = np.split(naive_dense(x, w, f"{path}.project"), 3, axis=1)
    size = x.shape[1] // heads
    out = np.zeros_like(x)
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        for i in range(len(x)):
            shares = naive_softmax(np.array([q[i, part] @ k[j, part] for j in range(len(x))]) / math.sqrt(size))
            out[i, part] = sum(shares[j] * v[j, part] for j in range(len(x)))
    return naive_dense(out, w, f"{path}.output")


def naive_inversion(x: F64Array, w: dict[str, F64Array], options: InversionOptions) -> F64Array:
    y = np.maximum(naive_dense(x, w, "embed"), 0.0)
    y = y + sinusoidal_positions(options.samples, options.width).double().numpy()
    for index in range(options.depth):
        path = f"layers.{index}"
        y = layer_norm(y + naive_attention(y, w, f"{path}.attention", options.heads), w, f"{path}.attention_norm")
        hidden = np.maximum(naive_dense(y, w, f"{path}.expand"), 0.0)
        y = layer_norm(y + naive_dense(hidden, w, f"{path}.contract"), w, f"{path}.feed_forward_norm")
    return naive_dense(y, w, "output")


def test_network_equals_its_formula() -> None:
    module, x = fill(SourceInversion(options=SMALL)), waveforms(2, SMALL)
    ours = module(x).detach().numpy()
    np.testing.assert_allclose(
        ours, [naive_inversion(row.numpy(), weights(module), SMALL) for row in x], rtol=0, atol=1e-12
    )
    assert np.ptp(ours[0] - ours[1]) > 0.1  # or a network blind to its input would pass


def as_torch_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state of an `EncoderLayer` under the names of `torch.nn.TransformerEncoderLayer`."""
    names = {
        "attention.project.weight": "self_attn.in_proj_weight",
        "attention.project.bias": "self_attn.in_proj_bias",
        "attention.output.weight": "self_attn.out_proj.weight",
        "attention.output.bias": "self_attn.out_proj.bias",
        "expand.weight": "linear1.weight",
        "expand.bias": "linear1.bias",
        "contract.weight": "linear2.weight",
        "contract.bias": "linear2.bias",
        "attention_norm.weight": "norm1.weight",
        "attention_norm.bias": "norm1.bias",
        "feed_forward_norm.weight": "norm2.weight",
        "feed_forward_norm.bias": "norm2.bias",
    }
    return {names[name]: tensor for name, tensor in state.items()}


@pytest.mark.parametrize("train", [False, True])
def test_layer_equals_that_of_torch(*, train: bool) -> None:
    ours = fill(EncoderLayer(InversionOptions(dropout=0.0))).train(train)
    theirs = nn.TransformerEncoderLayer(64, 4, dropout=0.0, batch_first=True).double().train(train)
    theirs.load_state_dict(as_torch_names(ours.state_dict()))
    x = waveforms(2, InversionOptions(channels=64, samples=300))
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-12)


def test_layer_begins_with_the_spread_of_torch() -> None:
    torch.manual_seed(0)
    ours = as_torch_names(EncoderLayer(InversionOptions()).state_dict())
    theirs = nn.TransformerEncoderLayer(64, 4).state_dict()
    for name in (name for name in theirs if name.endswith("weight") and "norm" not in name):
        assert float(ours[name].std()) == pytest.approx(float(theirs[name].std()), rel=0.04), name
    assert not any(ours[name].any() for name in ("self_attn.in_proj_bias", "self_attn.out_proj.bias"))


def test_dropout_acts_where_that_of_torch_does() -> None:
    module = SourceInversion(options=SMALL).train()
    seen: list[tuple[float, tuple[int, ...]]] = []

    def note(dropout: nn.Dropout, _given: object, output: Tensor) -> None:
        seen.append((dropout.p, tuple(output.shape)))

    for layer in module.modules():
        if isinstance(layer, nn.Dropout):
            layer.register_forward_hook(note)
    module(waveforms(2, SMALL).float())
    assert seen == [(0.1, (2, 3, 17, 17)), (0.1, (2, 17, 12)), (0.1, (2, 17, 20)), (0.1, (2, 17, 12))] * 2


def test_gradient_reaches_every_parameter_and_rows_are_apart() -> None:
    module, x = fill(SourceInversion(options=SMALL)), waveforms(3, SMALL)
    torch.testing.assert_close(module(x[1:2])[0], module(x)[1], rtol=0, atol=1e-12)
    nn.MSELoss()(module.train()(x), torch.zeros_like(x)).backward()
    assert [n for n, p in module.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()] == []


# ONNX Runtime


@pytest.mark.parametrize(
    "options",
    [pytest.param(SMALL, id="small"), pytest.param(InversionOptions(), id="whole", marks=pytest.mark.long)],
)
def test_onnx_runtime_gives_the_same_waveforms_at_any_batch(options: InversionOptions) -> None:
    torch.manual_seed(2)
    module = SourceInversion(options=options).eval()
    batch = torch.export.Dim("batch", min=1, max=4096)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch 2.13 copies its own deprecated LeafSpec
        program = torch.onnx.export(
            module,
            (waveforms(2, options).float(),),
            dynamo=True,
            dynamic_shapes=({0: batch},),
            external_data=False,
            verbose=False,
        )
    assert program is not None
    assert not {node.domain for node in program.model_proto.graph.node} - {""}  # nothing fused, nothing foreign
    runtime = ort.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    for size in (1, 2, 7):
        x = waveforms(size, options, seed=size).float()
        with torch.inference_mode():
            wanted = module(x).numpy()
        found = np.asarray(runtime.run(None, {runtime.get_inputs()[0].name: x.numpy()})[0])
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


# Refusals


@pytest.mark.parametrize("shape", [(1499, 10), (1501, 10), (3000, 10), (1500, 3), (10, 1500), (1500,)])
def test_window_of_another_size_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(NetworkError, match=r"found shape \(1, .*\), wanted \(1500, 10\) after the batch") as caught:
        SourceInversion()(torch.zeros(1, *shape))
    assert isinstance(caught.value, ExportError)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: InversionOptions(heads=5), "width into heads: found 64 / 5, wanted no remainder"),
        (lambda: InversionOptions(width=5, heads=1), "width into sine and cosine: found 5 / 2"),
        (lambda: InversionOptions(heads=0), "heads: found 0, wanted at least 1"),
        (lambda: InversionOptions(samples=0), "samples: found 0, wanted at least 1"),
    ],
)
def test_impossible_sizes_are_refused(build: Callable[[], InversionOptions], message: str) -> None:
    with pytest.raises(NetworkError, match=f"SourceInversion, {message}"):
        build()


def test_attention_gives_a_sample_what_only_a_distant_one_holds() -> None:
    module = fill(SelfAttention(SMALL))
    x = torch.zeros(1, 17, 12, dtype=torch.float64)
    before = module(x)[0, 0]
    x[0, 16] = 1.0
    assert (module(x)[0, 0] - before).abs().max() > 1e-3
