"""The window steps of a manifest, each resolved once to a kernel with its tables."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from seisedge import kernels

from .errors import ManifestError
from .steps import Step, number

Float32 = npt.NDArray[np.float32]

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
        layout = next((step.params["order"] for step in window if step.op == "layout"), "component_sample")
        self._plan = _plan(window, components, width, is_turned=layout != "component_sample")
        self._memory = threading.local()  # a chain serves all stations, which may have threads of their own
        self._paint = _painter(window[-1], width) if window and window[-1].op == "spectrogram_image" else None
        found = _shape_of(window, str(layout), components, width)
        if found != shape:
            raise ManifestError(f"manifest.input.shape: found {list(shape)}, the steps give {list(found)}")

    def __call__(self, samples: Float32, *, count: int, stride: int) -> Float32:
        """Input of `count` windows that start `stride` samples apart: float32 (count, *shape)."""
        out = np.empty((count, *self._shape), np.float32)
        if self._shared is not None:
            self._shared(samples, count, stride, out)
            return out
        # An image of one plane is (1, sample, component): the same memory.
        waveforms = out.reshape(count, *self._plan.shape) if self._paint is None else self._waveforms(count)
        kernels.cut_windows_into(samples, self._plan, waveforms, stride=stride, scratch=self._scratch())
        if self._paint is not None:
            for waveform, target in zip(waveforms, out, strict=True):
                self._paint(waveform, target)
        return out

    def _scratch(self) -> kernels.WindowScratch:
        scratch: kernels.WindowScratch | None = getattr(self._memory, "scratch", None)
        if scratch is None:
            scratch = self._memory.scratch = kernels.window_scratch(self._plan)
        return scratch

    def _waveforms(self, count: int) -> Float32:
        return np.empty((count, *self._plan.shape), np.float32)


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


_OPS: dict[str, kernels.WindowOp] = {
    "demean": "demean",
    "detrend": "detrend",
    "taper": "taper",
    "normalise_std": "normalise_std",
    "normalise_max_abs": "normalise_max_abs",
    "normalise_signed_max": "normalise_signed_max",
    "quantise_int16": "truncate_int16",
}


def _plan(steps: list[Step], components: int, width: int, *, is_turned: bool) -> kernels.WindowPlan:
    named = [_window_step(step) for step in steps if step.op in _OPS]
    try:
        return kernels.window_plan(named, channels=components, width=width, is_turned=is_turned)
    except kernels.ArrayError as error:
        raise ManifestError(f"manifest.steps: {error}") from error


def _window_step(step: Step) -> kernels.WindowStep:
    numbers = {key: number(step, key) for key in ("joint", "ddof", "eps", "fraction") if key in step.params}
    return kernels.WindowStep(
        _OPS[step.op],
        joint=bool(numbers.get("joint", 0)),
        ddof=int(numbers.get("ddof", 0)),
        eps=numbers.get("eps", 0.0),
        fraction=numbers.get("fraction", 0.0),
    )


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

    memory = threading.local()  # a chain serves all stations, which may have threads of their own

    def build(samples: Float32, count: int, stride: int, out: Float32) -> None:
        channels, found = len(samples), getattr(memory, "scratch", None)
        if found is None or (found.channels, found.stride) != (channels, stride):
            found = memory.scratch = kernels.spectrogram_scratch(
                channels, stride=stride, width=width, hop=hop, transform=transform, floor_db=floor_db, divisor=divisor
            )
        kernels.spectrogram_windows_into(samples, found, out[:count])

    return build
