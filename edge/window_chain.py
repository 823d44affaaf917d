"""The window steps of a manifest, each resolved once to a kernel with its tables."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from seisedge import kernels

from .errors import ManifestError
from .steps import Step, number

Float32 = npt.NDArray[np.float32]

Change = Callable[[Float32], None]
"""Changes a window (component, sample) in place."""
Finish = Callable[[Float32, Float32], None]
"""Writes a window (component, sample) as the network's input, (*shape)."""


class WindowChain:
    """The window steps: samples that span several windows in, the network's input out.

    Parameters
    ----------
    steps
        Of the manifest; those with stream scope are passed over.
    components, width
        Of a window of samples.
    shape
        The manifest's `input.shape`, which the steps must give.

    Raises
    ------
    ManifestError
        The steps cannot be combined, or give another shape.
    """

    def __init__(self, steps: tuple[Step, ...], *, components: int, width: int, shape: tuple[int, ...]) -> None:
        window = [step for step in steps if step.scope == "window"]
        self._width, self._shape = width, shape
        self._shared = _shared_builder(window, width)
        self._changes = [_change(step, width) for step in window if step.op in _IN_PLACE]
        layout = next((step.params["order"] for step in window if step.op == "layout"), "component_sample")
        self._finish = _LAYOUTS[str(layout)]
        self._is_waveform = layout == "component_sample"
        if window and window[-1].op == "spectrogram_image":
            self._finish, self._is_waveform = _painter(window[-1], width), False
        found = _shape_of(window, str(layout), components, width)
        if found != shape:
            raise ManifestError(f"manifest.input.shape: found {list(shape)}, the steps give {list(found)}")

    def __call__(self, samples: Float32, *, count: int, stride: int) -> Float32:
        """Input of `count` windows that start `stride` samples apart: float32 (count, *shape)."""
        out = np.empty((count, *self._shape), np.float32)
        if self._shared is not None:
            self._shared(samples, count, stride, out)
            return out
        work = np.empty((samples.shape[0], self._width), np.float32)
        for index, target in enumerate(out):
            window = target if self._is_waveform else work
            np.copyto(window, samples[:, index * stride : index * stride + self._width])
            for change in self._changes:
                change(window)
            if not self._is_waveform:
                self._finish(window, target)
        return out


def _to_component_sample(window: Float32, out: Float32) -> None:
    np.copyto(out, window)


def _to_sample_component(window: Float32, out: Float32) -> None:
    np.copyto(out, window.T)


def _to_image(window: Float32, out: Float32) -> None:
    np.copyto(out[0], window.T)


def _painter(step: Step, width: int) -> Finish:
    image = kernels.spectrogram_image(
        width,
        frame_samples=int(number(step, "frame_samples")),
        hop=int(number(step, "hop_samples")),
        taper_fraction=number(step, "taper_fraction"),
        range_db=number(step, "range_db"),
        size=(int(number(step, "rows")), int(number(step, "columns"))),
    )
    return lambda window, out: kernels.spectrogram_image_into(window, image, out)


_LAYOUTS: dict[str, Finish] = {
    "component_sample": _to_component_sample,
    "sample_component": _to_sample_component,
    "image_sample_component": _to_image,
}


def _shape_of(steps: list[Step], layout: str, components: int, width: int) -> tuple[int, ...]:
    """Shape of what the steps make of one window."""
    if steps and steps[-1].op == "spectrogram_db":
        frame, hop = int(number(steps[-1], "frame_samples")), int(number(steps[-1], "hop_samples"))
        return (width - frame) // hop + 1, frame // 2 + 1, components
    if steps and steps[-1].op == "spectrogram_image":
        return components, int(number(steps[-1], "rows")), int(number(steps[-1], "columns"))
    if layout == "component_sample":
        return components, width
    return (width, components) if layout == "sample_component" else (1, width, components)


def _demean(_step: Step, _width: int) -> Change:
    return lambda window: kernels.demean_into(window, window)


def _detrend(_step: Step, _width: int) -> Change:
    return lambda window: kernels.detrend_into(window, window)


def _taper(step: Step, width: int) -> Change:
    ramp = kernels.cosine_ramp(width, number(step, "fraction"))
    return lambda window: kernels.taper_into(window, ramp, window)


def _normalise_std(step: Step, _width: int) -> Change:
    joint, ddof, eps = bool(number(step, "joint")), int(number(step, "ddof")), number(step, "eps")
    return lambda window: kernels.normalise_std_into(window, window, joint=joint, ddof=ddof, eps=eps)


def _normalise_max_abs(step: Step, _width: int) -> Change:
    joint, eps = bool(number(step, "joint")), number(step, "eps")
    return lambda window: kernels.normalise_max_abs_into(window, window, joint=joint, eps=eps)


def _normalise_signed_max(_step: Step, _width: int) -> Change:
    return lambda window: kernels.normalise_signed_max_into(window, window)


def _quantise_int16(_step: Step, _width: int) -> Change:
    return lambda window: kernels.truncate_int16_into(window, window)


_IN_PLACE: dict[str, Callable[[Step, int], Change]] = {
    "demean": _demean,
    "detrend": _detrend,
    "taper": _taper,
    "normalise_std": _normalise_std,
    "normalise_max_abs": _normalise_max_abs,
    "normalise_signed_max": _normalise_signed_max,
    "quantise_int16": _quantise_int16,
}


def _change(step: Step, width: int) -> Change:
    return _IN_PLACE[step.op](step, width)


def _shared_builder(steps: list[Step], width: int) -> Callable[[Float32, int, int, Float32], None] | None:
    """Make the fast way for a spectrogram in decibel, whose windows share their frames."""
    if not any(step.op == "spectrogram_db" for step in steps):
        return None
    if len(steps) > 1:
        raise ManifestError("manifest.steps: found window steps beside spectrogram_db, wanted it alone")
    step = steps[0]
    transform = kernels.frame_transform(int(number(step, "frame_samples")))
    hop = int(number(step, "hop_samples"))
    floor_db, divisor = number(step, "floor_db"), number(step, "divisor")

    def build(samples: Float32, count: int, stride: int, out: Float32) -> None:
        kernels.spectrogram_windows(
            samples,
            0,
            count,
            stride=stride,
            width=width,
            hop=hop,
            transform=transform,
            floor_db=floor_db,
            divisor=divisor,
            out=out,
        )

    return build
