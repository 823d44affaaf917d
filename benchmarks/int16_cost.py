"""What int16 samples cost at ±2 g: the tables of docs/int16.md.

    python benchmarks/int16_cost.py

The first table is arithmetic over data sheets' typical noise; the second is measured on the team's shared records of
OpenEEW sensors (219 records, 31.25 Hz, counts of 0.003772 gal), where they are.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "mems" / "openeew_int16.npz"
BAND_HZ = 50.0
RANGE_G = 2.0
GAL_PER_G = 980.665
SENSORS = (
    # part, ug per count of its own word at its smallest range, that range in g, noise density in ug per root Hz
    ("ADXL355", 3.9, 2.048, 22.5),
    ("ADXL359 / ADXL357", 19.5, 10.24, 80.0),
    ("IIS3DHHC", 76.0, 2.5, 45.0),
    ("LSM6DSO", 61.0, 2.0, 70.0),
    ("generic 16 bits, ±2 g", 1e6 / 16384, 2.0, 100.0),
)


def arithmetic() -> None:
    step_ug = 2 * RANGE_G * 1e6 / 65536
    added_ug = step_ug / math.sqrt(12)
    print(
        f"int16 over ±{RANGE_G:g} g: {step_ug:.1f} ug per count, {added_ug:.1f} ug rms of rounding; "
        f"band 0 to {BAND_HZ:g} Hz\n"
    )
    print(
        "| sensor | its own count, ug | noise, ug/sqrt(Hz) | noise, ug rms | its rounding | int16 at ±2 g adds "
        "| its counts in int16 reach |"
    )
    print("|---|---|---|---|---|---|---|")
    for part, own_ug, range_g, density in SENSORS:
        noise = density * math.sqrt(BAND_HZ)
        own = own_ug / math.sqrt(12)
        adds = (
            "nothing: its own word"
            if own_ug > 0.98 * step_ug
            else f"{100 * (added_ug / noise) ** 2:.2f} % of noise power"
        )
        reach = min(range_g, 32768 * own_ug / 1e6)
        print(f"| {part} | {own_ug:.1f} | {density:g} | {noise:.0f} | {own:.1f} ug rms | {adds} | ±{reach:.3g} g |")


def measured() -> None:
    with np.load(SHARED, allow_pickle=False) as file:
        samples, start, npts = file["samples"], file["start"], file["n"]
        clipped, lsb = int(file["n_clipped"].sum()), float(file["lsb_gal"])
    step = 2 * RANGE_G * GAL_PER_G / 65536
    levels: list[float] = []
    errors: list[float] = []
    for first, count in zip(start, npts, strict=True):
        gal = samples[first : first + 3 * count].reshape(3, -1) * lsb
        coarse = np.rint(gal / step) * step
        levels += list(gal.std(axis=1))
        errors += list((coarse - gal).std(axis=1))
    level, error = np.median(levels), np.median(errors)
    print(f"\n{npts.size} records, {3 * npts.sum():,} samples")
    print(f"counts of {lsb} gal in int16 reach ±{32768 * lsb:.1f} gal: {clipped} samples were clipped")
    print(
        f"counts of {step:.4f} gal (±2 g): rounding {error:.4f} gal rms (step / sqrt(12) = {step / math.sqrt(12):.4f})"
    )
    print(f"median record {level:.4f} gal rms: rounding adds {100 * (error / level) ** 2:.1f} % of its power")
    quiet = np.quantile(levels, 0.05)
    print(f"quietest 5 % of channels below {quiet:.4f} gal rms: {100 * (error / quiet) ** 2:.1f} %")


def main() -> None:
    arithmetic()
    if SHARED.exists():
        measured()
    else:
        print(f"\nno records at {SHARED}")


if __name__ == "__main__":
    main()
