"""Checks that a model's outputs fit its task, and that what is made of them fits the outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import ManifestError
from .strict import suggestion

if TYPE_CHECKING:  # `manifest` calls this file
    from .manifest import Manifest, Output

FIRST_OUTPUT = {
    "phase_picking": "sample_probability",
    "phase_classification": "class_probability",
    "event_detection": "class_probability",
    "waveform_inversion": "waveform",
}
"""Task → kind of the first output."""

_PER_SAMPLE = ("sample_probability", "waveform")


def check_outputs(manifest: Manifest) -> None:
    """Refuse outputs that the task cannot use.

    Raises
    ------
    ManifestError
        Naming the output.
    """
    if not manifest.outputs:
        raise ManifestError("manifest.outputs: found none, wanted at least one")
    first, *others = manifest.outputs
    if first.kind != FIRST_OUTPUT[manifest.task]:
        wanted = FIRST_OUTPUT[manifest.task]
        raise ManifestError(f"manifest.outputs[0].kind: found {first.kind}, wanted {wanted} for {manifest.task}")
    if manifest.task == "phase_classification":
        _check_reference(first, manifest.window_samples)
    for place, output in enumerate(others, start=1):
        where = f"manifest.outputs[{place}]"
        if first.kind != "sample_probability" or output.kind != "time_offset":
            raise ManifestError(f"{where}.kind: found {output.kind} beside {first.kind}, wanted no such output")
        if output.time_offset_scale is None or not output.time_offset_scale > 0:
            raise ManifestError(f"{where}.time_offset_scale: found {output.time_offset_scale}, wanted more than 0")


def check_postprocess(manifest: Manifest) -> None:
    """Refuse thresholds, blinding and a choice of the pick's time that the outputs do not allow.

    Raises
    ------
    ManifestError
        Naming the key.
    """
    labels = manifest.outputs[0].labels
    for label, threshold in manifest.postprocess.thresholds.items():
        where = f"manifest.postprocess.thresholds.{label}"
        if label not in labels:
            raise ManifestError(f"{where}: unknown label{suggestion(label, labels)}")
        if not 0 < threshold.off <= threshold.on <= 1:
            raise ManifestError(f"{where}: found on {threshold.on}, off {threshold.off}, wanted 0 < off <= on <= 1")
    if manifest.postprocess.minimum_separation_s < 0:
        raise ManifestError("manifest.postprocess.minimum_separation_s: found less than 0, wanted seconds")
    _check_blinding(manifest)
    _check_offset(manifest)


def _check_reference(output: Output, window: int) -> None:
    sample = output.reference_sample
    if sample is None or not 0 <= sample <= window:
        raise ManifestError(f"manifest.outputs[0].reference_sample: found {sample}, wanted 0 to {window}")


def _check_blinding(manifest: Manifest) -> None:
    left, right = manifest.postprocess.blinding_samples
    where = "manifest.postprocess.blinding_samples"
    if min(left, right) < 0 or left + right >= manifest.window_samples:
        raise ManifestError(f"{where}: found {left} and {right}, wanted less than {manifest.window_samples} together")
    if manifest.outputs[0].kind not in _PER_SAMPLE and (left or right):
        raise ManifestError(f"{where}: found {left} and {right}, wanted 0 and 0 for {manifest.outputs[0].kind}")
    seen = manifest.window_samples - left - right
    if manifest.outputs[0].kind in _PER_SAMPLE and manifest.stride_samples > seen:
        raise ManifestError(
            f"manifest.stride_samples: found {manifest.stride_samples}, wanted at most the {seen} samples "
            "of a window that are not blinded"
        )


def _check_offset(manifest: Manifest) -> None:
    if manifest.postprocess.pick_time != "offset":
        return
    offsets = [output.labels for output in manifest.outputs if output.kind == "time_offset"]
    lacking = [each for each in manifest.postprocess.thresholds if not offsets or each not in offsets[0]]
    if not offsets or lacking:
        missing = f" of {', '.join(lacking)}" if offsets else ""
        raise ManifestError(f"manifest.postprocess.pick_time: found offset, but no time_offset output{missing}")
