"""The preprocessing that a manifest describes, resolved once to kernel calls.

Export, calibration, verification, offline scan and daemon all come through here: there is no second copy of
any step.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from seisedge import kernels
from seisedge.firmware_bridge import Samples

from .errors import DataError
from .manifest import Manifest
from .steps import Step, number
from .window_chain import WindowChain

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

_MAX_RATIO = 64  # largest up or down factor of a rate conversion
_RATE_TOLERANCE = 5e-4  # a sensor's real rate may be this far off its nominal one


class StreamChain:
    """The stream steps of one component: samples in their sensor's type in, float32 at the model's rate out.

    A stream starts as if its first sample had always been there, so a constant offset makes no transient.
    """

    def __init__(self, steps: tuple[Step, ...], *, source_rate: float, model_rate: float) -> None:
        stream = [step for step in steps if step.scope == "stream"]
        resamples = any(step.op == "resample" for step in stream)
        ratio = _ratio(source_rate, model_rate, resamples=resamples)
        self.rate = Fraction(source_rate) * ratio
        """Samples per second of what comes out: the model's rate, as far off as the source is."""
        self._resampler = None if ratio == 1 else kernels.design_resampler(Fraction(1), ratio)
        self._filters = [_design(step, model_rate) for step in stream if step.op != "resample"]
        self._states: list[kernels.SosState] = []
        self._resample_state: kernels.ResampleState | None = None

    def start(self, first_sample: float) -> None:
        """Forget the past; `first_sample` becomes it."""
        self._states = []
        level = first_sample
        for sos, rest in self._filters:
            self._states.append(kernels.SosState(sos, rest * level))
            level *= float(np.prod(sos[:, :3].sum(axis=1) / sos[:, 3:].sum(axis=1)))
        if self._resampler is not None:
            self._resample_state = kernels.resample_state(self._resampler)

    def push(self, samples: Samples) -> Float32:
        """Take the next samples of the stream. Any cutting gives the same bits."""
        resampled = self._resample(samples)
        if not self._filters:
            return resampled.astype(np.float32)
        for state in self._states:
            out = np.empty(resampled.size, np.float32)
            kernels.sos_step_into(resampled, state, out)
            resampled = out
        return resampled.astype(np.float32, copy=False)

    def _resample(self, samples: Samples) -> Samples:
        if self._resampler is None or self._resample_state is None:
            return samples
        out = np.empty(kernels.output_bound(self._resampler, samples.size), np.float32)
        written = kernels.resample_step_into(samples, self._resampler, self._resample_state, out)
        return out[:written]


def _ratio(source_rate: float, model_rate: float, *, resamples: bool) -> Fraction:
    """Model rate over source rate as a ratio of small numbers."""
    exact = Fraction(model_rate) / Fraction(source_rate)
    ratio = exact.limit_denominator(_MAX_RATIO)
    if ratio == 0 or ratio.numerator > _MAX_RATIO or abs(float(ratio / exact) - 1) > _RATE_TOLERANCE:
        raise DataError(
            f"sampling rate: found {source_rate:g} Hz, wanted one whose ratio to {model_rate:g} Hz is a "
            f"fraction of numbers up to {_MAX_RATIO}"
        )
    if ratio != 1 and not resamples:
        raise DataError(
            f"sampling rate: found {source_rate:g} Hz, wanted {model_rate:g} Hz: the model does not resample"
        )
    return ratio


def _design(step: Step, rate: float) -> tuple[Float64, Float64]:
    """Second-order sections of a filter step, and their state at rest under a constant input of one."""
    order = int(number(step, "order"))
    if step.op == "bandpass":
        sos = kernels.butterworth_sos(order, "bandpass", (number(step, "low_hz"), number(step, "high_hz")), rate)
    elif step.op == "highpass":
        sos = kernels.butterworth_sos(order, "highpass", (number(step, "corner_hz"),), rate)
    else:
        sos = kernels.butterworth_sos(order, "lowpass", (number(step, "corner_hz"),), rate)
    return sos, kernels.steady_state(sos)


class Preprocess:
    """Both halves of a manifest's preprocessing."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.windows = WindowChain(
            manifest.steps,
            components=len(manifest.components.order),
            width=manifest.window_samples,
            shape=manifest.input.shape,
        )

    def stream(self, source_rate: float) -> StreamChain:
        """Make a fresh chain for one component.

        Raises
        ------
        DataError
            The model cannot take this sampling rate.
        """
        return StreamChain(self.manifest.steps, source_rate=source_rate, model_rate=self.manifest.sampling_rate)

    def record(self, samples: Samples, source_rate: float) -> Float32:
        """Put a whole record through the stream steps: (component, npts) → float32 (component, npts')."""
        rows: list[Float32] = []
        for component in samples:
            chain = self.stream(source_rate)
            chain.start(float(component[0]))
            rows.append(chain.push(np.ascontiguousarray(component)))
        return np.stack(rows)
