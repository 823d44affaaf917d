"""What a picker is worth, in figures of which larger is better: the gate compares an artefact's with fp32's."""

from __future__ import annotations

from collections.abc import Callable

from seisedge.edge.session import Session

from .dataset import LabelledWindow
from .evaluate import curves, score

_WORST_RESIDUAL_S = 0.5  # of what counts as a hit


def pick_metric(windows: tuple[LabelledWindow, ...]) -> Callable[[Session], dict[str, float]]:
    """Give the F1 of every picked label, and how well the hits are timed, at the manifest's thresholds.

    The timing is one less the mean absolute residual over the largest that counts as a hit, so that 99 % of it
    is a change of five milliseconds and not of one part in a hundred of a residual that may be nearly nothing.
    """

    def measure(session: Session) -> dict[str, float]:
        manifest = session.manifest
        found = curves(session, windows)
        figures: dict[str, float] = {}
        for label in manifest.picked_labels:
            result = score(manifest, found, label, manifest.postprocess.thresholds[label])
            figures[f"{label}_f1"] = result.f1
            figures[f"{label}_timing"] = 1 - result.residual_s / _WORST_RESIDUAL_S if result.hits else 0.0
        return figures

    return measure
