"""Counts of right, false and missing picks, and the figures that are made of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from seisedge.edge.times import NANOSECONDS

from .cases import Case
from .matching import match

Onset = tuple[int, float]
"""Time in ns, probability (or, of a trigger, its ratio)."""

PERCENTILES = (5, 25, 50, 75, 95)


@dataclass(frozen=True)
class Score:
    """Picks of one phase against its labels.

    Attributes
    ----------
    residuals_s
        Pick less label, of each hit.
    """

    hits: int
    false_picks: int
    missed: int
    residuals_s: tuple[float, ...]

    @property
    def precision(self) -> float:
        """Share of the picks that are right."""
        return self.hits / max(1, self.hits + self.false_picks)

    @property
    def recall(self) -> float:
        """Share of the labels that were picked."""
        return self.hits / max(1, self.hits + self.missed)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.hits / max(1, 2 * self.hits + self.false_picks + self.missed)

    @property
    def residual_s(self) -> float:
        """Mean absolute residual of the hits; NaN where there is none."""
        return float(np.mean(np.abs(self.residuals_s))) if self.residuals_s else float("nan")

    def percentiles_s(self) -> dict[int, float]:
        """Percentile → residual; empty where there is no hit."""
        if not self.residuals_s:
            return {}
        return dict(zip(PERCENTILES, np.percentile(self.residuals_s, PERCENTILES).tolist(), strict=True))


@dataclass(frozen=True)
class Verdict:
    """What became of one record's picks of one phase.

    Attributes
    ----------
    right, false
        Probabilities of the picks that have a label, and of those that have none and should.
    residuals_s
        Of the right ones.
    missed
        Labels without a pick.
    passed_over
        Picks within the record where it is not known what is there.
    false_ns
        Times of the false ones.
    """

    right: tuple[float, ...]
    residuals_s: tuple[float, ...]
    false: tuple[float, ...]
    missed: int
    passed_over: int
    false_ns: tuple[int, ...] = ()


def judge(case: Case, phase: str, onsets: list[Onset], tolerance_s: float) -> Verdict:
    """Hold one record's picks of a phase against its labels.

    A pick without a label is false if it stands within the record and nowhere where labels may be missing.
    """
    labels = [each.time_ns for each in case.labels if each.phase == phase]
    pairs = match([time for time, _ in onsets], labels, round(tolerance_s * NANOSECONDS))
    taken = {i for i, _ in pairs}
    rest = [onset for i, onset in enumerate(onsets) if i not in taken and case.start_ns <= onset[0] <= case.end_ns]
    false = [onset for onset in rest if case.is_known(phase, onset[0])]
    return Verdict(
        right=tuple(onsets[i][1] for i, _ in pairs),
        residuals_s=tuple((onsets[i][0] - labels[j]) / NANOSECONDS for i, j in pairs),
        false=tuple(probability for _, probability in false),
        missed=len(labels) - len(pairs),
        passed_over=len(rest) - len(false),
        false_ns=tuple(time for time, _ in false),
    )


def total(verdicts: Iterable[Verdict]) -> Score:
    """Add the records up."""
    every = list(verdicts)
    return Score(
        hits=sum(len(each.right) for each in every),
        false_picks=sum(len(each.false) for each in every),
        missed=sum(each.missed for each in every),
        residuals_s=tuple(value for each in every for value in each.residuals_s),
    )


def f1_interval(verdicts: list[tuple[str, Verdict]], *, draws: int = 1000, seed: int = 0) -> tuple[float, float]:
    """Give the 5th and the 95th percentile of F1 when whole groups of records are drawn anew, with replacement.

    Parameters
    ----------
    verdicts
        (group, verdict): records of one group (a station, an event) are drawn together, for they are alike.
        (0, 0) without records.
    """
    groups = sorted({group for group, _ in verdicts})
    counts = np.zeros((len(groups), 2))
    for group, each in verdicts:
        hits = len(each.right)
        counts[groups.index(group)] += (2 * hits, 2 * hits + len(each.false) + each.missed)
    if not groups:
        return 0.0, 0.0
    drawn = np.random.default_rng(seed).integers(len(groups), size=(draws, len(groups)))
    sums = counts[drawn].sum(axis=1)
    low, high = np.percentile(sums[:, 0] / np.maximum(sums[:, 1], 1), (5, 95))
    return float(low), float(high)
