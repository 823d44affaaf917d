"""Recipes of the models that are neither PhaseNet's nor Seismo-Performer's: events, MEMS sensors, the inversion."""

from __future__ import annotations

import dataclasses

from seisedge.edge.manifest import Budget, Components, Input, Output, Postprocess, Threshold
from seisedge.edge.steps import Step

from .recipe import RESAMPLE, Recipe, class_output, highpass, layout, normalise_max_abs

# The classes in the order of the networks' outputs; a test compares them with those of `networks`.
REGIONS = ("no event", *(f"region {number}" for number in range(1, 7)))
DEEPQUAKE_LABELS = ("no event", "event")
EARTHQUAKE_LABELS = ("P", "S", "noise")

# Days of data → seconds: the run times of the paper's figure (tperol/ConvNetQuake, figures/fig_comparison.py).
_DAYS = {1: 9.0, 3: 27.0, 7: 61.0, 14: 144.0, 30: 291.0}
# The two ends of "3 to 5 minutes for 8,640 windows".
_WINDOWS, _FASTEST_S, _SLOWEST_S = 8640, 180.0, 300.0
_CONVNETQUAKE_BUDGETS = (
    Budget(
        seconds=_FASTEST_S / _WINDOWS,
        covers="one window, batch 1, slicing included: the fast end of 8,640 windows in 180 to 300 s",
        source="ConvNetQuake README, predict_from_stream",
        not_documented="device",
    ),
    Budget(
        seconds=_SLOWEST_S / _WINDOWS,
        covers="one window, batch 1, slicing included: the slow end of 8,640 windows in 180 to 300 s",
        source="ConvNetQuake README, predict_from_stream",
        not_documented="device",
    ),
    *(
        Budget(
            seconds=seconds,
            covers=f"{days} day{'s' if days > 1 else ''} of three components",
            source="ConvNetQuake, run-time figure (fig_comparison.py)",
            not_documented="device, and the step from window to window: 1.24 ms per window at 11 s, 0.11 ms at 1 s",
        )
        for days, seconds in _DAYS.items()
    ),
)

_EVENT = Postprocess(thresholds={}, minimum_separation_s=0.0, pick_time="peak", blinding_samples=(0, 0))


def _event(labels: tuple[str, ...]) -> Postprocess:
    """An event where the classes that are one have more than half: the nearest to upstream's largest class."""
    return dataclasses.replace(_EVENT, thresholds={label: Threshold(0.5, 0.5) for label in labels})


# tperol/ConvNetQuake: windows of 10 s at 100 Hz with both ends, 10 s apart; channels in the order of its files (HH1,
# HH2, HHZ), all three of them. It removes the mean and divides by the largest value over a month; here each window.
CONVNETQUAKE = Recipe(
    name="convnetquake",
    system="ConvNetQuake",
    task="event_detection",
    components=Components(("N", "E", "Z"), {"1": "N", "2": "E", "3": "Z"}, ("N", "E", "Z"), "refuse"),
    sampling_rate=100.0,
    window_samples=1001,
    stride_samples=1000,
    steps=(RESAMPLE, Step("demean", "window", {}), normalise_max_abs(joint=False), layout("sample_component")),
    input=Input("waveform", (1001, 3), "float32", "at_least_two"),
    outputs=(class_output(REGIONS),),
    postprocess=_event(REGIONS[1:]),
    budgets=_CONVNETQUAKE_BUDGETS,
)

# mingzhaochina/ConvNetQuake: nine convolutions, windows of 30 s at steps of 31, behind a causal 0.5 to 20 Hz band-pass.
# Events are its class 2 (measured); class 1, which its catalogue would have, never got an example. It also skips
# windows that are mostly zeros or below 600 counts, which says nothing of another sensor: left out.
WENCHUAN_LABELS = ("no event", "unused", "event")
CONVNETQUAKE_WENCHUAN = dataclasses.replace(
    CONVNETQUAKE,
    name="convnetquake-wenchuan",
    window_samples=3001,
    stride_samples=3100,
    steps=(
        RESAMPLE,
        Step(
            "bandpass",
            "stream",
            {"low_hz": 0.5, "high_hz": 20.0, "order": 4, "phase": "causal", "start": "first_sample"},
        ),
        Step("demean", "window", {}),
        normalise_max_abs(joint=False),
        layout("sample_component"),
    ),
    input=Input("waveform", (3001, 3), "float32", "at_least_two"),
    outputs=(class_output(WENCHUAN_LABELS),),
    postprocess=_event(WENCHUAN_LABELS[2:]),
    budgets=(),
)

# rtous/deepquake: the same with windows of 50 s and the order Z, N, E. Its low-pass is not: the corner is unknown.
DEEPQUAKE = dataclasses.replace(
    CONVNETQUAKE,
    name="deepquake",
    system="DeepQuake",
    components=Components(("Z", "N", "E"), {"1": "N", "2": "E", "3": "Z"}, ("Z", "N", "E"), "refuse"),
    window_samples=5001,
    input=Input("waveform", (5001, 3), "float32", "at_least_two"),
    outputs=(class_output(DEEPQUAKE_LABELS),),
    postprocess=_event(DEEPQUAKE_LABELS[1:]),
)


def _timed(host_ms: float, gateway_ms: float) -> tuple[Budget, ...]:
    return (
        Budget(host_ms / 1000, "one inference, batch 1, mean of 10,000", "SeismicTorch, timing notebook", "host"),
        Budget(
            gateway_ms / 1000,
            "one inference, batch 1, on a Raspberry Pi 4B",
            "SeismicTorch, timing notebook: extrapolated from the host, never measured",
            "whether it holds",
        ),
    )


# Gauss963/SeismicTorch: order E, N, Z (X, Y, Z of a MEMS sensor), 2 s at 40 Hz, 0.5 Hz high-pass. Its detrending and
# taper are those of the minute that it cuts windows from. It divides by the largest value with its sign; here, by
# the largest |x| (the other is the step `normalise_signed_max`). Trained on windows around the onset.
EARTHQUAKE_CNN = Recipe(
    name="earthquake-cnn",
    system="SeismicTorch",
    task="phase_classification",
    components=Components(
        ("E", "N", "Z"), {"1": "N", "2": "E", "3": "Z", "X": "E", "Y": "N"}, required=("Z",), missing="zeros"
    ),
    sampling_rate=40.0,
    window_samples=80,
    stride_samples=20,
    steps=(
        RESAMPLE,
        highpass(0.5),
        normalise_max_abs(joint=True),
        Step("quantise_int16", "window", {"rounding": "truncate"}),
        normalise_max_abs(joint=True),
        layout("image_sample_component"),
    ),
    input=Input("waveform", (1, 80, 3), "float32", "at_least_two"),
    outputs=(class_output(EARTHQUAKE_LABELS, reference_sample=40),),
    postprocess=Postprocess(
        thresholds={"P": Threshold(0.95, 0.5), "S": Threshold(0.95, 0.5)},
        minimum_separation_s=2.0,
        pick_time="peak",
        blinding_samples=(0, 0),
    ),
    budgets=_timed(1.69, 13.0),
)

# The other network of Gauss963/SeismicTorch sees a record of 480 s as a plot: Z, X, Y, nothing filtered. Upstream draws
# and resizes it by matplotlib and OpenCV; the step is the same picture without them. A record each minute is ours.
SPECTROGRAM_LABELS = ("event", "noise")
SPECTROGRAM_CNN = Recipe(
    name="spectrogram-cnn",
    system="SeismicTorch",
    task="event_detection",
    components=Components(
        ("Z", "X", "Y"), {"1": "Y", "2": "X", "3": "Z", "E": "X", "N": "Y"}, required=("Z", "X", "Y"), missing="refuse"
    ),
    sampling_rate=100.0,
    window_samples=48_000,
    stride_samples=6_000,
    steps=(
        RESAMPLE,
        Step(
            "spectrogram_image",
            "window",
            {
                "frame_samples": 256,
                "hop_samples": 128,
                "taper": "tukey",
                "taper_fraction": 0.25,
                "detrend": "constant",
                "scaling": "density",
                "range_db": 120.0,
                "rows": 100,
                "columns": 150,
                "resize": "bilinear",
            },
        ),
    ),
    input=Input("image", (3, 100, 150), "float32", "at_least_two"),
    outputs=(class_output(SPECTROGRAM_LABELS),),
    postprocess=_event(SPECTROGRAM_LABELS[:1]),
    budgets=_timed(12.58, 96.8),
)

# xxhxw/modelzoo, EQ-Transformer: ten stations in, ten sources out. Its data are not public, nor their rate and unit:
# 100 Hz is ours, and what the network is fed is not scaled, as there.
STATIONS = tuple(str(number) for number in range(10))
SOURCE_INVERSION = Recipe(
    name="source-inversion",
    system="EQ-Transformer (pure transformer)",
    task="waveform_inversion",
    components=Components(STATIONS, {}, STATIONS, "refuse"),
    sampling_rate=100.0,
    window_samples=1500,
    stride_samples=1500,
    steps=(RESAMPLE, layout("sample_component")),
    input=Input("stations", (1500, 10), "float32", "at_least_two"),
    outputs=(Output("sources", "waveform", tuple(f"source {number}" for number in STATIONS), None, None),),
    postprocess=_EVENT,
    budgets=(),
)
