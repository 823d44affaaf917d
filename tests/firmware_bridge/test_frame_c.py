"""The C99 encoder: compiled as strictly as firmware would, and its bytes against the Python decoder."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from c_compiler import COMPILER, SOURCES, needs_compiler

from seisedge.firmware_bridge.cobs import cobs_encode
from seisedge.firmware_bridge.frame import Channel, ClockState, Frame, Unit, decode_frame, encode_frame

HERE = Path(__file__).parent
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O2")
ABOUT = (
    Channel("Z", Unit.METRE_PER_SECOND_SQUARED, float(np.float32(5.985e-4)), 0),
    Channel("N", Unit.PASCAL, 1.5, -7),
    Channel("E", Unit.COUNTS, 1.0, 70000),
)
Write = Callable[[str], list[str]]


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Write:
    program = tmp_path_factory.mktemp("c") / "frames"
    files = [str(SOURCES / "seisedge_frame.c"), str(HERE / "frame_program.c")]
    checks = ("-fsanitize=undefined,address", "-fno-sanitize-recover=all")
    assert COMPILER is not None
    subprocess.run([COMPILER, *STRICT, *checks, f"-I{SOURCES}", *files, "-o", str(program)], check=True)

    def run(text: str) -> list[str]:
        done = subprocess.run([str(program)], input=text, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.split("\n")[:-1]

    return run


@needs_compiler
@pytest.mark.parametrize("width", [2, 3, 4])
def test_c_and_python_write_the_same_bytes(write: Write, width: int) -> None:
    rng = np.random.default_rng(width)
    sent: list[Frame] = []
    lines: list[str] = []
    for sequence, (npts, channels) in enumerate([(0, 1), (1, 1), (20, 3), (100, 3), (253, 1), (700, 2), (500, 3)]):
        limit = 1 << 8 * width - 1
        values = rng.integers(-limit, limit, (npts, channels)) // (1 if sequence % 2 else 1 << 7)
        samples = values.astype(np.int16) if width == 2 else values.astype(np.int32)
        sent.append(
            Frame(0xA1B2C3D4E5F6, sequence, 1600000000123456789, (4000, 127), samples, ABOUT[:channels], width,
                  is_overrun=True, saturated=5, clock=ClockState.SATELLITE, clock_error_log2_ns=12)
        )  # fmt: skip
        lines.append(f"{width} {npts} {channels} {sequence} " + " ".join(map(str, values.reshape(-1))))
    found = write("\n".join(lines))
    assert found[-1] == "e3069283"
    for index, frame in enumerate(sent):
        bare = bytes.fromhex(found[2 * index])
        assert bare == encode_frame(frame)
        np.testing.assert_array_equal(decode_frame(bare).samples, frame.samples)
        assert bytes.fromhex(found[2 * index + 1]) == b"\0" + cobs_encode(bare) + b"\0"


@needs_compiler
def test_cobs_in_c_at_the_borders_of_its_runs(write: Write) -> None:
    for npts in range(90, 140):
        found = write(f"2 {npts} 1 7 " + " ".join(["257"] * npts))
        bare = bytes.fromhex(found[0])
        assert bytes.fromhex(found[1]) == b"\0" + cobs_encode(bare) + b"\0"


@needs_compiler
def test_what_cannot_be_a_frame_is_not_written(write: Write) -> None:
    assert write("3 1 1 0 8388608")[:2] == ["", ""]  # and nothing is stuffed
    assert write("5 1 1 0 1")[0] == ""
    assert write("4 2000 3 0 " + "1 " * 6000)[0] == ""
