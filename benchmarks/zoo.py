"""Every model of the registry in every precision and for every target: `make zoo`.

    python benchmarks/zoo.py [MODEL...] [--data DIR] [--labelled FILE] [--again]

Each row is exported as fp32, fp16 and int8 for each class of processors, through the gate of `edge-export`. Rows whose
weights are known (the embedded ones, published ones that lie under ../shared/data, and those of `make train-rows`) are
measured at their task on labelled windows; the others have random weights of seed 0 and say so. A row that is done is
kept in benchmarks/results/zoo/ and not measured again unless asked: Ctrl-C loses one row at most. The artefacts stay in
build/zoo/. Writes docs/zoo.md.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from seisedge.edge import models
from seisedge.edge.session import OrtSession
from seisedge.export.registry import REGISTRY, find
from seisedge.export.zoo import Entry, Weights, ZooRow, examine

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results" / "zoo"
EMULATED = Path(__file__).parent / "results" / "emulated_cpus.json"
PAGE = ROOT / "docs" / "zoo.md"
TRAINED = ROOT / "export" / "trained"
SHARED = ROOT.parent / "shared" / "data"

PUBLISHED = {
    "spec-cnn": ("seismo-performer/w_model_cnn_v2.0.h5", "published, Seismo-Performer v2.1"),
    "gpd-original": ("gpd_tflite/gpd_v2.tflite", "published, GPD by Z. Ross, from fp16"),
    "convnetquake-wenchuan": ("convnetquake_wenchuan_mit/model-10534.index", "published, ConvNetQuake of Wenchuan"),
}
_HEAD = ("precision", "target", "bytes", "of fp32", "max error", "rms", "ms, batch 1", "ratio", "ms, batch 64", "ratio")


def weights_of(name: str) -> Weights:
    """The best known weights of a row."""
    own = models.embedded_files().get(f"{name}:fp32")
    if own is not None:
        postprocess = OrtSession(own).manifest.postprocess
        return Weights(own.with_suffix(".npz"), "trained by this project, embedded", postprocess=postprocess)
    file, text = PUBLISHED.get(name, ("", ""))
    if file and (SHARED / "weights" / file).is_file():
        return Weights(SHARED / "weights" / file, text)
    trained = TRAINED / f"{name}.onnx"
    if trained.is_file() and trained.with_suffix(".npz").is_file():  # `make train-rows`; the weights are not in git
        postprocess = OrtSession(trained).manifest.postprocess
        return Weights(trained.with_suffix(".npz"), "trained by this project, short schedule", postprocess=postprocess)
    return Weights(None, "none: random, seed 0")


@click.command(help=__doc__)
@click.argument("names", nargs=-1, metavar="MODEL...")
@click.option("--data", type=click.Path(path_type=Path, exists=True), default=SHARED / "mseed" / "cx_20140501")
@click.option("--labelled", type=click.Path(path_type=Path), default=SHARED / "labelled" / "labelled_val.npz")
@click.option("--again", is_flag=True, help="Measure rows that were measured before.")
def main(names: tuple[str, ...], data: Path, labelled: Path, again: bool) -> None:  # noqa: FBT001 - a flag
    """Measure what is not measured yet, and write the page."""
    rows = [find(name) for name in names] if names else list(REGISTRY.values())
    RESULTS.mkdir(parents=True, exist_ok=True)
    with click.progressbar(rows, item_show_func=lambda row: row.name if row else "", file=sys.stderr) as bar:
        for row in bar:
            result = RESULTS / f"{row.name}.json"
            if result.exists() and not (again or names):
                continue
            inputs = () if row.recipe.task == "waveform_inversion" else (data,)
            metric = labelled if labelled.is_file() and inputs else None
            found = examine(row, weights_of(row.name), inputs, metric, ROOT / "build" / "zoo" / row.name)
            result.write_text(json.dumps(asdict(found), indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")
    click.echo(f"{PAGE}")


def page() -> str:
    """All rows that were measured, in the registry's order."""
    found = [read_row(RESULTS / f"{name}.json") for name in REGISTRY if (RESULTS / f"{name}.json").is_file()]
    machines = sorted({row.machine for row in found})
    head = (
        "# The zoo: every model, precision and target\n\n"
        "Made by `make zoo`; do not edit. Errors are the largest and the root-mean-square difference of the outputs, "
        "of fp32 from torch, of the others from fp32, on real windows and on awkward ones (the rms on real windows "
        "alone); of outputs that are no probabilities in units of their root mean square. Times are medians of runs in "
        "turns with fp32; nothing is timed for processors of another class than this one, and half precision is for "
        "GPUs. What does not pass has no file.\n\n"
        f"Measured on: {'; '.join(machines)}.\n"
    )
    return head + "".join(section(row) for row in found) + elsewhere()


def elsewhere() -> str:
    """What int8 files give on emulated processors, where `make emulated` has run."""
    if not EMULATED.is_file():
        return ""
    found: dict[str, dict[str, float]] = json.loads(EMULATED.read_text(encoding="utf-8"))
    rows = [
        f"| `{name.split()[0]}` | {name.split()[1]} | {each['from here']:.1g} | {each['int8 from fp32']:.2g} |"
        for name, each in found.items()
    ]
    return (
        "\n## int8 on other processors\n\n"
        "`make emulated`: the same file and input here and on an emulated processor of its class, a Haswell (AVX2 "
        "without VNNI) or a Cortex-A76; the largest difference in units of the outputs' scale (aim: 0.001), how far "
        "int8 is from fp32 there. Where it is more, ONNX Runtime rounds otherwise: in `wavenet-z`, of the 384,000 "
        "values of an int8 convolution whose inputs are the same, one is a step higher on ARM, and the layers behind "
        "it pass that on. Random weights, whose outputs are small, show it most.\n\n"
        "| model | for | between processors | int8 from fp32 |\n|---|---|---:|---:|\n" + "\n".join(rows) + "\n"
    )


def read_row(path: Path) -> ZooRow:
    """Read what `main` wrote."""
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    value["entries"] = [_read_entry(each) for each in value["entries"]]
    return ZooRow(**value)


def _read_entry(value: dict[str, Any]) -> Entry:
    """JSON has no tuples, and text for keys."""
    value["error"] = tuple(value["error"])
    for key in ("latency_ms", "ratio"):
        value[key] = {int(batch): figure for batch, figure in value[key].items()}
    return Entry(**value)


def section(row: ZooRow) -> str:
    """One model."""
    size = row.entries[0].size
    task = sorted({name for entry in row.entries for name in entry.task})
    lines = [
        f"\n## `{row.model}`\n",
        f"{row.parameters:,} parameters; weights: {row.weights}. `auto` chose: {row.chosen}.\n",
        f"| {' | '.join((*_HEAD, *task, 'verdict'))} |",
        f"|---|---|{'---:|' * (len(_HEAD) - 2 + len(task))}---|",
    ]
    for entry in row.entries:
        cells = (
            entry.precision,
            entry.target,
            f"{entry.size:,}",
            f"{entry.size / size:.2f}",
            *(number(each, ".2g") for each in entry.error),
            *(number(part.get(batch), form) for batch in (1, 64) for part, form in _times(entry)),
            *(number(entry.task.get(name), ".4f") for name in task),
            entry.verdict.replace("|", "/"),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _times(entry: Entry) -> tuple[tuple[dict[int, float], str], tuple[dict[int, float], str]]:
    return (entry.latency_ms, ".3f"), (entry.ratio, ".2f")


def number(value: float | None, form: str) -> str:
    """A figure, or nothing."""
    return "" if value is None or math.isnan(value) else format(value, form)


if __name__ == "__main__":
    main()
