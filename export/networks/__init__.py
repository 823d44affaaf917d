"""The networks, one file each: torch definitions whose tensors a test counts against the registry."""

from __future__ import annotations

from torch import nn

_MOVING_STATISTICS = ("running_mean", "running_var")


def parameter_count(module: nn.Module) -> int:
    """Count the numbers a trained network consists of: its parameters and its moving statistics.

    This is the "total params" of the published tables. A parameter that two layers share counts once;
    `num_batches_tracked`, torch's own bookkeeping, does not count.
    """
    trained = sum(parameter.numel() for parameter in module.parameters())
    moving = sum(buffer.numel() for name, buffer in module.named_buffers() if name.endswith(_MOVING_STATISTICS))
    return trained + moving
