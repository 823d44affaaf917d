"""Mutation fuzzing of every decoder, long: packets or `WireError`, memory bounded, the next good frame found.

    python benchmarks/fuzz_wire.py                 a million cases over all decoders
    python benchmarks/fuzz_wire.py --cases 20000 --only palert --seed 7

Ctrl-C ends it with what was done so far. A failure names the seed of its case. CI runs ten thousand of them.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from sensor_packets import palert_1, palert_4, palert_16
from wire_laws import Make, fuzz

from seisedge.firmware_bridge import Packet
from seisedge.firmware_bridge.datacast import DatacastDecoder, encode_datacast
from seisedge.firmware_bridge.frame import Channel, Frame, encode_frame
from seisedge.firmware_bridge.frame_decoder import FrameDecoder, stuffed_frame
from seisedge.firmware_bridge.openeew import OpenEewDecoder
from seisedge.firmware_bridge.palert import PalertDecoder

PORTION = 200
Target = tuple[Make, Sequence[bytes], bool, int]


def targets() -> dict[str, Target]:
    """Name → decoder, good frames, whether they make a stream, repetitions of the good frames behind the damage."""
    rng = np.random.default_rng(0)
    about = tuple(Channel(axis) for axis in "ZNE")
    sent = [Frame(1, n, n * 10**8, (100, 1), rng.integers(-99, 99, (8, 3)).astype(np.int16), about) for n in range(3)]
    whole = Packet("FDSN:AM_SHAKE_00_E_H_Z", 10**18, 100.0, np.arange(40, dtype=np.int32))
    shakes = [encode_datacast(whole.cut(i, i + 10)) for i in range(0, 40, 10)]
    record = Packet("FDSN:TW_P001_00_H_L_Z", 10**18, 100.0, np.arange(200, dtype=np.int16))
    alerts = [palert_1(0), palert_4(record), palert_16(3), palert_1(1)]
    axes = {axis: [0.1, -0.2, 0.3, 0.4] for axis in "xyz"}
    texts = [
        json.dumps({"device_id": "0", "sr": 31.25, "device_t": 1.6e9 + n, "traces": axes}).encode() for n in range(3)
    ]
    lines = [
        json.dumps({"device_id": "0", "traces": [{"t": 1.6e9 + n, "sr": 125, **axes}]}).encode() + b"\n"
        for n in range(3)
    ]
    return {
        "native-cobs": (FrameDecoder, [stuffed_frame(each) for each in sent], True, 2),
        "native-bare": (lambda: FrameDecoder(is_bare=True), [encode_frame(each) for each in sent], False, 1),
        "datacast": (lambda: DatacastDecoder(sampling_rate=100.0), shakes, False, 1),
        "datacast-stream": (lambda: DatacastDecoder(sampling_rate=100.0), shakes, True, 2),
        "openeew": (lambda: OpenEewDecoder(is_message=True), texts, False, 1),
        "grillo-stream": (OpenEewDecoder, lines, True, 40),
        "palert": (PalertDecoder, alerts, True, 3),
    }


@click.command()
@click.option("--cases", default=1_000_000, show_default=True, help="Cases over all decoders.")
@click.option("--seed", default=1, show_default=True)
@click.option("--only", default="", help="One decoder's name.")
def main(cases: int, seed: int, only: str) -> None:
    """Fuzz every decoder of a wire format."""
    chosen = {name: each for name, each in targets().items() if only in ("", name)}
    if not chosen:
        raise click.BadParameter(f"found {only!r}, wanted one of {', '.join(targets())}", param_hint="--only")
    done: dict[str, int] = dict.fromkeys(chosen, 0)
    start = time.monotonic()
    portions = -(-cases // (PORTION * len(chosen)))
    try:
        with click.progressbar(range(portions), label="fuzzing", file=sys.stderr) as bar:
            for portion in bar:
                for name, (make, good, is_stream, tail) in chosen.items():
                    fuzz(make, good, PORTION, seed * 1_000_000 + portion, is_stream=is_stream, tail=tail)
                    done[name] += PORTION
    except KeyboardInterrupt:
        print("\nended early")
    for name, count in done.items():
        print(f"{name:16} {count:10,} cases, no fault")
    print(f"{sum(done.values()):,} cases in {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
