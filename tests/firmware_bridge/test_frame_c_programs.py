"""The C encoder as firmware calls it: the page's example, what it refuses, a size of 16 bits; checked as it runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
from c_compiler import COMPILER, SOURCES, needs_compiler

from seisedge.firmware_bridge.cobs import cobs_decode
from seisedge.firmware_bridge.frame import decode_frame

PAGE = Path(__file__).resolve().parents[2] / "docs" / "frame.md"
ENCODER = SOURCES / "seisedge_frame.c"
pytestmark = needs_compiler
STRICT = ("-Wall", "-Wextra", "-Wconversion", "-Werror", "-pedantic")
USE = """
#include <stdio.h>
int main(void)
{
    static int16_t samples[60] = {16384, -3, 5};
    int64_t start_ns = 1600000000000000000;
    for (; start_ns < 1600000000400000000; start_ns += 200000000) {
        size_t i, size = samples_to_line(samples, start_ns);
        for (i = 0; i < size; i++)
            printf("%02x", line[i]);
    }
    return 0;
}
"""
REFUSED = """
#include <stdio.h>
#include "seisedge_frame.h"
static void write(int axis, uint32_t num, uint32_t den)
{
    const struct se_channel about[1] = {{(char)axis, SE_COUNTS, 1.0f, 0}};
    const struct se_frame frame = {1, 0, 0, num, den, 1, 0, 1, 0, SE_CLOCK_UNSET, 255, about};
    const int16_t sample = 7;
    uint8_t out[100];
    printf("%u ", (unsigned)se_frame_write_i16(&frame, &sample, out, sizeof out));
}
int main(void)
{
    write('z', 100, 1);
    write(0, 100, 1);
    write(200, 100, 1);
    write('Z', 100, 0);
    write('Z', 0, 1);
    write('Z', 1, 10001);
    write('Z', 1000001, 1);
    write('Z', 1, 10000);
    write('9', 1000000, 1);
    write('A', 4000000000u, 4001);
    return 0;
}
"""
SMALL = """
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#define size_t uint16_t
#include "seisedge_frame.c"
static int16_t samples[32768];
int main(void)
{
    static const struct se_channel about[1] = {{'Z', SE_COUNTS, 1.0f, 0}};
    static const struct se_frame frame = {1, 0, 0, 100, 1, 32768, 0, 1, 0, 0, 255, about};
    uint8_t out[100];
    printf("%u", (unsigned)se_frame_write_i16(&frame, samples, out, sizeof out));
    return 0;
}
"""


def said(folder: Path, text: str, *files: Path, options: tuple[str, ...]) -> str:
    """Compile a program and give what it says."""
    source, program = folder / "program.c", folder / "program"
    source.write_text(text, encoding="utf-8")
    sanitized = ("-fsanitize=undefined,address", "-fno-sanitize-recover=all", f"-I{SOURCES}", "-o", str(program))
    assert COMPILER is not None
    subprocess.run([COMPILER, *options, *sanitized, str(source), *map(str, files)], check=True)
    return subprocess.run([str(program)], capture_output=True, text=True, check=True, timeout=60).stdout


def test_the_example_of_the_page_is_whole(tmp_path: Path) -> None:
    section = PAGE.read_text(encoding="utf-8").partition("## The C encoder")[2]
    example = section.partition("```c")[2].partition("```")[0]
    line = bytes.fromhex(said(tmp_path, example + USE, ENCODER, options=("-std=c99", *STRICT)))
    found = [decode_frame(cobs_decode(each)) for each in line.split(b"\0") if each]
    assert [(each.sequence, each.starttime_ns - 1_600_000_000 * 10**9) for each in found] == [(0, 0), (1, 200_000_000)]
    np.testing.assert_array_equal(found[0].samples[:2], [[16384, -3, 5], [0, 0, 0]])


def test_what_a_reader_would_drop_is_not_written(tmp_path: Path) -> None:
    assert said(tmp_path, REFUSED, ENCODER, options=("-std=c99", *STRICT)).split() == ["0"] * 7 + ["58"] * 3


def test_a_size_of_16_bits_does_not_wrap(tmp_path: Path) -> None:
    assert said(tmp_path, SMALL, options=("-std=c99",)) == "0"
