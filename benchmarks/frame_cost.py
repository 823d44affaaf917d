"""What the C encoder of the native frame costs on a Cortex-M4, in instructions per sample.

Needs Debian's gcc-arm-none-eabi and qemu-system-arm. QEMU's model of a Cortex-M4 (mps2-an386) runs one instruction at a
time and logs each; a run with three frames less one with one frame is the cost of two, without start and end. What is
counted is executed Thumb-2 instructions, exactly; cycles are not: a Cortex-M4 takes one for most of them, two for loads
and one to three more for taken branches and flash that waits.

    python benchmarks/frame_cost.py
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
C = ROOT / "firmware_bridge" / "c"
COMPILER, EMULATOR = "arm-none-eabi-gcc", "qemu-system-arm"


def build(folder: Path, *, level: str, frames: int, npts: int, stuff: bool, width: int) -> Path:
    program = folder / "frames.elf"
    said = {"FRAMES": frames, "NPTS": npts, "CHANNELS": 3, "STUFF": int(stuff), "WIDTH": width}
    command = [
        COMPILER, "-mcpu=cortex-m4", "-mthumb", "-std=gnu99", level, "-nostdlib", f"-I{C}",
        *(f"-D{name}={value}" for name, value in said.items()), str(C / "seisedge_frame.c"),
        str(ROOT / "benchmarks" / "frame_cost.c"), "-lc", "-lgcc", "-Wl,--section-start=.vectors=0", "-Wl,-Ttext=0x400",
        "-Wl,-Tdata=0x20000000", "-Wl,-e,0", "-o", str(program),
    ]  # fmt: skip
    subprocess.run(command, check=True)
    return program


def executed(program: Path) -> int:
    """Instructions from reset to the end."""
    command = [
        EMULATOR, "-M", "mps2-an386", "-nographic", "-monitor", "none", "-serial", "none", "-semihosting",
        "-singlestep", "-d", "exec,nochain", "-D", "/dev/stdout", "-kernel", str(program),
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
        assert run.stdout is not None
        return sum(line.startswith(b"Trace") for line in run.stdout)


def per_frame(**kind: object) -> float:
    with tempfile.TemporaryDirectory() as folder:
        counts = [executed(build(Path(folder), frames=n, **kind)) for n in (1, 3)]  # type: ignore[arg-type]  # see build
    return (counts[1] - counts[0]) / 2


def main() -> None:
    for name in (COMPILER, EMULATOR):
        if shutil.which(name) is None:
            sys.exit(f"{name} is not there: apt-get install gcc-arm-none-eabi qemu-system-arm")
    print("Cortex-M4 (QEMU mps2-an386), three channels; instructions per sample, CRC-32C included")
    print(f"{'':4} {'bits':>5} {'samples/frame':>14} {'bare frame':>11} {'with COBS':>10} {'COBS at 100 Hz, k/s':>20}")
    for level, width, npts in product(("-O2", "-Os"), (2, 3, 4), (20, 100)):
        bare, stuffed = (per_frame(level=level, npts=npts, stuff=stuff, width=width) for stuff in (False, True))
        samples = 3 * npts
        rate = stuffed / npts * 100 / 1000
        print(f"{level:4} {8 * width:5} {npts:8} x 3   {bare / samples:11.1f} {stuffed / samples:10.1f} {rate:20.0f}")


if __name__ == "__main__":
    main()
