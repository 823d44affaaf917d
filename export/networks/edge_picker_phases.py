"""`EdgePicker` as it is run: the same sums, with nothing at the full rate but samples in and probabilities out.

Convolutions of a few channels at the full rate are mostly the laying out of their inputs. Here four samples beside each
other are four channels (`PHASES`; channel c's phase p is channel 4 c + p), so what was at 100 Hz is at 25 Hz with four
times the channels: a kernel of seven taps is one of three with zeros at its ends. No sample is interleaved on the way,
for what the last way up gives is in phases already. In int8 a quarter of the time is saved.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

PHASES = 4


def phase_taps(weight: Tensor, *, stride: int) -> Tensor:
    """Give the kernel of a convolution of phases that is equal to one of samples.

    Parameters
    ----------
    weight
        (out, in, taps) of a convolution with an odd number of taps and half as many samples of zeros at each end.
    stride
        1: the result is in phases too. 4: one value for four samples.

    Returns
    -------
    Tensor
        (out * 4 / stride, in * 4, blocks), for as many blocks of zeros at each end as keep the length.
    """
    outputs, inputs, taps = weight.shape
    shifts = range(0, PHASES, stride)
    reach = -(-(taps // 2) // PHASES)
    spread = weight.new_zeros(outputs, len(shifts), inputs, PHASES, 2 * reach + 1)
    for shift in shifts:
        for tap in range(taps):
            block, phase = divmod(shift + tap - taps // 2, PHASES)
            spread[:, shift // stride, :, phase, block + reach] = weight[:, :, tap]
    return spread.flatten(2, 3).flatten(0, 1)


def phases_of(x: Tensor) -> Tensor:
    """Lay four samples side by side as channels: (B, channel, n) to (B, 4 channel, n / 4)."""
    count, channels, npts = x.shape
    return x.reshape(count, channels, npts // PHASES, PHASES).transpose(2, 3).flatten(1, 2)


def samples_of(x: Tensor) -> Tensor:
    """Undo `phases_of`."""
    count, channels, npts = x.shape
    return x.reshape(count, channels // PHASES, PHASES, npts).transpose(2, 3).flatten(2)


def in_phases(conv: nn.Conv1d, norm: nn.BatchNorm1d | None = None) -> nn.Conv1d:
    """Make the convolution of phases that gives what a convolution of samples and its normalisation give."""
    weight: Tensor = conv.weight
    shift = weight.new_zeros(len(weight)) if conv.bias is None else conv.bias
    if norm is not None:
        mean, variance = norm.running_mean, norm.running_var
        if mean is None or variance is None:
            raise ValueError("batch normalisation: found no running statistics, wanted those of a training")
        weight, shift = fuse_conv_bn_weights(weight, shift, mean, variance, norm.eps, norm.weight, norm.bias)
    stride = conv.stride[0]
    kernel = phase_taps(weight.detach(), stride=stride)
    made = nn.Conv1d(kernel.shape[1], kernel.shape[0], kernel.shape[2], padding=kernel.shape[2] // 2)
    with torch.no_grad():
        made.weight.copy_(kernel)
        if made.bias is not None:
            made.bias.copy_(shift.repeat_interleave(PHASES // stride))
    return made
