"""From a characteristic function or a probability to triggers and peaks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ._arrays import INT64, ArrayError, Int64, Samples, require_apart, require_out, require_samples
from ._kernel import kernel


@dataclass(frozen=True, eq=False)
class TriggerState:
    """What one stream carries from call to call; made by `trigger_state`.

    Attributes
    ----------
    counters : int64 (3,)
        Samples so far; 1 while a trigger is on, else 0; the first sample of that trigger.
    """

    counters: Int64


def trigger_state() -> TriggerState:
    """Make the state of a stream that has not begun."""
    return TriggerState(np.zeros(3, dtype=np.int64))


def trigger_bound(n_in: int) -> int:
    """Give the largest number of triggers that can end within `n_in` samples, whatever the state."""
    return (n_in + 1) // 2


def open_trigger(state: TriggerState) -> tuple[int, int] | None:
    """Give the first sample, and the last one so far, of the trigger that is on; None while none is.

    At the end of a record this is its last trigger.
    """
    count, is_on, first = state.counters.tolist()
    return (first, count - 1) if is_on else None


@kernel(
    "i8(const i2[::1], f8, f8, i8[::1], i8[:,::1])",
    "i8(const i4[::1], f8, f8, i8[::1], i8[:,::1])",
    "i8(const f4[::1], f8, f8, i8[::1], i8[:,::1])",
)
def _triggers_into(ratio: Samples, on: float, off: float, counters: Int64, out: Int64) -> int:
    start = counters[0]
    is_on = counters[1]
    first = counters[2]
    written = 0
    for i in range(ratio.shape[0]):
        value = float(ratio[i])
        if is_on == 0:
            if value >= on:
                is_on = 1
                first = start + i
        elif not value >= off:  # this way round a NaN ends the trigger
            is_on = 0
            out[written, 0] = first
            out[written, 1] = start + i - 1
            written += 1
    counters[0] = start + ratio.shape[0]
    counters[1] = is_on
    counters[2] = first
    return written


@kernel(
    "i8(const i2[::1], f8, i8[::1])",
    "i8(const i4[::1], f8, i8[::1])",
    "i8(const f4[::1], f8, i8[::1])",
)
def _local_maxima_into(x: Samples, threshold: float, out: Int64) -> int:
    """Write the middle of each sample or plateau that is higher than both its neighbours."""
    last = x.shape[0] - 1
    written = 0
    i = 1
    while i < last:
        end = i
        # The threshold first: most samples are below it, which a processor foresees.
        if float(x[i]) >= threshold and x[i - 1] < x[i]:
            while end + 1 < last and x[end + 1] == x[i]:
                end += 1
            if x[end + 1] < x[i]:
                out[written] = (i + end) // 2
                written += 1
        i = end + 1
    return written


@kernel(
    "void(const i2[::1], const i8[::1], i8[::1])",
    "void(const i4[::1], const i8[::1], i8[::1])",
    "void(const f4[::1], const i8[::1], i8[::1])",
)
def _order_peaks_into(x: Samples, peaks: Int64, order: Int64) -> None:
    """Write the numbers of the peaks, the lowest first; of equal ones the later first. Heapsort: no memory."""
    end = peaks.shape[0]
    for j in range(end):
        order[j] = j
    start = end // 2
    while end > 1:
        if start > 0:  # the heap is being made
            start -= 1
        else:  # its top goes behind it
            end -= 1
            order[0], order[end] = order[end], order[0]
        root = start
        child = 2 * root + 1
        while child < end:
            if child + 1 < end:
                a = order[child]
                b = order[child + 1]
                if x[peaks[a]] < x[peaks[b]] or (x[peaks[a]] == x[peaks[b]] and a > b):
                    child += 1
            a = order[root]
            b = order[child]
            if not (x[peaks[a]] < x[peaks[b]] or (x[peaks[a]] == x[peaks[b]] and a > b)):
                break
            order[root] = b
            order[child] = a
            root = child
            child = 2 * root + 1


@kernel("i8(i8[::1], const i8[::1], i8)")
def _thin_peaks(peaks: Int64, order: Int64, separation: int) -> int:
    """Drop each peak that is too near a higher one that stays; move the others up, and count them."""
    count = peaks.shape[0]
    for n in range(count - 1, -1, -1):
        j = order[n]
        place = peaks[j]
        if place < 0:
            continue
        # A peak that is dropped keeps its place as ~place, below 0.
        for step in range(-1, 2, 2):
            k = j + step
            while 0 <= k < count:
                other = peaks[k] if peaks[k] >= 0 else ~peaks[k]
                if abs(other - place) >= separation:
                    break
                peaks[k] = ~other
                k += step
    kept = 0
    for j in range(count):
        if peaks[j] >= 0:
            peaks[kept] = peaks[j]
            kept += 1
    return kept


def triggers_into(ratio: Samples, on: float, off: float, state: TriggerState, out: Int64) -> int:
    """Find the triggers that end within the next samples of one stream, and carry the state on.

    A trigger begins at a sample of at least `on` and ends at the last sample before one below `off`. One that is still
    on after the last sample is not written: see `open_trigger`. Any cutting of the stream gives the same triggers.

    Parameters
    ----------
    ratio : int16, int32 or float32 (sample,)
        The next values of a characteristic function. A NaN ends a trigger and begins none.
    on, off : float
        Thresholds in the unit of `ratio`, off <= on. They are compared in float64.
    state : TriggerState
        Of this stream, from `trigger_state`, updated in place.
    out : int64 (n, 2)
        At least ``trigger_bound(ratio.size)`` rows. Each row is the first and the last sample of a trigger, counted
        from the beginning of the stream.

    Returns
    -------
    int
        How many rows of `out` were written, from its start.

    Raises
    ------
    ArrayError
        If an array does not keep the contract, `out` is too short, or the thresholds are not finite with off <= on.

    Notes
    -----
    As ObsPy's ``trigger_onset`` without its greatest length, and with the open trigger as its last one.
    """
    require_samples(ratio, "ratio", ndim=1)
    require_out(state.counters, "state.counters", shape=(3,), dtype=INT64)
    require_out(out, "out", shape=(None, 2), dtype=INT64)
    require_apart(out, "out", ratio, state.counters)
    if not (math.isfinite(on) and math.isfinite(off) and off <= on):
        raise ArrayError(f"on, off: found {on} and {off}, wanted finite numbers with off <= on")
    bound = trigger_bound(ratio.size)
    if out.shape[0] < bound:
        raise ArrayError(f"out: found {out.shape[0]} rows, wanted at least {bound} for {ratio.size} samples")
    return int(_triggers_into(ratio, on, off, state.counters, out))


def peaks_into(x: Samples, threshold: float, separation: int, out: Int64) -> int:
    """Find the local maxima of at least `threshold` that stand at least `separation` samples apart.

    A local maximum is higher than the sample before it and the one after it; of a plateau it is the middle, rounded
    down. The first and the last sample are none. Of two that are too near the higher one stays, the earlier one if they
    are equal, and the highest of all is taken first: a peak falls only to one that stays.

    Parameters
    ----------
    x : int16, int32 or float32 (sample,)
        A probability or a characteristic function. A NaN is no maximum, nor are the samples, or the plateaus, beside
        it.
    threshold : float
        In the unit of `x`; compared in float64.
    separation : int
        Samples, at least 1, which keeps all.
    out : int64 (n,)
        At least as long as `x`. The peaks in order of time come first; what follows them is working space.

    Returns
    -------
    int
        How many peaks there are.

    Raises
    ------
    ArrayError
        If an array does not keep the contract, `out` is too short, `threshold` is not finite or `separation` below 1.

    Notes
    -----
    As ``scipy.signal.find_peaks(x, height=threshold, distance=separation)``, which leaves open which of two equal peaks
    stays.
    """
    require_samples(x, "x", ndim=1)
    require_out(out, "out", shape=(None,), dtype=INT64)
    require_apart(out, "out", x)
    if not math.isfinite(threshold):
        raise ArrayError(f"threshold: found {threshold}, wanted a finite number")
    if separation < 1:
        raise ArrayError(f"separation: found {separation} samples, wanted at least 1")
    if out.size < x.size:
        raise ArrayError(f"out: found {out.size} places, wanted at least {x.size}, as many as samples")
    # There is at most one maximum in two samples, so the peaks and their order fit into `out`.
    count = int(_local_maxima_into(x, threshold, out))
    if count < 2 or separation == 1:
        return count
    peaks, order = out[:count], out[count : 2 * count]
    _order_peaks_into(x, peaks, order)
    return int(_thin_peaks(peaks, order, separation))
