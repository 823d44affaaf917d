"""An example on its way: what was cut out of a record, and where in it the arrivals are to stand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Unknown = tuple[str | None, float, float]
"""Phase or None for all, first sample, sample behind the last: nothing may be learnt there."""


@dataclass
class Crop:
    """Samples (component, width), and all that is known of its record, in samples from the crop's first one."""

    samples: Float32
    arrivals: list[tuple[str, float]]
    unknown: list[Unknown]


@dataclass(frozen=True)
class Aim:
    """Where a crop is cut for an arrival, as shares of its width in front of it.

    Attributes
    ----------
    near
        Least and largest share.
    far, far_share
        The same for so many crops that lie anywhere about the arrival: before it, in its coda.
    again
        Of what the network took for an arrival before.
    phases
        Whose arrivals are aimed at; None for all.
    """

    near: tuple[float, float]
    again: tuple[float, float]
    far: tuple[float, float] = (0.0, 0.0)
    far_share: float = 0.0
    phases: tuple[str, ...] | None = None

    def before(self, rng: np.random.Generator) -> float:
        """Draw the share of the width that lies before the arrival."""
        if self.far_share and rng.random() < self.far_share:
            return float(rng.uniform(*self.far))
        return float(rng.uniform(*self.near))

    def of(self, arrivals: tuple[tuple[str, float], ...]) -> list[float]:
        """Samples of the arrivals that are aimed at."""
        return [place for phase, place in arrivals if self.phases is None or phase in self.phases]
