"""Change the sampling rate of a stream by a fraction, with a linear-phase polyphase filter.

Nothing here knows the end of a stream: an output is written once every input that its filter covers has
arrived, so the outputs of the last half filter are never written.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

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

_ATTENUATION_DB = 84.0
_PASS_BAND = 0.8
_LARGEST_FACTOR = 4096
"""Bound of up and down: the table has about 57 * max(up, down) float64 values, 1.9 MB at the most."""


@dataclass(frozen=True, eq=False)
class Resampler:
    """A designed change of rate; made by `design_resampler`, shared by any number of streams.

    Attributes
    ----------
    rate_in, rate_out : Fraction
        Hz.
    up, down : int
        rate_out / rate_in in lowest terms.
    taps : float64 (up, 2 * half + 1)
        Row p makes the outputs that lie p / up of an input sample after one; each row sums to 1.
    half : int
        Inputs the filter covers on each side of an output. An output is written when the input `half` samples
        after it arrives, so this is the delay, `half` / `rate_in` seconds; it does not shift the outputs in
        time.
    """

    rate_in: Fraction
    rate_out: Fraction
    up: int
    down: int
    taps: Float64
    half: int


@dataclass(frozen=True, eq=False)
class ResampleState:
    """What one channel carries from call to call; made by `resample_state`.

    Attributes
    ----------
    history : float64 (2 * taps,)
        The last inputs, each written twice so that they can always be read in one run.
    counters : int64 (4,)
        Started or not; place in the history; inputs still to come before the next output; phase of that
        output.
    """

    history: Float64
    counters: Int64


def design_resampler(rate_in: Fraction, rate_out: Fraction) -> Resampler:
    """Design the filter for a change of rate.

    Parameters
    ----------
    rate_in, rate_out : Fraction
        Hz, exact: ``Fraction("99.9")``, not ``Fraction(99.9)``.

    Returns
    -------
    Resampler
        Pass-band within 0.05 dB up to 0.8 of the lower of the two Nyquist frequencies, at least 80 dB down
        from that frequency on. Half its length is at most 28 samples of the lower rate: 0.28 s at 100 Hz. A
        constant stays the same constant. Equal rates give one tap of 1 and no delay.

    Raises
    ------
    ValueError
        If a rate is not above 0, or the ratio in lowest terms has a part above 4096.

    Notes
    -----
    Windowed sinc with its -6 dB point at 0.9 of the lower Nyquist frequency and a Kaiser window; beta and
    length by Kaiser's formulae (Oppenheim and Schafer, section 7.5.3) for 84 dB, the margin paying for the
    rows' scaling.

    Examples
    --------
    >>> design_resampler(Fraction(250), Fraction(100)).taps.shape
    (2, 137)
    """
    if rate_in <= 0 or rate_out <= 0:
        raise ValueError(f"rates: found {rate_in} Hz and {rate_out} Hz, wanted both above 0")
    ratio = Fraction(rate_out) / Fraction(rate_in)
    up, down = ratio.numerator, ratio.denominator
    if max(up, down) > _LARGEST_FACTOR:
        found = f"rates: {rate_in} Hz to {rate_out} Hz is up {up}, down {down}"
        raise ValueError(f"{found}; wanted both at most {_LARGEST_FACTOR}")
    if up == down:
        return Resampler(rate_in, rate_out, up, down, np.ones((1, 1)), 0)
    # Everything below is in input samples. The lower Nyquist frequency is `nyquist` cycles per input sample.
    nyquist = 0.5 * min(1.0, up / down)
    transition = 2.0 * math.pi * (1.0 - _PASS_BAND) * nyquist
    half = math.ceil(0.5 * (_ATTENUATION_DB - 7.95) / (2.285 * transition)) + 1
    beta = 0.1102 * (_ATTENUATION_DB - 8.7)
    # Row p, column j: the input j - half samples before the one at or before the output, which is p / up
    # after it.
    place = np.arange(up)[:, np.newaxis] / up + np.arange(-half, half + 1)[np.newaxis, :]
    cutoff = 2.0 * 0.5 * (1.0 + _PASS_BAND) * nyquist
    inside = np.clip(1.0 - (place / half) ** 2, 0.0, None)
    taps = cutoff * np.sinc(cutoff * place) * np.i0(beta * np.sqrt(inside)) / np.i0(beta)
    taps[np.abs(place) > half] = 0.0
    taps /= taps.sum(axis=1, keepdims=True)
    # The history is read from the oldest input on.
    return Resampler(rate_in, rate_out, up, down, np.ascontiguousarray(taps[:, ::-1]), half)


def resample_state(resampler: Resampler) -> ResampleState:
    """Make the state of a stream that has not begun."""
    history = np.zeros(2 * resampler.taps.shape[1])
    return ResampleState(history, np.array([0, 0, resampler.half + 1, 0], dtype=np.int64))


def output_bound(resampler: Resampler, n_in: int) -> int:
    """Give the largest number of outputs that `n_in` inputs can cause in one call, whatever the state."""
    return -(-n_in * resampler.up // resampler.down)


@kernel("f8(const f8[:,::1], i8, const f8[::1], i8)")
def _dot(taps: Float64, row: int, history: Float64, start: int) -> float:
    count = taps.shape[1]
    # Four sums side by side, always in this order, wherever in the ring the inputs stand.
    sum0 = 0.0
    sum1 = 0.0
    sum2 = 0.0
    sum3 = 0.0
    whole = count - count % 4
    for j in range(0, whole, 4):
        sum0 += taps[row, j] * history[start + j]
        sum1 += taps[row, j + 1] * history[start + j + 1]
        sum2 += taps[row, j + 2] * history[start + j + 2]
        sum3 += taps[row, j + 3] * history[start + j + 3]
    for j in range(whole, count):
        sum0 += taps[row, j] * history[start + j]
    return (sum0 + sum1) + (sum2 + sum3)


@kernel(
    "i8(const i2[::1], const f8[:,::1], i8, f8[::1], i8[::1], f4[::1])",
    "i8(const i4[::1], const f8[:,::1], i8, f8[::1], i8[::1], f4[::1])",
    "i8(const f4[::1], const f8[:,::1], i8, f8[::1], i8[::1], f4[::1])",
)
def _resample_step_into(x: Samples, taps: Float64, down: int, history: Float64, counters: Int64, out: Float32) -> int:
    up, count = taps.shape
    if counters[0] == 0 and x.shape[0] > 0:
        for j in range(2 * count):
            history[j] = x[0]
        counters[0] = 1
    place = counters[1]
    wait = counters[2]
    phase = counters[3]
    written = 0
    for i in range(x.shape[0]):
        history[place] = x[i]
        history[place + count] = x[i]
        place += 1
        if place == count:
            place = 0
        wait -= 1
        while wait == 0:
            out[written] = _dot(taps, phase, history, place)
            written += 1
            phase += down
            wait = phase // up
            phase -= wait * up
    counters[1] = place
    counters[2] = wait
    counters[3] = phase
    return written


def resample_step_into(x: Samples, resampler: Resampler, state: ResampleState, out: Float32) -> int:
    """Resample the next samples of one channel and carry the state on.

    Output k stands at exactly the time of input 0 plus k / rate_out. A stream starts as if its first sample
    had always been there, and ends by simply not being called again: the last `resampler.half` inputs'
    worth of outputs is never written. Any cutting of the input into calls gives the same bits.

    Parameters
    ----------
    x : int16, int32 or float32 (sample,)
        The next samples, counts. A NaN makes NaN each output whose filter covers it, and no other.
    resampler : Resampler
        From `design_resampler`.
    state : ResampleState
        Of this channel, from `resample_state`, updated in place.
    out : float32 (n,)
        At least ``output_bound(resampler, x.size)`` long; shares no memory with `x`.

    Returns
    -------
    int
        How many samples of `out` were written, from its start.

    Raises
    ------
    ArrayError
        If an array does not keep the contract or `out` is too short.

    Notes
    -----
    y_k = sum_j taps[k down mod up, j] x[floor(k down / up) - half + j], in float64.
    """
    require_samples(x, "x", ndim=1)
    require_out(out, "out", shape=(None,))
    count = resampler.taps.shape[1]
    require_out(state.history, "state.history", shape=(2 * count,), dtype=FLOAT64)
    require_out(state.counters, "state.counters", shape=(4,), dtype=INT64)
    require_apart(out, "out", x, state.history)
    bound = output_bound(resampler, x.size)
    if out.size < bound:
        raise ArrayError(f"out: found {out.size} samples, wanted at least {bound} for {x.size} inputs")
    taps, down = resampler.taps, resampler.down
    return int(_resample_step_into(x, taps, down, state.history, state.counters, out))
