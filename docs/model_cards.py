"""Cards and lock of the embedded models, from what they speak of: `make cards`. A test fails when one is out of date.

    python docs/model_cards.py [--evaluation FILE] [--vertical FILE] [--check]

`--evaluation` takes the figures of an evaluation (`edge-export evaluate … -o FOLDER`, its evaluation.json) into the
project: docs/models/evaluation.json keeps what the cards show, without the curves. `--vertical` those of one with
`--components Z`. Writes docs/models/NAME.md and edge/models/lock.json, which has the SHA-256 of every file of the
embedded models.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import click

from seisedge.edge import models
from seisedge.edge.session import OrtSession

ROOT = Path(__file__).resolve().parents[1]
CARDS = ROOT / "docs" / "models"
SCORES = CARDS / "evaluation.json"
VERTICAL = CARDS / "evaluation-vertical.json"
LOCK = Path(models.__file__).parent / "lock.json"
_LEFT_OUT = frozenset({"command", "curve", "residuals_s", "reliability", "by_source", "by_sensor", "picks_at_recall"})

_ABOUT = {
    "edge-picker": "P and S for every sample of a three-component or vertical-only stream; the default.",
    "edge-picker-long": "The network of `edge-picker`, trained on longer examples, in windows twice as long, for "
    "archives: fewer false picks; twice the time, and no pick in a stretch of less than 51.2 s.",
    "seismo-performer": "P, S or noise for windows of four seconds; small, quick, and the first default.",
}
_LIMITS = {
    "edge-picker": """\
- Local and near-regional earthquakes, induced events and icequakes up to about 20 s of S minus P; no teleseism was in
  the data. A P and an S more than a window (25.6 s) apart are picked on their own.
- The consensus picks that it learnt from on continuous records are those of published pickers: where these are blind,
  so may it be. Rates of unmatched picks count every real arrival that they missed as false.
- On stations and noise that it never saw it makes more unmatched picks than the best published picker (table): raise
  the threshold where a false pick costs more than a missed event.
- A station of a vertical alone wants a lower threshold for S.
- 59 P and 48 S by analysts are few: read the intervals, not the third digit.""",
    "edge-picker-long": """\
- As `edge-picker` (its card), but for what the longer window is for. A stretch without a gap that is shorter than
  51.2 s has no window and so no picks: the scan says how many windows there were.
- In a daemon the first picks after a start or a gap come 51.2 s behind it, and a window costs twice as much.""",
    "seismo-performer": """\
- Four seconds cannot tell an S from a P by what came before: swarms give many false picks.
- It was trained on the labelled windows alone, without continuous records.""",
}
_BY_EPOCHS = """\
This is the command of the trainer of version 0.1.0, by epochs, which is gone: there is one for all models now, by steps
(docs/training.md). """
_LICENCE = """\
{licence}. No weight of another model is in it; pickers under the GPL made labels of continuous records, no more."""
_HEAD = """\
`edge-export evaluate` on {labels} labels of stations that were not trained on, thresholds chosen on the training set,
0.5 s; the interval is that of drawing groups of records anew. docs/evaluate.md tells how to read the figures.

| picker | phase | threshold | precision | recall | F1 | 5-95 % | mean abs. residual |
|---|---|---:|---:|---:|---:|---|---:|
"""
_CONTINUOUS_HEAD = """

Continuous records of two stations, hours that were not trained on: recall of the consensus picks, and picks per
station-day that are within 0.5 s of none of them; at a recall of 0.8 also those that no picker of another family has.

| picker | phase | threshold | recall | unmatched a day | at recall 0.8 | in no other family | at recall 0.9 |
|---|---|---:|---:|---:|---:|---:|---:|
"""
_MEMS_HEAD = """

MEMS records of 31.25 Hz that were not trained on: events found, and false alarms a day.

| picker | threshold | events | recall | false alarms a day | recall at none a day | at 25 a day |
|---|---:|---:|---:|---:|---:|---:|
"""


@click.command(help=__doc__)
@click.option("--evaluation", type=click.Path(path_type=Path, exists=True), help="An evaluation.json to take in.")
@click.option("--vertical", type=click.Path(path_type=Path, exists=True), help="The same, of verticals alone.")
@click.option("--check", is_flag=True, help="Write nothing; end with 1 where something is out of date.")
def main(evaluation: Path | None, vertical: Path | None, check: bool) -> None:  # noqa: FBT001 - a flag
    """Write what is out of date."""
    CARDS.mkdir(exist_ok=True)
    for given, kept in ((evaluation, SCORES), (vertical, VERTICAL)):
        if given is not None:
            kept.write_text(json.dumps(trimmed(json.loads(given.read_text(encoding="utf-8"))), indent=1) + "\n")
    wanted = {LOCK: lock_text(), **{CARDS / f"{name}.md": card(name) for name in models.embedded_models()}}
    old = [path for path, text in wanted.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in old:
        if check:
            click.echo(f"{path}: out of date: run `make cards`", err=True)
        else:
            path.write_text(wanted[path], encoding="utf-8")
            click.echo(str(path))
    if check and old:
        sys.exit(1)


def trimmed(value: Any) -> Any:  # noqa: ANN401 - JSON
    """The same without curves and samples, which are long."""
    if isinstance(value, dict):
        return {key: trimmed(each) for key, each in value.items() if key not in _LEFT_OUT}
    return [trimmed(each) for each in value] if isinstance(value, list) else value


def lock_text() -> str:
    """SHA-256 and size of every file that belongs to an embedded model."""
    files = sorted(each for each in LOCK.parent.iterdir() if each.suffix in {".onnx", ".npz", ".json"} and each != LOCK)
    found = {
        each.name: {"sha256": hashlib.sha256(each.read_bytes()).hexdigest(), "bytes": each.stat().st_size}
        for each in files
    }
    return json.dumps(found, indent=1) + "\n"


def card(name: str) -> str:
    """A model's card."""
    path = models.embedded_files()[f"{name}:fp32"]
    manifest = OrtSession(path).manifest
    record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    budgets = [f"{each.seconds:g} s: {each.covers} ({each.source})" for each in manifest.budgets]
    parts = [
        f"# Model card: `{name}`",
        "Made by `make cards`; do not edit.",
        _ABOUT[name],
        "## Files\n\n" + _files(name),
        "## Input\n\n" + f"{', '.join(manifest.components.order)} at {manifest.sampling_rate:g} Hz (other rates are "
        f"resampled), windows of {manifest.window_samples / manifest.sampling_rate:g} s; `edge-export show {name}` has "
        "every step. Budget: " + "; ".join(budgets) + ".",
        "## Training\n\n" + _training(name, record),
        "## Scores\n\n" + _scores(name),
        "## Limits\n\n" + _LIMITS[name],
        "## Licence\n\n" + _LICENCE.format(licence=manifest.provenance.licence),
    ]
    return "\n\n".join(parts) + "\n"


def _files(name: str) -> str:
    rows = ["| file | for | bytes | thresholds | SHA-256 |", "|---|---|---:|---|---|"]
    for key, path in models.embedded_files().items():
        if key.startswith(f"{name}:"):
            manifest = OrtSession(path, any_target=True).manifest
            where = "every processor" if manifest.quantization.target == "any" else manifest.quantization.target
            opens = ", ".join(f"{phase} {each.on:g}" for phase, each in manifest.postprocess.thresholds.items())
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            rows.append(f"| `{path.name}` | {where} | {path.stat().st_size:,} | {opens} | `{digest[:16]}…` |")
    return "\n".join(rows)


def _training(name: str, record: dict[str, Any]) -> str:
    data = "\n".join(f"- `{key}`, SHA-256 `{digest[:16]}…`" for key, digest in record["data_digests"].items())
    older = _BY_EPOCHS if "epochs" in record["options"] else ""
    return (
        f"```\n{record['command']}\n```\n\n{older}{record['windows']['training']:,} labelled windows for training, "
        f"{record['windows']['validation']:,} for validation; {record['seconds'] / 60:.0f} minutes, "
        f"{record['hardware']}. The record with the curve is `edge/models/{name}.json`. Data:\n\n{data}"
    )


def _scores(name: str) -> str:
    if not SCORES.is_file():
        return "Not measured yet."
    text = _tables(json.loads(SCORES.read_text(encoding="utf-8")), name)
    alone = json.loads(VERTICAL.read_text(encoding="utf-8")) if VERTICAL.is_file() else {"labelled": []}
    if any(each["picker"].split()[0] == name for each in alone["labelled"]):
        text += "\n\n### Stations of a vertical alone\n\nThe same records without their horizontals.\n\n"
        text += _tables(alone, name)
    return text


def _tables(found: dict[str, Any], name: str) -> str:
    rows = [_labelled_row(each, name) for each in found["labelled"]]
    continuous = [each for each in found["continuous"] if each["set"].startswith("cx_")]
    text = _HEAD.format(labels=found["labels"]) + "\n".join(rows)
    if continuous:
        alone = {(each["picker"], each["set"], each["phase"]): each["by_none"] for each in found["borne_out"]}
        text += _CONTINUOUS_HEAD + "\n".join(
            _continuous_row(each, alone.get((each["picker"], each["set"], each["phase"])), name) for each in continuous
        )
    if mems := [each for each in found["mems"] if "2018" in each["set"]]:
        text += _MEMS_HEAD + "\n".join(_mems_row(each, name) for each in mems)
    return text


def _name(picker: str, own: str) -> str:
    return f"**{picker}**" if picker.split(maxsplit=1)[0] == own else picker


def _labelled_row(each: dict[str, Any], own: str) -> str:
    figures, (low, high) = each["at"]["0.5"], each["f1_interval"]
    residual = figures["mean_absolute_residual_s"]
    return (
        f"| {_name(each['picker'], own)} | {each['phase']} | {each['threshold']:.2f} | {figures['precision']:.3f} | "
        f"{figures['recall']:.3f} | {figures['f1']:.3f} | {low:.2f}-{high:.2f} | {_cell(residual, '.3f', ' s')} |"
    )


def _continuous_row(each: dict[str, Any], alone: float | None, own: str) -> str:
    at = each["unmatched_at_recall"]
    cells = [_cell(value, ".0f") for value in (at.get("0.8"), alone, at.get("0.9"))]
    return (
        f"| {_name(each['picker'], own)} | {each['phase']} | {each['threshold']:.2f} | {each['recall']:.3f} | "
        f"{each['unmatched_per_day']:.0f} | {' | '.join(cells)} |"
    )


def _mems_row(each: dict[str, Any], own: str) -> str:
    cells = [_cell(each["recall_at"].get(rate), ".2f") for rate in ("0", "25")]
    return (
        f"| {_name(each['picker'], own)} | {each['threshold']:.2f} | {each['events']} | {each['recall']:.2f} | "
        f"{each['per_day']:.1f} | {' | '.join(cells)} |"
    )


def _cell(value: float | None, form: str, unit: str = "") -> str:
    return "" if value is None else format(value, form) + unit


if __name__ == "__main__":
    main()
