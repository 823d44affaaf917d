"""Rate of `MiniSeedDecoder` beside pymseed's own loop over the same bytes, turn by turn in one run.

python benchmarks/miniseed_rate.py [FILE]

The rival does what any user of the samples must do: name, time, rate, and a copy of the samples, for pymseed's array
lives only until the next record. Without a file: 4 MB of Steim2 records of 512 bytes, made here.
"""

from __future__ import annotations

import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pymseed import MS3Record

from seisedge.firmware_bridge import MiniSeedDecoder, Packet, encode_records, packets_of

ROUNDS = 15
PORTION = 1 << 16


def of_pymseed(content: bytes) -> int:
    samples = 0
    for record in MS3Record.from_buffer(content, unpack_data=True):
        found = record.sourceid, record.starttime, record.samprate, record.np_datasamples.copy()
        samples += found[3].size
    return samples


def of_decoder(content: bytes) -> int:
    decoder, samples = MiniSeedDecoder(), 0
    for at in range(0, len(content), PORTION):
        samples += sum(each.samples.size for each in packets_of(decoder, content[at : at + PORTION], _raise))
    return samples


def _raise(error: Exception) -> None:
    raise error


def seconds(work: Callable[[bytes], int], content: bytes) -> tuple[float, int]:
    began = time.perf_counter()
    samples = work(content)
    return time.perf_counter() - began, samples


def made() -> bytes:
    counts = np.cumsum(np.random.default_rng(1).integers(-60, 60, 3_000_000)).astype(np.int32)
    return b"".join(encode_records(Packet("FDSN:XX_TEST__H_H_Z", 10**18, 100.0, counts)))


def main() -> None:
    content = Path(sys.argv[1]).read_bytes() if len(sys.argv) > 1 else made()
    times: dict[str, list[float]] = {"pymseed": [], "seisedge": []}
    samples = 0
    for _ in range(ROUNDS):
        for name, work in (("pymseed", of_pymseed), ("seisedge", of_decoder)):
            taken, samples = seconds(work, content)
            times[name].append(taken)
    print(f"{platform.machine()}, Python {platform.python_version()}; {len(content):,} bytes, {samples:,} samples")
    for name, each in times.items():
        middle = statistics.median(each)
        print(f"{name:9} {middle * 1e3:7.1f} ms  {samples / middle / 1e6:6.1f} M samples/s")
    ratio = statistics.median(ours / theirs for theirs, ours in zip(times["pymseed"], times["seisedge"], strict=True))
    print(f"seisedge / pymseed: {ratio:.2f} (wanted: at most 1.3)")


if __name__ == "__main__":
    main()
