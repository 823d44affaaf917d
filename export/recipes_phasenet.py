"""Recipes of PhaseNet (cangyeone): four networks for three components, four for the vertical one alone.

Known from whigg-logs/PhaseNet (utils.py, train.py, infer.py): 30,000 samples at 100 Hz, every tenth of them; order
E, N, Z; each component over its own standard deviation + 1e-6, the mean kept, no filter; threshold 0.8. Its labels
reach 200 raw samples to either side of the onset, so an offset of 1 is 200 / 10 = 20 samples; its program's 100
halves the correction. It takes every tenth sample as it is; here an anti-alias filter stands before that.
"""

from __future__ import annotations

from seisedge.edge.manifest import Budget, Components, Input, Output, Postprocess, Threshold
from seisedge.edge.steps import Step

from .recipe import RESAMPLE, Recipe

RATE = 10.0
WINDOW = 3000
# Ours: a window every 50 s, of which the samples 230 to 280 s are used: much past, 20 s of future. So a sample is
# final 20 to 70 s after it came, instead of up to 300 s with the window's middle. Upstream runs a record as one piece.
STRIDE = 500
BLINDING = (2300, 200)
OFFSET_SCALE = 200 / 10
ON = 0.8

_ENZ = Components(order=("E", "N", "Z"), aliases={"1": "N", "2": "E", "3": "Z"}, required=("Z",), missing="zeros")
_Z = Components(order=("Z",), aliases={"3": "Z"}, required=("Z",), missing="refuse")
_STEPS = (RESAMPLE, Step("normalise_std", "window", {"joint": False, "ddof": 0, "eps": 1e-6}))
_OUTPUTS = (
    Output("probability", "sample_probability", ("P", "S"), None, None),
    Output("offset", "time_offset", ("P", "S"), None, OFFSET_SCALE),
)
_OUTPUTS_Z = (Output("probability", "sample_probability", ("noise", "P", "S"), None, None),)


def _budget(name: str, seconds: float) -> Budget:
    unclear = "unit (taken as seconds), device, batch, length of the record"
    if name.startswith("unet"):
        unclear += "; the row repeats WaveNet's number of parameters"
    return Budget(
        seconds=seconds,
        covers="one inference",
        source="README of PhaseNet (cangyeone), column 'Infer time'",
        not_documented=unclear,
    )


def _recipe(name: str, seconds: float) -> Recipe:
    """Give the recipe of a network for three components, or of its form for one, whose name ends in `-z`."""
    vertical = name.endswith("-z")
    return Recipe(
        name=name,
        system="PhaseNet (cangyeone), one component" if vertical else "PhaseNet (cangyeone)",
        task="phase_picking",
        components=_Z if vertical else _ENZ,
        sampling_rate=RATE,
        window_samples=WINDOW,
        stride_samples=STRIDE,
        steps=_STEPS,
        input=Input("waveform", (1 if vertical else 3, WINDOW), "float32", "any"),
        outputs=_OUTPUTS_Z if vertical else _OUTPUTS,
        postprocess=Postprocess(
            thresholds={"P": Threshold(ON, ON), "S": Threshold(ON, ON)},
            minimum_separation_s=2.0,
            pick_time="peak" if vertical else "offset",
            blinding_samples=BLINDING,
        ),
        budgets=(_budget(name, seconds),),
    )


SECONDS = {"inception": 0.025, "brnn": 1.0, "wavenet": 0.17, "unet": 0.10}
"""Network → documented seconds; its form for one component has the same row."""

PHASENET = {name: _recipe(name, SECONDS[name.removesuffix("-z")]) for each in SECONDS for name in (each, f"{each}-z")}
"""Name → recipe, of all eight."""
