"""The preprocessing steps that a manifest may name: their parameters, their types and where they may stand.

One table decides what an operation is called and what it takes; `preprocess` turns a checked step into
kernel calls. Adding an operation means one row here and one branch there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .errors import ManifestError
from .strict import suggestion

Scope = Literal["stream", "window"]
Value = bool | int | float | str | tuple[float, ...]


@dataclass(frozen=True)
class Step:
    """One operation of a preprocessing chain.

    Attributes
    ----------
    op
        Name of the operation, a key of `OPERATIONS`.
    scope
        `stream`: causal, carries its state from packet to packet. `window`: sees one window.
    params
        Exactly the parameters that the operation documents.
    """

    op: str
    scope: Scope
    params: dict[str, Value]


@dataclass(frozen=True)
class Number:
    """A parameter that is a number: `int`, or `float` for which a whole number does too; the ends are allowed."""

    kind: type
    least: float
    most: float


@dataclass(frozen=True)
class Operation:
    """Where an operation may stand and what its parameters are: name → bool, a number, or the allowed values."""

    scope: Scope
    params: dict[str, type[bool] | Number | tuple[str, ...] | tuple[int, ...]]
    last: bool = False
    """Its result is no waveform any more (component, sample): nothing may follow."""


_ORDER = Number(int, 1, 20)
_CORNER = Number(float, 1e-4, 1e6)  # Hz; below half the model's rate, which `check` knows
_EPS = Number(float, 0, 1)
_FRAME = (16, 32, 64, 128, 256, 512, 1024)  # the Fourier transform's lengths
_HOP = Number(int, 1, 1 << 20)
_DECIBEL = Number(float, -1000, 1000)
_START = ("first_sample",)  # a stream starts as if its first sample had always been there
_PHASE = ("causal", "zero")

LAYOUTS = ("component_sample", "sample_component", "image_sample_component")

OPERATIONS: dict[str, Operation] = {
    # Rational polyphase FIR to the manifest's rate; nothing where the sensor has that rate already.
    "resample": Operation("stream", {"method": ("polyphase_kaiser",), "start": _START}),
    # Butterworth, second-order sections, float64 state.
    "highpass": Operation("stream", {"corner_hz": _CORNER, "order": _ORDER, "phase": _PHASE, "start": _START}),
    "lowpass": Operation("stream", {"corner_hz": _CORNER, "order": _ORDER, "phase": _PHASE, "start": _START}),
    "bandpass": Operation(
        "stream",
        {"low_hz": _CORNER, "high_hz": _CORNER, "order": _ORDER, "phase": _PHASE, "start": _START},
    ),
    "demean": Operation("window", {}),  # each component
    "detrend": Operation("window", {}),  # each component, least-squares line
    "taper": Operation(
        "window", {"shape": ("cosine",), "fraction": Number(float, 0, 0.5)}
    ),  # of the window, at each end
    # x / (std + eps); the mean stays; a std of zero gives zeros. joint: one divisor for all components.
    "normalise_std": Operation("window", {"joint": bool, "ddof": Number(int, 0, 1), "eps": _EPS}),
    # x / (max|x| + eps); a divisor of zero gives zeros.
    "normalise_max_abs": Operation("window", {"joint": bool, "eps": _EPS}),
    # x / max(x), sign and all, over all components; a divisor of 0 counts as 1. For SeismicTorch's own weights.
    "normalise_signed_max": Operation("window", {}),
    # trunc(32767 x / max|x|) over all components, as whole numbers in float32.
    "quantise_int16": Operation("window", {"rounding": ("truncate",)}),
    # Axes of the network's input; "image_sample_component" is (1, sample, component).
    "layout": Operation("window", {"order": LAYOUTS}, last=True),
    # Per component: 10 log10 of the spectrogram's density, at most `range_db` below its highest level, on 0…255, the
    # highest frequency in row 0, resized: axes (component, row, column). kernels.spectrogram_image_into says all of it.
    "spectrogram_image": Operation(
        "window",
        {
            "frame_samples": _FRAME,
            "hop_samples": _HOP,
            "taper": ("tukey",),
            "taper_fraction": Number(float, 1e-3, 1),
            "detrend": ("constant",),
            "scaling": ("density",),
            "range_db": Number(float, 1, 1000),
            "rows": Number(int, 1, 4096),
            "columns": Number(int, 1, 4096),
            "resize": ("bilinear",),
        },
        last=True,
    ),
    # max(10 log10(|STFT| / max|window|), floor_db) / divisor, axes (frame, frequency, component).
    "spectrogram_db": Operation(
        "window",
        {
            "frame_samples": _FRAME,
            "hop_samples": _HOP,
            "taper": ("hann_periodic",),
            "reference": ("window_max_abs_joint",),
            "floor_db": _DECIBEL,
            "divisor": Number(float, 1e-6, 1e6),
        },
        last=True,
    ),
}


def check(steps: tuple[Step, ...], path: str, *, sampling_rate: float, window_samples: int) -> None:
    """Refuse steps that are unknown, wrongly parametrised, wrongly placed or impossible on a stream.

    Parameters
    ----------
    steps, path
        Of the manifest, and what it calls them.
    sampling_rate, window_samples
        The model's, in Hz and at that rate: corners lie below half of one, frames within the other.

    Raises
    ------
    ManifestError
        Naming the step by its position.
    """
    windowed, last = False, None
    for position, step in enumerate(steps):
        where = f"{path}[{position}]"
        operation = OPERATIONS.get(step.op)
        if operation is None:
            raise ManifestError(f"{where}.op: unknown step {step.op!r}{suggestion(step.op, set(OPERATIONS))}")
        if step.scope != operation.scope:
            raise ManifestError(f"{where}.scope: found {step.scope!r}, wanted {operation.scope!r} for {step.op}")
        if step.scope == "stream" and windowed:
            raise ManifestError(f"{where}: found stream step {step.op!r} behind a window step, wanted it before")
        if last is not None:
            raise ManifestError(f"{where}: found {step.op!r} behind {last!r}, wanted nothing behind it")
        windowed = step.scope == "window"
        last = step.op if operation.last else None
        _check_params(step, operation, where)
        _check_fit(step, where, sampling_rate, window_samples)


def _check_params(step: Step, operation: Operation, where: str) -> None:
    for key in step.params:
        if key not in operation.params:
            raise ManifestError(f"{where}.params: unknown key {key!r}{suggestion(key, set(operation.params))}")
    for key, wanted in operation.params.items():
        if key not in step.params:
            raise ManifestError(f"{where}.params: missing key {key!r} of step {step.op!r}")
        found = step.params[key]
        if isinstance(wanted, tuple):
            if not any(found == each and type(found) is type(each) for each in wanted):
                raise ManifestError(f"{where}.params.{key}: found {found!r}, wanted {' | '.join(map(str, wanted))}")
        elif isinstance(wanted, Number):
            _check_number(found, wanted, f"{where}.params.{key}")
        elif type(found) is not wanted:
            raise ManifestError(f"{where}.params.{key}: found {found!r}, wanted {wanted.__name__}")
    if step.params.get("phase") == "zero":
        raise ManifestError(
            f"{where}.params.phase: found 'zero' in a stream step, wanted 'causal': "
            "a zero-phase filter needs the future, which a stream does not have"
        )


def _check_number(found: Value, wanted: Number, where: str) -> None:
    kinds = {wanted.kind, int}  # type(), as True is an int to isinstance
    if type(found) not in kinds or not wanted.least <= found <= wanted.most:  # type: ignore[operator]
        raise ManifestError(f"{where}: found {found!r}, wanted {wanted.kind.__name__}, {wanted.least} to {wanted.most}")


def _check_fit(step: Step, where: str, sampling_rate: float, window_samples: int) -> None:
    """Hold a step's frequencies against the model's rate, and its frame against the window."""
    corners = [key for key in ("corner_hz", "low_hz", "high_hz") if key in step.params]
    for key in corners:
        if not number(step, key) < sampling_rate / 2:
            half = f"{sampling_rate / 2:g} Hz, half the sampling rate"
            raise ManifestError(f"{where}.params.{key}: found {step.params[key]} Hz, wanted less than {half}")
    if len(corners) > 1 and not number(step, "low_hz") < number(step, "high_hz"):
        raise ManifestError(f"{where}.params.low_hz: found {step.params['low_hz']} Hz, wanted less than high_hz")
    if step.params.get("frame_samples", 0) > window_samples:  # type: ignore[operator]
        found = f"found {step.params['frame_samples']} samples"
        raise ManifestError(f"{where}.params.frame_samples: {found}, wanted at most the window's {window_samples}")


def number(step: Step, key: str) -> float:
    """Give a parameter of a step that is a number, or a yes or no.

    Raises
    ------
    ManifestError
        It is a word or a list.
    """
    value = step.params[key]
    if isinstance(value, str | tuple):
        raise ManifestError(f"step {step.op}: {key}: found {value!r}, wanted a number")
    return float(value)
