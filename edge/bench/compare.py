"""`edge-bench compare`: two reports, figure by figure, with the bounds within which they may differ for no reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .figures import Figure
from .report import Report, Section, shown

_LEAST_SPREAD = 0.02
Direction = Literal["same", "less", "more"]


@dataclass(frozen=True)
class Difference:
    """A figure of both reports.

    Attributes
    ----------
    ratio
        Of the second to the first.
    noise
        Shares by which the ratio may differ from 1 for no reason: the figures' own bounds, and the calibration loops.
    """

    section: str
    row: str
    figure: str
    before: Figure
    after: Figure
    ratio: float
    noise: float

    @property
    def direction(self) -> Direction:
        """Whether the second is more or less than the first by more than noise."""
        if abs(self.ratio - 1) <= self.noise:
            return "same"
        return "more" if self.ratio > 1 else "less"


def differences(before: Report, after: Report) -> list[Difference]:
    """Compare what both reports have."""
    spread = max(_LEAST_SPREAD, (before.noise.spread**2 + after.noise.spread**2) ** 0.5)
    found: list[Difference] = []
    for section in before.sections:
        other = next((each for each in after.sections if each.title == section.title), None)
        if other is not None:
            found += _of_section(section, other, spread)
    return found


def _of_section(before: Section, after: Section, spread: float) -> list[Difference]:
    rows = {row.name: row for row in after.rows}
    return [
        Difference(
            before.title,
            row.name,
            name,
            figure,
            other,
            other.value / figure.value,
            (spread**2 + _width(figure) ** 2 + _width(other) ** 2) ** 0.5,
        )
        for row in before.rows
        if row.name in rows
        for name, figure in row.figures.items()
        if (other := rows[row.name].figures.get(name)) is not None and figure.value and figure.unit == other.unit
    ]


def _width(figure: Figure) -> float:
    """Half of the bounds over the figure."""
    if figure.low is None or figure.high is None or not figure.value:
        return 0.0
    return (figure.high - figure.low) / 2 / abs(figure.value)


def lines(found: list[Difference], *, everything: bool = False) -> list[str]:
    """Say what differs, and how much did not."""
    told = [each for each in found if everything or each.direction != "same"]
    text = [
        f"{each.row}: {each.figure}: {shown(each.before)} to {shown(each.after)}, "
        f"ratio {each.ratio:.3g} (noise ±{each.noise:.0%}), {each.direction}"
        for each in told
    ]
    same = sum(each.direction == "same" for each in found)
    return [*text, f"{len(found)} figures in both; {same} differ by no more than noise"]
