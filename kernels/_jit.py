"""The compiler: the only file of the project that names numba.

A kernel is a plain Python function of loops and scalar arithmetic: arrays and scalars in, results written
into an array of the caller. It allocates nothing, raises nothing and calls no mathematical library except
`sqrt`; tables come in as arguments. So the same function runs uncompiled (coverage, bounds errors), compiled
here, and compiled ahead of time for another processor, with the same bits. Scalar casts (`np.int32(...)`,
`.view`) are conversions of one instruction, not calls.

A kernel calls kernels of its own file only: numba's cache notices a change of a kernel's own file, not of the
files that it calls into.

A kernel is compiled, or read from the cache, when it is first called: a process pays for the kernels that it uses, and
one that uses none does not load numba (60 MB and a quarter of a second).
"""

from __future__ import annotations

import functools
import logging
import os
import pickle
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger(__name__)

_SCALARS = {
    "i1": "int8",
    "u1": "uint8",
    "i2": "int16",
    "i4": "int32",
    "i8": "int64",
    "f4": "float32",
    "f8": "float64",
    "b1": "boolean",
}
_NAME = "|".join(_SCALARS)
_SIGNATURE = re.compile(rf"(?P<result>void|{_NAME})\((?P<arguments>.*)\)")
_ARGUMENT = re.compile(rf"(?P<const>const )?(?P<scalar>{_NAME})(?P<axes>\[(?::,)*::1\])?")


class SignatureError(ValueError):
    """A kernel's signature is not in the small language of `kernel`."""


@dataclass(frozen=True)
class Argument:
    """A scalar, or with `ndim` an array of them that is contiguous in C's order; `is_const`: it is only read."""

    scalar: str
    ndim: int = 0
    is_const: bool = False


@dataclass(frozen=True)
class Signature:
    """The result, a scalar or `void`, and the arguments."""

    result: str
    arguments: tuple[Argument, ...]


def _parse_argument(text: str, signature: str) -> Argument:
    match = _ARGUMENT.fullmatch(text)
    if match is None:
        raise SignatureError(f"kernel signature {signature!r}: cannot read argument {text!r}")
    axes, is_const = match["axes"], match["const"] is not None
    if axes is None and is_const:
        raise SignatureError(f"kernel signature {signature!r}: const is for arrays, found {text!r}")
    return Argument(match["scalar"], 0 if axes is None else axes.count(",") + 1, is_const)


def parse_signature(signature: str) -> Signature:
    """Read one signature such as ``"i8(const i2[::1], f8, f4[:,::1])"``.

    The result is ``void`` or a scalar: i1, u1, i2, i4, i8, f4, f8, b1. An argument is a scalar or a
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
    return Signature(match["result"], tuple(_parse_argument(text, signature) for text in texts))


def numba_type(signature: Signature) -> object:
    """Give numba's own form of a signature."""
    import numba  # noqa: PLC0415 - only a process that calls a kernel pays for it

    types: Any = numba.types

    def argument(each: Argument) -> object:
        scalar = getattr(types, _SCALARS[each.scalar])
        return types.Array(scalar, each.ndim, "C", readonly=each.is_const) if each.ndim else scalar

    result = types.void if signature.result == "void" else getattr(types, _SCALARS[signature.result])
    return result(*map(argument, signature.arguments))


def _compile(function: Callable[..., Any], signatures: Sequence[Signature], *, cache: bool) -> object:
    import numba  # noqa: PLC0415 - only a process that calls a kernel pays for it

    # fastmath stays off: it would let the compiler assume that no NaN exists and reorder sums.
    # error_model="numpy": a division by zero gives inf or NaN, as an array expression does, and never raises.
    options = {"cache": cache, "nogil": True, "error_model": "numpy", "fastmath": False}
    compiler: Any = numba.njit  # its types know neither a list of parsed signatures nor options by name
    return cast("object", compiler([numba_type(each) for each in signatures], **options)(function))


def _compile_cached(function: Callable[..., Any], signatures: Sequence[Signature]) -> object:
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


class Kernel(Generic[P, R]):
    """A function that is compiled when it is first called."""

    def __init__(self, function: Callable[P, R], signatures: Sequence[Signature]) -> None:
        self._function, self._signatures = function, signatures
        self._compiled: Callable[P, R] | None = None
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the compiled function."""
        return self.compiled()(*args, **kwargs)

    def compiled(self) -> Callable[P, R]:
        """Compile the function, and before it the kernels that it calls, unless that is done."""
        if self._compiled is None:
            names = self._function.__globals__
            for name in self._function.__code__.co_names:
                if isinstance(callee := names.get(name), Kernel):
                    names[name] = callee.compiled()  # the compiler knows its own functions, not this class
            self._compiled = cast("Callable[P, R]", _compile_cached(self._function, self._signatures))
            if names.get(self._function.__name__) is self:  # its module calls it without the detour from now on
                names[self._function.__name__] = self._compiled
        return self._compiled


def kernel(*signatures: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function a kernel for exactly these signatures (see `parse_signature`).

    The compiled kernel refuses any other dtype, rank or memory order with `TypeError`. With
    ``NUMBA_DISABLE_JIT=1`` in the environment the plain Python function is returned.

    Raises
    ------
    SignatureError
        If a signature cannot be read.
    """
    parsed = [parse_signature(signature) for signature in signatures]
    is_plain = os.environ.get("NUMBA_DISABLE_JIT", "0") not in {"", "0"}

    def make_kernel(function: Callable[P, R]) -> Callable[P, R]:
        return function if is_plain else Kernel(function, parsed)

    return make_kernel
