"""`Recipe`: what a model is fed and what its outputs mean, and the parts that several systems share."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from seisedge.edge.manifest import (
    FORMAT,
    Budget,
    Components,
    Input,
    Manifest,
    Output,
    Postprocess,
    Provenance,
    Quantization,
    Task,
    Verification,
)
from seisedge.edge.steps import Step, Value


@dataclass(frozen=True)
class Recipe:
    """A model's input, preprocessing, outputs and budgets; the fields are those of `Manifest`."""

    name: str
    system: str
    task: Task
    components: Components
    sampling_rate: float
    window_samples: int
    stride_samples: int
    steps: tuple[Step, ...]
    input: Input
    outputs: tuple[Output, ...]
    postprocess: Postprocess
    budgets: tuple[Budget, ...]

    def manifest(
        self, *, version: str, quantization: Quantization, verification: Verification, provenance: Provenance
    ) -> Manifest:
        """The whole manifest of an artefact made by this recipe."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return Manifest(
            format=FORMAT,
            version=version,
            quantization=quantization,
            verification=verification,
            provenance=provenance,
            **fields,
        )


def with_window(manifest: Manifest, width: int) -> Manifest:
    """Give the manifest with windows of another length, for a network that takes any; none of a stream, none blind."""
    shape = tuple(width if size == manifest.window_samples else size for size in manifest.input.shape)
    return dataclasses.replace(
        manifest,
        window_samples=width,
        stride_samples=min(manifest.stride_samples, width),
        input=dataclasses.replace(manifest.input, shape=shape),
        postprocess=dataclasses.replace(manifest.postprocess, blinding_samples=(0, 0)),
    )


RESAMPLE = Step("resample", "stream", {"method": "polyphase_kaiser", "start": "first_sample"})
"""To the model's rate, behind an anti-alias filter; nothing where the sensor has that rate already."""


def highpass(corner_hz: float) -> Step:
    """ObsPy's high-pass as upstream calls it: Butterworth, 4 corners, causal."""
    params: dict[str, Value] = {"corner_hz": corner_hz, "order": 4, "phase": "causal", "start": "first_sample"}
    return Step("highpass", "stream", params)


def normalise_max_abs(*, joint: bool) -> Step:
    """Over the largest |x| of the window, of all components together or of each; a window of zeros stays so."""
    return Step("normalise_max_abs", "window", {"joint": joint, "eps": 0.0})


def layout(order: str) -> Step:
    """The axes of the network's input."""
    return Step("layout", "window", {"order": order})


def class_output(labels: tuple[str, ...], reference_sample: int | None = None) -> Output:
    """Probabilities per window."""
    return Output("probability", "class_probability", labels, reference_sample, None)
