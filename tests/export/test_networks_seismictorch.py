"""EarthquakeCNN and SpectrogramCNN against their tables, slow NumPy forms, and ONNX Runtime."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import onnxruntime as ort
import pytest
import torch
from naive_networks import F64Array, fill, naive_dense, naive_gelu, naive_softmax, weights
from torch import Tensor, nn

from seisedge.export.errors import ExportError, NetworkError
from seisedge.export.networks import parameter_count
from seisedge.export.networks.seismictorch import (
    EARTHQUAKE_LABELS,
    SPECTROGRAM_LABELS,
    EarthquakeCnn,
    GeluCnn,
    SpectrogramCnn,
)

SMALL: dict[str, Callable[[], GeluCnn]] = {
    "earthquake": EarthquakeCnn,
    "longer, one component": lambda: EarthquakeCnn(samples=106, channels=1, classes=2),
    "spectrogram": lambda: SpectrogramCnn(rows=29, columns=23),
    "spectrogram, one component": lambda: SpectrogramCnn(rows=22, columns=24, channels=1, classes=3),
}
each_small = pytest.mark.parametrize("build", SMALL.values(), ids=list(SMALL))


def inputs(batch: int, module: GeluCnn, seed: int = 5) -> Tensor:
    """Noise within one, (batch, ...)."""
    return torch.from_numpy(np.random.default_rng(seed).uniform(-1.0, 1.0, (batch, *module.sizes.input_shape)))


def empty_spectrogram_cnn() -> SpectrogramCnn:
    """The whole network without memory for its numbers: it can be counted, not run."""
    with torch.device("meta"):
        return SpectrogramCnn()


# Tables


@pytest.mark.parametrize(
    ("build", "trained", "moving"),
    [(EarthquakeCnn, 33_795, 2 * 112), (empty_spectrogram_cnn, 42_072_258, 2 * 336)],
)
def test_network_has_the_published_number_of_parameters(
    build: Callable[[], GeluCnn], trained: int, moving: int
) -> None:
    module = build()
    assert sum(parameter.numel() for parameter in module.parameters()) == trained
    assert parameter_count(module) == trained + moving  # the tables leave the moving statistics out


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("blocks.0.conv", 64),
        ("blocks.0.norm", 32),
        ("blocks.1.conv", 1_568),
        ("blocks.1.norm", 64),
        ("blocks.2.conv", 6_208),
        ("blocks.2.norm", 128),
        ("dense.0", 24_640),
        ("dense.1", 1_040),
        ("classify", 51),
    ],
)
def test_layer_has_the_published_number_of_parameters(path: str, count: int) -> None:
    assert sum(parameter.numel() for parameter in EarthquakeCnn().get_submodule(path).parameters()) == count


def test_first_dense_layer_holds_nearly_all_of_the_spectrogram_network() -> None:
    module = empty_spectrogram_cnn()
    assert module.sizes.features == 32_640
    assert parameter_count(module.dense[0]) / 42_072_258 == pytest.approx(0.993, abs=5e-4)


def counted(module: GeluCnn, x: Tensor) -> tuple[list[tuple[int, ...]], int, int]:
    """Shapes after convolutions and maxima, multiplications, numbers that are normalised."""
    shapes: list[tuple[int, ...]] = []
    counts = {"products": 0, "normalised": 0}

    def count(layer: nn.Module, _inputs: object, output: Tensor) -> None:
        if isinstance(layer, (nn.Conv2d, nn.MaxPool2d)):
            shapes.append(tuple(output.shape[1:]))
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            counts["products"] += output.numel() * layer.weight[0].numel()
        if isinstance(layer, nn.BatchNorm2d):
            counts["normalised"] += output.numel()

    for layer in module.modules():
        layer.register_forward_hook(count)
    module.eval()(x)
    return shapes, counts["products"], counts["normalised"]


def test_earthquake_network_has_the_published_shapes_and_multiplications() -> None:
    shapes, products, _ = counted(EarthquakeCnn(), torch.zeros(1, 1, 80, 3))
    assert shapes == [(16, 78, 3), (16, 26, 3), (32, 24, 3), (32, 8, 3), (64, 6, 3), (64, 2, 3)]
    assert products == 258_064


def test_spectrogram_network_has_the_published_shapes_and_operations() -> None:
    shapes, products, normalised = counted(empty_spectrogram_cnn(), torch.zeros(1, 3, 100, 150, device="meta"))
    assert shapes[1::2] == [(48, 49, 74), (96, 23, 36), (192, 10, 17)]
    # The published number is twice what the tool `thop` counts, which takes four for a normalised number.
    assert 2 * (products + 4 * normalised) == 648_152_576


def test_classes_are_those_of_the_label_code() -> None:
    assert EARTHQUAKE_LABELS == ("P", "S", "noise")
    assert SPECTROGRAM_LABELS == ("event", "noise")
    assert EarthquakeCnn().classify.out_features == 3
    assert empty_spectrogram_cnn().classify.out_features == 2


# The formula


def naive_filter(x: F64Array, w: dict[str, F64Array], path: str) -> F64Array:
    """Convolve (channel, row, column) without padding and normalise with torch's 1e-5."""
    kernel = w[f"{path}.conv.weight"]
    rows, columns = x.shape[1] - kernel.shape[2] + 1, x.shape[2] - kernel.shape[3] + 1
    y = np.zeros((len(kernel), rows, columns)) + w[f"{path}.conv.bias"][:, None, None]
    for i in range(kernel.shape[2]):
        for j in range(kernel.shape[3]):
            y += np.tensordot(kernel[:, :, i, j], x[:, i : i + rows, j : j + columns], 1)
    mean, variance, gamma, beta = (
        w[f"{path}.norm.{name}"][:, None, None] for name in ("running_mean", "running_var", "weight", "bias")
    )
    return (y - mean) / np.sqrt(variance + 1e-5) * gamma + beta


def naive_maximum(x: F64Array, pool: tuple[int, int]) -> F64Array:
    height, width = pool
    rows, columns = x.shape[1] // height, x.shape[2] // width
    cut = x[:, : rows * height, : columns * width].reshape(len(x), rows, height, columns, width)
    return np.asarray(cut.max(axis=(2, 4)))


def naive_cnn(x: F64Array, w: dict[str, F64Array], pool: tuple[int, int]) -> F64Array:
    for index in range(3):
        x = naive_maximum(naive_gelu(naive_filter(x, w, f"blocks.{index}")), pool)
    x = x.ravel()  # filter, then row, then column
    for index in range(2):
        x = naive_gelu(naive_dense(x, w, f"dense.{index}"))
    return naive_softmax(naive_dense(x, w, "classify"))


@each_small
def test_network_equals_its_formula(build: Callable[[], GeluCnn]) -> None:
    module = fill(build())
    x, pool = inputs(3, module), (3, 1) if isinstance(module, EarthquakeCnn) else (2, 2)
    ours = module(x).detach().numpy()
    theirs = [naive_cnn(row.numpy(), weights(module), pool) for row in x]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
    assert np.ptp(ours, axis=0).max() > 1e-4  # or a network blind to its input would pass
    scores = module.logits(x).detach().numpy()
    np.testing.assert_allclose(ours, [naive_softmax(row) for row in scores], rtol=0, atol=1e-12)


def test_maximum_comes_after_gelu() -> None:
    # GELU falls before it rises: of -3 and -0.5 it makes -0.004 and -0.154. Here both reach it unchanged.
    block = EarthquakeCnn().double().eval().blocks[0]
    conv, norm = block.get_submodule("conv"), block.get_submodule("norm")
    nn.init.dirac_(conv.get_parameter("weight"))
    nn.init.zeros_(conv.get_parameter("bias"))
    norm.get_buffer("running_var").fill_(1.0 - 1e-5)
    x = torch.tensor([9.0, -3.0, -0.5, -3.0, 9.0], dtype=torch.float64)[None, None, :, None]
    assert block(x)[0, 0].item() == pytest.approx(-0.00404969, abs=1e-8)


def test_components_do_not_meet_before_the_first_dense_layer() -> None:
    module = fill(EarthquakeCnn())
    x = inputs(1, module)
    before = module.blocks(x)
    for component in range(3):
        changed = x.clone()
        changed[..., component] += 1.0
        moved = (module.blocks(changed) - before).abs().amax(dim=(0, 1, 2))
        assert [bool(value > 1e-3) for value in moved] == [index == component for index in range(3)]


def test_dropout_acts_after_each_maximum_and_nowhere_else() -> None:
    module = EarthquakeCnn().train()
    seen: list[tuple[float, tuple[int, ...]]] = []

    def note(dropout: nn.Dropout, _given: object, output: Tensor) -> None:
        seen.append((dropout.p, tuple(output.shape)))

    for layer in module.modules():
        if isinstance(layer, nn.Dropout):
            layer.register_forward_hook(note)
    module(inputs(5, module).float())
    assert seen == [(0.1, (5, 16, 26, 3)), (0.1, (5, 32, 8, 3)), (0.1, (5, 64, 2, 3))]


@each_small
def test_gradient_reaches_every_parameter_and_rows_are_apart(build: Callable[[], GeluCnn]) -> None:
    module = fill(build())
    x = inputs(4, module)
    torch.testing.assert_close(module(x[2:3])[0], module(x)[2], rtol=0, atol=1e-12)
    nn.CrossEntropyLoss()(module.train().logits(x), torch.tensor([0, 1, 0, 1])).backward()
    assert [n for n, p in module.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()] == []


# ONNX Runtime


def require_parity(module: GeluCnn, *, largest: float = 1.0) -> None:
    """Export with a free batch; see ONNX Runtime and torch agree at several sizes of it."""
    batch = torch.export.Dim("batch", min=1, max=4096)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch 2.13 copies its own deprecated LeafSpec
        program = torch.onnx.export(
            module,
            (inputs(2, module).float(),),
            dynamo=True,
            dynamic_shapes=({0: batch},),
            external_data=False,
            verbose=False,
        )
    assert program is not None
    runtime = ort.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    for size in (1, 2, 7):
        x = largest * inputs(size, module, seed=size).float()
        with torch.inference_mode():
            wanted = module(x).numpy()
        found = np.asarray(runtime.run(None, {runtime.get_inputs()[0].name: x.numpy()})[0])
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)
        assert (wanted.min(axis=1) > 1e-3).all()  # saturated ones would agree too easily


def test_onnx_runtime_gives_the_same_probabilities_at_any_batch() -> None:
    require_parity(fill(EarthquakeCnn()).float())


@pytest.mark.long
def test_onnx_runtime_gives_the_same_probabilities_of_grey_values() -> None:
    torch.manual_seed(3)
    require_parity(SpectrogramCnn().eval(), largest=255.0)  # 168 MB of weights: built here and nowhere else


# Refusals


@pytest.mark.parametrize("shape", [(1, 106, 3), (1, 80, 1), (3, 80, 1), (80, 3)])
def test_waveform_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    # 106 samples leave as many features as 80.
    with pytest.raises(
        NetworkError, match=r"EarthquakeCnn, input: found shape .*, wanted \(1, 80, 3\) after"
    ) as caught:
        EarthquakeCnn()(torch.zeros(2, *shape))
    assert isinstance(caught.value, ExportError)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: EarthquakeCnn(samples=52), r"EarthquakeCnn: found input \(1, 52, 3\), wanted a larger one"),
        (lambda: SpectrogramCnn(rows=21), r"SpectrogramCnn: found input \(3, 21, 150\), wanted a larger one"),
    ],
)
def test_input_of_which_nothing_is_left_is_refused(build: Callable[[], GeluCnn], message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        build()
