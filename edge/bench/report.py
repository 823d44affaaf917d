"""What every sub-command gives: one report, as JSON, Markdown or a page of HTML."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from seisedge.edge import strict
from seisedge.edge.errors import DataError, ManifestError, UsageError

from .energy import Energy
from .figures import Figure
from .noise import Noise

FORMAT = 1
_MAX_BYTES = 1 << 26
Plot = Literal["none", "bars", "ranges", "stack", "line"]


@dataclass(frozen=True)
class Row:
    """One line of a table: what it is of, its figures and its words."""

    name: str
    figures: dict[str, Figure] = field(default_factory=dict[str, Figure])
    texts: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Section:
    """One table and how it is drawn.

    Attributes
    ----------
    columns
        Names of figures and words, in order.
    plot
        `bars` of one figure; `ranges` from the first to the last of several, on a logarithmic axis; a `stack` of
        several; a `line` of the second over the first.
    plotted
        Names of the figures in the plot.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    note: str = ""
    plot: Plot = "none"
    plotted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """A budget beside what was found, on this device; None where nothing could be measured, which is no pass."""

    name: str
    covers: str
    source: str
    not_documented: str
    budget_s: float
    found_s: float | None
    measured_as: str

    @property
    def ratio(self) -> float | None:
        """Found over budget: below 1 is inside."""
        return None if self.found_s is None else self.found_s / self.budget_s

    @property
    def passed(self) -> bool:
        """Whether it is inside."""
        return self.found_s is not None and self.found_s <= self.budget_s

    @property
    def found(self) -> str:
        """What was found, for people."""
        return "nothing" if self.found_s is None else shown(Figure(self.found_s, "s"))


@dataclass(frozen=True)
class Report:
    """A run of a sub-command.

    Attributes
    ----------
    created
        ISO 8601, UTC.
    """

    format: int
    command: str
    version: str
    created: str
    settings: dict[str, str]
    environment: dict[str, str]
    noise: Noise
    energy: Energy
    sections: tuple[Section, ...]
    verdicts: tuple[Verdict, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every budget was kept."""
        return all(each.passed for each in self.verdicts)

    def to_json(self) -> str:
        """Write what `read_report` reads."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def read_report(path: Path) -> Report:
    """Read a report strictly.

    Raises
    ------
    UsageError
        The file cannot be read.
    DataError
        It is no report of this format.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_MAX_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error})") from error
    try:
        report = strict.read(Report, json.loads(text), "report")
    except (ValueError, RecursionError, ManifestError) as error:
        line = " ".join(str(error).split())
        raise DataError(f"{path}: found no report of edge-bench ({line}), wanted what --json writes") from error
    if report.format != FORMAT:
        raise DataError(f"{path}: found format {report.format}, wanted {FORMAT}")
    return report


_SCALES = {"s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")), "B": ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))}


def shown(figure: Figure) -> str:
    """A figure for people: three digits and a unit that suits them."""
    value, unit = figure.value, figure.unit
    for scale, name in _SCALES.get(unit, ()):
        if abs(value) >= scale:
            value, unit = value / scale, name
            break
    digits = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{digits} {unit}".strip()


def cell(row: Row, column: str) -> str:
    """What stands in a table."""
    if column in row.figures:
        return shown(row.figures[column])
    return row.texts.get(column, "")


def markdown(report: Report) -> str:
    """The report as Markdown."""
    lines = [f"# edge-bench {report.command}", ""]
    lines += [
        f"{report.created}, seisedge {report.version}. {noise_line(report.noise)} {energy_line(report.energy)}",
        "",
    ]
    for section in report.sections:
        lines += [f"## {section.title}", ""]
        if section.note:
            lines += [section.note, ""]
        lines += markdown_table(section)
    if report.verdicts:
        lines += ["## Budgets, on this device", ""]
        lines += [
            "| | covers | budget | found | ratio | | source | not documented |",
            "|---|---|---:|---:|---:|---|---|---|",
        ]
        lines += [f"| {' | '.join(map(_escaped, verdict_cells(each)))} |" for each in report.verdicts]
        lines.append("")
    lines += [f"- {note}" for note in report.notes]
    if report.notes:
        lines.append("")
    for title, pairs in (("Settings", report.settings), ("Machine", report.environment)):
        lines += [f"## {title}", "", "| | |", "|---|---|"]
        lines += [f"| {_escaped(key)} | {_escaped(value)} |" for key, value in pairs.items()]
        lines.append("")
    return "\n".join(lines)


def markdown_table(section: Section) -> list[str]:
    """One table, and an empty line."""
    lines = [f"| | {' | '.join(section.columns)} |", f"|---|{'---:|' * len(section.columns)}"]
    for row in section.rows:
        cells = [row.name, *(cell(row, column) for column in section.columns)]
        lines.append(f"| {' | '.join(map(_escaped, cells))} |")
    return [*lines, ""]


def verdict_cells(verdict: Verdict) -> tuple[str, ...]:
    """A budget as a line of a table."""
    return (
        verdict.name,
        verdict.covers,
        shown(Figure(verdict.budget_s, "s")),
        f"{verdict.found} ({verdict.measured_as})",
        "" if verdict.ratio is None else f"{verdict.ratio:.3g}",
        "pass" if verdict.passed else "FAIL",
        verdict.source,
        verdict.not_documented,
    )


def noise_line(noise: Noise) -> str:
    """Say how far the figures can be trusted."""
    base = (
        f"calibration loop ±{noise.cv:.1%}, drift {noise.drift:+.1%}, {noise.others:.2f} cores busy with others, "
        f"{noise.stolen:.1%} stolen, load {noise.load_average:.1f}"
    )
    return f"NOISY: {'; '.join(noise.noisy)} ({base})." if noise.noisy else f"Quiet machine ({base})."


def energy_line(energy: Energy) -> str:
    """Say what was used, or why that is not known."""
    if energy.joules is None or energy.watts is None:
        return f"Energy: {energy.source}."
    return f"Energy: {energy.joules:.1f} J, {energy.watts:.1f} W ({energy.source})."


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
