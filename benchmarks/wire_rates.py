"""Decoding rates of the wire formats on one core, beside a plain rival in the same run.

    python benchmarks/wire_rates.py

Native frames against struct and NumPy without COBS, CRC, checks or packets; datacast against ast.literal_eval, which is
what a careful consumer would take; OpenEEW against json.loads alone. Runs are interleaved; the best and the median of
fifteen: others on the machine disturb the second.
"""

from __future__ import annotations

import ast
import json
import platform
import statistics
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from seisedge.firmware_bridge import Decoder, Packet, WireError, packets_of
from seisedge.firmware_bridge.datacast import DatacastDecoder, encode_datacast
from seisedge.firmware_bridge.frame import Channel, Frame, encode_frame
from seisedge.firmware_bridge.frame_decoder import FrameDecoder, stuffed_frame
from seisedge.firmware_bridge.openeew import OpenEewDecoder

ROUNDS = 15
Work = Callable[[], object]


def frames(npts: int) -> list[Frame]:
    rng = np.random.default_rng(1)
    about = tuple(Channel(axis) for axis in "ZNE")
    values = [np.rint(rng.normal((16384, 0, 0), 60, (npts, 3))).astype(np.int16) for _ in range(400)]
    return [Frame(1, n, 10**18 + n * npts * 10**7, (100, 1), each, about) for n, each in enumerate(values)]


def decode(make: Callable[[], Decoder], units: Sequence[bytes]) -> Work:
    def work() -> None:
        decoder = make()
        damage: list[WireError] = []
        for unit in units:
            packets_of(decoder, unit, damage.append)
        assert not damage

    return work


def naive(units: Sequence[bytes]) -> Work:
    def work() -> None:
        for unit in units:
            struct.unpack_from("<2sBBBBBBQIHHqII", unit)
            np.frombuffer(unit[76:-4], "<i2").reshape(-1, 3)

    return work


def literal(units: Sequence[bytes]) -> Work:
    def work() -> None:
        for unit in units:
            ast.literal_eval("[" + unit.decode()[1:-1] + "]")

    return work


def parse(units: Sequence[bytes]) -> Work:
    def work() -> None:
        for unit in units:
            json.loads(unit)

    return work


def timed(works: dict[str, Work]) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def report(title: str, unit: str, count: int, works: dict[str, Work]) -> None:
    print(f"\n{title}")
    for name, seconds in timed(works).items():
        best, median = count / min(seconds), count / statistics.median(seconds)
        print(f"  {name:44} {best:14,.0f} best {median:14,.0f} median {unit}/s")


def datacasts() -> list[bytes]:
    counts = np.random.default_rng(2).integers(-400_000, 400_000, 25 * 2000).astype(np.int32)
    whole = Packet("FDSN:AM_SHAKE_00_E_N_Z", 1_580_372_810_003_000_000, 100.0, counts)
    return [encode_datacast(whole.cut(i, i + 25)) for i in range(0, counts.size, 25)]


def openeews() -> list[bytes]:
    rng = np.random.default_rng(3)
    axes = [{axis: [round(float(v), 3) for v in rng.normal(0, 1, 32)] for axis in "xyz"} for _ in range(300)]
    heads = [{"device_id": "000", "sr": 31.25, "device_t": 1.6e9 + n * 1.024} for n in range(300)]
    return [json.dumps({**head, "traces": each}).encode() for head, each in zip(heads, axes, strict=True)]


def main() -> None:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    print(f"{name}, Python {platform.python_version()}, NumPy {np.__version__}; one core")
    for npts in (20, 100):
        sent = frames(npts)
        bare, stuffed = [encode_frame(each) for each in sent], [stuffed_frame(each) for each in sent]
        works = {
            "ours, COBS and CRC, to packets": decode(
                FrameDecoder, [b"".join(stuffed[i : i + 8]) for i in range(0, 400, 8)]
            ),
            "ours, bare and CRC, to packets": decode(lambda: FrameDecoder(is_bare=True), bare),
            "rival: struct and NumPy, no COBS, no check": naive(bare),
        }
        report(f"native frames, 3 channels x {npts} int16", "samples", 400 * 3 * npts, works)
    wires = datacasts()
    report(
        "datacast, 25 counts",
        "packets",
        2000,
        {"ours, to packets": decode(DatacastDecoder, wires), "rival: ast.literal_eval": literal(wires)},
    )
    texts = openeews()
    ours = decode(lambda: OpenEewDecoder(is_message=True), texts)
    report(
        "OpenEEW, 3 x 32 samples",
        "messages",
        300,
        {"ours, to packets, clock model": ours, "rival: json.loads alone": parse(texts)},
    )


if __name__ == "__main__":
    main()
