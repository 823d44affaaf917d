"""From a kernel to objects for any processor, by LLVM; no compiler of C and no headers are needed.

numba gives LLVM's text of a kernel, made for no processor in particular (`_jit.native_ir`). A wrapper with C's way of
calling is put around it, and LLVM optimises the two for the target. No pass may reorder floating-point arithmetic or
fuse a product and a sum, so that all targets compute the same bits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from llvmlite import binding as llvm

from . import _jit
from ._kernel import KERNELS, Kernel
from ._signature import Argument, Signature, symbol


@dataclass(frozen=True)
class Target:
    """A processor, in LLVM's words.

    Attributes
    ----------
    triple, cpu, features
        As `clang -target`, `-mcpu` and `-mattr`.
    abi
        How functions are called, where the triple leaves it open.
    small
        Optimised for size: a microcontroller's flash.
    """

    triple: str
    cpu: str
    features: str = ""
    abi: str = ""
    small: bool = False


LEVELS: dict[str, dict[str, Target]] = {
    "x86_64": {
        "v1": Target("x86_64-unknown-linux-gnu", "x86-64"),
        "v3": Target("x86_64-unknown-linux-gnu", "x86-64-v3"),
        # LLVM keeps to half the width that v4 has, for the sake of early processors that clocked down.
        "v4": Target("x86_64-unknown-linux-gnu", "x86-64-v4", "-prefer-256-bit"),
    },
    "aarch64": {"v8": Target("aarch64-unknown-linux-gnu", "cortex-a72")},
}
"""Of `_ahead.LEVELS`: machine → level → processor. Cortex-A72 is the Raspberry Pi 4; newer ones run its code."""

# Four parts to a triple: of three, LLVM takes `eabihf` for a system, and passes floats as if there were no FPU.
FIRMWARE: dict[str, Target] = {
    "cortex-m4": Target("thumbv7em-unknown-none-eabihf", "cortex-m4", abi="aapcs", small=True),
    "cortex-m33": Target("thumbv8m.main-unknown-none-eabihf", "cortex-m33", abi="aapcs", small=True),
    "armv7": Target("armv7-unknown-linux-gnueabihf", "cortex-a7", "+neon,+vfp4", abi="aapcs"),
    "rv32": Target("riscv32-unknown-elf", "generic-rv32", "+m,+c", abi="ilp32", small=True),
}


@dataclass(frozen=True)
class Module:
    """LLVM's text of one kernel for one signature, and its name for C."""

    name: str
    kernel: Kernel[..., Any]
    signature: Signature
    text: str


def modules() -> list[Module]:
    """Give every kernel of the modules that were imported, for each of its signatures."""
    _initialise()
    compiled: dict[str, object] = {}
    found: list[Module] = []
    for kernel in KERNELS:
        for signature in kernel.signatures:
            text, native = _jit.native_ir(_compiled(kernel, compiled), signature)
            name = symbol(kernel.name, signature)
            found.append(Module(name, kernel, signature, text + _wrapper(name, native, signature)))
    return found


def _compiled(kernel: Kernel[..., Any], known: dict[str, object]) -> object:
    """Compile a kernel, and before it those that it calls, unless it is known."""
    key = f"{kernel.function.__module__}.{kernel.name}"
    if key not in known:
        callees = {name: _compiled(callee, known) for name, callee in kernel.callees().items()}
        known[key] = _jit.compile_for_others(kernel.function, kernel.signatures, callees)
    return known[key]


def _wrapper(name: str, native: str, signature: Signature) -> str:
    """Text of a function for C: it counts each array's items and strides, and leaves out what numba adds."""
    outer: list[str] = []
    inner = ["ptr %result", "ptr %error"]
    lines: list[str] = []
    for place, argument in enumerate(signature.arguments):
        if argument.ndim == 0:
            outer.append(f"{argument.scalar.llvm} %a{place}")
            inner.append(f"{argument.scalar.llvm} %a{place}")
            continue
        sizes = [f"%a{place}n{axis}" for axis in range(argument.ndim)]
        outer += [f"ptr %a{place}", *(f"i64 {size}" for size in sizes)]
        inner += ["ptr null", "ptr null"]
        inner += _layout(argument, f"%a{place}", sizes, lines)
    result = "void" if signature.result is None else signature.result.llvm
    kept = "ptr" if signature.result is None else result
    load = [] if signature.result is None else [f"%value = load {result}, ptr %result"]
    given = "ret void" if signature.result is None else f"ret {result} %value"
    call = f'%status = call i32 @"{native}"({", ".join(inner)})'
    body = [f"%result = alloca {kept}", "%error = alloca ptr", *lines, call, *load, given]
    return f"\ndefine {result} @{name}({', '.join(outer)}) {{\n  " + "\n  ".join(body) + "\n}\n"


def _layout(argument: Argument, array: str, sizes: list[str], lines: list[str]) -> list[str]:
    """Items, bytes of one, data, shape and strides, in the order in which numba takes them."""
    stride, strides = f"{argument.scalar.size}", [f"i64 {argument.scalar.size}"]
    for axis in range(argument.ndim - 1, -1, -1):
        lines.append(f"{array}s{axis} = mul i64 {stride}, {sizes[axis]}")
        stride = f"{array}s{axis}"
        strides.insert(0, f"i64 {stride}")
    lines.append(f"{array}items = sdiv exact i64 {stride}, {argument.scalar.size}")
    return [
        f"i64 {array}items",
        f"i64 {argument.scalar.size}",
        f"ptr {array}",
        *(f"i64 {size}" for size in sizes),
        *strides[1:],
    ]


def emit_object(module: Module, target: Target, suffix: str = "") -> bytes:
    """Compile a module for a processor; the function's name gets the suffix."""
    machine = _machine(target)
    text = re.sub(r"(?m)^target (datalayout|triple) = .*$", "", module.text)
    parsed = llvm.parse_assembly(f'target triple = "{target.triple}"\n{text}')
    parsed.data_layout = str(machine.target_data)
    for value in (*parsed.functions, *parsed.global_variables):
        if value.name == module.name:
            value.name = module.name + suffix
        elif not value.is_declaration:
            value.linkage = "internal"  # unused, most of it: the wrappers for Python
    parsed.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=1 if target.small else 3)
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = not target.small
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(parsed, builder)
    return bytes(machine.emit_object(parsed))


def _machine(target: Target) -> Any:  # noqa: ANN401 - llvmlite has no types
    _initialise()
    found = llvm.Target.from_triple(target.triple)
    return found.create_target_machine(
        cpu=target.cpu, features=target.features, opt=3, reloc="pic", codemodel="default", abiname=target.abi
    )


def _initialise() -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
