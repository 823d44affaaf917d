"""Windows of a record with all their steps in one call: what a network is fed.

A plan is the list of steps, resolved once. Each window is cut, goes through every step while it is in the cache, and
is written once more only if its axes are turned. The bits are those of the steps called one by one on a float32 copy of
the window: `demean_into`, `detrend_into`, `taper_into`, `normalise_*_into`, `truncate_int16_into`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from . import _window_loops as loops
from ._arrays import ArrayError, Float32, Float64, Int64, Samples, require_apart, require_at_least, require_out
from ._arrays import require_samples as _require_samples
from .taper import cosine_ramp

WindowOp = Literal[
    "demean", "detrend", "taper", "normalise_std", "normalise_max_abs", "normalise_signed_max", "truncate_int16"
]
_CODES: dict[str, int] = dict(
    zip(
        get_args(WindowOp),
        (loops.DEMEAN, loops.DETREND, loops.TAPER, loops.STD, loops.MAX_ABS, loops.SIGNED_MAX, loops.TRUNCATE),
        strict=True,
    )
)


@dataclass(frozen=True)
class WindowStep:
    """One step of a window.

    Attributes
    ----------
    op
        Which; the function of this name with `_into` says what it does.
    joint, ddof, eps
        Of `normalise_std` and `normalise_max_abs`.
    fraction
        Of `taper`: of the window, at each end.
    """

    op: WindowOp
    joint: bool = False
    ddof: int = 0
    eps: float = 0.0
    fraction: float = 0.0


@dataclass(frozen=True, eq=False)
class WindowPlan:
    """Steps of windows of one size; made by `window_plan`, shared by any number of streams.

    Attributes
    ----------
    channels, width : int
        Of a window.
    is_turned : bool
        Windows are (sample, channel) and not (channel, sample).
    codes : int64 (step, 5)
        Which step, how many channels share a divisor, ddof, and where in `ramps` its ramp starts and stops.
    eps : float64 (step,)
    ramps : float64 (n,)
    """

    channels: int
    width: int
    is_turned: bool
    codes: Int64
    eps: Float64
    ramps: Float64

    @property
    def shape(self) -> tuple[int, int]:
        """Axes of one window of the result."""
        return (self.width, self.channels) if self.is_turned else (self.channels, self.width)


def window_plan(steps: Sequence[WindowStep], *, channels: int, width: int, is_turned: bool = False) -> WindowPlan:
    """Resolve the steps for windows of this size.

    Raises
    ------
    ArrayError
        A size is below 1, a step is unknown, or one of its numbers is not what its function takes.
    """
    require_at_least(channels, "channels", least=1)
    require_at_least(width, "width", least=1)
    codes = np.zeros((len(steps), 5), np.int64)
    ramps: list[Float64] = []
    for code, step in zip(codes, steps, strict=True):
        if step.op not in _CODES:
            raise ArrayError(f"op: found {step.op!r}, wanted {', '.join(_CODES)}")
        require_at_least(step.eps, "eps", least=0.0)
        count = width * channels if step.joint else width
        if step.op == "normalise_std" and not 0 <= step.ddof < count:
            raise ArrayError(f"ddof: found {step.ddof} for {count} values, wanted 0 to {count - 1}")
        ramp = cosine_ramp(width, step.fraction if step.op == "taper" else 0.0)
        start = sum(each.size for each in ramps)
        code[:] = _CODES[step.op], channels if step.joint else 1, step.ddof, start, start + ramp.size
        ramps.append(ramp)
    eps = np.array([step.eps for step in steps], np.float64)
    return WindowPlan(channels, width, is_turned, codes, eps, np.concatenate([np.zeros(0), *ramps]))


def cut_windows_into(x: Samples, plan: WindowPlan, out: Float32, *, first: int = 0, stride: int = 1) -> None:
    """Cut windows out of a record, `stride` samples apart, and do every step of the plan on each.

    Parameters
    ----------
    x : int16, int32 or float32 (channel, sample)
        Counts. What a NaN does, the steps say.
    plan : WindowPlan
        From `window_plan`.
    out : float32 (window, channel, sample), or (window, sample, channel) where the plan turns the axes
        As many windows as it has room for. Shares no memory with `x`.
    first, stride : int
        Sample at which the first window starts, and from window to window.

    Raises
    ------
    ArrayError
        If an array does not keep the contract, or the record does not hold all the windows.
    """
    _require_samples(x, "x")
    if x.shape[0] != plan.channels:
        raise ArrayError(f"x: found {x.shape[0]} channels, wanted {plan.channels}")
    require_out(out, "out", shape=(None, *plan.shape))
    require_apart(out, "out", x)
    count = out.shape[0]
    stop = first + (count - 1) * stride + plan.width
    if count and (first < 0 or stride < 0 or stop > x.shape[1]):
        raise ArrayError(f"x: found {x.shape[1]} samples, wanted samples {first} to {stop - 1}")
    if plan.is_turned:
        work = np.empty((1, plan.channels, plan.width), np.float32)
        loops.turned_windows_into(x, first, stride, plan.codes, plan.eps, plan.ramps, work, out)
    else:
        loops.windows_into(x, first, stride, plan.codes, plan.eps, plan.ramps, out)
