"""The kernel that cuts windows and does all their steps: `window` checks."""

from __future__ import annotations

import numpy as np

from ._arrays import Float32, Float64, Int64, Samples
from ._kernel import kernel
from ._row_steps import (
    demean_channels,
    detrend_channels,
    divide_by_max_abs,
    divide_by_signed_max,
    divide_by_std,
    taper_ends,
    truncate_int16_channels,
)
from ._sections import filter_lanes_into

DEMEAN, DETREND, TAPER, STD, MAX_ABS, SIGNED_MAX, TRUNCATE, FILTER = range(8)
"""Codes of the steps of `windows_into`."""


@kernel("void(f4[:,::1], const f8[::1], f8[:,:,::1])")
def _filter_from_rest(window: Float32, sos: Float64, state: Float64) -> None:
    """Filter a window in place; `state` is scratch for the longest filter of the plan."""
    lanes = state[: sos.shape[0] // 6]
    for s in range(lanes.shape[0]):
        for c in range(lanes.shape[2]):
            lanes[s, 0, c] = 0.0
            lanes[s, 1, c] = 0.0
    filter_lanes_into(window, sos, lanes, window)


@kernel("void(f4[:,::1], const i8[::1], f8, const f8[::1], f8[:,:,::1])")
def _step(window: Float32, code: Int64, eps: float, tables: Float64, state: Float64) -> None:
    """Do one step, (code, span, ddof, where its table starts and stops), in place."""
    if code[0] == DEMEAN:
        demean_channels(window, window)
    elif code[0] == DETREND:
        detrend_channels(window, window)
    elif code[0] == TAPER:
        taper_ends(window, tables[code[3] : code[4]])
    elif code[0] == STD:
        divide_by_std(window, code[1], code[2], eps, window)
    elif code[0] == MAX_ABS:
        divide_by_max_abs(window, code[1], eps, window)
    elif code[0] == SIGNED_MAX:
        divide_by_signed_max(window, window)
    elif code[0] == FILTER:
        _filter_from_rest(window, tables[code[3] : code[4]], state)
    else:
        truncate_int16_channels(window, window)


_REST = "i8, i8, const i8[:,::1], const f8[::1], const f8[::1], f8[:,:,::1], f4[:,:,::1], f4[:,:,::1]"


@kernel(f"void(const i2[:,::1], {_REST})", f"void(const i4[:,::1], {_REST})", f"void(const f4[:,::1], {_REST})")
def windows_into(  # noqa: PLR0913, PLR0917 - a kernel takes no structures
    x: Samples,
    first: int,
    stride: int,
    codes: Int64,
    eps: Float64,
    tables: Float64,
    state: Float64,
    work: Float32,
    out: Float32,
) -> None:
    """Cut windows out of a record, and do every step on each while it is in the cache.

    The result is (window, channel, sample); where `work` holds a window, it is (window, sample, channel).
    """
    is_turned = work.shape[0] > 0
    for k in range(out.shape[0]):
        window = work[0] if is_turned else out[k]
        start = first + k * stride
        for c in range(window.shape[0]):
            row = x[c, start : start + window.shape[1]]
            for i in range(window.shape[1]):
                window[c, i] = np.float32(row[i])
        for s in range(codes.shape[0]):
            _step(window, codes[s], eps[s], tables, state)
        if is_turned:
            for i in range(window.shape[1]):
                for c in range(window.shape[0]):
                    out[k, i, c] = window[c, i]
