"""Do the kernels for other processors give the bits that they give here? On emulated ones: `make firmware-qemu`.

    python benchmarks/firmware_qemu.py [TARGET...]

Each public function is called here, on the library of this machine, and every call of a kernel is written down: its
arguments before, its arrays and its result after. A program in C with the same calls is linked with the objects for
microcontrollers, or with the library for aarch64, and run by qemu-user; what it writes has to be the same bytes.
Needs Debian's qemu-user, gcc-arm-linux-gnueabihf and gcc-aarch64-linux-gnu.
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

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Target:
    """How to link and to run for a processor; `objects` is a folder of `--firmware`, or None for the library."""

    compiler: str
    emulator: tuple[str, ...]
    objects: str | None
    suffix: str = ""


TARGETS = {
    "armv7": Target("arm-linux-gnueabihf-gcc", ("qemu-arm", "-cpu", "cortex-a7"), "armv7"),
    "aarch64": Target("aarch64-linux-gnu-gcc", ("qemu-aarch64", "-cpu", "cortex-a72"), None, "_v8"),
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
        k.spectrogram_windows(
            x, 3, count, stride=10, width=70, hop=16, transform=transform, floor_db=-50.0, divisor=50.0, out=out[:count]
        )
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
                setattr(module, kernel.name, _recorder(kernel, calls))
    with np.errstate(all="ignore"):
        program()
    yield from calls


def _recorder(kernel: Kernel[..., Any], calls: list[Call]) -> Callable[..., Any]:
    bound = kernel.bound()

    def call(*arguments: Any) -> Any:  # noqa: ANN401 - what the kernel takes
        before = tuple(each.copy() if isinstance(each, np.ndarray) else each for each in arguments)
        result = bound(*arguments)
        signature = next(each for each in kernel.signatures if _fits(each, before))
        calls.append(Call(kernel, signature, before, _after(signature, arguments, result)))
        return result

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
    if target.objects is None:
        linked = [str(next(folder.glob("*aarch64.so"))), f"-Wl,-rpath,{folder}"]
        sysroot = ["-L", f"/usr/{target.compiler.removesuffix('-gcc')}"]
    else:
        linked, sysroot = [str(each) for each in sorted((folder / target.objects).glob("*.o"))], []
        linked.append("-static")
    subprocess.run([target.compiler, "-O0", "-w", "-o", program, source, *linked, "-lm"], check=True)
    done = subprocess.run([*target.emulator, *sysroot, program], check=True, capture_output=True)
    return list(_read(calls, done.stdout))


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
    lines = ["#include <stdint.h>", "#include <stdio.h>", "#include <string.h>"]
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
                written.append(f"fwrite({array}, 1, {bits.nbytes}, stdout);")
        name = f"{symbol(call.kernel.name, call.signature)}{target.suffix}({', '.join(given)});"
        if call.signature.result is not None:
            name = f"{{ {call.signature.result.c} r = {name} {' '.join(written)} fwrite(&r, sizeof r, 1, stdout); }}"
            written = []
        body += [name, *written]
    return "\n".join([*lines, "int main(void) {", *body, "return 0; }", ""])


def build(*arguments: str) -> None:
    """Run the build of the kernels in a process of its own."""
    command = [sys.executable, "-m", "seisedge.kernels.build", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
