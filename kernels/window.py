"""Windows of a record with all their steps in one call: what a network is fed.

A plan is the list of steps, resolved once. Each window is cut, goes through every step while it is in the cache, and
is written once more only if its axes are turned. The bits are those of the steps called one by one on a float32 copy of
the window: `demean_into`, `detrend_into`, `taper_into`, `sos_step_into` from rest, `normalise_*_into`,
`truncate_int16_into`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from . import _window_loops as loops
from ._arrays import (
    ArrayError,
    Float32,
    Float64,
    Int64,
    Samples,
    require_apart,
    require_at_least,
    require_out,
    require_samples,
)
from ._sections import LANES
from ._window_loops import windows_into
from .filters import require_sos
from .taper import cosine_ramp

WindowOp = Literal[
    "demean",
    "detrend",
    "taper",
    "normalise_std",
    "normalise_max_abs",
    "normalise_signed_max",
    "truncate_int16",
    "filter",
]
_CODES: dict[str, int] = dict(
    zip(
        get_args(WindowOp),
        (
            loops.DEMEAN,
            loops.DETREND,
            loops.TAPER,
            loops.STD,
            loops.MAX_ABS,
            loops.SIGNED_MAX,
            loops.TRUNCATE,
            loops.FILTER,
        ),
        strict=True,
    )
)


@dataclass(frozen=True, eq=False)
class WindowStep:
    """One step of a window.

    Attributes
    ----------
    op
        Which; the function of this name with `_into` says what it does. `filter` is `sos_step_into` with a state of
        zeros at the window's first sample.
    joint, ddof, eps
        Of `normalise_std` and `normalise_max_abs`.
    fraction
        Of `taper`: of the window, at each end.
    sos : float64 (section, 6), optional
        Of `filter`: from `butterworth_sos`.
    """

    op: WindowOp
    joint: bool = False
    ddof: int = 0
    eps: float = 0.0
    fraction: float = 0.0
    sos: Float64 | None = None


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
        Which step, how many channels share a divisor, ddof, and where in `tables` its ramp or filter starts and stops.
    eps : float64 (step,)
    tables : float64 (n,)
    sections : int
        Of the longest filter.
    """

    channels: int
    width: int
    is_turned: bool
    codes: Int64
    eps: Float64
    tables: Float64
    sections: int

    @functools.cached_property
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
    tables: list[Float64] = []
    for code, step in zip(codes, steps, strict=True):
        if step.op not in _CODES:
            raise ArrayError(f"op: found {step.op!r}, wanted {', '.join(_CODES)}")
        require_at_least(step.eps, "eps", least=0.0)
        count = width * channels if step.joint else width
        if step.op == "normalise_std" and not 0 <= step.ddof < count:
            raise ArrayError(f"ddof: found {step.ddof} for {count} values, wanted 0 to {count - 1}")
        table = _table(step, width)
        start = sum(each.size for each in tables)
        code[:] = _CODES[step.op], channels if step.joint else 1, step.ddof, start, start + table.size
        tables.append(table)
    eps = np.array([step.eps for step in steps], np.float64)
    sections = max((step.sos.shape[0] for step in steps if step.sos is not None), default=0)
    return WindowPlan(channels, width, is_turned, codes, eps, np.concatenate([np.zeros(0), *tables]), sections)


def _table(step: WindowStep, width: int) -> Float64:
    """Give the ramp of a taper, or the sections of a filter, row behind row."""
    if (step.op == "filter") != (step.sos is not None):
        raise ArrayError(
            f"sos: found {'none' if step.sos is None else 'one'} for {step.op}, wanted it for filter alone"
        )
    if step.sos is not None:
        require_sos(step.sos)
        return step.sos.reshape(-1)
    return cosine_ramp(width, step.fraction if step.op == "taper" else 0.0)


@dataclass(frozen=True, eq=False)
class WindowScratch:
    """Memory for `cut_windows_into`, of one caller at a time; made by `window_scratch`.

    Attributes
    ----------
    plan : WindowPlan
        That it is for.
    window : float32 (1, channels, width)
        One window, before its axes are turned; nothing where the plan does not turn them.
    state : float64 (section, 3, channels)
        Of a filter, and what each section gives; of four channels at least, which are a vector.
    cut_into : function of record, first, stride and out
        What `cut_windows_into` does once it has checked them.
    """

    plan: WindowPlan
    window: Float32
    state: Float64
    cut_into: Callable[[Samples, int, int, Float32], None] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Bind the kernel to the plan and this memory: a call then names the record and the result alone."""
        codes, eps, tables = self.plan.codes, self.plan.eps, self.plan.tables
        cut = windows_into.hold(..., ..., ..., codes, eps, tables, self.state, self.window, ...)
        object.__setattr__(self, "cut_into", cut)


def window_scratch(plan: WindowPlan) -> WindowScratch:
    """Make the memory of `cut_windows_into` once: a call then allocates nothing."""
    window = np.zeros((1 if plan.is_turned else 0, plan.channels, plan.width), np.float32)
    return WindowScratch(plan, window, np.zeros((plan.sections, 3, max(plan.channels, LANES))))


def cut_windows_into(
    x: Samples,
    plan: WindowPlan,
    out: Float32,
    *,
    first: int = 0,
    stride: int = 1,
    scratch: WindowScratch | None = None,
) -> None:
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
    scratch : WindowScratch, optional
        From ``window_scratch(plan)``; made anew for the call if absent.

    Raises
    ------
    ArrayError
        If an array does not keep the contract, or the record does not hold all the windows.
    """
    require_samples(x, "x")
    if x.shape[0] != plan.channels:
        raise ArrayError(f"x: found {x.shape[0]} channels, wanted {plan.channels}")
    require_out(out, "out", shape=(None, *plan.shape))
    require_apart(out, "out", x)
    count = out.shape[0]
    stop = first + (count - 1) * stride + plan.width
    if count and (first < 0 or stride < 0 or stop > x.shape[1]):
        raise ArrayError(f"x: found {x.shape[1]} samples, wanted samples {first} to {stop - 1}")
    if scratch is None:
        scratch = window_scratch(plan)
    if scratch.plan is not plan:
        raise ArrayError("scratch: found one of another plan, wanted window_scratch(plan)")
    scratch.cut_into(x, first, stride, out)
