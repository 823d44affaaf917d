"""Divide a window by its standard deviation or by its largest absolute value."""

from __future__ import annotations

from math import sqrt

from ._arrays import (
    ArrayError,
    Float32,
    Samples,
    require_apart,
    require_at_least,
    require_out,
    require_samples,
)
from ._kernel import kernel


@kernel(
    "f8(const i2[:,::1], i8, i8, i8)",
    "f8(const i4[:,::1], i8, i8, i8)",
    "f8(const f4[:,::1], i8, i8, i8)",
)
def _std(x: Samples, first: int, stop: int, ddof: int) -> float:
    """Give the standard deviation of channels first to stop - 1 taken as one set, about their mean."""
    npts = x.shape[1]
    count = (stop - first) * npts
    total = 0.0
    for c in range(first, stop):
        for i in range(npts):
            total += float(x[c, i])
    mean = total / count
    square = 0.0
    for c in range(first, stop):
        for i in range(npts):
            deviation = float(x[c, i]) - mean
            square += deviation * deviation
    return sqrt(square / (count - ddof))


@kernel(
    "f8(const i2[:,::1], i8, i8)",
    "f8(const i4[:,::1], i8, i8)",
    "f8(const f4[:,::1], i8, i8)",
)
def _max_abs(x: Samples, first: int, stop: int) -> float:
    """Give the largest |x| of channels first to stop - 1; NaN if one of them is."""
    largest = 0.0
    for c in range(first, stop):
        for i in range(x.shape[1]):
            value = abs(float(x[c, i]))
            # value != value is true of NaN only; once taken, nothing compares as larger.
            if value > largest or value != value:  # noqa: PLR0124  (no isnan without a library call)
                largest = value
    return largest


@kernel(
    "void(const i2[:,::1], i8, i8, f8, f4[:,::1])",
    "void(const i4[:,::1], i8, i8, f8, f4[:,::1])",
    "void(const f4[:,::1], i8, i8, f8, f4[:,::1])",
)
def _divide_into(x: Samples, first: int, stop: int, divisor: float, out: Float32) -> None:
    for c in range(first, stop):
        for i in range(x.shape[1]):
            if divisor == 0.0:
                out[c, i] = 0.0
            else:
                out[c, i] = float(x[c, i]) / divisor


@kernel(
    "f8(const i2[:,::1])",
    "f8(const i4[:,::1])",
    "f8(const f4[:,::1])",
)
def _signed_max(x: Samples) -> float:
    """Give the largest value; NaN if one is."""
    largest = float(x[0, 0])
    for c in range(x.shape[0]):
        for i in range(x.shape[1]):
            value = float(x[c, i])
            if value > largest or value != value:  # noqa: PLR0124  (as in _max_abs)
                largest = value
    return largest


def _require(x: Samples, out: Float32, eps: float) -> None:
    require_samples(x, "x")
    require_out(out, "out", shape=x.shape)
    require_apart(out, "out", x, in_place=True)
    require_at_least(eps, "eps", least=0.0)


def _scopes(channels: int, *, joint: bool) -> list[tuple[int, int]]:
    """Which channels share a divisor."""
    return [(0, channels)] if joint else [(c, c + 1) for c in range(channels)]


def normalise_std_into(x: Samples, out: Float32, *, joint: bool, ddof: int, eps: float) -> None:
    """Divide by the standard deviation: out = x / (std + eps).

    The deviation is taken about the mean, and the mean is not removed from the data. A component that never moves is
    dead, whatever value it stands at: it gives zeros, and not its value over `eps`.

    Parameters
    ----------
    x : int16, int32 or float32 (channel, sample)
        Counts. A NaN makes everything that shares its divisor NaN. No samples: nothing is done.
    out : float32 (channel, sample)
        May be `x` itself if `x` is float32. All zeros where the deviation is 0.
    joint : bool
        One divisor (and one mean) over all channels, else one for each channel.
    ddof : int
        The sum of squares is divided by (number of values - ddof): 0 as NumPy's default, 1 as torch's.
    eps : float
        Added to the deviation, in the unit of `x`.

    Raises
    ------
    ArrayError
        If an array does not keep the contract, `eps` is negative, or there are no more values than `ddof`.
    """
    _require(x, out, eps)
    if x.size == 0:
        return
    count = x.size if joint else x.shape[1]
    if not 0 <= ddof < count:
        raise ArrayError(f"ddof: found {ddof} for {count} values, wanted 0 to {count - 1}")
    for first, stop in _scopes(x.shape[0], joint=joint):
        spread = _std(x, first, stop, ddof)
        _divide_into(x, first, stop, spread + eps if spread else 0.0, out)


def normalise_max_abs_into(x: Samples, out: Float32, *, joint: bool, eps: float) -> None:
    """Divide by the largest absolute value: out = x / (max|x| + eps).

    Parameters
    ----------
    x : int16, int32 or float32 (channel, sample)
        Counts. A NaN makes everything that shares its divisor NaN. No samples: nothing is done.
    out : float32 (channel, sample)
        May be `x` itself if `x` is float32. All zeros where the divisor is 0.
    joint : bool
        One divisor over all channels, else one for each channel.
    eps : float
        Added to the largest value, in the unit of `x`.

    Raises
    ------
    ArrayError
        If an array does not keep the contract or `eps` is negative.
    """
    _require(x, out, eps)
    if x.size == 0:
        return
    for first, stop in _scopes(x.shape[0], joint=joint):
        _divide_into(x, first, stop, _max_abs(x, first, stop) + eps, out)


def normalise_signed_max_into(x: Samples, out: Float32) -> None:
    """Divide by the largest value, sign and all: out = x / max(x), over all channels together.

    What was below -max(x) comes out below -1, and a window without a positive value is turned over: it is for
    weights that were trained so, and `normalise_max_abs_into` for all others.

    Parameters
    ----------
    x : int16, int32 or float32 (channel, sample)
        Counts. A NaN makes all of it NaN. No samples: nothing is done.
    out : float32 (channel, sample)
        May be `x` itself if `x` is float32. Where the largest value is 0, the samples as they are.

    Raises
    ------
    ArrayError
        If an array does not keep the contract.

    Notes
    -----
    Gauss963/SeismicTorch, `normalize`, which takes a divisor of 0 for 1.
    """
    _require(x, out, 0.0)
    if x.size == 0:
        return
    largest = _signed_max(x)
    _divide_into(x, 0, x.shape[0], largest if largest != 0.0 else 1.0, out)
