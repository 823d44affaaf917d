"""The recipes of this project's own picker: its window for live data, and a longer one for archives."""

from __future__ import annotations

from dataclasses import replace

from seisedge.edge.manifest import Budget, Components, Input, Output, Postprocess, Threshold
from seisedge.edge.steps import Step

from .networks.edge_picker import LABELS, LONG_WINDOW, WINDOW
from .recipe import RESAMPLE, Recipe

RATE = 100.0
EDGE_PICKER = Recipe(
    name="edge-picker",
    system="seisedge",
    task="phase_picking",
    components=Components(
        order=("Z", "N", "E"), aliases={"1": "N", "2": "E", "3": "Z"}, required=("Z",), missing="zeros"
    ),
    sampling_rate=RATE,
    window_samples=WINDOW,
    stride_samples=256,
    steps=(
        RESAMPLE,
        # Offsets of MEMS sensors and the sea's noise; of low order, so that an onset keeps its shape.
        Step("highpass", "stream", {"corner_hz": 1.0, "order": 2, "phase": "causal", "start": "first_sample"}),
        Step("demean", "window", {}),
        Step("normalise_std", "window", {"joint": False, "ddof": 0, "eps": 0.0}),
    ),
    input=Input("waveform", (3, WINDOW), "float32", "any"),
    outputs=(Output("probability", "sample_probability", LABELS, None, None),),
    postprocess=Postprocess(
        thresholds={"P": Threshold(0.3, 0.15), "S": Threshold(0.3, 0.15)},
        minimum_separation_s=0.5,
        pick_time="peak",
        blinding_samples=(256, 256),
    ),
    budgets=(
        Budget(
            seconds=0.05,
            covers="one inference, batch 1",
            source="this project: a tenth of the 0.5 s from window to window of an early-warning station",
            not_documented="nothing: it is our own",
        ),
    ),
)

EDGE_PICKER_LONG = replace(
    EDGE_PICKER,
    name="edge-picker-long",
    window_samples=LONG_WINDOW,
    stride_samples=512,
    input=replace(EDGE_PICKER.input, shape=(3, LONG_WINDOW)),
)
