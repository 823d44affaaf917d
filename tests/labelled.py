"""A labelled set in the documented form, made of synthetic arrivals: for tests that train and must not need data."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

_COLUMNS = ("id", "s_status", "p_origin", "channels", "other_picks")


def write_labelled(folder: Path, *, count: int = 24, rate: float = 100.0) -> Path:
    """Write labelled_train and labelled_val: noise, and a P on Z with an S on N and E three seconds later."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, seed in (("train", 0), ("val", 1)):
        _write_split(folder / f"labelled_{split}.npz", np.random.default_rng(seed), count, rate)
    return folder


def _write_split(path: Path, rng: np.random.Generator, count: int, rate: float) -> None:
    npts = int(16 * rate)
    samples, arrivals, rows = [], [], []
    for index in range(count):
        x = rng.normal(0, 100, (3, npts)).astype(np.float32).round()
        is_event = index % 3 != 0
        p, s = (6 * rate + rng.uniform(-1, 1) * rate, 9 * rate) if is_event else (-1.0, -1.0)
        if is_event:
            x[0, int(p) :] += (4000 * rng.normal(size=npts - int(p))).astype(np.float32).round()
            x[1:, int(s) :] += (20000 * rng.normal(size=(2, npts - int(s)))).astype(np.float32).round()
        samples.append(x.ravel())
        arrivals.append((p, s))
        status = "labelled" if is_event else "none"
        rows.append((f"w{index}", status, "manual" if is_event else "pre_event", "HHZ,HHN,HHE", ""))
    sizes = [each.size for each in samples]
    np.savez(
        path,
        samples=np.concatenate(samples),
        start=np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int64),
        n=np.full(count, npts, np.int32),
        fs=np.full(count, rate),
        p_sample=np.array([each[0] for each in arrivals]),
        s_sample=np.array([each[1] for each in arrivals]),
        group=np.array([f"g{index}" for index in range(count)]),
        id=np.array([row[0] for row in rows]),
    )
    with path.with_suffix(".csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows(rows)
