"""Bring both ends of each channel smoothly to zero."""

from __future__ import annotations

import numpy as np

from . import _row_steps as loops
from ._arrays import (
    FLOAT64,
    ArrayError,
    Float32,
    Float64,
    Samples,
    require_apart,
    require_array,
    require_out,
    require_samples,
)


def cosine_ramp(npts: int, fraction: float) -> Float64:
    """Make the rising ramp of ObsPy's "cosine" taper, once, when a program is set up.

    Parameters
    ----------
    npts : int
        Samples of the window to be tapered.
    fraction : float
        Share of the window on each side, 0 to 0.5; ObsPy's ``max_percentage``.

    Returns
    -------
    float64 (n,)
        ``(1 - cos(pi * i / (n - 1))) / 2`` with ``n = int(fraction * npts)``, at most half the window: the
        first value is 0 and the last one 1.

    Raises
    ------
    ArrayError
        If `npts` is negative or `fraction` outside 0 to 0.5.

    Notes
    -----
    ObsPy ``Trace.taper(max_percentage=fraction, type="cosine")``, which calls ``cosine_taper(2 * n + 1,
    p=1)``.
    """
    if npts < 0:
        raise ArrayError(f"npts: found {npts}, wanted 0 or more")
    if not 0.0 <= fraction <= 0.5:
        raise ArrayError(f"fraction: found {fraction}, wanted 0 to 0.5")
    count = min(int(fraction * npts), npts // 2)
    if count == 1:  # ObsPy: a ramp of one sample is the zero alone
        return np.zeros(1)
    index = np.arange(count, dtype=np.float64)
    return 0.5 * (1.0 - np.cos(np.pi * index / max(count - 1, 1)))


def taper_into(x: Samples, ramp: Float64, out: Float32) -> None:
    """Multiply the start of each channel by a ramp and its end by the same ramp backwards.

    Parameters
    ----------
    x : int16, int32 or float32 (channel, sample)
        Counts.
    ramp : float64 (n,)
        From `cosine_ramp`; at most half as long as the channel.
    out : float32 (channel, sample)
        May be `x` itself if `x` is float32.

    Raises
    ------
    ArrayError
        If an array does not keep the contract of the package or the ramp is too long.
    """
    require_samples(x, "x")
    require_array(ramp, "ramp", dtypes=(FLOAT64,), ndim=1)
    require_out(out, "out", shape=x.shape)
    require_apart(out, "out", x, in_place=True)
    if 2 * ramp.size > x.shape[1]:
        raise ArrayError(f"ramp: found {ramp.size} samples, wanted at most half of {x.shape[1]}")
    loops.taper_channels(x, ramp, out)
