"""Every kernel beside SciPy or NumPy, and ObsPy where it has the step, in one interleaved run: `make bench-kernels`.

    python benchmarks/kernels.py [--rounds N]

Three components of 400, 3000 and 30000 samples of int32, and packets of 25. In each round every variant runs for some
milliseconds, one after the other; medians over the rounds, and of the rounds' ratios. Then the roofline of the fused
window: its bytes and operations beside the bandwidth of a copy, measured here. Writes benchmarks/results/kernels.json
and the tables of docs/kernels.md.
"""

from __future__ import annotations

import json
import platform
import re
import statistics
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import click
import numpy as np
import obspy
import reference
from obspy.signal import trigger
from scipy import signal

from seisedge import kernels as k

Calls = dict[str, Callable[[], Any]]
ROOT = Path(__file__).resolve().parents[1]
RESULT = Path(__file__).parent / "results" / "kernels.json"
DOCS = ROOT / "docs" / "kernels.md"
SIZES = (25, 400, 3000, 30000)
ROUND_S = 2e-3
CORNERS = (1.0, 20.0)


@click.command(help=__doc__)
@click.option("--rounds", default=21, show_default=True, help="Interleaved rounds for each kernel and size.")
def main(rounds: int) -> None:
    """Measure, keep, and write the tables."""
    found: dict[str, Any] = {"machine": _cpu(), "compilation": k.compilation().detail, "rows": []}
    for npts in SIZES:
        for name, calls in {**steps(npts), **(windows(npts) if npts > 25 else {})}.items():
            found["rows"].append({"kernel": name, "npts": npts, **interleaved(calls, rounds)})
            click.echo(_line(found["rows"][-1]))
    for name, calls in spectrograms().items():
        found["rows"].append({"kernel": name, "npts": 400, **interleaved(calls, rounds)})
        click.echo(_line(found["rows"][-1]))
    found["roofline"] = roofline(found["rows"])
    RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if DOCS.is_file():
        DOCS.write_text(filled(DOCS.read_text(encoding="utf-8"), found), encoding="utf-8")


def interleaved(calls: Calls, rounds: int) -> dict[str, Any]:
    """Median microseconds of each variant, and of the ratios to ours, round by round."""
    counts = {name: _count(call) for name, call in calls.items()}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter_ns()
            for _ in range(counts[name]):
                call()
            times[name].append((time.perf_counter_ns() - start) / counts[name] / 1e3)
    ratios = {
        name: statistics.median(theirs / ours for theirs, ours in zip(each, times["ours"], strict=True))
        for name, each in times.items()
        if name != "ours"
    }
    return {
        "us": {name: round(statistics.median(each), 3) for name, each in times.items()},
        "ratio": {name: round(each, 2) for name, each in ratios.items()},
    }


def _count(call: Callable[[], Any]) -> int:
    call()
    start = time.perf_counter()
    call()
    return max(1, int(ROUND_S / (time.perf_counter() - start)))


def samples(npts: int) -> k.Int32:
    """Counts of three components."""
    return (np.random.default_rng(0).standard_normal((3, npts)) * 1e4).astype(np.int32)


def stream_of(x: k.Int32) -> obspy.Stream:
    """The same as ObsPy holds it."""
    return obspy.Stream([obspy.Trace(row, {"sampling_rate": 100.0}) for row in x])


def steps(npts: int) -> dict[str, Calls]:
    """Each kernel by itself."""
    x = samples(npts)
    f, out, wide = x.astype(np.float32), np.zeros(x.shape, np.float32), x.astype(np.float64)
    q, packed, ramp = np.zeros(x.shape, np.int16), np.zeros((3, 3 * npts), np.uint8), k.cosine_ramp(npts, 0.05)
    window = reference.cosine_taper(npts, 0.05)
    stream = stream_of(x)
    found: dict[str, Calls] = {
        "demean": {
            "ours": lambda: k.demean_into(x, out),
            "scipy": lambda: (x - x.mean(axis=1, keepdims=True)).astype(np.float32),
            "obspy": lambda: stream.copy().detrend("demean"),
        },
        "detrend": {
            "ours": lambda: k.detrend_into(x, out),
            "scipy": lambda: signal.detrend(x).astype(np.float32),
            "obspy": lambda: stream.copy().detrend("linear"),
        },
        "taper": {
            "ours": lambda: k.taper_into(x, ramp, out),
            "scipy": lambda: (x * window).astype(np.float32),
            "obspy": lambda: stream.copy().taper(0.05, type="cosine"),
        },
        "normalise, deviation": {
            "ours": lambda: k.normalise_std_into(x, out, joint=True, ddof=0, eps=1e-6),
            "scipy": lambda: (x / (x.std() + 1e-6)).astype(np.float32),
        },
        "normalise, maximum": {
            "ours": lambda: k.normalise_max_abs_into(x, out, joint=True, eps=1e-6),
            "scipy": lambda: (x / (np.abs(x).max() + 1e-6)).astype(np.float32),
            "obspy": lambda: stream.copy().normalize(global_max=True),
        },
        "normalise, signed maximum": {
            "ours": lambda: k.normalise_signed_max_into(x, out),
            "scipy": lambda: (x / x.max()).astype(np.float32),
        },
        "to int16": {
            "ours": lambda: k.quantise_into(f, 3.0, 0.0, q),
            "scipy": lambda: reference.quantise(f, 3.0, 0.0),
        },
        "from int16": {
            "ours": lambda: k.dequantise_into(q, 3.0, 0.0, out),
            "scipy": lambda: (q * 3.0 + 0.0).astype(np.float32),
        },
        "to int24": {"ours": lambda: k.pack_int24_into(f, 3.0, 0.0, packed)},
        "from int24": {"ours": lambda: k.unpack_int24_into(packed, 3.0, 0.0, out)},
        "truncate to int16": {
            "ours": lambda: k.truncate_int16_into(f, out),
            "scipy": lambda: np.trunc(f * 32767.0 / np.abs(f).max()),
        },
    }
    return {**found, **filters(x, wide), **detectors(x, wide)}


def filters(x: k.Int32, wide: k.Float64) -> dict[str, Calls]:
    """Streams of three components, the state kept; a change of rate of one."""
    return {
        "highpass, order 4": _filter(x, wide, "highpass", (1.0,)),
        "lowpass, order 4": _filter(x, wide, "lowpass", (20.0,)),
        "bandpass, order 4": _filter(x, wide, "bandpass", CORNERS),
        "resample 100 to 40 Hz, one component": _change_of_rate(x, wide, 40),
        "decimate 100 to 50 Hz, one component": _change_of_rate(x, wide, 50),
    }


def _filter(x: k.Int32, wide: k.Float64, band: k.Band, corners: tuple[float, ...]) -> Calls:
    out, stream = np.zeros(x.shape, np.float32), stream_of(x)
    sos = k.butterworth_sos(4, band, corners, 100.0)
    state = k.SosState(sos, np.stack([k.steady_state(sos)] * 3))
    rest = np.zeros((sos.shape[0], 3, 2))
    keys = dict(zip(("freqmin", "freqmax") if band == "bandpass" else ("freq",), corners, strict=True))
    return {
        "ours": lambda: k.sos_step_into(x, state, out),
        "scipy": lambda: np.asarray(signal.sosfilt(sos, wide, axis=1, zi=rest)[0]),
        "obspy": lambda: stream.copy().filter(band, corners=4, **keys),
    }


def _change_of_rate(x: k.Int32, wide: k.Float64, rate: int) -> Calls:
    resampler, line = k.design_resampler(Fraction(100), Fraction(rate)), np.zeros(x.shape[1] + 1, np.float32)
    state, taps = k.resample_state(resampler), np.ascontiguousarray(resampler.taps[:, ::-1].T).reshape(-1)

    def scipy() -> reference.Numbers:
        return np.asarray(signal.upfirdn(taps, wide[0], resampler.up, resampler.down))

    return {"ours": lambda: k.resample_step_into(x[0], resampler, state, line), "scipy": scipy}


def detectors(x: k.Int32, wide: k.Float64) -> dict[str, Calls]:
    """What finds and measures picks, on one component."""
    npts = x.shape[1]
    nsta, nlta = max(1, npts // 50), max(2, npts // 5)
    ratio, classic, recursive = (
        np.zeros(npts, np.float32), k.classic_sta_lta_state(nsta, nlta), k.recursive_sta_lta_state(),
    )  # fmt: skip
    rows, peaks, level = np.zeros((npts, 2), np.int64), np.zeros(npts, np.int64), np.abs(x[0]).astype(np.float32)
    return {
        "STA/LTA, classic": {
            "ours": lambda: k.classic_sta_lta_step_into(x[0], nsta, nlta, classic, ratio),
            "obspy": lambda: trigger.classic_sta_lta(wide[0], nsta, nlta),
        },
        "STA/LTA, recursive": {
            "ours": lambda: k.recursive_sta_lta_step_into(x[0], nsta, nlta, recursive, ratio),
            "obspy": lambda: trigger.recursive_sta_lta(wide[0], nsta, nlta),
        },
        "triggers": {
            "ours": lambda: k.triggers_into(level, 2e4, 1e4, k.trigger_state(), rows),
            "obspy": lambda: np.asarray(trigger.trigger_onset(level, 2e4, 1e4)),
        },
        "peaks": {
            "ours": lambda: k.peaks_into(level, 2e4, 10, peaks),
            "scipy": lambda: signal.find_peaks(level, height=2e4, distance=10),
        },
        "onset by AIC": {"ours": lambda: k.refine_onset(x[0], 0, npts)},
        "peak amplitude": {
            "ours": lambda: k.peak_amplitude(x[0], 0, npts),
            "scipy": lambda: np.abs(wide[0]).argmax(),
        },
        "signal to noise": {
            "ours": lambda: k.signal_to_noise(x[0], npts // 2, npts // 2, npts // 2),
            "scipy": lambda: 10 * np.log10(np.mean(wide[0, npts // 2 :] ** 2) / np.mean(wide[0, : npts // 2] ** 2)),
        },
    }


def windows(npts: int) -> dict[str, Calls]:
    """int32 in; demean, detrend, taper of 5 %, bandpass, divided by the deviation; float32 out."""
    x, found = samples(npts), dict[str, Calls]()
    window = reference.cosine_taper(npts, 0.05)
    stream = stream_of(x)
    for order in (2, 4):
        sos = k.butterworth_sos(order, "bandpass", CORNERS, 100.0)
        ops: tuple[k.WindowOp, ...] = ("demean", "detrend", "taper", "filter", "normalise_std")
        chain = [k.WindowStep(op, joint=True, fraction=0.05, sos=sos if op == "filter" else None) for op in ops]
        plan = k.window_plan(chain, channels=3, width=npts)
        out, scratch = np.zeros((1, 3, npts), np.float32), k.window_scratch(plan)

        def scipy(sos: k.Float64 = sos) -> k.Float32:
            y = x.astype(np.float64)
            y -= y.mean(axis=1, keepdims=True)
            y = signal.sosfilt(sos, signal.detrend(y) * window)
            return np.asarray(y / y.std(), np.float32)

        def obspy_(order: int = order) -> k.Float32:
            y = stream.copy().detrend("demean").detrend("linear").taper(0.05, type="cosine")
            y.filter("bandpass", freqmin=CORNERS[0], freqmax=CORNERS[1], corners=order)
            together = np.stack([trace.data for trace in y])
            return np.asarray(together / together.std(), np.float32)

        def ours(plan: k.WindowPlan = plan, out: k.Float32 = out, scratch: k.WindowScratch = scratch) -> None:
            k.cut_windows_into(x, plan, out, scratch=scratch)

        ours()
        np.testing.assert_allclose(out[0], scipy(), atol=2e-5)
        found[f"window, order {order}"] = {"ours": ours, "scipy": scipy, "obspy": obspy_}
    return found


def spectrograms() -> dict[str, Calls]:
    """Levels of a window of 400 samples; as one of 128 that share their frames, the time is of one."""
    x = np.random.default_rng(0).standard_normal((3, 1670)).astype(np.float32)
    transform = k.frame_transform(64)
    alone, together = (np.zeros((count, 22, 33, 3), np.float32) for count in (1, 128))
    scratch = k.spectrogram_scratch(3, stride=10, width=400, hop=16, transform=transform, floor_db=-50.0, divisor=50.0)
    stft = signal.ShortTimeFFT(signal.get_window("hann", 64), 16, 100.0)

    def scipy(count: int) -> None:
        for first in range(0, 10 * count, 10):
            window = x[:, first : first + 400]
            magnitude = np.abs(stft.stft(window / np.abs(window).max(), p0=2, p1=24))
            np.maximum(10.0 * np.log10(np.maximum(magnitude, 1e-5)), -50.0).transpose(2, 1, 0)

    return {
        "STFT, alone": {"ours": lambda: k.spectrogram_windows_into(x, scratch, alone), "scipy": lambda: scipy(1)},
        "STFT, 128 windows": {
            "ours": lambda: k.spectrogram_windows_into(x, scratch, together),
            "scipy": lambda: scipy(128),
        },
    }


def roofline(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Bytes and operations of the fused window of order 2 at 3 x 3000, and the bandwidth of a copy in and out of L2."""
    values = 3 * 3000
    a, b = np.ones(64 * 1024 // 4, np.float32), np.ones(64 * 1024 // 4, np.float32)  # beyond L1, within L2
    large, other = np.ones(1 << 25, np.float32), np.ones(1 << 25, np.float32)
    cached = interleaved({"ours": lambda: np.copyto(b, a)}, 21)["us"]["ours"]
    memory = interleaved({"ours": lambda: np.copyto(other, large)}, 5)["us"]["ours"]
    row = next(each for each in rows if each["kernel"] == "window, order 2" and each["npts"] == 3000)
    # Passes over the window: copy in 2, demean 3, detrend 4, filter 2, deviation 2, division 2, of 4 bytes each.
    moved = values * 4 * 15
    # Operations of a value: demean 2, detrend 1 + 4 + 4, filter 18, deviation 1 + 3, division 1.
    operations = values * 34
    seconds = row["us"]["ours"] * 1e-6
    return {
        "least_bytes": values * 8,
        "bytes": moved,
        "operations": operations,
        "copy_gb_s_l2": 2 * a.nbytes / cached / 1e3,
        "copy_gb_s_memory": 2 * large.nbytes / memory / 1e3,
        "window_us": row["us"]["ours"],
        "window_gb_s": moved / seconds / 1e9,
        "window_gflop_s": operations / seconds / 1e9,
        "bound_us_memory": values * 8 / (2 * large.nbytes / memory),
        "bound_us_l2": moved / (2 * a.nbytes / cached),
    }


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _line(row: dict[str, Any]) -> str:
    times = "  ".join(f"{name} {us:,.2f} us" for name, us in row["us"].items())
    ratios = "  ".join(f"{name} {ratio:.1f}x" for name, ratio in row["ratio"].items())
    return f"{row['kernel']:<36}{row['npts']:>6}  {times}  {ratios}"


def filled(text: str, found: dict[str, Any]) -> str:
    """The page with its tables made anew."""
    table = {"kernels": _table(found), "roofline": _roofline_table(found["roofline"])}
    return re.sub(
        r"<!-- table (\w+) -->\n.*?<!-- end -->",
        lambda match: f"<!-- table {match[1]} -->\n{table[match[1]]}\n<!-- end -->" if match[1] in table else match[0],
        text,
        flags=re.DOTALL,
    )


def _table(found: dict[str, Any]) -> str:
    lines = [
        "| kernel | samples | us | SciPy or NumPy, us | ratio | ObsPy, us | ratio |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in found["rows"]:
        cells = [f"{row['us']['ours']:,.2f}"]
        for rival in ("scipy", "obspy"):
            us, ratio = row["us"].get(rival), row["ratio"].get(rival)
            cells += ["", ""] if us is None else [f"{us:,.1f}", f"{ratio:.1f}"]
        lines.append(f"| {row['kernel']} | 3 x {row['npts']} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"Machine: {found['machine']}; compilation: {found['compilation']}."])


def _roofline_table(found: dict[str, float]) -> str:
    return "\n".join(
        [
            "| figure | |",
            "|---|---:|",
            f"| bytes in and out, at the least | {found['least_bytes']:,} |",
            f"| bytes of all passes | {found['bytes']:,} |",
            f"| operations | {found['operations']:,} |",
            f"| copy within L2, GB/s | {found['copy_gb_s_l2']:.1f} |",
            f"| copy in memory, GB/s | {found['copy_gb_s_memory']:.1f} |",
            f"| least time: bytes in and out at memory's bandwidth, us | {found['bound_us_memory']:.1f} |",
            f"| all passes at L2's bandwidth, us | {found['bound_us_l2']:.1f} |",
            f"| measured, us | {found['window_us']:.1f} |",
            f"| reached: GB/s of all passes; Gflop/s | {found['window_gb_s']:.1f}; {found['window_gflop_s']:.1f} |",
        ]
    )


if __name__ == "__main__":
    main()
