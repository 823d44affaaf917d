"""The library of kernels that were compiled ahead of time: found, checked and called without numba.

`build` makes it. It holds each kernel for one or more levels of a processor; the highest that this one has is used.
Functions are called through cffi's core, which needs no C declarations to be parsed and lets go of the GIL.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ._signature import Argument, Signature, symbol

FOLDER = Path(__file__).parent

# x86-64 psABI, levels; as /proc/cpuinfo spells the features. Highest first.
LEVELS: dict[str, tuple[tuple[str, frozenset[str]], ...]] = {
    "x86_64": (
        ("v4", frozenset({"avx2", "fma", "bmi2", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})),
        ("v3", frozenset({"avx2", "fma", "bmi1", "bmi2", "f16c", "movbe", "abm"})),
        ("v1", frozenset()),
    ),
    "aarch64": (("v8", frozenset()),),
}


def source_digest() -> str:
    """SHA-256 of the files of this folder, by which a library knows its sources."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def sealed(content: bytes) -> bytes:
    """Give a library with what it is known by at its end: the digest of its sources and itself."""
    return content + hashlib.sha256(content + source_digest().encode()).hexdigest().encode()


_SEAL = 64


def library_name(machine: str) -> str:
    """File of the library for `platform.machine()`."""
    return f"seisedge_kernels-{machine}.so"


@functools.cache
def library() -> Library | str:
    """Load the library for this machine; where that cannot be, say in words why."""
    machine = platform.machine()
    path = FOLDER / library_name(machine)
    if sys.platform != "linux" or machine not in LEVELS:
        return f"there is no library for {sys.platform} on {machine}"
    if not path.is_file():
        return f"{path} is not there: make kernels"
    try:
        content = path.read_bytes()
        if sealed(content[:-_SEAL]) != content:
            # Checked before it is loaded: the loader ends the process on a file that a loss of power cut short.
            return f"{path} is damaged, or was made from other sources: make kernels"
        return Library(path, ctypes.CDLL(str(path)), _level(machine))
    except OSError as error:
        return f"{path} cannot be loaded: {' '.join(str(error).split())}"


def _level(machine: str) -> str:
    features = _features()
    return next(level for level, wanted in LEVELS[machine] if wanted <= features)


def _features() -> frozenset[str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return frozenset()
    line = next((each for each in text.splitlines() if each.startswith("flags")), "")
    return frozenset(line.partition(":")[2].split())


class Library:
    """The kernels of one level, as Python functions."""

    def __init__(self, path: Path, loaded: ctypes.CDLL, level: str) -> None:
        import _cffi_backend  # noqa: PLC0415 - cffi's core; `cffi` itself would load a parser of C

        self.path, self.level = path, level
        self._loaded, self._ffi = loaded, _cffi_backend.FFI()

    def bind(self, name: str, signatures: Sequence[Signature]) -> Callable[..., Any]:
        """Give the function of a kernel: it takes the arrays and scalars of one of the signatures.

        Another dtype, rank or memory order is a `TypeError`.
        """
        return _caller(name, *self._variants(name, signatures), self._ffi.from_buffer)

    def hold(self, name: str, signatures: Sequence[Signature], args: Sequence[Any]) -> Callable[..., Any]:
        """Give the function of a kernel with these arguments; each that is `...` is given to it later, in order.

        Raises
        ------
        TypeError
            An array that is held has another dtype, rank or memory order.
        """
        first, variants = self._variants(name, signatures)
        if len(args) != len(signatures[0].arguments) or args[first] is not ...:
            raise TypeError(f"{name}: found {len(args)} arguments, wanted all of them, ... for the first array")
        held = {dtype: _held(name, variant, args, self._ffi.from_buffer) for dtype, variant in variants.items()}
        return _holder(sum(each is ... for each in args[:first]), held, self._ffi.from_buffer)

    def _variants(self, name: str, signatures: Sequence[Signature]) -> tuple[int, dict[Any, _Variant]]:
        """Give the place of the first array, and by its dtype how each signature is called."""
        first = next(place for place, each in enumerate(signatures[0].arguments) if each.ndim)
        return first, {
            np.dtype(each.arguments[first].scalar.name): _Variant(
                self._function(symbol(name, each), each), tuple(map(self._argument, each.arguments))
            )
            for each in signatures
        }

    def _function(self, name: str, signature: Signature) -> Any:  # noqa: ANN401 - a function of cffi
        address = ctypes.cast(getattr(self._loaded, f"{name}_{self.level}"), ctypes.c_void_p).value
        arguments = ", ".join(c_types(signature))
        result = "void" if signature.result is None else signature.result.c
        return self._ffi.cast(f"{result}(*)({arguments})", address)

    def _argument(self, argument: Argument) -> tuple[Any, Any, int, bool]:
        if not argument.ndim:
            return None, None, 0, False
        type_ = self._ffi.typeof(f"{argument.scalar.c}[]")
        return type_, np.dtype(argument.scalar.name), argument.ndim, not argument.is_const


def c_types(signature: Signature) -> list[str]:
    """Give the C types of a signature's arguments: an array is a pointer and the length of each axis."""
    found: list[str] = []
    for each in signature.arguments:
        found.append(each.scalar.c + (" const *" if each.is_const else " *" if each.ndim else ""))
        found.extend(["int64_t"] * each.ndim)
    return found


@dataclass(frozen=True)
class _Variant:
    """A kernel for one signature: its function, and each argument's buffer type, dtype, rank and if it is written."""

    function: Any
    wanted: tuple[tuple[Any, Any, int, bool], ...]


def _caller(name: str, first: int, variants: dict[Any, _Variant], view: Callable[..., Any]) -> Callable[..., Any]:
    """Give the Python function of a kernel; the array `first` tells the variants apart by its dtype."""
    count = len(next(iter(variants.values())).wanted)

    def call(*args: Any) -> Any:  # noqa: ANN401 - what the signature says
        # This runs for every packet: no helper, and nothing of an array that NumPy makes an object for.
        if len(args) != count:
            raise TypeError(f"{name}: found {len(args)} arguments, wanted {count}")
        variant = variants.get(args[first].dtype)
        if variant is None:
            raise TypeError(f"{name}: no matching definition for {args[first].dtype}")
        flat: list[Any] = []
        for arg, (type_, dtype, ndim, is_written) in zip(args, variant.wanted):  # noqa: B905 - counted above
            if dtype is None:
                flat.append(arg)
            else:
                flat.append(_checked(name, arg, (type_, dtype, ndim, is_written), view))
                flat += arg.shape
        return variant.function(*flat)

    return call


def _checked(name: str, array: Any, wanted: tuple[Any, Any, int, bool], view: Callable[..., Any]) -> Any:  # noqa: ANN401
    """Give the memory of an array that is what its argument wants."""
    type_, dtype, ndim, is_written = wanted
    shape = array.shape
    if len(shape) != ndim or array.dtype != dtype:
        raise TypeError(f"{name}: no matching definition for {array.dtype} {shape}, wanted {dtype}, {ndim} axes")
    try:
        return view(type_, array, is_written)
    except (ValueError, BufferError) as error:  # another memory order; memory that cannot be written
        raise TypeError(f"{name}: unsupported array {array.dtype} {shape}: {error}") from error


def _held(
    name: str, variant: _Variant, args: Sequence[Any], view: Callable[..., Any]
) -> tuple[Any, list[Any], list[tuple[Any, bool, int, int]]]:
    """Give a function, its arguments with room for those to come, and of each of these its buffer type and room."""
    flat: list[Any] = []
    slots: list[tuple[Any, bool, int, int]] = []
    for arg, wanted in zip(args, variant.wanted, strict=True):
        type_, dtype, ndim, is_written = wanted
        if arg is ...:
            slots.append((type_, is_written, len(flat), len(flat) + 1 + ndim))
            flat += [0] * (1 + ndim)
        elif dtype is None:
            flat.append(arg)
        else:
            flat += [_checked(name, arg, wanted, view), *arg.shape]
    return variant.function, flat, slots


def _holder(first: int, variants: dict[Any, Any], view: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:  # noqa: ANN401 - what the signature says
        function, held, slots = variants[args[first].dtype]
        flat = held.copy()
        for arg, (type_, is_written, place, stop) in zip(args, slots):  # noqa: B905 - a private caller counts them
            if type_ is None:
                flat[place] = arg
            else:
                flat[place] = view(type_, arg, is_written)
                flat[place + 1 : stop] = arg.shape
        return function(*flat)

    return call
