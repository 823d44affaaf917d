"""A recipe or an artefact in words: what `edge-export show` prints for people."""

from __future__ import annotations

import textwrap

from seisedge.edge.manifest import Budget, Components, Manifest, Output, Postprocess
from seisedge.edge.steps import Step, Value

from .recipe import Recipe
from .recipe_toml import recipe_of

_WIDTH = 100
_KEY = 17

Rows = list[tuple[str, str]]
"""What stands on the left, and what is said of it."""

STEPS = {
    "resample": "to {rate} Hz, by a polyphase filter ({method}, {start})",
    "highpass": "above {corner_hz} Hz: Butterworth of order {order}, {phase} ({start})",
    "lowpass": "below {corner_hz} Hz: Butterworth of order {order}, {phase} ({start})",
    "bandpass": "from {low_hz} to {high_hz} Hz: Butterworth of order {order}, {phase} ({start})",
    "demean": "less each component's mean",
    "detrend": "less each component's least-squares line",
    "taper": "{shape}, over {fraction} of the window at each end",
    "normalise_std": "divided by the standard deviation (ddof {ddof}) + {eps}, {joint}",
    "normalise_max_abs": "divided by the largest |x| + {eps}, {joint}",
    "normalise_signed_max": "divided by the largest x of all components, sign and all",
    "quantise_int16": "times 32767, divided by the largest |x|, to whole numbers ({rounding})",
    "layout": "{order}",
    "spectrogram_db": "{frame_samples} every {hop_samples} ({taper}), in dB of {reference}, at least {floor_db} dB, "
    "divided by {divisor}",
    "spectrogram_image": "{frame_samples} every {hop_samples} ({taper} {taper_fraction}, detrend {detrend}), "
    "{scaling} in dB, the {range_db} dB below the highest, as {rows} x {columns} pixels ({resize})",
}
"""Operation → its words, in which each parameter and the model's rate stand."""

_BATCHES = {"any": "of any size", "at_least_two": "of two or more windows", "one": "of one window"}
_PICK_TIMES = {
    "peak": "at the highest probability",
    "centroid": "at the centroid of what is at or above the threshold",
    "offset": "at the highest probability, moved by the time offset",
}


def describe_recipe(recipe: Recipe) -> list[str]:
    """Lines of at most 100 columns that say what a model is fed and what it gives."""
    return [recipe.name, *_about(recipe, []), *_section("budgets", _budgets(recipe.budgets))]


def describe_artefact(manifest: Manifest, *, digest: str, size: int) -> list[str]:
    """Lines of at most 100 columns that say all that an artefact's manifest holds.

    Parameters
    ----------
    manifest
        Of the artefact.
    digest
        SHA-256 of the file.
    size
        Of the file, bytes.
    """
    file = [("file", f"{size:,} bytes"), ("SHA-256", digest)]
    return [
        f"{manifest.name}, version {manifest.version}",
        *_about(recipe_of(manifest), file),
        *_section("numbers", _numbers(manifest)),
        *_section("verification", _verification(manifest)),
        *_section("budgets", _budgets(manifest.budgets)),
        *_section("provenance", _provenance(manifest)),
    ]


def step_words(step: Step, rate: float) -> str:
    """Say what a step does, with all its parameters."""
    values = {key: _value(key, value, rate) for key, value in step.params.items()}
    return STEPS[step.op].format(rate=f"{rate:g}", **values)


def _about(recipe: Recipe, file: Rows) -> list[str]:
    rate = recipe.sampling_rate
    shape = " x ".join(map(str, recipe.input.shape))
    fed = [
        *_components(recipe.components),
        ("rate", f"{rate:g} Hz"),
        ("window", _samples(recipe.window_samples, rate)),
        ("stride", _samples(recipe.stride_samples, rate)),
        ("network", f"{recipe.input.name}: {recipe.input.dtype}, {shape}, in batches {_BATCHES[recipe.input.batch]}"),
    ]
    steps = [(step.op, f"({step.scope}) {step_words(step, rate)}") for step in recipe.steps]
    outputs = [(output.name, _output(output, rate)) for output in recipe.outputs]
    return [
        *_section(None, [("system", recipe.system), ("task", _plain(recipe.task)), *file]),
        *_section("input", fed),
        *_section("steps", steps),
        *_section("outputs", outputs),
        *_section("picks", _picks(recipe.postprocess, rate)),
    ]


def _components(components: Components) -> Rows:
    aliases = ", ".join(f"{code} is {letter}" for code, letter in components.aliases.items())
    missing = "zeros stand for others that are missing" if components.missing == "zeros" else "no other may be missing"
    return [
        ("components", ", ".join(components.order) + (f"; {aliases}" if aliases else "")),
        ("required", f"{', '.join(components.required) or 'none'}; {missing}"),
    ]


def _output(output: Output, rate: float) -> str:
    text = f"{_plain(output.kind)} of {', '.join(output.labels)}"
    if output.reference_sample is not None:
        text += f", for sample {_samples(output.reference_sample, rate, '')} of the window"
    if output.time_offset_scale is not None:
        text += f", 1 is {_samples(output.time_offset_scale, rate)}"
    return text


def _picks(postprocess: Postprocess, rate: float) -> Rows:
    if not postprocess.thresholds:
        return []
    rows = [
        (label, f"opens at {threshold.on:g}, closes below {threshold.off:g}")
        for label, threshold in postprocess.thresholds.items()
    ]
    left, right = postprocess.blinding_samples
    if left or right:
        rows.append(("not used", f"{_samples(left, rate)} at a window's start, {_samples(right, rate)} at its end"))
    return [
        *rows,
        ("time", _PICK_TIMES[postprocess.pick_time]),
        ("separation", f"{postprocess.minimum_separation_s:g} s at least between two of one label"),
    ]


def _numbers(manifest: Manifest) -> Rows:
    quantization = manifest.quantization
    processors = "any processor" if quantization.target == "any" else quantization.target
    rows = [("precision", f"{quantization.precision}, for {processors}")]
    if quantization.scheme is not None:
        rows.append(("scheme", quantization.scheme))
    if quantization.calibration_digest is not None:
        rows.append(("calibration", f"SHA-256 {quantization.calibration_digest}"))
    if quantization.exceptions:
        rows.append(("left in fp32", ", ".join(quantization.exceptions)))
    return rows


def _verification(manifest: Manifest) -> Rows:
    verification = manifest.verification
    golden = f"{verification.golden_windows} windows of seed {verification.golden_seed}, outputs within "
    return [
        ("golden input", f"{golden}{verification.tolerance:g}"),
        *(("parity", f"{_plain(key)}: {value:.3g}") for key, value in verification.parity.items()),
        *(("quality", f"{_plain(key)}: {value:.3g}") for key, value in verification.quality.items()),
    ]


def _budgets(budgets: tuple[Budget, ...]) -> Rows:
    return [
        (f"{each.seconds:.3g} s", f"{each.covers} ({each.source}; not documented: {each.not_documented})")
        for each in budgets
    ]


def _provenance(manifest: Manifest) -> Rows:
    provenance = manifest.provenance
    return [
        ("weights", f"SHA-256 {provenance.weights_digest}"),
        ("training data", provenance.training_data),
        ("licence", provenance.licence),
        ("citation", provenance.citation),
        ("tools", ", ".join(f"{name} {version}" for name, version in provenance.tools.items())),
    ]


def _samples(count: float, rate: float, unit: str = " samples") -> str:
    return f"{count:,g}{unit} ({count / rate:g} s)"


def _value(key: str, value: Value, rate: float) -> str:
    if key == "joint":
        return "all components together" if value else "each component"
    if key.endswith("_samples") and isinstance(value, int):
        return _samples(value, rate)
    return f"{value:g}" if isinstance(value, float) else _plain(str(value))


def _plain(word: str) -> str:
    return word.replace("_", " ")


def _section(title: str | None, rows: Rows) -> list[str]:
    """Rows under a title, wrapped beside their keys; nothing where there are no rows."""
    if not rows:
        return []
    lines = [] if title is None else ["", title]
    for key, text in rows:
        head = f"  {key:<{_KEY}}  "
        wrapped = textwrap.wrap(" ".join(text.split()), _WIDTH - len(head)) or [""]
        lines += [head + wrapped[0], *(" " * len(head) + line for line in wrapped[1:])]
    return lines
