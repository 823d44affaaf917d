"""Every model, precision, budget and peer on this machine, with edge-bench: `make bench`.

    python benchmarks/bench.py [MODEL...] [--quick] [--again | --noisy] [--artefacts]

Builds the artefacts that it lacks into build/bench/ (weights: the embedded ones, else random of seed 0, which take the
same time), fp32 and int8 for this machine. Each step's report is kept in build/bench/ as soon as it is there, so that
Ctrl-C loses one step. Writes benchmarks/results/<cpu>.json, which `make readme` reads.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import torch

from seisedge.edge import models
from seisedge.edge.bench.archive import ArchiveOptions, bench_archive
from seisedge.edge.bench.capacity import CapacityOptions, bench_capacity
from seisedge.edge.bench.chain import ChainOptions, bench_chain
from seisedge.edge.bench.environment import cpu_name, environment
from seisedge.edge.bench.link import Link
from seisedge.edge.bench.models import bench_models
from seisedge.edge.bench.records import made_record, write_archive
from seisedge.edge.bench.report import Report, read_report
from seisedge.edge.bench.run import Settings
from seisedge.edge.whole_file import write_whole
from seisedge.export.artefact import Source, export_fp32, tensors_digest
from seisedge.export.gate import Bench, GateError, Wanted
from seisedge.export.gate_figures import Stopwatch
from seisedge.export.quantize import QuantizationError, require_host_target
from seisedge.export.quantize_job import quantise_artefact, sources_of
from seisedge.export.registry import REGISTRY, Model, find

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "bench"
RESULTS = Path(__file__).parent / "results"

HEADLINES = ("seismo-performer", "spec-cnn", "gpd", "convnetquake", "deepquake")
STRIDES = {"seismo-performer": 10, models.DEFAULT: None}
"""Samples from window to window of the real-time runs: of the documented budget, or the manifest's."""
_HURRIED = Stopwatch(seconds=0.1, fewest=3, most=15, longest_s=0.5)
_CALIBRATION_S = 10_800.0
_QUICK_HOURS = 2.0

Step = tuple[str, Callable[[], Report]]


def fp32_of(model: Model) -> Path:
    """Give the embedded artefact, or one with random weights."""
    if embedded := models.embedded_files().get(f"{model.name}:fp32"):
        return embedded
    path = BUILD / f"{model.name}-fp32.onnx"
    if not path.exists():
        torch.manual_seed(0)
        network = model.build()
        source = Source("bench", tensors_digest(network), "none: random, seed 0", "not stated", "not stated")
        export_fp32(network, model.recipe, source, path)
    return path


def int8_of(model: Model, fp32: Path) -> Path | None:
    """Give the fastest int8 artefact for this machine; None where none passes the gate, which a note beside it says."""
    path = BUILD / f"{model.name}-int8.onnx"
    note = path.with_suffix(".none")
    if path.exists() or note.exists():
        return path if path.exists() else None
    inversion = model.recipe.task == "waveform_inversion"
    with tempfile.TemporaryDirectory() as folder:
        data = () if inversion else (Path(folder),)
        if data:
            write_archive(made_record(seconds=_CALIBRATION_S), data[0], model.recipe.components.order)
        try:
            sources = sources_of(fp32, data, None, is_trained=False, most=8)
            quantise_artefact(fp32, path, Wanted("int8", require_host_target()), sources, bench=Bench(watch=_HURRIED))
        except (GateError, QuantizationError) as error:
            note.write_text(f"{' '.join(str(error).split())}\n", encoding="utf-8")
            return None
    return path


def artefacts(chosen: list[Model]) -> Iterator[tuple[Model, str, Path]]:
    """Model, precision and artefact: all of fp32 first, since int8 takes the time."""
    for model in chosen:
        yield model, "fp32", fp32_of(model)
    for model in chosen:
        if path := int8_of(model, fp32_of(model)):
            yield model, "int8", path


def steps(model: Model, precision: str, path: Path, *, settings: Settings) -> Iterator[Step]:
    """What is measured of an artefact: name of the step, and how."""

    def tell(_: str, __: float) -> None:
        return

    yield "models", lambda: bench_models((str(path),), settings, tell)
    if precision == "fp32":
        yield "peers", lambda: peers_of(path, quick=settings.quick)
    if model.name in HEADLINES:
        hours = _QUICK_HOURS if settings.quick else None
        yield "archive", lambda: bench_archive(ArchiveOptions((str(path),), hours), settings, tell)
    if model.name in STRIDES and precision == "fp32":
        stride = STRIDES[model.name]
        yield "capacity", lambda: bench_capacity(CapacityOptions(str(path), stride), settings, tell)
        yield "chain", lambda: bench_chain(ChainOptions(str(path), Link(), stride=stride), settings, tell)


def peers_of(path: Path, *, quick: bool) -> Report:
    """Run the peers in a process of its own: what other libraries do to each other there ends that process alone."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "peers.json"
        options = ["--quick", "--without", "torch.compile"] if quick else []
        command = [
            str(Path(sys.executable).parent / "edge-bench"),
            "peers",
            str(path),
            "--quiet",
            "--json",
            str(result),
        ]
        subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return read_report(result)


@click.command(help=__doc__)
@click.argument("names", nargs=-1, metavar="MODEL...")
@click.option("--quick", is_flag=True, help="A second for each figure: under 15 minutes once the artefacts are there.")
@click.option("--again", is_flag=True, help="Measure what was measured before.")
@click.option("--noisy", is_flag=True, help="Measure again what a noisy machine gave.")
@click.option("--artefacts", "only_artefacts", is_flag=True, help="Build the artefacts that are lacking, and stop.")
def main(names: tuple[str, ...], quick: bool, again: bool, noisy: bool, only_artefacts: bool) -> None:  # noqa: FBT001 - flags
    """Measure what is not measured yet, and write the result."""
    chosen = [find(name) for name in names] if names else list(REGISTRY.values())
    BUILD.mkdir(parents=True, exist_ok=True)
    settings = Settings(quick=quick)
    began = time.monotonic()
    for model, precision, path in artefacts(chosen):
        for kind, run in steps(model, precision, path, settings=settings) if not only_artefacts else ():
            kept = BUILD / f"report-{model.name}-{precision}-{kind}.json"
            click.echo(f"{time.monotonic() - began:6.0f} s  {model.name} {precision}: {kind}", err=True)
            if again or not kept.exists() or (noisy and read_report(kept).noise.noisy):
                try:
                    write_whole(run().to_json().encode(), kept)
                except subprocess.CalledProcessError as error:
                    click.echo(f"{model.name} {precision}: {kind}: ended with {error.returncode}, left out", err=True)
        if not only_artefacts:
            click.echo(f"{write_result()}", err=True)


def write_result() -> Path:
    """Put the reports that are there together."""
    found: dict[str, dict[str, object]] = {}
    for model in REGISTRY:
        for precision in ("fp32", "int8"):
            for kind in ("models", "peers", "archive", "capacity", "chain"):
                path = BUILD / f"report-{model}-{precision}-{kind}.json"
                if path.exists():
                    found[f"{model} {precision} {kind}"] = json.loads(path.read_text(encoding="utf-8"))
    missing = {path.stem: path.read_text(encoding="utf-8").strip() for path in sorted(BUILD.glob("*.none"))}
    slug = re.sub(r"[^a-z0-9]+", "-", cpu_name().lower()).strip("-")
    path = RESULTS / f"{slug}.json"
    value = {"environment": environment(), "without": missing, "reports": found}
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    sys.exit(main())
