"""Slow, obvious NumPy forms of the networks, one example at a time, and seeded values to compare them on.

Each follows the layer tables and formulae of the published description, not our torch code.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import erf
from torch import Tensor, nn

F64Array = NDArray[np.float64]
Network = TypeVar("Network", bound=nn.Module)


def naive_patches(image: F64Array, bins: int) -> F64Array:
    """Eleven patches of an image (frame, frequency, channel): time, then frequency, then channel."""
    frames, frequencies, channels = image.shape
    rows = [
        [image[t, f, c] for t in range(frames) for f in range(first, first + bins) for c in range(channels)]
        for first in range(0, frequencies, bins)
    ]
    return np.array(rows)


def naive_attention(x: F64Array, weights: dict[str, F64Array], heads: int) -> F64Array:
    """Weigh the values by phi(q) . phi(k) over its sum, token by token."""
    q, k, v = (x @ weights[f"{role}.weight"].T for role in ("query", "key", "value"))
    q, k = np.maximum(q, 0.0) + 0.001, np.maximum(k, 0.0) + 0.001
    size = x.shape[1] // heads
    out = np.zeros_like(x)
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        for i in range(len(x)):
            shares = np.array([q[i, part] @ k[j, part] for j in range(len(x))])
            out[i, part] = sum(shares[j] * v[j, part] for j in range(len(x))) / shares.sum()
    return out @ weights["output.weight"].T


def naive_norm(x: F64Array, gamma: F64Array, beta: F64Array) -> F64Array:
    mean, variance = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    normalised: F64Array = (x - mean) / np.sqrt(variance + 1e-6) * gamma + beta
    return normalised


def naive_gelu(x: F64Array) -> F64Array:
    return np.asarray(0.5 * x * (1.0 + erf(x / np.sqrt(2.0))), np.float64)


def naive_dense(x: F64Array, w: dict[str, F64Array], path: str) -> F64Array:
    return x @ w[f"{path}.weight"].T + w[f"{path}.bias"]


def naive_block(x: F64Array, w: dict[str, F64Array], heads: int) -> F64Array:
    """One block: the same normalisation twice, GELU after both dense layers."""
    attention = {name.removeprefix("attention."): value for name, value in w.items()}
    y = x + naive_attention(naive_norm(x, w["norm.weight"], w["norm.bias"]), attention, heads)
    hidden = naive_gelu(naive_dense(naive_norm(y, w["norm.weight"], w["norm.bias"]), w, "expand"))
    return y + naive_gelu(naive_dense(hidden, w, "contract"))


def naive_performer(image: F64Array, w: dict[str, F64Array]) -> F64Array:
    embedded = naive_dense(naive_patches(image, 3), w, "embed")
    x = np.concatenate([w["class_token"], embedded]) + w["positions"]
    for index in range(2):
        start = f"blocks.{index}."
        x = naive_block(x, {n.removeprefix(start): v for n, v in w.items() if n.startswith(start)}, 2)
    y = naive_norm(x[0], w["norm.weight"], w["norm.bias"])
    y = naive_gelu(naive_dense(naive_gelu(naive_dense(y, w, "expand")), w, "contract"))
    return naive_softmax(naive_dense(y, w, "classify"))


def naive_cnn(image: F64Array, w: dict[str, F64Array]) -> F64Array:
    x = image
    for index in range(3):
        x = naive_conv_block(x, {n: v for n, v in w.items() if n.startswith(f"blocks.{index}.")}, index)
    return naive_softmax(naive_dense(np.maximum(naive_dense(x.ravel(), w, "hidden"), 0.0), w, "classify"))


def naive_conv_block(x: F64Array, w: dict[str, F64Array], index: int) -> F64Array:
    """Convolve, normalise with the moving statistics, ReLU, pool; (frame, frequency, channel) throughout."""
    kernel, rows, columns = w[f"blocks.{index}.conv.weight"], x.shape[0], x.shape[1]
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    y = np.zeros((rows, columns, kernel.shape[0])) + w[f"blocks.{index}.conv.bias"]
    for i in range(3):
        for j in range(3):
            y += padded[i : i + rows, j : j + columns] @ kernel[:, :, i, j].T
    y = naive_moving_norm(y, w, f"blocks.{index}.norm")
    y = np.maximum(y, 0.0)[: rows // 2 * 2, : columns // 2 * 2]
    pooled: F64Array = y.reshape(rows // 2, 2, columns // 2, 2, -1).max(axis=(1, 3))
    return pooled


def naive_softmax(x: F64Array) -> F64Array:
    powers: F64Array = np.exp(x - x.max())
    return np.asarray(powers / powers.sum())


def naive_gpd(waveform: F64Array, w: dict[str, F64Array], *, original: bool) -> F64Array:
    """Four convolutions and two dense layers, each with its normalisation before or after the ReLU."""
    x = waveform
    for index in range(4):
        y = naive_convolution(x, w[f"blocks.{index}.conv.weight"]) + w[f"blocks.{index}.conv.bias"]
        path = f"blocks.{index}.norm"
        if original:
            x = naive_pool(np.maximum(naive_moving_norm(y, w, path), 0.0))
        else:
            x = naive_moving_norm(np.maximum(naive_pool(y), 0.0), w, path)
    x = x.ravel()
    for index in range(2):
        y, path = naive_dense(x, w, f"dense.{index}.dense"), f"dense.{index}.norm"
        if original:
            x = np.maximum(naive_moving_norm(y, w, path), 0.0)
        else:
            x = naive_moving_norm(np.maximum(y, 0.0), w, path)
    return naive_softmax(naive_dense(x, w, "classify"))


def naive_convolution(x: F64Array, kernel: F64Array) -> F64Array:
    """Filter (sample, channel) with a kernel (filter, channel, tap) of odd length, SAME along the samples."""
    taps = kernel.shape[2]
    padded = np.pad(x, ((taps // 2, taps // 2), (0, 0)))
    return np.array([np.tensordot(kernel, padded[i : i + taps].T, 2) for i in range(len(x))], np.float64)


def naive_pool(x: F64Array) -> F64Array:
    return np.maximum(x[0::2], x[1::2])


def naive_moving_norm(x: F64Array, w: dict[str, F64Array], path: str) -> F64Array:
    """Batch normalisation at inference, with Keras' 1e-3."""
    spread = np.sqrt(w[f"{path}.running_var"] + 1e-3)
    return (x - w[f"{path}.running_mean"]) / spread * w[f"{path}.weight"] + w[f"{path}.bias"]


# Values far from the defaults, so that a mistake shows.


def fill(module: Network, seed: int = 7) -> Network:
    """Give every tensor of `module` seeded values, in double precision and evaluation mode."""
    random = np.random.default_rng(seed)
    module.double().eval()
    for name, tensor in module.state_dict().items():
        if tensor.dtype.is_floating_point:
            spread = 1.5 / np.sqrt(tensor[0].numel()) if tensor.ndim > 1 else 0.3
            values = random.normal(0.0, spread, tuple(tensor.shape))
            if name.endswith("running_var"):
                values = 0.5 + np.abs(values)
            elif name.endswith("norm.weight"):
                # Away from zero, and of both signs: a positive one could change places with a maximum unseen.
                values = np.copysign(0.5 + np.abs(values), values)
            tensor.copy_(torch.from_numpy(values))
    return module


def weights(module: nn.Module) -> dict[str, F64Array]:
    return {name: np.asarray(value.numpy(), np.float64) for name, value in module.state_dict().items()}


def images(batch: int, seed: int = 3) -> Tensor:
    """Numbers in the range of the front end, (batch, 22, 33, 3)."""
    return torch.from_numpy(np.random.default_rng(seed).uniform(-1.0, 0.301, (batch, 22, 33, 3)))
