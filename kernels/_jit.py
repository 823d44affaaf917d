"""The compiler: the only file of the project that names numba.

A kernel is a plain Python function of loops and scalar arithmetic: arrays and scalars in, results written
into an array of the caller. It allocates nothing, raises nothing and calls no mathematical library except
`sqrt`; tables come in as arguments. So the same function runs uncompiled (coverage, bounds errors), compiled
here, and compiled ahead of time for another processor, with the same bits. Scalar casts (`np.int32(...)`,
`.view`) are conversions of one instruction, not calls.

A kernel calls kernels of its own file only: numba's cache notices a change of a kernel's own file, not of the
files that it calls into.
"""

from __future__ import annotations

import logging
import pickle
import re
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger(__name__)

_SCALARS: dict[str, Any] = {
    "i1": numba.types.int8,
    "i2": numba.types.int16,
    "i4": numba.types.int32,
    "i8": numba.types.int64,
    "f4": numba.types.float32,
    "f8": numba.types.float64,
    "b1": numba.types.boolean,
}
_NAME = "|".join(_SCALARS)
_SIGNATURE = re.compile(rf"(?P<result>void|{_NAME})\((?P<arguments>.*)\)")
_ARGUMENT = re.compile(rf"(?P<const>const )?(?P<scalar>{_NAME})(?P<axes>\[(?::,)*::1\])?")


class SignatureError(ValueError):
    """A kernel's signature is not in the small language of `kernel`."""


def _parse_argument(text: str, signature: str) -> object:
    match = _ARGUMENT.fullmatch(text)
    if match is None:
        raise SignatureError(f"kernel signature {signature!r}: cannot read argument {text!r}")
    scalar, axes, const = _SCALARS[match["scalar"]], match["axes"], match["const"] is not None
    if axes is None:
        if const:
            raise SignatureError(f"kernel signature {signature!r}: const is for arrays, found {text!r}")
        return scalar
    return numba.types.Array(scalar, axes.count(",") + 1, "C", readonly=const)


def parse_signature(signature: str) -> object:
    """Read one signature such as ``"i8(const i2[::1], f8, f4[:,::1])"``.

    The result is ``void`` or a scalar: i1, i2, i4, i8, f4, f8, b1. An argument is a scalar or a
    C-contiguous array of it; arguments are parted by a comma and one space. ``const`` marks an array that
    the kernel only reads: such an argument takes read-only arrays as well as writable ones.

    Raises
    ------
    SignatureError
        If the text is anything else.
    """
    match = _SIGNATURE.fullmatch(signature)
    if match is None:
        raise SignatureError(f"kernel signature {signature!r}: wanted result(argument, ...)")
    texts = match["arguments"].split(", ") if match["arguments"] else []
    arguments = [_parse_argument(text, signature) for text in texts]
    result = numba.types.void if match["result"] == "void" else _SCALARS[match["result"]]
    return result(*arguments)


def _compile(function: Callable[..., Any], signatures: Sequence[object], *, cache: bool) -> object:
    # fastmath stays off: it would let the compiler assume that no NaN exists and reorder sums.
    # error_model="numpy": a division by zero gives inf or NaN, as an array expression does, and never raises.
    options = {"cache": cache, "nogil": True, "error_model": "numpy", "fastmath": False}
    compiler: Any = numba.njit  # its types know neither a list of parsed signatures nor options by name
    return cast("object", compiler(list(signatures), **options)(function))


def _compile_cached(function: Callable[..., Any], signatures: Sequence[object]) -> object:
    """Compile with the cache on disk, or without it where it cannot work: a station must still start."""
    try:
        return _compile(function, signatures, cache=True)
    except RuntimeError as error:
        # A service user with no writable home and a read-only installation. Every other RuntimeError is ours.
        if "no locator available" not in str(error):
            raise
        reason = "no writable cache folder; set NUMBA_CACHE_DIR"
    except (OSError, EOFError, pickle.UnpicklingError) as error:
        # A full disk, or a cache file cut short by a loss of power.
        reason = f"cache unusable: {error!r}"
    _log.warning("kernel %s compiled without cache reason=%s", function.__qualname__, reason)
    return _compile(function, signatures, cache=False)


def kernel(*signatures: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function for exactly these signatures (see `parse_signature`), when it is defined.

    The compiled kernel refuses any other dtype, rank or memory order with `TypeError`. With
    ``NUMBA_DISABLE_JIT=1`` in the environment the plain Python function is returned.

    Raises
    ------
    SignatureError
        If a signature cannot be read.
    """
    parsed = [parse_signature(signature) for signature in signatures]

    def compile_function(function: Callable[P, R]) -> Callable[P, R]:
        return cast("Callable[P, R]", _compile_cached(function, parsed))

    return compile_function
