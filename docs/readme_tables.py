"""Fills the tables of README.md and docs/training.md from what they speak of: `make readme`; a test looks at them."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from bench_table import bench_table
from trained_table import TRAINED, is_kept, trained_table

from seisedge.edge import models
from seisedge.export.registry import REGISTRY

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", ROOT / "docs" / "training.md")
SCORES = ROOT / "docs" / "models" / "evaluation.json"
SCAN = ROOT / "benchmarks" / "results" / "scan_ridgecrest.json"


def model_table() -> str:
    """The registry, with the first documented budget of each model."""
    rows = ["| model | system | task | parameters | trained here |", "|---|---|---|---:|---|"]
    embedded = models.embedded_models()
    for model in REGISTRY.values():
        recipe = model.recipe
        mark = "embedded" if model.name in embedded else _trained(model.name)
        rows.append(f"| `{model.name}` | {recipe.system} | {recipe.task} | {model.parameters:,} | {mark} |")
    return "\n".join(rows)


def _trained(name: str) -> str:
    """Where the artefact is of a row that was trained, and how it is made where it is too large to be kept."""
    if not (TRAINED / f"{name}.json").is_file():
        return ""
    return f"[short schedule](export/trained/{name}.onnx)" if is_kept(name) else f"`make train-{name}`"


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


TABLES = {
    "models": model_table,
    "quality": quality_table,
    "scan": scan_table,
    "bench": bench_table,
    "trained": trained_table,
}


def filled(text: str) -> str:
    """A page with every table made anew."""

    def replace(match: re.Match[str]) -> str:
        return f"<!-- table {match[1]} -->\n{TABLES[match[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- table (\w+) -->\n.*?<!-- end -->", replace, text, flags=re.DOTALL)


def main() -> int:
    """Rewrite the pages, or with `--check` only say whether they are up to date."""
    texts = {page: page.read_text(encoding="utf-8") for page in PAGES}
    new = {page: filled(text) for page, text in texts.items()}
    if "--check" in sys.argv:
        return 0 if new == texts else 1
    for page, text in new.items():
        page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
