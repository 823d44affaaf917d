"""The array contract of this package, checked at its edge and never inside a kernel.

Everywhere: C-contiguous arrays laid out (channel, sample), time last. Sensors give int16, int32 or float32
counts; everything that leaves a kernel as a waveform is float32. Nothing is converted in silence: what does
not fit is refused, and the message says what, where, what was found and what was wanted.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.int16] | NDArray[np.int32] | NDArray[np.float32]
"""What a sensor delivers: counts."""
UInt8: TypeAlias = NDArray[np.uint8]
Int16: TypeAlias = NDArray[np.int16]
Int32: TypeAlias = NDArray[np.int32]
Int64: TypeAlias = NDArray[np.int64]
Float32: TypeAlias = NDArray[np.float32]
Float64: TypeAlias = NDArray[np.float64]

# Dtype objects compare in a tenth of the time that their names take, and these checks run for every packet.
# They also tell byte orders apart: a big-endian int16 is another dtype, to them and to the compiler.
UINT8 = np.dtype(np.uint8)
INT16 = np.dtype(np.int16)
INT32 = np.dtype(np.int32)
INT64 = np.dtype(np.int64)
FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)
SAMPLE_DTYPES = (INT16, INT32, FLOAT32)

Dtype: TypeAlias = "np.dtype[Any]"


class ArrayError(ValueError):
    """An array does not keep the contract of this package."""


def require_array(array: object, name: str, *, dtypes: tuple[Dtype, ...], ndim: int) -> None:
    """Refuse what is not a C-contiguous array of one of these dtypes and this rank.

    Raises
    ------
    ArrayError
        Naming the argument, what was found and what was wanted.
    """
    # These run for every packet: what nearly always holds is asked at once, and what does not, below.
    if isinstance(array, np.ndarray) and array.dtype in dtypes and array.ndim == ndim:
        flags = array.flags
        if flags.c_contiguous and flags.aligned:
            return
    raise ArrayError(_complaint(array, name, dtypes, ndim))


def _complaint(array: object, name: str, dtypes: tuple[Dtype, ...], ndim: int) -> str:
    if not isinstance(array, np.ndarray):
        return f"{name}: found {type(array).__name__}, wanted a numpy array"
    found: NDArray[Any] = array
    if found.dtype not in dtypes:
        wanted = " or ".join(str(dtype) for dtype in dtypes)
        return f"{name}: found dtype {found.dtype} and shape {found.shape}, wanted {wanted}"
    if found.ndim != ndim:
        return f"{name}: found shape {found.shape}, wanted {ndim} dimension(s)"
    return f"{name}: found strides {found.strides} for shape {found.shape}, wanted C-contiguous"


def require_samples(x: Samples, name: str, *, ndim: int = 2) -> None:
    """Refuse what is not C-contiguous int16, int32 or float32 of this rank; see `require_array`."""
    require_array(x, name, dtypes=SAMPLE_DTYPES, ndim=ndim)


def require_out(out: NDArray[Any], name: str, *, shape: tuple[int | None, ...], dtype: Dtype = FLOAT32) -> None:
    """Refuse an output array of another dtype, shape (None: any length) or one that cannot be written.

    Raises
    ------
    ArrayError
        Naming the argument, what was found and what was wanted.
    """
    # Of a subclass of arrays, and of what is no array, the rest finds out.
    if type(out) is np.ndarray and out.dtype == dtype and out.flags.carray and _has_shape(out, shape):
        return
    require_array(out, name, dtypes=(dtype,), ndim=len(shape))
    if not _has_shape(out, shape):
        wanted = tuple("any" if want is None else want for want in shape)
        raise ArrayError(f"{name}: found shape {out.shape}, wanted {wanted}")
    if not out.flags.writeable:
        raise ArrayError(f"{name}: found a read-only array, wanted a writable one")


def _has_shape(array: NDArray[Any], shape: tuple[int | None, ...]) -> bool:
    found = array.shape
    if found == shape:
        return True
    return len(found) == len(shape) and all(want in {None, have} for want, have in zip(shape, found, strict=True))


def require_apart(out: NDArray[Any], name: str, *others: NDArray[Any], in_place: bool = False) -> None:
    """Refuse an output that shares memory with an input.

    With `in_place` the output may be exactly the memory of an input of the same dtype and shape, for steps
    that read each sample before they write it; a partial overlap is refused always.

    Raises
    ------
    ArrayError
        If memory is shared.
    """
    for other in others:
        if out.base is None and other.base is None and out is not other:
            continue  # each owns its memory: asked for every packet, and quicker
        # All arrays here are C-contiguous, so the test of bounds is exact.
        if (out is other and in_place) or not np.may_share_memory(out, other):
            continue
        same = out.ctypes.data == other.ctypes.data and out.dtype == other.dtype and out.shape == other.shape
        if not (in_place and same):
            raise ArrayError(f"{name}: shares memory with an input, wanted memory of its own")


def require_positive(value: float, name: str) -> None:
    """Refuse a number that is not finite and above zero.

    Raises
    ------
    ArrayError
        Naming the argument and the value found.
    """
    if not (math.isfinite(value) and value > 0):
        raise ArrayError(f"{name}: found {value}, wanted a finite number above 0")


def require_at_least(value: float, name: str, *, least: float) -> None:
    """Refuse a number that is not finite or is below `least`.

    Raises
    ------
    ArrayError
        Naming the argument, the value found and the least one.
    """
    if not (math.isfinite(value) and value >= least):
        raise ArrayError(f"{name}: found {value}, wanted a finite number of at least {least}")
