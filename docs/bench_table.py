"""The README's table of speed, made of what `make bench` wrote: every model, its budgets and its peers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from seisedge.edge import strict
from seisedge.edge.bench.figures import Figure
from seisedge.edge.bench.report import Report, Row, Verdict, shown
from seisedge.export.registry import REGISTRY

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"
PRECISIONS = ("fp32", "int8")


def newest() -> dict[str, Any] | None:
    """Give the newest result of `make bench`."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    results = [each for each in found if each.get("reports")]
    return max(results, key=lambda each: max(one["created"] for one in each["reports"].values()), default=None)


def bench_table() -> str:
    """All that was measured, a line for each artefact."""
    result = newest()
    if result is None:
        return "Nothing measured yet: `make bench`."
    reports = {key: strict.read(Report, value, key) for key, value in result["reports"].items()}
    heads = ("one window, p50", "p99", "windows/s", "first result", "RSS", "artefact", "budgets: found of budget")
    lines = [f"| model | {' | '.join(heads)} | PyTorch |", "|---|---:|---:|---:|---:|---:|---:|---|---:|"]
    lines += [
        _line(name, precision, reports)
        for name in REGISTRY
        for precision in PRECISIONS
        if f"{name} {precision} models" in reports
    ]
    first = next(iter(reports.values()))
    noisy = sum(bool(report.noise.noisy) for report in reports.values())
    text = (
        f"On one core of {first.environment['CPU']}; {first.settings['confidence']}; {noisy} of {len(reports)} runs on "
        "a noisy machine. One window is filtered, cut, run and picked; windows/s at the best batch; PyTorch is eager, "
        "one thread, its time over ours for the network alone, batch 1. Budgets are what sources document, for their "
        "devices: `edge-bench models` prints them with what is not documented. Command: `make bench`."
    )
    lines += ["", text]
    lines += [f"- `{name.rsplit('-', 1)[0]}` has no int8: {_shortened(why)}" for name, why in result["without"].items()]
    return "\n".join(lines)


def _line(name: str, precision: str, reports: dict[str, Report]) -> str:
    report = reports[f"{name} {precision} models"]
    figures = report.sections[0].rows[0].figures
    cells = [shown(figures[key]) for key in ("p50", "p99", "windows/s", "first result", "RSS", "artefact")]
    verdicts = [*report.verdicts]
    if archive := reports.get(f"{name} {precision} archive"):
        verdicts += archive.verdicts
    budgets = "; ".join(_budget(each) for each in verdicts)
    peers = reports.get(f"{name} {precision} peers")
    ratio = _ratio(peers.sections[0].rows, "torch eager") if peers else ""
    return f"| `{name}` {precision} | {' | '.join(cells)} | {budgets} | {ratio} |"


def _budget(verdict: Verdict) -> str:
    text = f"{verdict.found} of {shown(Figure(verdict.budget_s, 's'))}"
    return text if verdict.passed else f"**{text}**"


def _ratio(rows: tuple[Row, ...], peer: str) -> str:
    found = next((row.figures["ratio"].value for row in rows if row.name.endswith(f": {peer}")), None)
    return "" if found is None else f"{found:.1f}"


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 160 else f"{line[:159]}…"
