"""What each model is fed and what its outputs mean: the part of the manifest that does not depend on weights.

Every constant of preprocessing is decided in the files `recipes*` and nowhere else. This one has the networks of
the Seismo-Performer family; the facts behind all of them are cited where they are used.
"""

from __future__ import annotations

from seisedge.edge.manifest import Budget, Components, Input, Postprocess, Threshold
from seisedge.edge.steps import Step

from .recipe import RESAMPLE, Recipe, class_output, highpass, layout, normalise_max_abs

__all__ = ["GPD", "GPD_ORIGINAL", "SEISMO_PERFORMER", "SPEC_CNN", "Recipe"]

# Orientation codes 1, 2 and 3 stand for N, E and Z where a sensor is not aligned or not called so.
_NEZ = Components(order=("N", "E", "Z"), aliases={"1": "N", "2": "E", "3": "Z"}, required=("Z",), missing="zeros")

# Seismo-Performer's front end (jamm1985/seismo-performer v1.1: utils/scan_tools.py, seismo_performer.py): 2 Hz
# high-pass with ObsPy's 4 corners, windows over their own maximum, STFT 64/16 with a periodic Hann, 10 log10 of
# the magnitude. Its divisor, upstream the largest |dB| of the whole batch, is the constant 50: the floor that
# some bin of nearly every batch reaches, and no window depends on its neighbours then. Upstream filters before it
# resamples; a stream is brought to 100 Hz first, so that one filter design serves every sensor.
_PERFORMER_STEPS = (
    RESAMPLE,
    highpass(2.0),
    Step(
        "spectrogram_db",
        "window",
        {
            "frame_samples": 64,
            "hop_samples": 16,
            "taper": "hann_periodic",
            "reference": "window_max_abs_joint",
            "floor_db": -50.0,
            "divisor": 50.0,
        },
    ),
)

_REAL_TIME = Budget(
    seconds=0.1,
    covers="one window per 10-sample shift and station, in real time without a GPU",
    source="Seismo-Performer README and paper (Sensors 2021, 21, 6290)",
    not_documented="device",
)


def _day_budget(seconds: float) -> Budget:
    return Budget(
        seconds=seconds,
        covers="inference over 24 h of three components at a shift of 40 samples (216,000 windows)",
        source="seismo_performer.ipynb",
        not_documented="GPU model (a Colab GPU)",
    )


def _performer_recipe(name: str, day_seconds: float) -> Recipe:
    return Recipe(
        name=name,
        system="Seismo-Performer",
        task="phase_classification",
        components=_NEZ,
        sampling_rate=100.0,
        window_samples=400,
        stride_samples=10,
        steps=_PERFORMER_STEPS,
        input=Input("spectrogram", (22, 33, 3), "float32", "at_least_two"),
        outputs=(class_output(("P", "S", "noise"), reference_sample=200),),
        postprocess=Postprocess(
            thresholds={"P": Threshold(0.95, 0.5), "S": Threshold(0.95, 0.5)},
            minimum_separation_s=2.0,
            pick_time="peak",
            blinding_samples=(0, 0),
        ),
        budgets=(_REAL_TIME, _day_budget(day_seconds)),
    )


SEISMO_PERFORMER = _performer_recipe("seismo-performer", 3.39)
SPEC_CNN = _performer_recipe("spec-cnn", 16.70)


# GPD sees the window itself. GPD-fixed runs inside Seismo-Performer's program: its filter, its thresholds. The
# original (interseismic/generalized-phase-detection, gpd_predict.py) has a band-pass of 3 to 20 Hz, and ObsPy's
# trigger with 0.95 on and 0.1 off.
_GPD_WINDOW = (normalise_max_abs(joint=True), layout("sample_component"))


def _gpd_recipe(name: str, band: Step, off: float) -> Recipe:
    return Recipe(
        name=name,
        system="GPD-fixed" if name == "gpd" else "GPD",
        task="phase_classification",
        components=_NEZ,
        sampling_rate=100.0,
        window_samples=400,
        stride_samples=10,
        steps=(RESAMPLE, band, *_GPD_WINDOW),
        input=Input("waveform", (400, 3), "float32", "at_least_two"),
        outputs=(class_output(("P", "S", "noise"), reference_sample=200),),
        postprocess=Postprocess(
            thresholds={"P": Threshold(0.95, off), "S": Threshold(0.95, off)},
            minimum_separation_s=2.0,
            pick_time="peak",
            blinding_samples=(0, 0),
        ),
        budgets=(_REAL_TIME, _day_budget(6.32)),
    )


GPD = _gpd_recipe("gpd", highpass(2.0), off=0.5)
GPD_ORIGINAL = _gpd_recipe(
    "gpd-original",
    Step(
        "bandpass",
        "stream",
        {"low_hz": 3.0, "high_hz": 20.0, "order": 4, "phase": "causal", "start": "first_sample"},
    ),
    off=0.1,
)
