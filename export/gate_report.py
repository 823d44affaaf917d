"""What the gate found, candidate by candidate: for a screen, a program and a page."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Literal

Verdict = Literal["chosen", "passed", "beaten", "failed", "reference"]

_HEAD = ("candidate", "max error", "rms", "ms at 1", "ratio", "ms at 64", "ratio", "bytes", "ratio", "verdict")


@dataclass(frozen=True)
class Row:
    """One candidate's figures; what was not measured is None or missing.

    Attributes
    ----------
    errors
        Set of windows → largest and root-mean-square difference of the outputs from fp32's; of outputs that are no
        probabilities in units of fp32's root mean square.
    batch_difference
        Largest difference that the size of the batch makes to a window's outputs.
    task
        Figures of the task, larger is better.
    latency_ms
        Windows in a batch → median time of a run.
    latency_ratio
        The same over fp32's time, both measured in turns.
    size
        Bytes of the file.
    """

    name: str
    precision: str
    verdict: Verdict
    reason: str
    errors: dict[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    batch_difference: float | None = None
    task: dict[str, float] = field(default_factory=dict[str, float])
    latency_ms: dict[int, float] = field(default_factory=dict[int, float])
    latency_ratio: dict[int, float] = field(default_factory=dict[int, float])
    size: int = 0

    @property
    def max_error(self) -> float:
        """The largest on any set."""
        return max((each[0] for each in self.errors.values()), default=0.0)

    @property
    def rms_error(self) -> float:
        """On the first set: the windows that the model is for."""
        return next((each[1] for each in self.errors.values()), 0.0)


@dataclass(frozen=True)
class Report:
    """One run of the gate; the first row is fp32. Nothing is timed for machines of another class than this one."""

    model: str
    wanted: str
    target: str
    machine: str
    is_timed: bool
    windows: dict[str, int]
    rows: tuple[Row, ...]

    @property
    def chosen(self) -> Row | None:
        """The row that became the artefact."""
        return next((row for row in self.rows if row.verdict == "chosen"), None)

    def lines(self) -> list[str]:
        """A table for a screen: who got further than a comparison of outputs."""
        rows = [row for row in self.rows if row.verdict != "beaten" or row.batch_difference is not None]
        cells = [_HEAD, *(_cells(row, self.rows[0].size) for row in rows)]
        widths = [max(len(line[column]) for line in cells) for column in range(len(_HEAD))]
        table = ["  ".join(_padded(line, widths)).rstrip() for line in cells]
        others = [f"{len(self.rows) - len(rows)} more were beaten by these."] if len(rows) < len(self.rows) else []
        return [*self._title(), *table, *others, *self._tasks()]

    def markdown(self) -> str:
        """A section of a page."""
        cells = [_cells(row, self.rows[0].size) for row in self.rows]
        rows = [_HEAD, ("---", *("---:",) * (len(_HEAD) - 2), "---"), *cells]
        table = "\n".join(f"| {' | '.join(each)} |" for each in rows)
        return f"### {self.model}\n\n{' '.join(self._title())}\n\n{table}\n\n" + "".join(
            f"- {line}\n" for line in self._tasks()
        )

    def to_json(self) -> dict[str, object]:
        """Plain values; keys of batches are text, as JSON has it."""
        value = dataclasses.asdict(self)
        for row in value["rows"]:
            for key in ("latency_ms", "latency_ratio"):
                row[key] = {str(batch): figure for batch, figure in row[key].items()}
            row["errors"] = {name: {"max": each[0], "rms": each[1]} for name, each in row["errors"].items()}
        return value

    def _title(self) -> list[str]:
        sets = ", ".join(f"{count} {name}" for name, count in self.windows.items())
        time = "" if self.is_timed else "; not of the target's class, so nothing is timed"
        return [
            f"{self.model}: {self.wanted} for {self.target}, compared on {sets}.",
            f"Machine: {self.machine}{time}.",
        ]

    def _tasks(self) -> list[str]:
        return [
            f"{row.name}: " + ", ".join(f"{name} {figure:.4f}" for name, figure in row.task.items())
            for row in self.rows
            if row.task
        ]


def _cells(row: Row, fp32_size: int) -> tuple[str, ...]:
    times = [
        text
        for batch in (1, 64)
        for text in (_figure(row.latency_ms.get(batch), ".3f"), _figure(row.latency_ratio.get(batch), ".2f"))
    ]
    errors = (f"{row.max_error:.2g}", f"{row.rms_error:.2g}") if row.errors else ("", "")
    ratio = f"{row.size / fp32_size:.2f}" if fp32_size else ""
    verdict = f"{row.verdict}: {row.reason}" if row.reason else row.verdict
    return (row.name, *errors, *times, f"{row.size:,}", ratio, verdict)


def _figure(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _padded(line: tuple[str, ...], widths: list[int]) -> list[str]:
    last = len(line) - 1
    return [
        text.ljust(width) if column in {0, last} else text.rjust(width)
        for column, (text, width) in enumerate(zip(line, widths, strict=True))
    ]
