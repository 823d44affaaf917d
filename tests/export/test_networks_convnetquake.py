"""ConvNetQuake and DeepQuake against their tables, a slow NumPy form of TensorFlow's layers, and ONNX Runtime."""

from __future__ import annotations

import dataclasses
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
from seisedge.export.networks.convnetquake import (
    DEEPQUAKE,
    DEEPQUAKE_LABELS,
    LABELS,
    ConvNetQuake,
    ConvNetQuakeOptions,
    deepquake,
    same_padding,
)

Options = ConvNetQuakeOptions

SWEEP = {
    "1": (Options(samples=5001, classes=2), 23_330, 8.36e6),
    "1, Z": (Options(samples=1001, channels=1, classes=2), 22_114, 1.58e6),
    "2b": (Options(samples=5001, classes=2, convolutions=3, taps=5, pool=(5, 4), dense=2), 14_048, 3.01e6),
    "7": (Options(samples=5001, classes=2, taps=5), 37_858, 13.9e6),
    "12": (DEEPQUAKE, 42_370, 14.0e6),
    "14": (Options(samples=5001, classes=2, convolutions=5, taps=10), 52_130, 26.4e6),
    "14b, Z": (
        Options(samples=1001, channels=1, classes=2, convolutions=4, taps=20, pool=(5, 2), dense=3),
        63_630,
        3.72e6,
    ),
    "14b": (Options(samples=5001, classes=2, convolutions=4, taps=50, pool=(5, 2), dense=3), 165_070, 54.1e6),
    "14c": (Options(samples=5001, classes=2, convolutions=3, taps=50, pool=(5, 2)), 112_354, 52.1e6),
}
"""DeepQuake's models whose sizes are known: options, parameters, multiplications to three digits."""

NETWORKS = {
    "convnetquake": Options(),
    "deepquake": DEEPQUAKE,
    "plain": Options(samples=45, channels=2, classes=3, convolutions=4),
    "even taps": Options(samples=50, channels=1, classes=2, convolutions=2, taps=10),
    "longer taps than input": Options(samples=7, channels=1, classes=2, convolutions=3, taps=20),
    "pool 5/4": Options(samples=150, channels=3, classes=2, convolutions=2, taps=5, pool=(5, 4), dense=2),
    "pool 5/2": Options(samples=90, channels=3, classes=2, convolutions=3, taps=5, pool=(5, 2), dense=3),
    "pool 2/3": Options(samples=70, channels=3, classes=2, convolutions=2, pool=(2, 3), dense=3, hidden=4),
}
each_network = pytest.mark.parametrize("options", NETWORKS.values(), ids=list(NETWORKS))


def waveforms(batch: int, options: Options, seed: int = 11) -> Tensor:
    """Noise within one, (batch, samples, channels)."""
    return torch.from_numpy(np.random.default_rng(seed).uniform(-1.0, 1.0, (batch, *options.input_shape)))


# The network, one window at a time. TensorFlow writes its padding in terms of the remainder.


def naive_same(length: int, window: int, stride: int) -> int:
    """Zeros that SAME puts before the input."""
    return max(window - (length % stride or stride), 0) // 2


def naive_windows(x: F64Array, window: int, stride: int) -> list[list[tuple[int, F64Array]]]:
    """For every output, the taps that fall on a sample, each with that sample."""
    before = naive_same(len(x), window, stride)
    starts = range(-before, len(x) - before, stride)
    return [[(tap, x[at + tap]) for tap in range(window) if 0 <= at + tap < len(x)] for at in starts]


def naive_convnetquake(x: F64Array, w: dict[str, F64Array], options: Options) -> F64Array:
    for index in range(options.convolutions):
        kernel, bias = w[f"blocks.{index}.conv.weight"], w[f"blocks.{index}.conv.bias"]
        windows = naive_windows(x, options.taps, 2)
        x = np.maximum([bias + sum(kernel[:, :, tap] @ sample for tap, sample in window) for window in windows], 0.0)
        if options.pool is not None:
            x = np.array(
                [np.max([sample for _, sample in window], axis=0) for window in naive_windows(x, *options.pool)]
            )
    x = x.ravel()  # sample first, then filter
    for index in range(options.dense - 1):
        x = naive_dense(x, w, f"dense.{index}")
    return naive_softmax(naive_dense(x, w, "classify"))


@each_network
def test_network_equals_its_formula(options: Options) -> None:
    module, x = fill(ConvNetQuake(options=options)), waveforms(3, options)
    ours = module(x).detach().numpy()
    theirs = [naive_convnetquake(row.numpy(), weights(module), options) for row in x]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
    assert np.ptp(ours, axis=0).max() > 1e-3  # or a network blind to its input would pass


# Parameters, lengths and padding


@pytest.mark.parametrize(("classes", "count"), [(7, 22_951), (51, 28_627)])
def test_network_has_the_published_number_of_parameters(classes: int, count: int) -> None:
    assert parameter_count(ConvNetQuake(options=Options(classes=classes))) == count


def test_classes_count_the_one_without_event() -> None:
    assert ConvNetQuake()(torch.zeros(1, 1001, 3)).shape == (1, 7) == (1, len(LABELS))
    assert (LABELS[0], LABELS[6]) == ("no event", "region 6")
    assert deepquake()(torch.zeros(1, 5001, 3)).shape == (1, 2) == (1, len(DEEPQUAKE_LABELS))
    assert DEEPQUAKE_LABELS == ("no event", "event")


def multiplications(module: nn.Module, shape: tuple[int, ...]) -> float:
    """Count those of convolutions and dense layers, for one window."""
    counts: list[int] = []

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        taps = layer.kernel_size[0] if isinstance(layer, nn.Conv1d) else 1
        fan_in = inputs[0].shape[1] * taps
        counts.append(output.numel() * fan_in)

    for layer in module.modules():
        if isinstance(layer, (nn.Conv1d, nn.Linear)):
            layer.register_forward_hook(count)
    module(torch.zeros(1, *shape))
    return sum(counts)


@pytest.mark.parametrize(("options", "parameters", "products"), SWEEP.values(), ids=list(SWEEP))
def test_sweep_has_the_logged_parameters_and_multiplications(
    options: Options, parameters: int, products: float
) -> None:
    module = ConvNetQuake(options=options)
    assert parameter_count(module) == parameters
    assert float(f"{multiplications(module, options.input_shape):.2e}") == products


def test_deepquake_is_model_12_for_three_components_or_one() -> None:
    assert deepquake().options == DEEPQUAKE
    assert parameter_count(deepquake()) == 42_370
    one = deepquake(channels=1)
    assert one.options == dataclasses.replace(DEEPQUAKE, channels=1)
    assert parameter_count(one) == 42_370 - 2 * 5 * 32
    assert one(torch.zeros(1, 5001, 1)).shape == (1, 2)


# Output length, parameters, multiplications, padding.
LAYERS = (
    (501, 320, 144_288, (1, 1)),
    (251, 3_104, 771_072, (1, 1)),
    (126, 3_104, 387_072, (1, 1)),
    (63, 3_104, 193_536, (0, 1)),
    (32, 3_104, 98_304, (1, 1)),
    (16, 3_104, 49_152, (0, 1)),
    (8, 3_104, 24_576, (0, 1)),
    (4, 3_104, 12_288, (0, 1)),
)


def test_layers_have_the_published_sizes() -> None:
    module, x = ConvNetQuake(), torch.zeros(1, 3, 1001)
    for block, (samples, parameters, products, padding) in zip(module.blocks, LAYERS, strict=True):
        assert same_padding(x.shape[2], 3, 2) == padding
        assert multiplications(block, (*x.shape[1:],)) == products
        x = block(x)
        assert x.shape == (1, 32, samples)
        assert parameter_count(block) == parameters
    assert parameter_count(module.classify) == 129 * 7
    assert multiplications(module, (1001, 3)) == pytest.approx(1.681e6, rel=1e-3)


@pytest.mark.parametrize("index", [3, 5, 6, 7])
def test_padding_of_an_even_length_goes_to_the_right_alone(index: int) -> None:
    block = fill(ConvNetQuake()).blocks[index]
    samples = 2 * LAYERS[index][0]
    first, last = torch.zeros(2, 1, 32, samples, dtype=torch.float64)
    first[..., 0], last[..., -1] = 1.0, 1.0
    conv = block.get_submodule("conv")
    assert isinstance(conv, nn.Conv1d)
    assert conv.bias is not None
    kernel, bias = conv.weight.sum(dim=1), conv.bias
    torch.testing.assert_close(block(first)[0, :, 0], torch.relu(kernel[:, 0] + bias))  # no zero before it
    torch.testing.assert_close(block(last)[0, :, -1], torch.relu(kernel[:, 1] + bias))  # one zero after it


@pytest.mark.parametrize("window", [1, 2, 3, 5, 10, 20])
@pytest.mark.parametrize("stride", [1, 2, 4, 5])
def test_same_padding_is_that_of_tensorflow(window: int, stride: int) -> None:
    for length in range(1, 60):
        before, after = same_padding(length, window, stride)
        rest = length % stride or stride
        assert (before, before + after) == (naive_same(length, window, stride), max(window - rest, 0))


# What holds for every input


@each_network
def test_probabilities_are_the_softmax_of_the_logits(options: Options) -> None:
    module, x = fill(ConvNetQuake(options=options)), waveforms(3, options)
    logits = module.logits(x).detach().numpy()
    np.testing.assert_allclose(module(x).detach().numpy(), [naive_softmax(row) for row in logits], rtol=0, atol=1e-12)


def test_row_does_not_depend_on_its_neighbours() -> None:
    module, x = fill(ConvNetQuake()), waveforms(4, Options())
    torch.testing.assert_close(module(x[2:3])[0], module(x)[2], rtol=0, atol=1e-12)


def test_further_dense_layers_are_linear() -> None:
    module = fill(ConvNetQuake(options=NETWORKS["pool 5/2"]))
    x = waveforms(2, module.options)
    features = module.blocks(x.transpose(1, 2)).transpose(1, 2).flatten(1)
    matrix, bias = torch.eye(features.shape[1], dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    for layer in (*module.dense, module.classify):
        assert isinstance(layer, nn.Linear)
        matrix, bias = layer.weight @ matrix, layer.weight @ bias.expand(layer.in_features) + layer.bias
    torch.testing.assert_close(module.logits(x), features @ matrix.T + bias, rtol=0, atol=1e-12)


def test_gradient_reaches_every_parameter() -> None:
    module = fill(ConvNetQuake(options=NETWORKS["pool 5/2"])).train()
    nn.CrossEntropyLoss()(module.logits(waveforms(6, module.options)), torch.tensor([0, 1] * 3)).backward()
    assert [n for n, p in module.named_parameters() if p.grad is None or not p.grad.abs().max() > 0] == []


# ONNX Runtime


def session(module: nn.Module, shape: tuple[int, ...]) -> ort.InferenceSession:
    """Export with a free batch."""
    batch = torch.export.Dim("batch", min=1, max=4096)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch 2.13 copies its own deprecated LeafSpec
        program = torch.onnx.export(
            module.eval(),
            (torch.zeros(2, *shape),),
            dynamo=True,
            dynamic_shapes=({0: batch},),
            external_data=False,
            verbose=False,
        )
    assert program is not None
    return ort.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(Options(), id="convnetquake"),
        pytest.param(DEEPQUAKE, id="deepquake", marks=pytest.mark.long),
        pytest.param(dataclasses.replace(DEEPQUAKE, channels=1), id="deepquake, Z", marks=pytest.mark.long),
        pytest.param(SWEEP["2b"][0], id="2b, pool", marks=pytest.mark.long),
        pytest.param(SWEEP["14b"][0], id="14b, pool and even taps", marks=pytest.mark.long),
    ],
)
def test_onnx_runtime_gives_the_same_probabilities_at_any_batch(options: Options) -> None:
    module = fill(ConvNetQuake(options=options)).float()
    runtime = session(module, options.input_shape)
    for batch in (1, 2, 7):
        x = waveforms(batch, options).float()
        with torch.inference_mode():
            wanted = module(x).numpy()
        found = np.asarray(runtime.run(None, {runtime.get_inputs()[0].name: x.numpy()})[0])
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


# Refusals


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Options(classes=1), "classes: found 1, wanted at least 2"),
        (lambda: Options(convolutions=0), "convolutions: found 0, wanted at least 1"),
        (lambda: Options(dense=0), "dense: found 0"),
        (lambda: Options(samples=-1), "samples: found -1"),
        (lambda: Options(pool=(0, 2)), "pool's window: found 0"),
        (lambda: Options(pool=(5, 0)), "pool's stride: found 0"),
    ],
)
def test_impossible_sizes_are_refused(build: Callable[[], Options], message: str) -> None:
    with pytest.raises(NetworkError, match=f"ConvNetQuake, {message}") as caught:
        build()
    assert isinstance(caught.value, ExportError)


@pytest.mark.parametrize("shape", [(1000, 3), (1024, 3), (1001, 1), (3, 1001), (1001,)])
def test_window_of_another_size_is_refused(shape: tuple[int, ...]) -> None:
    # 1024 samples leave as many features as 1001, but with other padding.
    with pytest.raises(NetworkError, match=r"found shape \(2, .*\), wanted \(1001, 3\) after the batch"):
        ConvNetQuake()(torch.zeros(2, *shape))
