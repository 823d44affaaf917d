"""`edge-export engine`: an artefact → a TensorRT engine for the GPU of this machine."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

import click

from .cli_parts import FILE, examples, reports_errors


@click.command(
    epilog=examples(
        "edge-export quantize picker.onnx --precision fp16 --target tensorrt --data archive/ -o picker-fp16.onnx",
        "edge-export engine picker-fp16.onnx -o picker.plan --timing-cache timings.bin",
    )
)
@click.argument("artefact", type=FILE)
@click.option("--output", "-o", required=True, type=FILE, help="The engine, .plan; its sidecar is FILE.json.")
@click.option("--max-batch", default=64, show_default=True, type=click.IntRange(1, 4096), help="Windows in one run.")
@click.option("--usual-batch", default=1, show_default=True, type=click.IntRange(1, 4096), help="Made fastest for.")
@click.option("--workspace", default=512, show_default=True, type=click.IntRange(16), help="Scratch memory in MB.")
@click.option("--timing-cache", type=FILE, help="Remembers measurements: the next build is much faster.")
@reports_errors
def engine(
    artefact: Path, output: Path, max_batch: int, usual_batch: int, workspace: int, timing_cache: Path | None
) -> None:
    """Build a TensorRT engine from ARTEFACT, on the machine with the GPU that will run it.

    ARTEFACT is fp32, fp16, or int8 made with --target tensorrt. The engine's golden input is checked on the GPU before
    a file is written. It runs with this version of TensorRT and on this kind of GPU only.
    """
    from .engine import EngineOptions, build_engine  # noqa: PLC0415 - keeps `list` and `--help` quick

    options = EngineOptions(max_batch, usual_batch, workspace, timing_cache)
    bar = click.progressbar(length=1, label="building", file=sys.stderr)
    with ExitStack() as shown:

        def advance(phase: str, done: int, steps: int) -> None:
            if not bar.entered:  # a refusal is one line, with no bar above it
                shown.enter_context(bar)
            bar.label, bar.length = phase, max(1, steps)
            bar.update(done - bar.pos)

        sidecar = build_engine(artefact, output, options, on_step=advance)
    click.echo(
        f"{output}: {output.stat().st_size:,} bytes for {sidecar.gpu} (compute capability "
        f"{sidecar.compute_capability}), TensorRT {sidecar.tensorrt}; golden input {sidecar.golden_difference:.2g} off "
        f"(at most {sidecar.manifest.verification.tolerance:.2g})"
    )
