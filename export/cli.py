"""The command `edge-export`: its group, and the sub-commands that only look."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from seisedge.edge import models
from seisedge.edge.session import OrtSession

from .cli_artefact import export, quantize, verify
from .cli_catalogue import catalogue
from .cli_engine import engine
from .cli_evaluate import evaluate
from .cli_parts import examples, reports_errors
from .cli_recipe import recipe, wrap
from .cli_train import train
from .cli_weights import import_weights
from .show import describe_artefact, describe_recipe

_LIST_VERSION = 1


@click.group(
    epilog=examples(
        "edge-export list",
        "edge-export show seismo-performer",
        "edge-export recipe seismo-performer -o mine.toml",
        "edge-export wrap mine.onnx --recipe mine.toml -o artefact.onnx",
        "edge-export import-weights seismo-performer w_model_performer_v2.0.h5 -o performer.npz",
        "edge-export export seismo-performer --weights performer.npz -o performer.onnx",
        "edge-export verify performer.onnx --weights performer.npz --data archive/",
        "edge-export quantize performer.onnx -o small.onnx --data archive/ --labelled labelled/labelled_val.npz",
        "edge-export train seismo-performer --data labelled/ -o mine.onnx",
        "edge-export evaluate mine.onnx --data labelled/ -o report/",
    ),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="seisedge")
def main() -> None:
    """Train, import, export and verify models for the station."""


@main.command("list", epilog=examples("edge-export list", "edge-export list --json"))
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, versioned.")
@reports_errors
def list_models(as_json: bool) -> None:  # noqa: FBT001 - a flag of the command line
    """List the models that can be built."""
    from .registry import REGISTRY  # noqa: PLC0415 - torch comes with it

    embedded = models.embedded_models()
    rows = [
        {
            "name": model.name,
            "system": model.recipe.system,
            "task": model.recipe.task,
            "parameters": model.parameters,
            "sampling_rate": model.recipe.sampling_rate,
            "window_samples": model.recipe.window_samples,
            "embedded": model.name in embedded,
            "budgets": [dataclasses.asdict(budget) for budget in model.recipe.budgets],
            "version": _LIST_VERSION,
        }
        for model in REGISTRY.values()
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    click.echo(f"{'name':<20}{'system':<36}{'task':<24}{'parameters':>12}  embedded")
    for row in rows:
        click.echo(
            f"{row['name']:<20}{row['system']:<36}{row['task']:<24}{row['parameters']:>12,}  "
            f"{'yes' if row['embedded'] else ''}"
        )


@main.command(
    epilog=examples("edge-export show unet", "edge-export show edge-picker:fp32", "edge-export show picker.onnx --json")
)
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable: the recipe, or the manifest with its digest.")
@reports_errors
def show(model: str, as_json: bool) -> None:  # noqa: FBT001 - a flag of the command line
    """Show what MODEL is fed, what it gives and what is known of it.

    MODEL is a name of the registry, whose recipe is shown; an .onnx file; or one of an embedded model, NAME:FORM.
    """
    from .registry import REGISTRY, find  # noqa: PLC0415 - torch comes with it

    is_file = Path(model).is_file() or Path(model).suffix == ".onnx" or model in models.embedded_files()
    if model in REGISTRY or not is_file:
        recipe = find(model).recipe
        lines, value = describe_recipe(recipe), dataclasses.asdict(recipe)
        lines += _embedded(model)
    else:
        path = models.find_model(model)
        session = OrtSession(path, any_target=True)
        lines = describe_artefact(session.manifest, digest=session.digest, size=path.stat().st_size)
        value = {"digest": session.digest, **dataclasses.asdict(session.manifest)}
    click.echo(json.dumps(value, indent=1) if as_json else "\n".join(lines))


def _embedded(model: str) -> list[str]:
    """Of an embedded model: thresholds are chosen behind a training, so those of a recipe are not what runs."""
    path = models.embedded_models().get(model)
    if path is None:
        return []
    manifest = OrtSession(path, any_target=True).manifest
    on = ", ".join(f"{label} {each.on:g}" for label, each in manifest.postprocess.thresholds.items())
    return ["", f"The embedded one opens at {on}; edge-export show {model}:fp32 has all of it."]


for _command in (import_weights, export, quantize, verify, recipe, wrap, engine, catalogue, train, evaluate):
    main.add_command(_command)
