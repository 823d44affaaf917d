"""Between float32 waveforms and whole numbers of 16, 24 or 32 bits."""

from __future__ import annotations

import math

import numpy as np

from . import _row_steps as loops
from ._arrays import (
    FLOAT32,
    INT16,
    INT32,
    UINT8,
    ArrayError,
    Float32,
    Int16,
    Int32,
    UInt8,
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
_RANGES = {INT16: (-32768.0, 32767.0), INT32: (-2147483648.0, 2147483647.0)}
_LOWEST_24 = -8388608.0
_HIGHEST_24 = 8388607.0


@kernel("i8(i2[:,::1], const f4[:,::1], f8, f8, f8, f8)", "i8(i4[:,::1], const f4[:,::1], f8, f8, f8, f8)")
def _quantise_into(out: Int16 | Int32, x: Float32, scale: float, offset: float, lowest: float, highest: float) -> int:
    """Write round((x - offset) / scale), from lowest to highest; count what was beyond them."""
    channels, npts = x.shape
    saturated = 0
    for c in range(channels):
        for i in range(npts):
            value = (float(x[c, i]) - offset) / scale
            # Far outside the range the rounder is not exact, and need not be.
            nearest = (value + _ROUNDER) - _ROUNDER
            if lowest <= nearest <= highest:
                out[c, i] = int(nearest)
            else:
                saturated += 1
                if nearest > highest:
                    out[c, i] = int(highest)
                elif nearest < lowest:
                    out[c, i] = int(lowest)
                else:  # NaN
                    out[c, i] = 0
    return saturated


@kernel("void(const i2[:,::1], f8, f8, f4[:,::1])", "void(const i4[:,::1], f8, f8, f4[:,::1])")
def _dequantise_into(q: Int16 | Int32, scale: float, offset: float, out: Float32) -> None:
    channels, npts = q.shape
    for c in range(channels):
        for i in range(npts):
            out[c, i] = float(q[c, i]) * scale + offset


@kernel("i8(const f4[:,::1], f8, f8, u1[:,::1])")
def _pack_int24_into(x: Float32, scale: float, offset: float, out: UInt8) -> int:
    channels, npts = x.shape
    saturated = 0
    for c in range(channels):
        for i in range(npts):
            value = (float(x[c, i]) - offset) / scale
            nearest = (value + _ROUNDER) - _ROUNDER
            if not _LOWEST_24 <= nearest <= _HIGHEST_24:
                saturated += 1
                if nearest > _HIGHEST_24:
                    nearest = _HIGHEST_24
                elif nearest < _LOWEST_24:
                    nearest = _LOWEST_24
                else:  # NaN
                    nearest = 0.0
            whole = int(nearest)
            out[c, 3 * i] = whole & 0xFF
            out[c, 3 * i + 1] = (whole >> 8) & 0xFF
            out[c, 3 * i + 2] = (whole >> 16) & 0xFF
    return saturated


@kernel("void(const u1[:,::1], f8, f8, f4[:,::1])")
def _unpack_int24_into(packed: UInt8, scale: float, offset: float, out: Float32) -> None:
    channels, npts = out.shape
    for c in range(channels):
        for i in range(npts):
            # Made wider first: of a byte that is shifted by 8 nothing is left.
            low = np.int32(packed[c, 3 * i])
            middle = np.int32(packed[c, 3 * i + 1])
            high = np.int32(packed[c, 3 * i + 2])
            # Bit 23 is the sign: it counts as -2**23, not as 2**23.
            whole = (low | (middle << 8) | (high << 16)) - ((high & 0x80) << 17)
            out[c, i] = float(whole) * scale + offset


def _require_line(scale: float, offset: float) -> None:
    require_positive(scale, "scale")
    if not math.isfinite(offset):
        raise ArrayError(f"offset: found {offset}, wanted a finite number")


def quantise_into(x: Float32, scale: float, offset: float, out: Int16 | Int32) -> int:
    """Write q = round((x - offset) / scale), ties to even, kept within the range of `out`.

    Parameters
    ----------
    x : float32 (channel, sample)
        Waveform. Its numbers have 24 bits: of larger ones the int32 keep the steps.
    scale, offset : float
        Size of one step and value of q = 0, in the unit of `x`.
    out : int16 or int32 (channel, sample)
        Shares no memory with `x`.

    Returns
    -------
    int
        How many samples were beyond the range; NaN is counted too and gives 0.

    Raises
    ------
    ArrayError
        If an array does not keep the contract, `scale` is not above 0 or `offset` not finite.

    Notes
    -----
    In float64, which holds every int32: the range ends exactly at -2147483648 and 2147483647, though no float32 is the
    latter.
    """
    require_array(x, "x", dtypes=(FLOAT32,), ndim=2)
    require_array(out, "out", dtypes=(INT16, INT32), ndim=2)
    require_out(out, "out", shape=x.shape, dtype=out.dtype)
    require_apart(out, "out", x)
    _require_line(scale, offset)
    lowest, highest = _RANGES[out.dtype]
    return int(_quantise_into(out, x, scale, offset, lowest, highest))


def dequantise_into(q: Int16 | Int32, scale: float, offset: float, out: Float32) -> None:
    """Write x = q * scale + offset, computed in float64.

    Parameters
    ----------
    q : int16 or int32 (channel, sample)
        From `quantise_into`.
    scale, offset : float
        As given to `quantise_into`.
    out : float32 (channel, sample)
        Shares no memory with `q`. Holds 24 bits of an int32, rounded to nearest.

    Raises
    ------
    ArrayError
        If an array does not keep the contract, `scale` is not above 0 or `offset` not finite.
    """
    require_array(q, "q", dtypes=(INT16, INT32), ndim=2)
    require_out(out, "out", shape=q.shape)
    require_apart(out, "out", q)
    _require_line(scale, offset)
    _dequantise_into(q, scale, offset, out)


def pack_int24_into(x: Float32, scale: float, offset: float, out: UInt8) -> int:
    """Write q = round((x - offset) / scale), ties to even, kept within -8388608 to 8388607, in three bytes each.

    Parameters
    ----------
    x : float32 (channel, sample)
        Waveform.
    scale, offset : float
        Size of one step and value of q = 0, in the unit of `x`.
    out : uint8 (channel, 3 * sample)
        Two's complement, the lowest byte first, nothing between samples. Shares no memory with `x`.

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
    require_out(out, "out", shape=(x.shape[0], 3 * x.shape[1]), dtype=UINT8)
    require_apart(out, "out", x)
    _require_line(scale, offset)
    return int(_pack_int24_into(x, scale, offset, out))


def unpack_int24_into(packed: UInt8, scale: float, offset: float, out: Float32) -> None:
    """Write x = q * scale + offset, computed in float64, of packed whole numbers.

    Parameters
    ----------
    packed : uint8 (channel, 3 * sample)
        From `pack_int24_into`, or a digitiser of 24 bits: two's complement, the lowest byte first.
    scale, offset : float
        As given to `pack_int24_into`; 1 and 0 give the counts themselves, exactly.
    out : float32 (channel, sample)
        Shares no memory with `packed`.

    Raises
    ------
    ArrayError
        If an array does not keep the contract, `scale` is not above 0 or `offset` not finite.
    """
    require_array(packed, "packed", dtypes=(UINT8,), ndim=2)
    channels, size = packed.shape
    if size % 3:
        raise ArrayError(f"packed: found {size} bytes a channel, wanted three for each sample")
    require_out(out, "out", shape=(channels, size // 3))
    require_apart(out, "out", packed)
    _require_line(scale, offset)
    _unpack_int24_into(packed, scale, offset, out)


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
