"""Short-term over long-term average of the squares of a stream: the recursive and the classic trigger.

Each sample's ratio depends on the samples before it alone, so any cutting of the stream gives the same bits. The caller
removes the mean first, with a filter: an offset stands in both averages and hides what moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._arrays import (
    FLOAT64,
    INT64,
    ArrayError,
    Float32,
    Float64,
    Int64,
    Samples,
    require_apart,
    require_out,
    require_samples,
)
from ._kernel import kernel

_SMALLEST_NORMAL = 2.0**-1022
"""An average that decays below it counts as silence. Below it numbers are slow, and stop decaying before 0."""


@dataclass(frozen=True, eq=False)
class RecursiveStaLtaState:
    """What one channel carries from call to call; made by `recursive_sta_lta_state`.

    Attributes
    ----------
    averages : float64 (2,)
        Short-term and long-term average of the squares, counts squared.
    count : int64 (1,)
        Samples so far.
    """

    averages: Float64
    count: Int64


@dataclass(frozen=True, eq=False)
class ClassicStaLtaState:
    """What one channel carries from call to call; made by `classic_sta_lta_state`.

    Attributes
    ----------
    short, long : float64 (nsta,), (nlta,)
        One block of the stream each. Up to the newest sample: squares. After it: sums of the squares of the block
        before, from there to that block's end.
    heads : float64 (2,)
        Sum of the squares of the block that is being filled, short and long.
    count : int64 (1,)
        Samples so far.
    """

    short: Float64
    long: Float64
    heads: Float64
    count: Int64


def recursive_sta_lta_state() -> RecursiveStaLtaState:
    """Make the state of a stream that has not begun."""
    return RecursiveStaLtaState(np.zeros(2), np.zeros(1, dtype=np.int64))


def classic_sta_lta_state(nsta: int, nlta: int) -> ClassicStaLtaState:
    """Make the state of a stream that has not begun.

    Parameters
    ----------
    nsta, nlta : int
        Lengths of the windows in samples, as they will be given to `classic_sta_lta_step_into`.

    Raises
    ------
    ArrayError
        If not 1 <= nsta <= nlta.
    """
    _require_windows(nsta, nlta)
    return ClassicStaLtaState(np.zeros(nsta), np.zeros(nlta), np.zeros(2), np.zeros(1, dtype=np.int64))


@kernel(
    "void(const i2[::1], i8, i8, f8[::1], i8[::1], f4[::1])",
    "void(const i4[::1], i8, i8, f8[::1], i8[::1], f4[::1])",
    "void(const f4[::1], i8, i8, f8[::1], i8[::1], f4[::1])",
)
def _recursive_sta_lta_step_into(
    x: Samples, nsta: int, nlta: int, averages: Float64, count: Int64, out: Float32
) -> None:
    short_weight = 1.0 / nsta
    long_weight = 1.0 / nlta
    sta = float(averages[0])
    lta = float(averages[1])
    number = count[0]
    for i in range(x.shape[0]):
        value = float(np.float64(x[i]))  # numba's float() leaves a float32 one, whose square overflows
        if number > 0:  # ObsPy leaves out the first sample
            sta = short_weight * (value * value) + (1.0 - short_weight) * sta
            lta = long_weight * (value * value) + (1.0 - long_weight) * lta
        # This way round a NaN stays.
        if sta < _SMALLEST_NORMAL:
            sta = 0.0
        if lta < _SMALLEST_NORMAL:  # noqa: PLR1730  (max() does not say which it gives of NaN and a number)
            lta = _SMALLEST_NORMAL
        out[i] = sta / lta if number >= nlta else 0.0
        number += 1
    averages[0] = sta
    averages[1] = lta
    count[0] = number


@kernel("void(f8[::1])")
def _sums_to_the_end(block: Float64) -> None:
    """Turn the squares of a full block into their sums from each to the end."""
    total = 0.0
    for j in range(block.shape[0] - 1, -1, -1):
        total = float(block[j]) + total
        block[j] = total


@kernel(
    "void(const i2[::1], f8[::1], f8[::1], f8[::1], i8[::1], f4[::1])",
    "void(const i4[::1], f8[::1], f8[::1], f8[::1], i8[::1], f4[::1])",
    "void(const f4[::1], f8[::1], f8[::1], f8[::1], i8[::1], f4[::1])",
)
def _classic_sta_lta_step_into(
    x: Samples, short: Float64, long: Float64, heads: Float64, count: Int64, out: Float32
) -> None:
    """Write each ratio: a window is the end of the block before and the head of this one; nothing is subtracted."""
    nsta = short.shape[0]
    nlta = long.shape[0]
    scale = float(nlta) / float(nsta)
    number = count[0]
    short_head = float(heads[0])
    long_head = float(heads[1])
    i = 0
    while i < x.shape[0]:
        short_place = number % nsta
        long_place = number % nlta
        # Up to where one of the blocks is full, or the samples end, sums stay in registers.
        run = min(x.shape[0] - i, nsta - short_place, nlta - long_place)
        for j in range(run):
            value = float(np.float64(x[i + j]))  # as above
            short_head += value * value
            long_head += value * value
            short[short_place + j] = value * value
            long[long_place + j] = value * value
            sta = short_head
            if short_place + j + 1 < nsta:
                sta += float(short[short_place + j + 1])
            lta = long_head
            if long_place + j + 1 < nlta:
                lta += float(long[long_place + j + 1])
            # Silence has no ratio: 0, and never NaN.
            out[i + j] = scale * sta / lta if number + j + 1 >= nlta and lta != 0.0 else 0.0
        i += run
        number += run
        if number % nsta == 0:
            _sums_to_the_end(short)
            short_head = 0.0
        if number % nlta == 0:
            _sums_to_the_end(long)
            long_head = 0.0
    heads[0] = short_head
    heads[1] = long_head
    count[0] = number


def _require_windows(nsta: int, nlta: int) -> None:
    if not 1 <= nsta <= nlta:
        raise ArrayError(f"nsta, nlta: found {nsta} and {nlta} samples, wanted 1 <= nsta <= nlta")


def _require_stream(x: Samples, count: Int64, out: Float32) -> None:
    require_samples(x, "x", ndim=1)
    require_out(count, "state.count", shape=(1,), dtype=INT64)
    require_out(out, "out", shape=x.shape)
    require_apart(out, "out", x, in_place=True)
    require_apart(out, "out", count)


def recursive_sta_lta_step_into(x: Samples, nsta: int, nlta: int, state: RecursiveStaLtaState, out: Float32) -> None:
    """Write the recursive STA/LTA of the next samples of one channel and carry the state on.

    One sample in a call or a million: the same bits.

    Parameters
    ----------
    x : int16, int32 or float32 (sample,)
        The next samples, counts, without their mean. A NaN or an infinity stays in the state for ever: start afresh
        after one.
    nsta, nlta : int
        Time constants in samples, 1 <= nsta <= nlta, the same in every call.
    state : RecursiveStaLtaState
        Of this channel, from `recursive_sta_lta_state`, updated in place.
    out : float32 (sample,)
        The ratio; 0 for the first `nlta` samples of the stream, and in silence. May be `x` itself if `x` is float32.

    Raises
    ------
    ArrayError
        If an array does not keep the contract or the windows are not 1 <= nsta <= nlta.

    Notes
    -----
    sta = x^2 / nsta + (1 - 1 / nsta) sta, and lta likewise, in float64: Withers et al., 1998, "A comparison of select
    trigger algorithms", BSSA 88, page 98, after Evans and Allen. As ObsPy's ``recursive_sta_lta``, which leaves out the
    first sample too; a stream of zeros gives 0 here and NaN there.
    """
    _require_windows(nsta, nlta)
    _require_stream(x, state.count, out)
    require_out(state.averages, "state.averages", shape=(2,), dtype=FLOAT64)
    require_apart(out, "out", state.averages)
    _recursive_sta_lta_step_into(x, nsta, nlta, state.averages, state.count, out)


def classic_sta_lta_step_into(x: Samples, nsta: int, nlta: int, state: ClassicStaLtaState, out: Float32) -> None:
    """Write the classic STA/LTA of the next samples of one channel and carry the state on.

    One sample in a call or a million: the same bits.

    Parameters
    ----------
    x : int16, int32 or float32 (sample,)
        The next samples, counts, without their mean. A NaN makes NaN each ratio whose long window covers it, and no
        other. An infinity gives NaN while the short window covers it, then 0 while the long one does.
    nsta, nlta : int
        Lengths of the windows in samples, those of the state. Both end at the sample of the ratio.
    state : ClassicStaLtaState
        Of this channel, from `classic_sta_lta_state`, updated in place.
    out : float32 (sample,)
        The ratio; 0 for the first `nlta` - 1 samples of the stream, and where the long window is silent. May be `x`
        itself if `x` is float32.

    Raises
    ------
    ArrayError
        If an array does not keep the contract or the windows are not 1 <= nsta <= nlta.

    Notes
    -----
    Mean of the last `nsta` squares over that of the last `nlta`, in float64: Withers et al., 1998, BSSA 88, 95-106; as
    ObsPy's ``classic_sta_lta``.

    A running sum that adds the new square and subtracts the old one keeps every rounding error for ever, and after a
    large earthquake never falls back to what the quiet signal gives. Here the stream is cut into blocks as long as the
    window, by the number of the sample. A window is the end of one block, whose sums from each sample to its end are
    made when it is full, and the head of the next, which is summed as it comes. All terms are positive, so each ratio
    is right to about nlta * 1e-16, however long the stream; silence gives exactly 0. The method is van Herk's for
    running maxima (Pattern Recognition Letters 13, 1992), with sums.
    """
    _require_windows(nsta, nlta)
    _require_stream(x, state.count, out)
    require_out(state.short, "state.short", shape=(nsta,), dtype=FLOAT64)
    require_out(state.long, "state.long", shape=(nlta,), dtype=FLOAT64)
    require_out(state.heads, "state.heads", shape=(2,), dtype=FLOAT64)
    require_apart(out, "out", state.short, state.long, state.heads)
    _classic_sta_lta_step_into(x, state.short, state.long, state.heads, state.count, out)
