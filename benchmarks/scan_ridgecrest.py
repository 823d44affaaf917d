"""The whole scan beside the same chain in torch, SciPy and ObsPy: windows per second and peak memory.

    python benchmarks/scan_ridgecrest.py [--archive DIR] [--weights FILE] [--shift 10]

Six stations with three components of 80 min each of the Ridgecrest record (../shared/data), Seismo-Performer with its
published weights, one thread. Each station is scanned by either side in a fresh process, in turn, so that a drift of
the machine's speed falls on both; the table gives each station's ratio and the median. Reading the files is
included, start-up and imports are not. Writes benchmarks/results/scan_ridgecrest.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
RESULT = Path(__file__).parent / "results" / "scan_ridgecrest.json"


def scan_with_seisedge(files: list[Path], model: Path, shift: int) -> dict[str, float]:
    """The product: `Scanner` on the files of one station."""
    from seisedge.edge.postprocess import Result  # noqa: PLC0415 - either side imports only its own
    from seisedge.edge.scan import Scanner, ScanOptions  # noqa: PLC0415
    from seisedge.edge.session import OrtSession  # noqa: PLC0415

    session = OrtSession(model)
    scanner = Scanner(session, ScanOptions(stride=shift))
    picks: list[Result] = []
    began = time.perf_counter()
    for station in scanner.index(tuple(files)):
        scanner.scan(station, picks.extend)
    return {"seconds": time.perf_counter() - began, "windows": scanner.report.windows, "picks": len(picks)}


def scan_with_torch(files: list[Path], weights: Path, shift: int) -> dict[str, float]:
    """The same chain as one would write it: ObsPy reads and filters, torch transforms and infers."""
    import numpy as np  # noqa: PLC0415
    import obspy  # noqa: PLC0415
    import torch  # noqa: PLC0415
    from scipy.signal import find_peaks  # noqa: PLC0415

    from seisedge.export.registry import find  # noqa: PLC0415
    from seisedge.export.weights import load_weights  # noqa: PLC0415

    torch.set_num_threads(1)
    network = find("seismo-performer").build().eval()
    load_weights(weights, network)
    hann = torch.hann_window(64, periodic=True)
    began = time.perf_counter()
    stream = obspy.Stream()
    for file in files:
        stream += obspy.read(str(file))
    stream.merge(method=1)
    stream.detrend("linear")
    stream.filter("highpass", freq=2.0)
    start, end = max(t.stats.starttime for t in stream), min(t.stats.endtime for t in stream)
    stream.trim(start, end)
    rows = [stream.select(component=letter)[0].data for letter in "NEZ"]
    npts = min(len(row) for row in rows)
    data = np.stack([row[:npts] for row in rows]).astype(np.float32)
    views = np.lib.stride_tricks.sliding_window_view(data, 400, axis=1)[:, ::shift].transpose(1, 0, 2)
    probabilities: list[np.ndarray] = []
    with torch.inference_mode():
        for at in range(0, len(views), 128):
            batch = torch.from_numpy(np.ascontiguousarray(views[at : at + 128]))
            batch /= batch.abs().amax(dim=(1, 2), keepdim=True).clamp_min(1e-30)
            spectra = torch.stft(batch.reshape(-1, 400), 64, 16, window=hann, center=False, return_complex=True)
            levels = 10 * spectra.abs().clamp_min(1e-5).log10() / 50
            inputs = levels.reshape(len(batch), 3, 33, 22).permute(0, 3, 2, 1).contiguous()
            probabilities.append(network(inputs).numpy())
    curve = np.concatenate(probabilities)
    picks = sum(len(find_peaks(curve[:, column], height=0.95, distance=200 // shift)[0]) for column in (0, 1))
    return {"seconds": time.perf_counter() - began, "windows": len(curve), "picks": picks}


def main() -> int:
    """Run one side (`--side`), or both in turn and print the table."""
    parser = argparse.ArgumentParser(description="The whole scan beside the same chain in torch, SciPy and ObsPy.")
    parser.add_argument("--archive", type=Path, default=SHARED / "mseed" / "ridgecrest_20190704")
    parser.add_argument(
        "--weights",
        type=Path,
        default=SHARED / "weights" / "seismo-performer" / "w_model_performer_with_spec.hd5",
    )
    parser.add_argument("--shift", type=int, default=10)
    parser.add_argument("--side", choices=("seisedge", "torch"))
    parser.add_argument("--model", type=Path)
    parser.add_argument("files", nargs="*", type=Path)
    args = parser.parse_args()
    if args.side == "seisedge":
        return _print_result(scan_with_seisedge(args.files, args.model, args.shift))
    if args.side == "torch":
        return _print_result(scan_with_torch(args.files, args.weights, args.shift))
    if not args.archive.is_dir():
        sys.stdout.write(f"{args.archive}: no such folder: this benchmark reads a real record\n")
        return 0
    return _compare(args.archive, args.weights, args.shift)


def _print_result(result: dict[str, float]) -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps({**result, "peak_mb": peak}) + "\n")
    return 0


def _compare(archive: Path, weights: Path, shift: int) -> int:
    stations = sorted({".".join(path.name.split(".")[:2]) for path in archive.glob("*.mseed")})
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "performer.onnx"
        export = ["edge-export", "export", "seismo-performer", "--weights", str(weights), "--output", str(model)]
        subprocess.run([str(Path(sys.executable).parent / export[0]), *export[1:]], check=True, capture_output=True)
        sys.stdout.write(f"{'station':<10}{'':>12}{'windows/s':>12}{'peak MB':>9}{'picks':>7}{'ratio':>8}\n")
        for station in stations:
            files = sorted(archive.glob(f"{station}.*.mseed"))
            ours = _run("seisedge", files, weights, model, shift)
            theirs = _run("torch", files, weights, model, shift)
            rows.append({"station": station, "seisedge": ours, "torch": theirs, "ratio": _rate(ours) / _rate(theirs)})
            for name, each in (("seisedge", ours), ("torch", theirs)):
                ratio = f"{_rate(ours) / _rate(theirs):8.2f}" if name == "seisedge" else ""
                sys.stdout.write(
                    f"{station:<10}{name:>12}{_rate(each):>12,.0f}{each['peak_mb']:>9.0f}{each['picks']:>7.0f}{ratio}\n"
                )
    return _write(rows, archive, shift)


def _run(side: str, files: list[Path], weights: Path, model: Path, shift: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--side", side, "--weights", str(weights), "--model", str(model)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--shift", str(shift), *map(str, files)],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def _rate(result: dict[str, float]) -> float:
    return result["windows"] / result["seconds"]


def _write(rows: list[dict[str, object]], archive: Path, shift: int) -> int:
    ratios = [float(str(row["ratio"])) for row in rows]
    ours = [row["seisedge"] for row in rows]
    rates = [_rate(each) for each in ours if isinstance(each, dict)]
    peaks = [each["peak_mb"] for each in ours if isinstance(each, dict)]
    summary = {
        "machine": _cpu(),
        "archive": archive.name,
        "shift": shift,
        "windows_per_s_median": round(statistics.median(rates)),
        "peak_mb_max": round(max(peaks)),
        "ratio_median": round(statistics.median(ratios), 2),
        "ratio_min": round(min(ratios), 2),
        "ratio_max": round(max(ratios), 2),
        "stations": rows,
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(
        f"\nmedian {summary['windows_per_s_median']:,} windows/s on one core of {summary['machine']}, "
        f"{summary['ratio_median']} times the torch chain ({summary['ratio_min']} to {summary['ratio_max']}); "
        f"peak memory {summary['peak_mb_max']} MB\n"
    )
    return 0


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    sys.exit(main())
