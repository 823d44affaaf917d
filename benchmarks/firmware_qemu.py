"""Do the kernels for other processors give the bits that they give here? On emulated ones: `make firmware-qemu`.

    python benchmarks/firmware_qemu.py [TARGET...]

Each public function is called here, on the library of this machine, and every call of a kernel is written down: its
arguments before, its arrays and its result after. A program in C with the same calls is linked with the objects for
microcontrollers, or with the library for aarch64, and run by qemu; what it writes has to be the same bytes. Linux runs
ARMv7, aarch64 and RV32 programs (qemu-user); Cortex-M4 and Cortex-M33 run bare on Arm's boards AN386 and AN505
(qemu-system-arm), without an operating system, as in a sensor.
Needs Debian's qemu-user, qemu-system-arm, gcc-arm-linux-gnueabihf, gcc-aarch64-linux-gnu, gcc-arm-none-eabi,
libnewlib-arm-none-eabi, gcc-riscv64-unknown-elf and picolibc-riscv64-unknown-elf.
"""

# Kernels themselves are called, not only the public functions around them.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from seisedge import kernels as k
from seisedge.kernels._ahead import c_types
from seisedge.kernels._kernel import KERNELS, Kernel
from seisedge.kernels._signature import Signature, symbol

_LONGEST_S = 120.0


@dataclass(frozen=True)
class Target:
    """How to link and to run for a processor.

    Attributes
    ----------
    compiler, emulator
        Commands; the program is their last argument.
    objects
        A folder of `--firmware`, or None for the library.
    suffix
        Of the functions' names.
    board
        Where a program without an operating system finds its code and its data; None with Linux.
    """

    compiler: tuple[str, ...]
    emulator: tuple[str, ...]
    objects: str | None
    suffix: str = ""
    board: Board | None = None


@dataclass(frozen=True)
class Board:
    """Addresses of memory of 4 MB each, and the text in C of `begin`, `give` and `end`, since there is no libc."""

    code: int
    data: int
    runtime: str


_LINUX = """
#include <stdio.h>
static void give(const void *data, unsigned count) { fwrite(data, 1, count, stdout); }
"""
# M-profile: a vector table, the FPU switched on, and Arm's semihosting: SYS_WRITEC would be a call for each byte, so
# standard output is opened as ":tt" and written to (Arm IHI 0100, "Semihosting for AArch32 and AArch64").
_CORTEX_M = """
static int host(int operation, void *block) {
  register int r0 __asm__("r0") = operation; register void *r1 __asm__("r1") = block;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory"); return r0;
}
static int output;
static void give(const void *data, unsigned count) {
  const void *block[3] = {(void *)output, data, (void *)count}; host(5, block);
}
static void end(void) { host(0x18, (void *)0x20026); for (;;) ; }
int main(void);
__attribute__((naked)) void begin(void) {
  __asm__ volatile("movw r0, #0xed88; movt r0, #0xe000; ldr r1, [r0]; orr r1, r1, #0xf00000; str r1, [r0]; dsb; isb;"
                   "b run");
}
__attribute__((used)) void run(void) {
  static const char name[] = ":tt"; const void *block[3] = {name, (void *)4, (void *)3};
  output = host(1, block); main(); end();
}
__attribute__((noreturn)) void fault(void) { host(0x18, (void *)0x20023); for (;;) ; }
extern char top[];
__attribute__((section(".vectors"), used)) const void *const vectors[16] = {
  top, begin, fault, fault, fault, fault, fault, fault, 0, 0, 0, fault, fault, 0, fault, fault
};
"""
# RV32 under qemu-user: Linux's system calls write (64) and exit (93), without its libc.
_RV32 = """
static long ask(long number, long a, long b, long c) {
  register long a7 __asm__("a7") = number, a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c;
  __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a7) : "memory"); return a0;
}
static void give(const void *data, unsigned count) {
  while (count > 0) { long done = ask(64, 1, (long)data, count); data = (const char *)data + done; count -= done; }
}
int main(void);
void begin(void) { main(); ask(93, 0, 0, 0); }
"""
_LINKED = """
ENTRY(begin)
SECTIONS {{
  . = {code:#x};
  .text : {{ KEEP(*(.vectors)) *(.text*) *(.rodata*) }}
  . = {data:#x};
  .data : {{ *(.data*) *(.sdata*) }}
  .bss : {{ *(.bss*) *(.sbss*) *(COMMON) }}
  top = {data:#x} + 0x400000;
}}
"""


def _bare(processor: str, *options: str) -> tuple[str, ...]:
    return (f"{processor}-gcc", *options, "-nostartfiles", "-ffreestanding", "-fno-pic")


def _cortex_m(name: str, fpu: str, machine: str, code: int, data: int) -> Target:
    compiler = _bare("arm-none-eabi", f"-mcpu={name}", "-mthumb", "-mfloat-abi=hard", f"-mfpu={fpu}")
    options = ("-nographic", "-monitor", "none", "-serial", "none", "-semihosting-config", "enable=on,target=native")
    emulator = ("qemu-system-arm", "-machine", machine, *options, "-kernel")
    return Target(compiler, emulator, name, board=Board(code, data, _CORTEX_M))


_RISC_V = _bare("riscv64-unknown-elf", "-march=rv32imc", "-mabi=ilp32", "-mcmodel=medany", "--specs=picolibc.specs")
TARGETS = {
    "armv7": Target(("arm-linux-gnueabihf-gcc",), ("qemu-arm", "-cpu", "cortex-a7"), "armv7"),
    "aarch64": Target(("aarch64-linux-gnu-gcc",), ("qemu-aarch64", "-cpu", "cortex-a72"), None, "_v8"),
    "cortex-m4": _cortex_m("cortex-m4", "fpv4-sp-d16", "mps2-an386", 0, 0x20000000),
    "cortex-m33": _cortex_m("cortex-m33", "fpv5-sp-d16", "mps2-an505", 0x10000000, 0x38000000),
    "rv32": Target(_RISC_V, ("qemu-riscv32",), "rv32", board=Board(0x10000, 0x800000, _RV32)),
}


@dataclass(frozen=True)
class Call:
    """One call of a kernel: arguments before it, what its arrays and its result were after it, as bytes."""

    kernel: Kernel[..., Any]
    signature: Signature
    before: tuple[Any, ...]
    after: bytes


@click.command(help=__doc__)
@click.argument("targets", nargs=-1, metavar="TARGET...")
def main(targets: tuple[str, ...]) -> None:
    """Compare, and end with 1 where bytes differ."""
    if k.compilation().kind != "ahead":
        raise click.ClickException(f"{k.compilation().detail}, wanted the library: make kernels")
    calls = list(recorded(exercise))
    names = {symbol(each.kernel.name, each.signature) for each in calls}
    click.echo(f"{len(calls)} calls of {len(names)} functions here: {k.compilation().detail}")
    differ = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build("--firmware", str(folder))
        build("--machine", "aarch64", "--output", str(folder))
        for target in targets or TARGETS:
            found = emulated(calls, TARGETS[target], folder)
            wanted = [each.after for each in calls]
            wrong = sorted(
                {each.kernel.name for each, ours, theirs in zip(calls, wanted, found, strict=True) if ours != theirs}
            )
            differ |= bool(wrong)
            click.echo(f"{target:<12}{'other bits: ' + ', '.join(wrong) if wrong else 'the same bits'}")
    sys.exit(differ)


def exercise() -> None:
    """Call the public functions on every kind of samples: full scale, denormal, infinite, none, a dead channel."""
    noise = np.random.default_rng(1).standard_normal((3, 150)) * 3e3
    noise[1, 40:] = 7.0
    kinds: list[tuple[Any, Any]] = [
        (np.int16, -(2**15)),
        (np.int32, -(2**31)),
        (np.float32, [3e38, 1e-42, -0.0, np.inf]),
    ]
    for dtype, extremes in kinds:
        x = noise.astype(dtype)
        x[2, :4] = extremes
        waveforms(x)
        waveforms(x[:, :1].copy())
        streams(x)
    spectra(noise.astype(np.float32))
    integers(noise.astype(np.float32))


def waveforms(x: Any) -> None:  # noqa: ANN401 - any dtype of samples
    """Steps of windows, one by one and in one call."""
    out = np.zeros(x.shape, np.float32)
    k.demean_into(x, out)
    k.detrend_into(x, out)
    k.taper_into(x, k.cosine_ramp(x.shape[1], 0.2), out)
    k.normalise_std_into(x, out, joint=True, ddof=0, eps=1e-6)
    k.normalise_max_abs_into(x, out, joint=False, eps=1e-6)
    k.normalise_signed_max_into(x, out)
    k.truncate_int16_into(x.astype(np.float32), out)
    for order in (1, 2, 4):
        sos = k.butterworth_sos(order, "bandpass", (1.0, 20.0), 100.0)
        ops: tuple[k.WindowOp, ...] = ("demean", "detrend", "taper", "filter", "normalise_std")
        steps = [k.WindowStep(op, fraction=0.05, sos=sos if op == "filter" else None) for op in ops]
        for channels in (1, 3):
            plan = k.window_plan(steps, channels=channels, width=x.shape[1], is_turned=order == 2)
            k.cut_windows_into(x[:channels].copy(), plan, np.zeros((1, *plan.shape), np.float32))


def streams(x: Any) -> None:  # noqa: ANN401 - any dtype of samples
    """What carries a state from packet to packet."""
    out = np.zeros(x.shape, np.float32)
    for order in (2, 3):
        sos = k.butterworth_sos(order, "bandpass", (1.0, 20.0), 100.0)
        k.sos_step_into(x[0], k.SosState(sos, k.steady_state(sos)), out[0])
        k.sos_step_into(x, k.SosState(sos, np.stack([k.steady_state(sos)] * 3)), out)
    resampler, ratio = k.design_resampler(Fraction(100), Fraction(40)), np.zeros(150, np.float32)
    k.resample_step_into(x[0], resampler, k.resample_state(resampler), ratio)
    k.classic_sta_lta_step_into(x[0], 5, 40, k.classic_sta_lta_state(5, 40), ratio)
    k.recursive_sta_lta_step_into(x[0], 5, 40, k.recursive_sta_lta_state(), ratio)
    k.triggers_into(x[0], 900.0, 100.0, k.trigger_state(), np.zeros((90, 2), np.int64))
    k.peaks_into(x[0], 500.0, 7, np.zeros(150, np.int64))
    k.refine_onset(x[1], 20, 90)
    k.peak_amplitude(x[0], 20, 90)
    k.signal_to_noise(x[0], 75, 30, 30)


def spectra(x: k.Float32) -> None:
    """Spectrograms of windows that share their frames, of one that does not, and as a picture."""
    transform = k.frame_transform(16)
    out = np.zeros((6, 4, 9, 3), np.float32)
    for count in (1, 6):
        scratch = k.spectrogram_scratch(
            3, stride=10, width=70, hop=16, transform=transform, floor_db=-50.0, divisor=50.0
        )
        k.spectrogram_windows_into(x, scratch, out[:count], first=3)
    k.frame_levels_into(x, 0, 16, transform, np.zeros((8, 9, 3), np.float32))
    image = k.spectrogram_image(150, frame_samples=32, hop=16, taper_fraction=0.25, range_db=60.0, size=(20, 24))
    k.spectrogram_image_into(x, image, np.zeros((3, 20, 24), np.float32))


def integers(x: k.Float32) -> None:
    """To 16, 24 and 32 bits, with saturation, and back."""
    x = x.copy()
    x[0, :3] = np.nan, np.inf, -np.inf
    for dtype in (np.int16, np.int32):
        q: Any = np.zeros(x.shape, dtype)
        k.quantise_into(x, 0.013, 3.0, q)
        k.dequantise_into(q, 0.013, 3.0, np.zeros(x.shape, np.float32))
    packed = np.zeros((3, 450), np.uint8)
    k.pack_int24_into(x, 1e-3, 3.0, packed)
    k.unpack_int24_into(packed, 1e-3, 3.0, np.zeros(x.shape, np.float32))


def recorded(program: Callable[[], None]) -> Iterator[Call]:
    """Run the program and give its calls of kernels."""
    calls: list[Call] = []
    modules = [module for name, module in sys.modules.items() if name.startswith(f"{k.__name__}.")]
    for kernel in KERNELS:
        for module in modules:
            if vars(module).get(kernel.name) is kernel:
                setattr(module, kernel.name, _Recorder(kernel, calls))
    with np.errstate(all="ignore"):
        program()
    yield from calls


class _Recorder:
    """Stands where a kernel stood, and writes down its calls."""

    def __init__(self, kernel: Kernel[..., Any], calls: list[Call]) -> None:
        self._kernel, self._bound, self._calls = kernel, kernel.bound(), calls

    def __call__(self, *arguments: Any) -> Any:  # noqa: ANN401 - what the kernel takes
        before = tuple(each.copy() if isinstance(each, np.ndarray) else each for each in arguments)
        result = self._bound(*arguments)
        signature = next(each for each in self._kernel.signatures if _fits(each, before))
        self._calls.append(Call(self._kernel, signature, before, _after(signature, arguments, result)))
        return result

    def hold(self, *arguments: Any) -> Callable[..., Any]:  # noqa: ANN401 - as above
        """Do as `Kernel.hold`."""

        def call(*given: Any) -> Any:  # noqa: ANN401 - as above
            rest = iter(given)
            return self(*(next(rest) if each is ... else each for each in arguments))

        return call


def _fits(signature: Signature, arguments: tuple[Any, ...]) -> bool:
    pairs = zip(signature.arguments, arguments, strict=True)
    return all(value.dtype.name == wanted.scalar.name for wanted, value in pairs if wanted.ndim)


def _after(signature: Signature, arguments: tuple[Any, ...], result: Any) -> bytes:  # noqa: ANN401 - a number
    """Give the arrays that are written, and the result, as bytes; of a NaN no bit is promised but that it is one."""
    arrays = [
        value
        for wanted, value in zip(signature.arguments, arguments, strict=True)
        if wanted.ndim and not wanted.is_const
    ]
    if signature.result is not None:
        arrays.append(np.array([result], signature.result.name))
    return b"".join(_plain(each).tobytes() for each in arrays)


def _plain(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.where(np.isnan(array), np.array(np.nan, array.dtype), array) if array.dtype.kind == "f" else array


def emulated(calls: list[Call], target: Target, folder: Path) -> list[bytes]:
    """Give what each call leaves on that processor."""
    source, program = folder / "main.c", folder / "main"
    source.write_text(_program(calls, target), encoding="ascii")
    emulator, options = target.emulator, [] if target.board is None else _script(target.board, folder)
    if target.objects is None:
        linked = [str(next(folder.glob("*aarch64.so"))), f"-Wl,-rpath,{folder}"]
        emulator = (*emulator, "-L", f"/usr/{target.compiler[0].removesuffix('-gcc')}")
    else:
        linked = [str(each) for each in sorted((folder / target.objects).glob("*.o"))]
        linked.append("-static")
    subprocess.run([*target.compiler, "-O0", "-w", "-o", program, source, *options, *linked, "-lm"], check=True)
    done = subprocess.run([*emulator, program], check=True, capture_output=True, timeout=_LONGEST_S)
    return list(_read(calls, done.stdout))


def _script(board: Board, folder: Path) -> list[str]:
    """Write where a board has its memory, for the linker."""
    path = folder / "board.ld"
    path.write_text(_LINKED.format(code=board.code, data=board.data), encoding="ascii")
    return ["-T", str(path), "-Wl,--gc-sections"]


def _read(calls: list[Call], content: bytes) -> Iterator[bytes]:
    """Cut what the program wrote into its calls."""
    place = 0
    for call in calls:
        arrays: list[npt.NDArray[Any]] = []
        for wanted, value in zip(call.signature.arguments, call.before, strict=True):
            if wanted.ndim and not wanted.is_const:
                arrays.append(np.frombuffer(content, value.dtype, value.size, place))
                place += value.nbytes
        if call.signature.result is not None:
            arrays.append(np.frombuffer(content, call.signature.result.name, 1, place))
            place += arrays[-1].nbytes
        yield b"".join(_plain(each).tobytes() for each in arrays)


def _program(calls: list[Call], target: Target) -> str:
    """Text of the program in C: arrays are bytes, since a number in decimal would have to be read back."""
    names = {symbol(each.kernel.name, each.signature): each.signature for each in calls}
    lines = ["#include <stdint.h>", _LINUX if target.board is None else target.board.runtime]
    for name, signature in names.items():
        result = "void" if signature.result is None else signature.result.c
        lines.append(f"{result} {name}{target.suffix}({', '.join(c_types(signature))});")
    body: list[str] = []
    for number, call in enumerate(calls):
        given, written = [], []
        for place, (wanted, value) in enumerate(zip(call.signature.arguments, call.before, strict=True)):
            bits = np.ascontiguousarray(value, wanted.scalar.name)
            array = f"c{number}_{place}"
            lines.append(
                f"_Alignas(16) static unsigned char {array}[] = {{{','.join(map(str, bits.tobytes())) or 0}}};"
            )
            given.append(f"(void *){array}" if wanted.ndim else f"*({wanted.scalar.c} *){array}")
            given.extend(map(str, value.shape) if wanted.ndim else ())
            if wanted.ndim and not wanted.is_const:
                written.append(f"give({array}, {bits.nbytes});")
        name = f"{symbol(call.kernel.name, call.signature)}{target.suffix}({', '.join(given)});"
        if call.signature.result is not None:
            name = f"{{ {call.signature.result.c} r = {name} {' '.join(written)} give(&r, sizeof r); }}"
            written = []
        body += [name, *written]
    return "\n".join([*lines, "int main(void) {", *body, "return 0; }", ""])


def build(*arguments: str) -> None:
    """Run the build of the kernels in a process of its own."""
    command = [sys.executable, "-m", "seisedge.kernels.build", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
