"""What a kernel is, and which compilation of it runs.

A kernel is a plain Python function of loops and scalar arithmetic: arrays and scalars in, results written
into an array of the caller. It allocates nothing, raises nothing and calls no mathematical library except
`sqrt`; tables come in as arguments. So the same function runs uncompiled (coverage, bounds errors), compiled
here by numba, and compiled ahead of time for any processor, with the same bits. Scalar casts (`np.int32(...)`,
`.view`) are conversions of one instruction, not calls.

numba's cache notices a change of a kernel's own file alone. What a kernel calls in other files is therefore part of the
name under which it is kept (`Kernel.version`).

A kernel is bound to its compilation when it is first called: a process pays for the kernels that it uses.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, ParamSpec, TypeVar, cast

from . import _ahead, _jit
from ._signature import Signature, parse_signature

P = ParamSpec("P")
R = TypeVar("R")

VARIABLE = "SEISEDGE_KERNELS"
"""Environment variable that wants one compilation: `ahead`, `jit` or `plain`."""

_log = logging.getLogger(__name__)


class CompilationError(RuntimeError):
    """The compilation that is wanted cannot be had."""


@dataclass(frozen=True)
class Compilation:
    """Which compilation of the kernels runs in this process.

    Attributes
    ----------
    kind
        `ahead`: the library that came with the package. `jit`: numba, here. `plain`: Python, hundreds of times slower.
    detail
        For people: the library's level of the processor, or why it is not used.
    """

    kind: Literal["ahead", "jit", "plain"]
    detail: str


@functools.cache
def compilation() -> Compilation:
    """Choose the compilation: the library, else numba, else none with one warning. All give the same bits.

    Raises
    ------
    CompilationError
        The environment wants one that cannot be had.
    """
    wanted = os.environ.get(VARIABLE, "")
    has_numba = importlib.util.find_spec("numba") is not None
    library = _ahead.library()
    if wanted in {"", "ahead"} and isinstance(library, _ahead.Library):
        return Compilation("ahead", f"{library.path.name}, {library.level}")
    missing = "" if isinstance(library, _ahead.Library) else library
    if wanted in {"", "jit"} and has_numba:
        return Compilation("jit", missing)
    if wanted == "plain":
        return Compilation("plain", f"{VARIABLE}=plain")
    if wanted == "":
        _log.warning("kernels run uncompiled, hundreds of times slower: %s; pip install 'seisedge[jit]'", missing)
        return Compilation("plain", f"{missing}, and no numba")
    found = {"ahead": missing, "jit": "no numba: pip install 'seisedge[jit]'"}
    raise CompilationError(f"{VARIABLE}: found {wanted!r}, wanted ahead, jit or plain" + _reason(found.get(wanted)))


def _reason(text: str | None) -> str:
    return "" if text is None else f"; this one cannot be had: {text}"


class Kernel(Generic[P, R]):
    """A function that is bound to its compilation when it is first called."""

    def __init__(self, function: Callable[P, R], signatures: Sequence[Signature]) -> None:
        self.function, self.signatures, self.name = function, tuple(signatures), function.__name__
        self._bound: Callable[P, R] | None = None
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the kernel. Compiled, it refuses any other dtype, rank or memory order with `TypeError`."""
        return self.bound()(*args, **kwargs)

    def hold(self, *args: Any) -> Callable[..., R]:  # noqa: ANN401 - what the signature says
        """Give the kernel as a function of the arguments that are `...` here; the others are held.

        An array that is held is checked once. Those that are given later are not, beyond what the compilation needs:
        the caller has checked dtype and rank. The first array is one that is given.
        """
        bound = self.bound()
        if compilation().kind == "ahead":
            library = cast("_ahead.Library", _ahead.library())
            return cast("Callable[..., R]", library.hold(self.name, self.signatures, args))
        whole = cast("Callable[..., R]", bound)

        def call(*given: Any) -> R:  # noqa: ANN401 - as above
            rest = iter(given)
            return whole(*(next(rest) if each is ... else each for each in args))

        return call

    def callees(self) -> dict[str, Kernel[..., Any]]:
        """Give the kernels that this one calls, by their names in its file."""
        names = self.function.__globals__
        found = ((name, names.get(name)) for name in self.function.__code__.co_names)
        return {name: value for name, value in found if isinstance(value, Kernel)}

    @functools.cached_property
    def files(self) -> frozenset[str]:
        """Files of this kernel and of all that it calls: known before it is bound, and its callees' names with it."""
        called = (callee.files for callee in self.callees().values())
        return frozenset({self.function.__code__.co_filename}).union(*called)

    def version(self) -> str:
        """Give what tells apart the states of the files that this kernel calls into; nothing if there are none."""
        others = sorted(self.files - {self.function.__code__.co_filename})
        content = b"".join(Path(each).read_bytes() for each in others)
        return hashlib.sha256(content).hexdigest()[:12] if others else ""

    def bound(self) -> Callable[P, R]:
        """Bind the kernel, and before it the kernels that it calls, unless that is done."""
        if self._bound is None:
            kind, names = compilation().kind, self.function.__globals__
            if kind == "ahead":
                library = cast("_ahead.Library", _ahead.library())
                bound = library.bind(self.name, self.signatures)
                functools.update_wrapper(bound, self.function)
            else:
                version = self.version()  # while the callees' names are still kernels: `files` is asked for later too
                names.update({name: callee.bound() for name, callee in self.callees().items()})
                bound = self.function
                if kind == "jit":
                    bound = _jit.compile_now(self.function, self.signatures, version=version)
            self._bound = cast("Callable[P, R]", bound)
            if names.get(self.name) is self:  # its module calls it without the detour from now on
                names[self.name] = self._bound
        return self._bound


KERNELS: list[Kernel[..., Any]] = []
"""Every kernel of the modules that were imported."""


def kernel(*signatures: str) -> Callable[[Callable[P, R]], Kernel[P, R]]:
    """Make a function a kernel for exactly these signatures (see `parse_signature`).

    Raises
    ------
    SignatureError
        If a signature cannot be read.
    """
    parsed = [parse_signature(each) for each in signatures]

    def make_kernel(function: Callable[P, R]) -> Kernel[P, R]:
        made = Kernel(function, parsed)
        KERNELS.append(made)
        return made

    return make_kernel
