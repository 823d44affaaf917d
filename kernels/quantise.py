"""Between float32 waveforms and int16 numbers."""

from __future__ import annotations

import math

from . import _window_loops as loops
from ._arrays import (
    FLOAT32,
    INT16,
    ArrayError,
    Float32,
    Int16,
    require_apart,
    require_array,
    require_out,
    require_positive,
)
from ._kernel import kernel

_ROUNDER = 6755399441055744.0
"""1.5 * 2**52: a float64 of this size has no fraction bits, so adding and subtracting it rounds to nearest,
ties to even, for every |value| below 2**51, and needs no library call (Hacker's Delight, 2nd ed., section
17-1)."""
_LOWEST = -32768.0
_HIGHEST = 32767.0


@kernel("i8(const f4[:,::1], f8, f8, i2[:,::1])")
def _quantise_int16_into(x: Float32, scale: float, offset: float, out: Int16) -> int:
    channels, npts = x.shape
    saturated = 0
    for c in range(channels):
        for i in range(npts):
            value = (float(x[c, i]) - offset) / scale
            # Far outside the range the rounder is not exact, and need not be.
            nearest = (value + _ROUNDER) - _ROUNDER
            if _LOWEST <= nearest <= _HIGHEST:
                out[c, i] = int(nearest)
            else:
                saturated += 1
                if nearest > _HIGHEST:
                    out[c, i] = 32767
                elif nearest < _LOWEST:
                    out[c, i] = -32768
                else:  # NaN
                    out[c, i] = 0
    return saturated


@kernel("void(const i2[:,::1], f8, f8, f4[:,::1])")
def _dequantise_int16_into(q: Int16, scale: float, offset: float, out: Float32) -> None:
    channels, npts = q.shape
    for c in range(channels):
        for i in range(npts):
            out[c, i] = float(q[c, i]) * scale + offset


def _require_line(scale: float, offset: float) -> None:
    require_positive(scale, "scale")
    if not math.isfinite(offset):
        raise ArrayError(f"offset: found {offset}, wanted a finite number")


def quantise_int16_into(x: Float32, scale: float, offset: float, out: Int16) -> int:
    """Write q = round((x - offset) / scale), ties to even, kept within -32768 to 32767.

    Parameters
    ----------
    x : float32 (channel, sample)
        Waveform.
    scale, offset : float
        Size of one step and value of q = 0, in the unit of `x`.
    out : int16 (channel, sample)
        Shares no memory with `x`.

    Returns
    -------
    int
        How many samples were beyond the range; NaN is counted too and gives 0.

    Raises
    ------
    ArrayError
        If an array does not keep the contract, `scale` is not above 0 or `offset` not finite.
    """
    require_array(x, "x", dtypes=(FLOAT32,), ndim=2)
    require_out(out, "out", shape=x.shape, dtype=INT16)
    require_apart(out, "out", x)
    _require_line(scale, offset)
    return int(_quantise_int16_into(x, scale, offset, out))


def dequantise_int16_into(q: Int16, scale: float, offset: float, out: Float32) -> None:
    """Write x = q * scale + offset, computed in float64.

    Parameters
    ----------
    q : int16 (channel, sample)
        From `quantise_int16_into`.
    scale, offset : float
        As given to `quantise_int16_into`.
    out : float32 (channel, sample)
        Shares no memory with `q`.

    Raises
    ------
    ArrayError
        If an array does not keep the contract, `scale` is not above 0 or `offset` not finite.
    """
    require_array(q, "q", dtypes=(INT16,), ndim=2)
    require_out(out, "out", shape=q.shape)
    require_apart(out, "out", q)
    _require_line(scale, offset)
    _dequantise_int16_into(q, scale, offset, out)


def truncate_int16_into(x: Float32, out: Float32) -> None:
    """Write the integer part of 32767 x / max|x| as a float: what a cast to int16 leaves of a scaled window.

    Parameters
    ----------
    x : float32 (channel, sample)
        Waveform, any unit; one maximum for all channels. A NaN makes all of it NaN.
    out : float32 (channel, sample)
        Whole numbers from -32767 to 32767, towards zero. May be `x` itself. All zeros where `x` is.

    Raises
    ------
    ArrayError
        If an array does not keep the contract.

    Notes
    -----
    Gauss963/SeismicTorch, `quantize`: factor 32767 / max|x|, then `astype(int16)`.
    """
    require_array(x, "x", dtypes=(FLOAT32,), ndim=2)
    require_out(out, "out", shape=x.shape)
    require_apart(out, "out", x, in_place=True)
    if x.size:
        loops.truncate_int16_channels(x, out)
