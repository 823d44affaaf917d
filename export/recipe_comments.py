"""What each key of a recipe means, in its units: the comments of a recipe file.

A test holds these tables against the dataclasses and the table of operations: a field, an operation or a parameter
without its line here is an error. The words that a key allows are not repeated here: they come from its type.
"""

from __future__ import annotations

from seisedge.edge.manifest import Budget, Components, Input, Output, Postprocess, Threshold
from seisedge.edge.steps import Step

from .recipe import Recipe

FIELDS: dict[type, dict[str, str]] = {
    Recipe: {
        "name": "The model's name, as picks and detections carry it.",
        "system": "The system or publication that the network comes from.",
        "task": "What the network does; it decides what its first output must be.",
        "sampling_rate": "Samples per second (Hz) of what the network sees. Stations of other rates need the step "
        "resample.",
        "window_samples": "Samples of one window, at sampling_rate.",
        "stride_samples": "Samples from the start of one window to the start of the next, at sampling_rate.",
        "components": "The components that the network sees.",
        "steps": "What is done to the samples before the network sees them, in this order. First the steps of scope "
        "stream: causal, with a state that goes on from packet to packet. Then those of scope window.",
        "input": "The network's input.",
        "outputs": "The network's outputs; the first decides what is picked. A second may be the time_offset beside a "
        "sample_probability.",
        "postprocess": "How probabilities become picks or detections.",
        "budgets": "Inference times that somebody documented, for comparison. Where there are none, budgets = [] "
        "stands above the first table.",
    },
    Components: {
        "order": "Orientation letters in the network's order.",
        "aliases": "Other orientation letters of stations, and which of `order` each stands for.",
        "required": "A station without one of these is refused.",
        "missing": "What stands for a component that is neither there nor required: zeros, or refuse the station.",
    },
    Step: {
        "op": "The operation; all of them are listed above.",
        "scope": "Where the operation may stand: each allows one scope only.",
        "params": "Exactly the parameters of the operation.",
    },
    Input: {
        "name": "Its name in the ONNX graph.",
        "shape": "Axes of one window, without the batch; the steps must give this shape.",
        "dtype": "Number type of the input.",
        "batch": "Which batches give the same bits: of any size; of at least two (one window is then doubled); only "
        "single windows. `wrap` measures it and keeps the more cautious of that and what stands here.",
    },
    Output: {
        "name": "Its name in the ONNX graph.",
        "kind": "What its numbers are. Axes: class_probability (batch, label), summing to 1; all others (batch, "
        "sample, label). Probabilities are from 0 to 1: the graph ends in a Softmax or a Sigmoid.",
        "labels": "Meaning of the last axis, in order.",
        "reference_sample": "The sample of the window that a label per window speaks of, from 0 at its start. Only "
        "for phase_classification.",
        "time_offset_scale": "Samples, at sampling_rate, per unit of a time offset. Only for time_offset.",
    },
    Postprocess: {
        "minimum_separation_s": "Seconds that two picks of one label are at least apart; of nearer ones the more "
        "probable stays.",
        "pick_time": "Where a pick stands in a run of probabilities: its peak; the centroid of what is at or above "
        "`on`; or by the offset that a time_offset output gives.",
        "blinding_samples": "Samples at the start and at the end of a window whose values are not used, because the "
        "network sees too little on one side. [0, 0] for values per window.",
        "thresholds": "One table for each label that is picked; a label without one (noise) is not.",
    },
    Threshold: {
        "on": "Probability at or above which a pick opens, in (0, 1].",
        "off": "Probability below which it closes, at most `on`.",
    },
    Budget: {
        "seconds": "Seconds that were documented.",
        "covers": "What the seconds cover.",
        "source": "Who says so.",
        "not_documented": "What the source leaves open: the device, the batch.",
    },
}

_START = {"start": "What was there before the stream: its first sample, for ever."}
_FILTER = {
    "order": "Order of the filter, ObsPy's `corners`.",
    "phase": "A stream allows causal filters only: zero-phase ones need the future.",
    **_START,
}
_CORNER = {"corner_hz": "Corner in Hz.", **_FILTER}
_JOINT = {"joint": "One divisor for all components (true), or one for each (false)."}
_EPS = {"eps": "Added to the divisor."}
_FRAMES = {"frame_samples": "Samples of one spectrum.", "hop_samples": "Samples from one spectrum to the next."}
_TAPER = {"taper": "Window function of a spectrum."}

OPERATIONS: dict[str, tuple[str, dict[str, str]]] = {
    "resample": (
        "brings the stream to sampling_rate, behind an anti-alias filter",
        {"method": "The anti-alias filter.", **_START},
    ),
    "highpass": ("Butterworth high-pass", _CORNER),
    "lowpass": ("Butterworth low-pass", _CORNER),
    "bandpass": (
        "Butterworth band-pass",
        {"low_hz": "Lower corner in Hz.", "high_hz": "Upper corner in Hz.", **_FILTER},
    ),
    "demean": ("subtracts each component's mean", {}),
    "detrend": ("subtracts each component's least-squares line", {}),
    "taper": (
        "fades both ends of the window",
        {"shape": "Shape of the taper.", "fraction": "Share of the window that is faded at each end, 0 to 0.5."},
    ),
    "normalise_std": (
        "x / (standard deviation + eps); the mean stays",
        {**_JOINT, "ddof": "The variance is divided by the number of samples less this.", **_EPS},
    ),
    "normalise_max_abs": ("x / (largest |x| + eps); silence stays zero", {**_JOINT, **_EPS}),
    "normalise_signed_max": ("x / largest x of all components, sign and all", {}),
    "quantise_int16": ("32767 x / largest |x|, as whole numbers", {"rounding": "How fractions are dropped."}),
    "layout": ("axes of the network's input; nothing may follow", {"order": "Order of the axes."}),
    "spectrogram_image": (
        "spectra in dB as a picture, axes (component, row, column); nothing may follow",
        {
            **_FRAMES,
            **_TAPER,
            "taper_fraction": "Share of a spectrum's samples that the taper fades, both ends together.",
            "detrend": "What is subtracted from a spectrum's samples: their mean.",
            "scaling": "Power per Hz.",
            "range_db": "Levels that the picture shows, in dB below the highest.",
            "rows": "Height of the picture.",
            "columns": "Width of the picture.",
            "resize": "How the picture is brought to its size.",
        },
    ),
    "spectrogram_db": (
        "spectra in dB, axes (frame, frequency, component); nothing may follow, no other window step before",
        {
            **_FRAMES,
            **_TAPER,
            "reference": "What 0 dB is: the largest |x| of the window, of all components together.",
            "floor_db": "Lowest level in dB.",
            "divisor": "The levels are divided by it.",
        },
    ),
}
"""Operation → what it does, and parameter → what that means."""
