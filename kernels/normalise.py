"""Divide a window by its standard deviation or by its largest absolute value."""

from __future__ import annotations

from . import _row_steps as loops
from ._arrays import (
    ArrayError,
    Float32,
    Samples,
    require_apart,
    require_at_least,
    require_out,
    require_samples,
)


def _require(x: Samples, out: Float32, eps: float) -> None:
    require_samples(x, "x")
    require_out(out, "out", shape=x.shape)
    require_apart(out, "out", x, in_place=True)
    require_at_least(eps, "eps", least=0.0)


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
    loops.divide_by_std(x, x.shape[0] if joint else 1, ddof, eps, out)


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
    loops.divide_by_max_abs(x, x.shape[0] if joint else 1, eps, out)


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
    if x.size:
        loops.divide_by_signed_max(x, out)
