"""The small language of kernels' signatures, such as ``"i8(const i2[::1], f8, f4[:,::1])"``."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Scalar:
    """A type of numbers: its name in NumPy and numba, in C and in LLVM, and its bytes."""

    name: str
    c: str
    llvm: str
    size: int


SCALARS = {
    "i1": Scalar("int8", "int8_t", "i8", 1),
    "u1": Scalar("uint8", "uint8_t", "i8", 1),
    "i2": Scalar("int16", "int16_t", "i16", 2),
    "i4": Scalar("int32", "int32_t", "i32", 4),
    "i8": Scalar("int64", "int64_t", "i64", 8),
    "f4": Scalar("float32", "float", "float", 4),
    "f8": Scalar("float64", "double", "double", 8),
}
_NAME = "|".join(SCALARS)
_SIGNATURE = re.compile(rf"(?P<result>void|{_NAME})\((?P<arguments>.*)\)")
_ARGUMENT = re.compile(rf"(?P<const>const )?(?P<scalar>{_NAME})(?P<axes>\[(?::,)*::1\])?")


class SignatureError(ValueError):
    """A kernel's signature is not in this language."""


@dataclass(frozen=True)
class Argument:
    """A scalar, or with `ndim` an array of them that is contiguous in C's order; `is_const`: it is only read."""

    scalar: Scalar
    ndim: int = 0
    is_const: bool = False


@dataclass(frozen=True)
class Signature:
    """The result, a scalar or None, and the arguments."""

    result: Scalar | None
    arguments: tuple[Argument, ...]


def parse_signature(text: str) -> Signature:
    """Read one signature.

    The result is ``void`` or a scalar, a key of `SCALARS`. An argument is a scalar or a C-contiguous array of it;
    arguments are parted by a comma and one space. ``const`` marks an array that the kernel only reads: such an argument
    takes read-only arrays as well as writable ones.

    Raises
    ------
    SignatureError
        If the text is anything else.
    """
    match = _SIGNATURE.fullmatch(text)
    if match is None:
        raise SignatureError(f"kernel signature {text!r}: wanted result(argument, ...)")
    arguments = match["arguments"].split(", ") if match["arguments"] else []
    return Signature(SCALARS.get(match["result"]), tuple(_parse_argument(each, text) for each in arguments))


def _parse_argument(text: str, signature: str) -> Argument:
    match = _ARGUMENT.fullmatch(text)
    if match is None:
        raise SignatureError(f"kernel signature {signature!r}: cannot read argument {text!r}")
    axes, is_const = match["axes"], match["const"] is not None
    if axes is None and is_const:
        raise SignatureError(f"kernel signature {signature!r}: const is for arrays, found {text!r}")
    return Argument(SCALARS[match["scalar"]], 0 if axes is None else axes.count(",") + 1, is_const)


def symbol(name: str, signature: Signature) -> str:
    """Give the name of a kernel's compilation for C: `seisedge_demean_into_int16`; the first array tells them apart."""
    first = next(each.scalar.name for each in signature.arguments if each.ndim)
    return f"seisedge_{name.lstrip('_')}_{first}"
