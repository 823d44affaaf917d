"""The eight networks of PhaseNet against their tables and against slow NumPy forms of their formulae."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from naive_networks import F64Array, fill, naive_softmax, weights
from torch import Tensor, nn
from torch.nn import functional

from seisedge.export.errors import ExportError, NetworkError
from seisedge.export.networks import parameter_count, phasenet
from seisedge.export.networks.gru_export import gru, gru_scan, gru_translations
from seisedge.export.networks.phasenet import LABELS_Z, OUTPUTS, PHASES, PhaseNet, PhaseNetZ, trainable_count
from seisedge.export.networks.phasenet_blocks import Backbone, ScaleShiftNorm, ShiftNorm, same_conv
from seisedge.export.networks.phasenet_brnn import THREE_COMPONENTS, BothWays, Brnn, BrnnSizes, GruLayer
from seisedge.export.networks.phasenet_inception import WIDE, AverageBranch, Inception, InceptionBlock
from seisedge.export.networks.phasenet_unet import DoublingConv, UNet, kernel_from_2d
from seisedge.export.networks.phasenet_wavenet import WaveNet

Weights = dict[str, F64Array]
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    f"{build.__name__}{suffix}": partial(build, channels=channels)
    for build in (phasenet.inception, phasenet.brnn, phasenet.wavenet, phasenet.unet)
    for channels, suffix in ((3, ""), (1, "-z"))
}
EVERY = pytest.mark.parametrize("name", NETWORKS)


def lively(module: nn.Module, seed: int = 7) -> nn.Module:
    """Fill `module`, in double precision; GRU matrices, which begin with an axis of one, get larger values."""
    fill(module, seed)
    random = np.random.default_rng(seed)
    for layer in module.modules():
        if isinstance(layer, GruLayer):
            for matrix in (layer.weight, layer.recurrence):
                values = random.normal(0.0, 2.0 / np.sqrt(matrix.shape[2]), tuple(matrix.shape))
                matrix.data.copy_(torch.from_numpy(values))
    return module


def waveforms(name: str, batch: int, samples: int, seed: int = 11) -> Tensor:
    channels = 1 if name.endswith("-z") else 3
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(batch, channels, samples)))


# Slow forms: one window, (sample, channel). `w` holds the tensors, `path` the layer.


def naive_conv(x: F64Array, w: Weights, path: str, dilation: int = 1) -> F64Array:
    """SAME convolution as TensorFlow defines it: total padding first, the left gets its smaller half."""
    kernel = w[f"{path}.weight"]
    total = dilation * (kernel.shape[2] - 1)
    y = np.zeros((len(x), kernel.shape[0])) + w.get(f"{path}.bias", 0.0)
    for i in range(len(x)):
        for tap in range(kernel.shape[2]):
            j = i + dilation * tap - total // 2
            if 0 <= j < len(x):
                y[i] += kernel[:, :, tap] @ x[j]
    return y


def naive_norm(x: F64Array, w: Weights, path: str) -> F64Array:
    """Batch normalisation with the moving statistics; no gamma where there is none."""
    spread = np.sqrt(w[f"{path}.running_var"] + 1e-3)
    gamma = w.get(f"{path}.weight", np.ones(1))
    normal: F64Array = (x - w[f"{path}.running_mean"]) / spread * gamma + w[f"{path}.bias"]
    return normal


def naive_elu(x: F64Array) -> F64Array:
    return np.where(x > 0.0, x, np.expm1(np.minimum(x, 0.0)))


def naive_leaky(x: F64Array) -> F64Array:
    return np.where(x > 0.0, x, 0.2 * x)


def naive_sigmoid(x: F64Array) -> F64Array:
    return np.asarray(1.0 / (1.0 + np.exp(-x)), np.float64)


def naive_average(x: F64Array, length: int) -> F64Array:
    """Mean of the neighbours that exist."""
    reach = length // 2
    return np.array([x[max(0, i - reach) : i + reach + 1].mean(axis=0) for i in range(len(x))])


def naive_cne(x: F64Array, w: Weights, path: str, dilation: int = 1) -> F64Array:
    """Convolution, normalisation, ELU."""
    return naive_elu(naive_norm(naive_conv(x, w, f"{path}.conv", dilation), w, f"{path}.norm"))


def naive_can(
    x: F64Array, w: Weights, path: str, activation: Callable[[F64Array], F64Array], dilation: int = 1
) -> F64Array:
    """Convolution, activation, normalisation."""
    return naive_norm(activation(naive_conv(x, w, f"{path}.conv", dilation)), w, f"{path}.norm")


def naive_inception_block(x: F64Array, w: Weights, path: str, pool: int, dilation: int) -> F64Array:
    once = naive_cne(naive_cne(x, w, f"{path}.once.0"), w, f"{path}.once.1", dilation)
    twice = naive_cne(naive_cne(x, w, f"{path}.twice.0"), w, f"{path}.twice.1", dilation)
    twice = naive_cne(twice, w, f"{path}.twice.2", dilation)
    pooled = naive_cne(naive_average(x, pool), w, f"{path}.pooled")
    return np.concatenate([naive_cne(x, w, f"{path}.direct"), once, twice, pooled], axis=1)


def naive_inception(x: F64Array, w: Weights) -> F64Array:
    for index in range(3):
        x = naive_cne(x, w, f"stem.{index}")
    for index in range(2):
        x = naive_inception_block(x, w, f"narrow.{index}", 3, 1)
    for index, dilation in enumerate((1, 2, 4, 8, 16, 32, 64)):
        x = naive_inception_block(x, w, f"wide.{index}", 7, dilation)
    return x


def naive_plain(x: F64Array, w: Weights) -> F64Array:
    for index in range(7):
        x = naive_cne(x, w, f"layers.{index}")
    return x


def naive_wavenet(x: F64Array, w: Weights) -> F64Array:
    x = naive_can(x, w, "lift", np.tanh)
    for index, dilation in enumerate((2, 4, 8, 16, 32) * 3):
        path = f"layers.{index}"
        gated = naive_can(x, w, f"{path}.filter", np.tanh, dilation)
        gated = gated * naive_can(x, w, f"{path}.gate", naive_sigmoid, dilation)
        x = x + naive_can(gated, w, f"{path}.mix", np.tanh)
    return x


def naive_gru(x: F64Array, w: Weights, path: str) -> F64Array:
    """TensorFlow 1's cell on its own joint kernels: rows input then state, columns reset then update."""
    size = w[f"{path}.recurrence"].shape[2]
    joint = np.concatenate([w[f"{path}.weight"][0], w[f"{path}.recurrence"][0]], axis=1).T
    bias = w[f"{path}.bias"][0]
    order = np.r_[size : 2 * size, :size]
    gates, gate_bias = joint[:, order], bias[order]
    candidate, candidate_bias = joint[:, 2 * size :], bias[2 * size :]
    state = np.zeros(size)
    states: list[F64Array] = []
    for row in x:
        both = naive_sigmoid(np.concatenate([row, state]) @ gates + gate_bias)
        reset, update = both[:size], both[size:]
        new = np.tanh(np.concatenate([row, reset * state]) @ candidate + candidate_bias)
        state = update * state + (1.0 - update) * new
        states.append(state)
    return np.array(states)


def naive_both_ways(x: F64Array, w: Weights, path: str) -> F64Array:
    ahead, back = x, x[::-1]
    for layer in range(2):
        ahead = naive_gru(ahead, w, f"{path}.ahead.{layer}")
        back = naive_gru(back, w, f"{path}.back.{layer}")
    return np.concatenate([ahead, back[::-1]], axis=1)


def naive_brnn(x: F64Array, w: Weights, dilations: tuple[int, ...]) -> F64Array:
    for index, dilation in enumerate(dilations):
        x = naive_can(x, w, f"convolutions.{index}", naive_leaky, dilation)
    return naive_both_ways(x, w, "recurrent")


def naive_transposed(x: F64Array, taps: F64Array, stride: int) -> F64Array:
    """Scatter (tap, output, input) by `stride`, then cut to stride times the length, the left the smaller half."""
    full = np.zeros((stride * (len(x) - 1) + len(taps), taps.shape[1]))
    for i, row in enumerate(x):
        for tap, matrix in enumerate(taps):
            full[stride * i + tap] += matrix @ row
    left = (len(full) - stride * len(x)) // 2
    return full[left : left + stride * len(x)]


def naive_unet(x: F64Array, w: Weights) -> F64Array:
    for level in range(4):
        x = np.maximum(x[0::2], x[1::2]) if level else x
        for index in range(2):
            x = naive_can(x, w, f"encoder.{level}.{index}", naive_elu)
    for index, stride in enumerate((2, 1, 1, 2, 1, 1, 2, 1, 1)):
        path = f"decoder.{index}.conv" + (".transposed" if stride == 2 else "")
        kernel = w[f"{path}.weight"]
        taps = kernel.transpose(2, 1, 0) if stride == 2 else kernel.transpose(2, 0, 1)[::-1]
        x = naive_elu(naive_transposed(x, taps, stride) + w[f"{path}.bias"])
        x = naive_norm(x, w, f"decoder.{index}.norm") if index < 8 else x
    return x


NAIVE: dict[str, Callable[[F64Array, Weights], F64Array]] = {
    "inception": naive_inception,
    "inception-z": naive_plain,
    "brnn": partial(naive_brnn, dilations=(1, 2, 4, 8)),
    "brnn-z": partial(naive_brnn, dilations=(1, 1, 1, 1)),
    "wavenet": naive_wavenet,
    "wavenet-z": naive_wavenet,
    "unet": naive_unet,
    "unet-z": naive_unet,
}


# Parameters


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("inception", 5_639_784),
        ("brnn", 1_801_638),
        ("wavenet", 2_717_830),
        ("unet", 846_278),
        ("inception-z", 229_283),
        ("brnn-z", 476_195),
        ("wavenet-z", 2_715_651),
        ("unet-z", 845_603),
    ],
)
def test_network_has_the_published_number_of_parameters(name: str, count: int) -> None:
    assert trainable_count(NETWORKS[name]()) == count


@pytest.mark.parametrize(
    ("build", "count"),
    [
        (partial(Inception, 1), 5_639_464),
        (partial(Brnn, 1, THREE_COMPONENTS), 1_801_318),
        (partial(WaveNet, 1), 2_717_574),
        (partial(UNet, 1), 1_749_254 - 903_168),
    ],
    ids=["inception", "brnn", "wavenet", "unet"],
)
def test_shipped_network_with_one_channel_has_the_published_number(build: Callable[[], Backbone], count: int) -> None:
    assert trainable_count(PhaseNet(build())) == count


LAYERS: dict[str, dict[str, int]] = {
    "inception": {
        "stem": 52_352,
        "stem.0": 576,
        "stem.1": 10_432,
        "stem.2": 41_344,
        "narrow.0": 150_304,
        "narrow.1": 232_224,
        "wide.0": 559_578,
        **{f"wide.{index}": 771_958 for index in range(1, 7)},
        "heads": 13_578,
    },
    "brnn": {
        "convolutions": 216_480,
        "convolutions.0": 544,
        "convolutions.1": 10_368,
        "convolutions.2": 41_216,
        "convolutions.3": 164_352,
        "recurrent": 1_575_936,
        **{f"recurrent.{way}.{index}": 393_984 for way in ("ahead", "back") for index in range(2)},
        "heads": 9_222,
    },
    "wavenet": {"lift": 640, **{f"layers.{index}": 180_992 for index in range(15)}, "heads": 2_310},
    "unet": {"encoder": 392_352, "decoder": 1_354_752 // 3 + 896 + 864, "heads": 582},
    "inception-z": {
        "layers.0": 160,
        "layers.1": 6_272,
        "layers.2": 24_832,
        **{f"layers.{index}": 49_408 for index in range(3, 7)},
        "classify": 387,
    },
    "brnn-z": {
        **{f"convolutions.{index}": count for index, count in enumerate((160, 6_272, 24_832, 49_408))},
        **{f"recurrent.{way}.{index}": 98_688 for way in ("ahead", "back") for index in range(2)},
        "classify": 771,
    },
    "wavenet-z": {"lift": 384, "classify": 387},
    "unet-z": {"classify": 99},
}


@EVERY
def test_layers_have_the_published_numbers_of_parameters(name: str) -> None:
    module = NETWORKS[name]()
    paths = {path: path if path in {"heads", "classify"} else f"backbone.{path}" for path in LAYERS[name]}
    assert {path: trainable_count(module.get_submodule(full)) for path, full in paths.items()} == LAYERS[name]


def test_moving_statistics_and_shared_parameters_do_not_count_twice_or_at_all() -> None:
    norm = ScaleShiftNorm(5)
    assert trainable_count(nn.Sequential(norm, norm)) == 10
    assert parameter_count(norm) == 20


@pytest.mark.parametrize(
    ("name", "kind", "norms"),
    [
        ("inception", ScaleShiftNorm, 66),
        ("inception-z", ScaleShiftNorm, 7),
        ("brnn", ShiftNorm, 4),
        ("brnn-z", ShiftNorm, 4),
        ("wavenet", ScaleShiftNorm, 46),
        ("wavenet-z", ScaleShiftNorm, 46),
        ("unet", ShiftNorm, 16),
        ("unet-z", ShiftNorm, 16),
    ],
)
def test_batch_norms_are_tensorflows(name: str, kind: type[nn.Module], norms: int) -> None:
    found = [module for module in NETWORKS[name]().modules() if isinstance(module, nn.BatchNorm1d)]
    assert [(type(norm), norm.eps, norm.momentum) for norm in found] == [(kind, 1e-3, 0.01)] * norms


# What trained weights depend on


@EVERY
def test_network_equals_its_formula(name: str) -> None:
    module, x = lively(NETWORKS[name]()), waveforms(name, 2, 136)
    scores = module.logits(x) if isinstance(module, PhaseNetZ) else torch.cat(_rows(module, x), dim=1)
    w = {path.removeprefix("backbone."): value for path, value in weights(module).items()}
    head = "classify" if name.endswith("-z") else "heads"
    for row in range(2):
        theirs = naive_conv(NAIVE[name](x[row].numpy().T, w), w, head).T
        np.testing.assert_allclose(scores[row].detach().numpy(), theirs, rtol=1e-9, atol=1e-9)
        assert np.ptp(theirs, axis=1).min() > 1e-3  # or a network blind to its input would pass


def _rows(module: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    assert isinstance(module, PhaseNet)
    scores, offset = module.logits(x)
    return scores.flatten(1, 2), offset


@pytest.mark.parametrize("dilation", [1, 2, 32, 64])
@pytest.mark.parametrize("taps", [1, 3, 5, 7])
def test_padding_is_same_also_where_dilation_reaches_past_both_edges(taps: int, dilation: int) -> None:
    layer = fill(same_conv(2, 4, taps, dilation=dilation))
    x = np.random.default_rng(taps).normal(size=(90, 2))
    ours = layer(torch.from_numpy(x.T)[None])[0].detach().numpy().T
    w = {f"conv.{path}": value for path, value in weights(layer).items()}
    np.testing.assert_allclose(ours, naive_conv(x, w, "conv", dilation), rtol=0, atol=1e-12)


@pytest.mark.parametrize("length", [3, 7])
def test_average_leaves_out_what_lies_past_an_edge(length: int) -> None:
    branch = fill(AverageBranch(3, 2, length))
    x = 5.0 + np.random.default_rng(length).normal(size=(20, 3))
    w = {f"pooled.{path}": value for path, value in weights(branch).items()}
    theirs = naive_cne(naive_average(x, length), w, "pooled")
    ours = branch(torch.from_numpy(x.T)[None])[0].detach().numpy().T
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def test_average_and_convolution_change_places_in_training_too() -> None:
    branch = fill(AverageBranch(3, 2, 7)).train()
    x = torch.from_numpy(5.0 + np.random.default_rng(1).normal(size=(4, 3, 20)))
    upstream = functional.elu(
        functional.batch_norm(
            branch.conv(functional.avg_pool1d(x, 7, 1, 3, count_include_pad=False)),
            None,
            None,
            branch.norm.weight,
            branch.norm.bias,
            training=True,
            eps=1e-3,
        )
    )
    torch.testing.assert_close(branch(x), upstream, rtol=0, atol=1e-12)


def test_only_the_long_convolutions_of_a_block_are_dilated() -> None:
    block = InceptionBlock(8, WIDE, dilation=16)
    sizes = [(c.kernel_size[0], c.dilation[0]) for c in block.modules() if isinstance(c, nn.Conv1d)]
    assert sizes == [(1, 1), (1, 1), (7, 16), (1, 1), (7, 16), (7, 16), (1, 1)]


@pytest.mark.parametrize(
    ("name", "samples", "left", "right"),
    [
        ("inception", 800, 777, 777),
        ("wavenet", 400, 373, 373),
        ("unet", 128, 59, 52),
        ("inception-z", 24, 7, 7),
        ("wavenet-z", 400, 372, 372),
        ("unet-z", 128, 58, 51),
    ],
)
def test_receptive_field_is_the_published_one(name: str, samples: int, left: int, right: int) -> None:
    """A NaN spreads to every output that sees it. A UNet's field varies with the place, in a cycle of eight."""
    module = lively(NETWORKS[name]())
    places = range(8 if name.startswith("unet") else 1)
    # A sample near the left edge shows how far back an output looks, one near the right edge how far ahead.
    back = [_seen(module, name, samples, place)[1] for place in places]
    ahead = [-_seen(module, name, samples, samples - 1 - place)[0] for place in places]
    assert (max(back), max(ahead)) == (left, right)


def _seen(module: nn.Module, name: str, samples: int, place: int) -> tuple[int, int]:
    """First and last output that the sample at `place` reaches, counted from it."""
    x = waveforms(name, 1, samples)
    x[0, 0, place] = torch.nan
    with torch.inference_mode():
        reached = np.flatnonzero(torch.isnan(_outputs(module(x))[0][0, :, 0]).numpy()) - place
    return int(reached[0]), int(reached[-1])


# GRU

SMALL = BrnnSizes(filters=(6,), taps=3, dilations=(1,), states=5)


def test_gru_is_tensorflows_cell_in_both_directions() -> None:
    module = lively(BothWays(6, SMALL))
    x = np.random.default_rng(2).normal(size=(40, 3, 6))
    ours = module(torch.from_numpy(x)).detach().numpy()
    w = {f"gru.{path}": value for path, value in weights(module).items()}
    for row in range(3):
        np.testing.assert_allclose(ours[:, row], naive_both_ways(x[:, row], w, "gru"), rtol=0, atol=1e-12)


def test_gru_of_torch_is_another_function() -> None:
    """Its reset gate acts after the product; with the same tensors it gives other states."""
    layer = lively(GruLayer(6, 5))
    assert isinstance(layer, GruLayer)
    theirs = nn.GRU(6, 5).double()
    order = torch.cat([torch.arange(5, 10), torch.arange(5), torch.arange(10, 15)])
    tensors = {
        "weight_ih_l0": layer.weight[0, order],
        "weight_hh_l0": layer.recurrence[0, order],
        "bias_ih_l0": layer.bias[0, order],
        "bias_hh_l0": torch.zeros(15),
    }
    theirs.load_state_dict(tensors)
    x = torch.from_numpy(np.random.default_rng(3).normal(size=(40, 2, 6)))
    with torch.no_grad():
        ours, (wrong, _) = layer(x, reverse=False), theirs(x)
    torch.testing.assert_close(ours[0], wrong[0])  # the first step has no state yet
    assert (ours[1:] - wrong[1:]).abs().max() > 0.05


@pytest.mark.parametrize("reverse", [False, True])
def test_onnx_runtime_has_this_gru_with_linear_before_reset_0(*, reverse: bool) -> None:
    layer = lively(GruLayer(6, 5))
    assert isinstance(layer, GruLayer)
    x = np.random.default_rng(4).normal(size=(40, 3, 6))
    with torch.no_grad():
        ours = layer(torch.from_numpy(x), reverse=reverse).numpy()
    differences = [
        np.abs(_onnx_gru(x, weights(layer), reverse=reverse, linear_before_reset=value) - ours).max()
        for value in (0, 1)
    ]
    assert differences[0] < 1e-6
    assert differences[1] > 0.05


def _onnx_gru(x: F64Array, w: Weights, *, reverse: bool, linear_before_reset: int) -> F64Array:
    node = onnx.helper.make_node(
        "GRU",
        ["x", "w", "r", "b"],
        ["y"],
        hidden_size=w["recurrence"].shape[2],
        direction="reverse" if reverse else "forward",
        linear_before_reset=linear_before_reset,
    )
    bias = np.concatenate([w["bias"], np.zeros_like(w["bias"])], axis=1)
    feed = {"x": x, "w": w["weight"], "r": w["recurrence"], "b": bias}
    inputs = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, v.shape) for n, v in feed.items()]
    output = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    graph = onnx.helper.make_graph([node], "gru", inputs, [output])
    opset = onnx.helper.make_opsetid("", 20)
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=10)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    states = session.run(["y"], {name: value.astype(np.float32) for name, value in feed.items()})[0]
    return np.asarray(states, np.float64)[:, 0]


def test_directions_know_nothing_of_each_other() -> None:
    module = lively(BothWays(6, SMALL))
    assert isinstance(module, BothWays)
    x = torch.from_numpy(np.random.default_rng(5).normal(size=(40, 2, 6)))
    before = module(x)
    lively(module.back, seed=8)
    after = module(x)
    torch.testing.assert_close(after[..., :5], before[..., :5], rtol=0, atol=0)
    assert (after[..., 5:] - before[..., 5:]).abs().max() > 0.05
    later = x.clone()
    later[20:] += 1.0
    changed = (module(later) - after).abs().amax(dim=(1, 2)) > 0
    torch.testing.assert_close(module(later)[:20, :, :5], after[:20, :, :5], rtol=0, atol=0)
    assert changed.all()  # by the way back


def test_operator_and_loop_agree() -> None:
    module = lively(BothWays(6, SMALL))
    assert isinstance(module, BothWays)
    x = torch.from_numpy(np.random.default_rng(6).normal(size=(40, 3, 6)))
    torch.testing.assert_close(module.by_operator(x), module.by_loop(x), rtol=0, atol=1e-12)


def test_operator_keeps_the_rules_of_torch() -> None:
    layer = GruLayer(6, 5)
    arguments = (torch.zeros(7, 2, 6), layer.weight.data, layer.recurrence.data, layer.bias.data)
    torch.library.opcheck(gru, arguments, {"reverse": True}, test_utils=("test_schema", "test_faketensor"))


def test_gru_begins_as_tensorflows_does() -> None:
    layer = GruLayer(256, 256)
    np.testing.assert_array_equal(layer.bias[0].detach().numpy(), [1.0] * 512 + [0.0] * 256)
    for matrix in (layer.weight, layer.recurrence):
        assert 0.99 < matrix[0, :512].abs().max() / np.sqrt(6 / 1024) <= 1.0
        assert 0.99 < matrix[0, 512:].abs().max() / np.sqrt(6 / 768) <= 1.0


def test_layers_side_by_side_stay_apart() -> None:
    random = np.random.default_rng(7)
    x, weight, recurrence, bias = (
        torch.from_numpy(random.normal(size=shape)) for shape in ((9, 2, 3, 6), (2, 15, 6), (2, 15, 5), (2, 15))
    )
    both = gru_scan(x, weight, recurrence, bias)
    for d in range(2):
        part = slice(d, d + 1)
        alone = gru_scan(x[:, part], weight[part], recurrence[part], bias[part])
        torch.testing.assert_close(both[:, part], alone, rtol=0, atol=1e-12)


# Transposed convolutions of UNet


def test_doubling_convolution_equals_its_formula() -> None:
    layer = fill(DoublingConv(4, 3))
    x = np.random.default_rng(8).normal(size=(11, 4))
    ours = layer(torch.from_numpy(x.T)[None])[0].detach().numpy().T
    w = weights(layer)
    theirs = naive_transposed(x, w["transposed.weight"].transpose(2, 1, 0), 2) + w["transposed.bias"]
    assert ours.shape == (22, 3)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("stride", [1, 2])
def test_published_kernel_over_an_image_one_row_high_is_our_layer_with_its_middle_row(stride: int) -> None:
    random = np.random.default_rng(stride)
    kernel, x = random.normal(size=(3, 3, 4, 5)), random.normal(size=(2, 5, 12))
    # TensorFlow's (row, tap, output, input) is torch's (input, output, row, tap). SAME cuts one row at the top
    # and at the bottom, and along time (3 - stride) samples, the smaller half of them at the left.
    image = functional.conv_transpose2d(
        torch.from_numpy(x)[:, :, None], torch.from_numpy(kernel.transpose(3, 2, 0, 1)), stride=(1, stride)
    )
    left = (3 - stride) // 2
    theirs = image[:, :, 1, left : left + 12 * stride]
    layer = (DoublingConv(5, 4) if stride == 2 else same_conv(5, 4, 3)).double()
    owner = layer.transposed if isinstance(layer, DoublingConv) else layer
    with torch.no_grad():
        owner.weight.copy_(torch.from_numpy(kernel_from_2d(kernel, stride)))
        assert owner.bias is not None
        owner.bias.zero_()
        torch.testing.assert_close(layer(torch.from_numpy(x)), theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "stride", "message"),
    [
        ((3, 4, 5), 2, r"kernel: found shape \(3, 4, 5\)"),
        ((3, 5, 4, 5), 2, "kernel: found shape"),
        ((3, 3, 4, 5), 3, "stride: found 3"),
    ],
)
def test_kernel_that_is_not_the_published_one_is_refused(shape: tuple[int, ...], stride: int, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        kernel_from_2d(np.zeros(shape, np.float32), stride)


@pytest.mark.parametrize("samples", [7, 300, 3001])
def test_unet_refuses_a_length_that_does_not_halve_three_times(samples: int) -> None:
    with pytest.raises(NetworkError, match=f"samples: found {samples}, wanted a multiple of 8"):
        phasenet.unet()(torch.zeros(1, 3, samples))


# Outputs


def test_labels_are_in_the_documented_order() -> None:
    assert (PHASES, LABELS_Z, OUTPUTS) == (("P", "S"), ("noise", "P", "S"), ("probability", "offset"))


def test_heads_are_two_binary_softmaxes_and_two_regressions_in_order_p_s() -> None:
    module = phasenet.unet().eval()
    assert isinstance(module, PhaseNet)
    values = {"not P": 0.3, "P": 1.0, "not S": -0.4, "S": -2.0, "offset P": 0.25, "offset S": -0.75}
    with torch.no_grad():
        module.heads.weight.zero_()
        assert module.heads.bias is not None
        module.heads.bias.copy_(torch.tensor([values[name] for name in module.HEADS]))
        probability, offset = module(torch.zeros(2, 3, 16))
        scores, offset_by_phase = module.logits(torch.zeros(2, 3, 16))
    assert probability.shape == offset.shape == (2, 16, 2)
    wanted = [naive_softmax(np.array([values[f"not {phase}"], values[phase]]))[1] for phase in ("P", "S")]
    np.testing.assert_allclose(probability[1, 5].numpy(), wanted, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(offset[1, 5].numpy(), [0.25, -0.75])
    assert scores.shape == (2, 2, 2, 16)  # class, phase
    np.testing.assert_allclose(scores[1, :, :, 5].numpy(), [[0.3, -0.4], [1.0, -2.0]], rtol=0, atol=1e-7)
    torch.testing.assert_close(offset_by_phase, offset.transpose(1, 2))
    torch.testing.assert_close(torch.softmax(scores, dim=1)[:, 1].transpose(1, 2), probability)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name.endswith("-z")])
def test_one_component_gives_a_softmax_over_noise_p_s(name: str) -> None:
    module, x = lively(NETWORKS[name]()), waveforms(name, 2, 16)
    assert isinstance(module, PhaseNetZ)
    probability, scores = module(x).detach().numpy(), module.logits(x).detach().numpy()
    assert probability.shape == (2, 16, 3)
    np.testing.assert_allclose(probability[1, 7], naive_softmax(scores[1, :, 7]), rtol=0, atol=1e-12)


@EVERY
def test_row_does_not_depend_on_its_neighbours(name: str) -> None:
    module, x = lively(NETWORKS[name]()), waveforms(name, 3, 64)
    with torch.inference_mode():
        together = _outputs(module(x))
        for row in range(3):
            for one, all_rows in zip(_outputs(module(x[row : row + 1])), together, strict=True):
                torch.testing.assert_close(one[0], all_rows[row], rtol=0, atol=1e-11)


def _outputs(y: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (y,) if isinstance(y, Tensor) else y


@EVERY
def test_gradient_reaches_every_parameter(name: str) -> None:
    module, x = lively(NETWORKS[name]()).train(), waveforms(name, 2, 24)
    if isinstance(module, PhaseNet):
        scores, offset = module.logits(x)
        loss = functional.cross_entropy(scores, torch.ones(2, 2, 24, dtype=torch.long)) + offset.square().sum()
    else:
        assert isinstance(module, PhaseNetZ)
        loss = functional.cross_entropy(module.logits(x), torch.ones(2, 24, dtype=torch.long))
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    idle = [n for n, p in module.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert idle == []


@pytest.mark.parametrize("build", [phasenet.inception, phasenet.brnn, phasenet.wavenet, phasenet.unet])
def test_other_numbers_of_channels_are_refused(build: Callable[..., nn.Module]) -> None:
    with pytest.raises(NetworkError, match="channels: found 2, wanted 3 or 1") as caught:
        build(channels=2)
    assert isinstance(caught.value, ExportError)


# Exported graphs

QUICK = ("unet", "brnn-z")


@pytest.mark.parametrize(
    "name",
    [*QUICK, *(pytest.param(name, marks=pytest.mark.long) for name in NETWORKS if name not in QUICK)],
)
def test_onnx_runtime_agrees_with_torch_at_any_batch(name: str) -> None:
    module = _tame(NETWORKS[name]())
    graph = _exported(module, name)
    assert {node.domain for node in graph.graph.node} == {""}
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == _names(name)
    for batch in (1, 2, 7):
        x = waveforms(name, batch, 304, seed=batch).float()
        with torch.inference_mode():
            ours = _outputs(module(x))
        for mine, theirs in zip(ours, session.run(None, {"waveform": x.numpy()}), strict=True):
            np.testing.assert_allclose(np.asarray(theirs), mine.numpy(), rtol=0, atol=1e-5)
            assert float(torch.std(mine)) > 1e-3
    if name.startswith("brnn"):
        _check_grus(graph)


def _check_grus(graph: onnx.ModelProto) -> None:
    """One operator per layer and direction, its weights beside it."""
    nodes = [node for node in graph.graph.node if node.op_type == "GRU"]
    attributes = [{a.name: onnx.helper.get_attribute_value(a) for a in node.attribute} for node in nodes]
    assert sorted(a["direction"] for a in attributes) == [b"forward"] * 2 + [b"reverse"] * 2
    assert [a["linear_before_reset"] for a in attributes] == [0] * 4
    stored = {initializer.name for initializer in graph.graph.initializer}
    assert all(set(node.input[1:4]) <= stored for node in nodes)
    assert not any(node.op_type in {"Loop", "Scan"} for node in graph.graph.node)


def _names(name: str) -> list[str]:
    return list(OUTPUTS if not name.endswith("-z") else OUTPUTS[:1])


def _tame(module: nn.Module) -> nn.Module:
    """Fresh weights and seeded moving statistics, in single precision."""
    random = np.random.default_rng(9)
    for path, buffer in module.named_buffers():
        if path.endswith("running_mean"):
            buffer.copy_(torch.from_numpy(random.normal(0.0, 0.2, tuple(buffer.shape))))
        elif path.endswith("running_var"):
            buffer.copy_(torch.from_numpy(random.uniform(0.3, 0.5, tuple(buffer.shape))))
    return module.eval()


def _exported(module: nn.Module, name: str) -> onnx.ModelProto:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch 2.13 copies its own deprecated LeafSpec
        program = torch.onnx.export(
            module,
            (waveforms(name, 2, 304).float(),),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=4096)},),
            input_names=["waveform"],
            output_names=_names(name),
            external_data=False,
            verbose=False,
            custom_translation_table=gru_translations(),
        )
    assert program is not None
    graph: onnx.ModelProto = program.model_proto
    return graph
