"""Fills the tables of README.md from what they speak of: `make readme`. A test fails when one is out of date."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from bench_table import bench_table

from seisedge.edge import models
from seisedge.export.registry import REGISTRY

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
SCORES = ROOT / "docs" / "models" / "evaluation.json"
SCAN = ROOT / "benchmarks" / "results" / "scan_ridgecrest.json"


def model_table() -> str:
    """The registry, with the first documented budget of each model."""
    rows = ["| model | system | task | parameters | embedded |", "|---|---|---|---:|---|"]
    embedded = models.embedded_models()
    for model in REGISTRY.values():
        recipe = model.recipe
        mark = "yes" if model.name in embedded else ""
        rows.append(f"| `{model.name}` | {recipe.system} | {recipe.task} | {model.parameters:,} | {mark} |")
    return "\n".join(rows)


def quality_table() -> str:
    """What the embedded models reach on labels that they were not trained on."""
    rows = [
        "| model | phase | F1 | precision | recall | F1 within 0.1 s | mean abs. residual |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    found = json.loads(SCORES.read_text(encoding="utf-8"))
    own = models.embedded_models()
    for each in found["labelled"]:
        near, wide = each["at"]["0.1"], each["at"]["0.5"]
        name = f"`{each['picker']}`" if each["picker"].split()[0] in own else each["picker"]
        rows.append(
            f"| {name} | {each['phase']} | {wide['f1']:.3f} | {wide['precision']:.3f} | {wide['recall']:.3f} | "
            f"{near['f1']:.3f} | {wide['mean_absolute_residual_s']:.3f} s |"
        )
    return "\n".join(rows)


def scan_table() -> str:
    """The whole scan beside a plain torch + SciPy + ObsPy implementation of the same chain."""
    result = json.loads(SCAN.read_text(encoding="utf-8"))
    rows = [
        "| station | seisedge, windows/s | torch + ObsPy, windows/s | ratio | seisedge, peak MB |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in result["stations"]:
        ours, theirs = row["seisedge"], row["torch"]
        rates = [f"{each['windows'] / each['seconds']:,.0f}" for each in (ours, theirs)]
        rows.append(f"| {row['station']} | {' | '.join(rates)} | {row['ratio']:.1f} | {ours['peak_mb']:.0f} |")
    median, ratio, peak = (result[key] for key in ("windows_per_s_median", "ratio_median", "peak_mb_max"))
    rows.append(f"| median | {median:,} | | {ratio:.1f} | {peak} at most |")
    return "\n".join([*rows, "", f"Machine: {result['machine']}, one core. Command: `make bench`."])


TABLES = {"models": model_table, "quality": quality_table, "scan": scan_table, "bench": bench_table}


def filled(text: str) -> str:
    """The README with every table made anew."""

    def replace(match: re.Match[str]) -> str:
        return f"<!-- table {match[1]} -->\n{TABLES[match[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- table (\w+) -->\n.*?<!-- end -->", replace, text, flags=re.DOTALL)


def main() -> int:
    """Rewrite the README, or with `--check` only say whether it is up to date."""
    text = README.read_text(encoding="utf-8")
    new = filled(text)
    if "--check" in sys.argv:
        return 0 if new == text else 1
    README.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
