"""The header for C of the kernels' objects: what firmware includes."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ._ahead import c_types
from ._signature import Signature

if TYPE_CHECKING:
    from ._emit import Module

_HEAD = """\
/* The kernels of seisedge for C: the same source, and the same bits, as on the gateway. Made by
 * `python -m seisedge.kernels.build --firmware`; do not edit.
 *
 * An array is a pointer and the length of each of its axes, contiguous, the last axis (time) running fastest. Nothing
 * is allocated and nothing is checked: lengths must fit each other, and pointers must be aligned. The functions keep
 * no state of their own. Each is an object file; link those that are called, with your compiler's runtime (libgcc) and
 * sqrt (libm). Licence: MIT.
 */
#ifndef SEISEDGE_KERNELS_H
#define SEISEDGE_KERNELS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
"""
_KEPT = "\N{NO-BREAK SPACE}"
_TAIL = """
#ifdef __cplusplus
}
#endif

#endif
"""


def header(modules: Iterable[Module]) -> str:
    """Declare every function, with what its source says of it."""
    return _HEAD + "".join(map(_declaration, modules)) + _TAIL


def _declaration(module: Module) -> str:
    function = module.kernel.function
    documentation = inspect.getdoc(function)
    text = textwrap.wrap(f"/* {' '.join((documentation or '').split())} */", 116, subsequent_indent=" * ")
    comment = "" if documentation is None else "\n" + "\n".join(text)
    names = list(inspect.signature(function).parameters)
    result = "void" if module.signature.result is None else module.signature.result.c
    arguments = ", ".join(_arguments(names, module.signature)) or "void"
    # A space within an argument is no place for a line to end.
    kept = f"{result} {module.name}({arguments.replace(' ', _KEPT).replace(',' + _KEPT, ', ')});"
    lines = textwrap.wrap(kept, 116, subsequent_indent="    ", break_on_hyphens=False)
    return f"{comment}\n" + "\n".join(lines).replace(_KEPT, " ") + "\n"


def _arguments(names: list[str], signature: Signature) -> list[str]:
    """Type and name of each argument of the function for C."""
    called = [
        name if axis == 0 else f"{name}_n{axis - 1}"
        for name, each in zip(names, signature.arguments, strict=True)
        for axis in range(each.ndim + 1)
    ]
    return [f"{type_} {name}".replace("* ", "*") for type_, name in zip(c_types(signature), called, strict=True)]
