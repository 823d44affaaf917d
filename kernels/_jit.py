"""The compiler: the only file of the project that names numba.

`compile_now` compiles a kernel for this processor, with a cache on disk. `native_ir` gives what numba makes of it for
the compiler of other processors, LLVM: see `_emit`.
"""

from __future__ import annotations

import logging
import os
import pickle
import types
from collections.abc import Callable, Sequence
from typing import Any, cast

from ._signature import Signature

_log = logging.getLogger(__name__)

# fastmath stays off: it would let the compiler assume that no NaN exists and reorder sums.
# error_model="numpy": a division by zero gives inf or NaN, as an array expression does, and never raises.
_OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": False}
# Loops are made vectors by `_emit`, for each processor; numba would do it for this one.
FOR_OTHERS = {"NUMBA_OPT": "0", "NUMBA_LOOP_VECTORIZE": "0", "NUMBA_SLP_VECTORIZE": "0", "NUMBA_CPU_NAME": "generic"}


def numba_type(signature: Signature) -> object:
    """Give numba's own form of a signature."""
    import numba  # noqa: PLC0415 - half a second and 60 MB: only a process that calls a kernel pays for it

    numba_types: Any = numba.types

    def argument(name: str, ndim: int, *, is_const: bool) -> object:
        scalar = getattr(numba_types, name)
        return numba_types.Array(scalar, ndim, "C", readonly=is_const) if ndim else scalar

    result = numba_types.void if signature.result is None else getattr(numba_types, signature.result.name)
    return result(*(argument(each.scalar.name, each.ndim, is_const=each.is_const) for each in signature.arguments))


def compile_now(
    function: Callable[..., Any], signatures: Sequence[Signature], *, version: str = ""
) -> Callable[..., Any]:
    """Compile with the cache on disk, or without it where it cannot work: a station must still start.

    The result refuses any other dtype, rank or memory order with `TypeError`. `version` becomes a part of the name in
    the cache.
    """
    if version:
        own = types.FunctionType(function.__code__, function.__globals__, function.__name__)
        own.__qualname__, own.__doc__ = f"{function.__qualname__}_{version}", function.__doc__
        function = own
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


def _compile(function: Callable[..., Any], signatures: Sequence[Signature], **options: bool) -> Callable[..., Any]:
    import numba  # noqa: PLC0415 - as above

    compiler: Any = numba.njit  # its types know neither a list of parsed signatures nor options by name
    return cast(
        "Callable[..., Any]", compiler([numba_type(each) for each in signatures], **_OPTIONS, **options)(function)
    )


def compile_for_others(
    function: Callable[..., Any], signatures: Sequence[Signature], callees: dict[str, Any]
) -> Callable[..., Any]:
    """Compile a kernel for the compiler of other processors; `callees` is what this gave for those that it calls.

    Raises
    ------
    RuntimeError
        The environment is not `FOR_OTHERS`, which numba reads when it is imported.
    """
    if any(os.environ.get(key) != value for key, value in FOR_OTHERS.items()):
        raise RuntimeError(f"numba for other processors: wanted the environment {FOR_OTHERS}")
    own = types.FunctionType(function.__code__, {**function.__globals__, **callees}, function.__name__)
    return _compile(own, signatures, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def native_ir(compiled: Any, signature: Signature) -> tuple[str, str]:  # noqa: ANN401 - numba's
    """Give LLVM's text of what `compile_for_others` compiled, and the name of the function in it.

    It is called as `i32 (ptr result, ptr error, arguments...)`, an array as meminfo, parent, items, itemsize, data,
    shape and strides.
    """
    wanted: Any = numba_type(signature)
    result = compiled.overloads[wanted.args]
    return result.library.get_llvm_str(), result.fndesc.llvm_func_name
