"""Whether a probability is one: of the picks that say 0.7, seven in ten should be right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .scores import Verdict

BINS = 10


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram.

    Attributes
    ----------
    counts, probability, right
        Of each bin of probability: picks, their mean probability, the share that is right (0 where there is none).
    error
        Expected calibration error: the mean of |probability - right| over the picks. Guo et al., 2017, "On calibration
        of modern neural networks", ICML, equation 3. None without picks.
    """

    counts: tuple[int, ...]
    probability: tuple[float, ...]
    right: tuple[float, ...]
    error: float | None


def reliability(verdicts: list[Verdict], *, bins: int = BINS) -> Reliability:
    """Sort judged picks into bins of equal width from 0 to 1 by their probability."""
    right = np.array([value for each in verdicts for value in each.right])
    false = np.array([value for each in verdicts for value in each.false])
    probability = np.concatenate((right, false))
    is_right = np.concatenate((np.ones(right.size), np.zeros(false.size)))
    place = np.minimum((probability * bins).astype(np.intp), bins - 1)
    counts = np.bincount(place, minlength=bins)
    some = np.maximum(counts, 1)
    mean = np.bincount(place, weights=probability, minlength=bins) / some
    share = np.bincount(place, weights=is_right, minlength=bins) / some
    error = float((counts * np.abs(mean - share)).sum() / counts.sum()) if counts.sum() else None
    return Reliability(tuple(counts.tolist()), tuple(mean.tolist()), tuple(share.tolist()), error)
