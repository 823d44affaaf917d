"""Sums over a row of samples, and its largest value: what the steps of a window are made of.

Sums are taken in eight parts side by side, in a fixed order: an addition need not wait for the one before it.
"""

from __future__ import annotations

import numpy as np

from ._arrays import Samples
from ._kernel import kernel

_WITHOUT_SIGN = np.int64(0x7FFFFFFFFFFFFFFF)
_LOWEST = np.int64(-0x8000000000000000)
_INFINITY = np.int64(0x7FF0000000000000)


@kernel("f8(const i2[:,::1], i8)", "f8(const i4[:,::1], i8)", "f8(const f4[:,::1], i8)")
def row_sum(x: Samples, c: int) -> float:
    npts = x.shape[1]
    sum0 = 0.0
    sum1 = 0.0
    sum2 = 0.0
    sum3 = 0.0
    sum4 = 0.0
    sum5 = 0.0
    sum6 = 0.0
    sum7 = 0.0
    whole = npts - npts % 8
    for i in range(0, whole, 8):
        sum0 += float(x[c, i])
        sum1 += float(x[c, i + 1])
        sum2 += float(x[c, i + 2])
        sum3 += float(x[c, i + 3])
        sum4 += float(x[c, i + 4])
        sum5 += float(x[c, i + 5])
        sum6 += float(x[c, i + 6])
        sum7 += float(x[c, i + 7])
    for i in range(whole, npts):
        sum0 += float(x[c, i])
    return ((sum0 + sum1) + (sum2 + sum3)) + ((sum4 + sum5) + (sum6 + sum7))


@kernel("f8(const i2[:,::1], i8, f8)", "f8(const i4[:,::1], i8, f8)", "f8(const f4[:,::1], i8, f8)")
def row_square_sum(x: Samples, c: int, mean: float) -> float:
    """Give the sum of the squares about the mean."""
    npts = x.shape[1]
    sum0 = 0.0
    sum1 = 0.0
    sum2 = 0.0
    sum3 = 0.0
    sum4 = 0.0
    sum5 = 0.0
    sum6 = 0.0
    sum7 = 0.0
    whole = npts - npts % 8
    for i in range(0, whole, 8):
        sum0 += (float(x[c, i]) - mean) * (float(x[c, i]) - mean)
        sum1 += (float(x[c, i + 1]) - mean) * (float(x[c, i + 1]) - mean)
        sum2 += (float(x[c, i + 2]) - mean) * (float(x[c, i + 2]) - mean)
        sum3 += (float(x[c, i + 3]) - mean) * (float(x[c, i + 3]) - mean)
        sum4 += (float(x[c, i + 4]) - mean) * (float(x[c, i + 4]) - mean)
        sum5 += (float(x[c, i + 5]) - mean) * (float(x[c, i + 5]) - mean)
        sum6 += (float(x[c, i + 6]) - mean) * (float(x[c, i + 6]) - mean)
        sum7 += (float(x[c, i + 7]) - mean) * (float(x[c, i + 7]) - mean)
    for i in range(whole, npts):
        sum0 += (float(x[c, i]) - mean) * (float(x[c, i]) - mean)
    return ((sum0 + sum1) + (sum2 + sum3)) + ((sum4 + sum5) + (sum6 + sum7))


@kernel("f8(const i2[:,::1], i8)", "f8(const i4[:,::1], i8)", "f8(const f4[:,::1], i8)")
def row_max_abs(x: Samples, c: int) -> float:
    """Give the largest |x| of a row; NaN if one of them is."""
    # Without their sign, the bits of floating-point numbers are ordered as the numbers are, NaN above all. A maximum of
    # integers becomes vector instructions, one of floats does not.
    largest = np.int64(0)
    for i in range(x.shape[1]):
        bits = np.float64(x[c, i]).view(np.int64) & _WITHOUT_SIGN
        largest = max(largest, bits)
    return np.int64(largest).view(np.float64)


@kernel("f8(const i2[:,::1], i8)", "f8(const i4[:,::1], i8)", "f8(const f4[:,::1], i8)")
def row_max(x: Samples, c: int) -> float:
    """Give the largest value of a row; NaN if one of them is."""
    # As in `row_max_abs`. Of a number below 0 the other bits are turned over, since they are ordered the other way.
    largest = _LOWEST
    magnitude = np.int64(0)
    for i in range(x.shape[1]):
        bits = np.float64(x[c, i]).view(np.int64)
        magnitude = max(magnitude, bits & _WITHOUT_SIGN)
        largest = max(largest, bits ^ ((bits >> 63) & _WITHOUT_SIGN))
    if magnitude > _INFINITY:  # a NaN, which stands on both sides of the numbers
        return np.int64(magnitude).view(np.float64)
    return np.int64(largest ^ ((largest >> 63) & _WITHOUT_SIGN)).view(np.float64)
