"""The figures of an evaluation as tables: Markdown, and plain for the screen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .evaluation import Results
from .results import AlarmResult, ContinuousResult, Figures, LabelledResult
from .witnesses import AT_RECALL, BorneOut

_LEAST_LABELS = 5  # of a source or a kind of sensor that gets a column


@dataclass(frozen=True)
class Table:
    """A title, what the columns are, and rows of text; `note` says how to read it."""

    title: str
    note: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]

    def markdown(self) -> list[str]:
        """Lines of Markdown."""
        rule = "|---|" + "---:|" * (len(self.head) - 1)
        lines = [f"## {self.title}", "", self.note, "", _row(self.head), rule]
        return [*lines, *(_row(row) for row in self.rows), ""]

    def plain(self) -> list[str]:
        """Lines for a terminal."""
        widths = [max(len(row[column]) for row in (self.head, *self.rows)) for column in range(len(self.head))]
        lines = [self.title]
        for row in (self.head, *self.rows):
            first, *rest = (
                text.ljust(w) if not at else text.rjust(w) for at, (text, w) in enumerate(zip(row, widths, strict=True))
            )
            lines.append("  ".join((f"  {first}", *rest)).rstrip())
        return [*lines, ""]


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def tables(results: Results) -> list[Table]:
    """Give all tables, in the order in which they are read."""
    found: list[Table] = []
    for name, phase in _keys(results.labelled):
        rows = [each for each in results.labelled if (each.set, each.phase) == (name, phase)]
        found.append(_labelled(rows, results))
        found += _parts(rows)
    for name, phase in _keys(results.continuous):
        rows_ = [each for each in results.continuous if (each.set, each.phase) == (name, phase)]
        found.append(_continuous(rows_, results))
        if shared := [each for each in results.borne_out if (each.set, each.phase) == (name, phase)]:
            found.append(_borne_out(shared))
    for name in dict.fromkeys(each.set for each in results.mems):
        found.append(_mems([each for each in results.mems if each.set == name]))
    for name in dict.fromkeys(each.set for each in results.events):
        found.append(_events([each for each in results.events if each.set == name], results))
    return found


def markdown(results: Results, pictures: Iterable[str]) -> str:
    """Give the report as Markdown; `pictures` are names of files beside it."""
    lines = ["# Evaluation", "", f"`{results.command}`", ""]
    chosen = _chosen(results, "the pickers'")
    lines += [f"Labels: {results.labels}. Thresholds: {chosen}. Reference: {results.reference}.", ""]
    lines += [_row(("set", "records", "station-days", "P", "S", "sha256")), "|---|---:|---:|---:|---:|---|"]
    for each in results.sets:
        cells = (
            each.name,
            f"{each.records:,}",
            f"{each.station_days:.3f}",
            str(each.labels["P"]),
            str(each.labels["S"]),
        )
        lines.append(_row((*cells, each.digest[:16])))
    lines.append("")
    for table in tables(results):
        lines += table.markdown()
    for picture in pictures:
        lines += [f"![{picture}]({picture})", ""]
    return "\n".join(lines)


def _keys(rows: Iterable[LabelledResult] | Iterable[ContinuousResult]) -> Iterator[tuple[str, str]]:
    yield from dict.fromkeys((each.set, each.phase) for each in rows)


def _chosen(results: Results, whose: str) -> str:
    return f"chosen on {results.chosen_on}" if results.chosen_on else f"{whose} own"


def _labelled(rows: list[LabelledResult], results: Results) -> Table:
    first = rows[0]
    where = _chosen(results, "the picker's")
    return Table(
        f"{first.phase} on {first.set}, labels: {results.labels}",
        f"{next(iter(first.at.values())).labels} labels. Threshold: {where}. F1 with its 5th and 95th percentile when "
        "groups are drawn anew. Residuals (pick less label) of hits within 0.5 s. ECE: expected calibration error.",
        (
            "picker",
            "threshold",
            "precision",
            "recall",
            "F1 0.5 s",
            "5-95 %",
            "F1 0.1 s",
            "mean |res| s",
            "median s",
            "p5 s",
            "p95 s",
            "ECE",
            "false/noise day",
        ),
        [_labelled_row(each) for each in rows],
    )


def _labelled_row(row: LabelledResult) -> tuple[str, ...]:
    loose, strict = row.at["0.5"], row.at["0.1"]
    residuals = loose.residual_percentiles_s
    return (
        row.picker,
        f"{row.threshold:g}",
        f"{loose.precision:.3f}",
        f"{loose.recall:.3f}",
        f"{loose.f1:.3f}",
        f"{row.f1_interval[0]:.2f}-{row.f1_interval[1]:.2f}",
        f"{strict.f1:.3f}",
        _number(loose.mean_absolute_residual_s),
        *(_number(residuals.get(each)) for each in ("50", "5", "95")),
        _number(row.reliability.error if row.reliability else None),
        "-" if row.false_per_noise_day is None else f"{row.false_per_noise_day:.0f}",
    )


def _parts(rows: list[LabelledResult]) -> Iterator[Table]:
    first = rows[0]
    for title, parts in (
        ("source", [each.by_source for each in rows]),
        ("sensor", [each.by_sensor for each in rows]),
    ):
        names = [name for name in parts[0] if parts[0][name].labels >= _LEAST_LABELS]
        if len(names) > 1 or (names and title == "source"):
            yield Table(
                f"{first.phase} on {first.set} by {title}",
                f"F1 within 0.5 s; below each {title} with at least {_LEAST_LABELS} labels, how many.",
                ("picker", *(f"{name} ({parts[0][name].labels})" for name in names)),
                [(row.picker, *(_f1(part.get(name)) for name in names)) for row, part in zip(rows, parts, strict=True)],
            )


def _f1(figures: Figures | None) -> str:
    return "-" if figures is None or not figures.labels else f"{figures.f1:.3f}"


def _continuous(rows: list[ContinuousResult], results: Results) -> Table:
    first = rows[0]
    recalls = list(first.unmatched_at_recall)
    return Table(
        f"{first.phase} on continuous {first.set}",
        f"{first.labels} picks on which at least three published pickers agree, {first.days:.2f} station-days; they "
        "are no truth: a pick without one may be an earthquake. Per station-day: all picks, those without a consensus "
        "pick within 0.5 s, and those again at the threshold that gives a recall (one is that of "
        f"{results.reference}).",
        ("picker", "threshold", "recall", "picks/day", "unmatched/day", *(f"at {each}" for each in recalls)),
        [
            (
                each.picker,
                f"{each.threshold:g}",
                f"{each.recall:.3f}",
                f"{each.picks_per_day:.0f}",
                f"{each.unmatched_per_day:.0f}",
                *(_rate(each.unmatched_at_recall[recall]) for recall in recalls),
            )
            for each in rows
        ],
    )


def _borne_out(rows: list[BorneOut]) -> Table:
    named = {name for row in rows for name in row.by}
    names = [row.picker for row in rows if row.picker in named]
    names += [name for name in rows[0].by if name not in names and name != rows[0].picker]
    return Table(
        f"{rows[0].phase} on continuous {rows[0].set}: who else has the unmatched picks",
        f"Unmatched picks per station-day at a recall of {AT_RECALL:g}, and how many of them each other picker has "
        "within 0.5 s at its own threshold. Networks of one family err alike: the last column asks those of others.",
        ("picker", "threshold", "unmatched/day", *(f"in {name}" for name in names), "in no other family"),
        [
            (
                row.picker,
                f"{row.threshold:g}",
                f"{row.unmatched_per_day:.0f}",
                *(_rate(row.by.get(name)) for name in names),
                f"{row.by_none:.0f}",
            )
            for row in rows
        ],
    )


def _mems(rows: list[AlarmResult]) -> Table:
    first = rows[0]
    return _alarms(
        f"Events on {first.set}",
        f"{first.events} events (a consensus P on one record), {first.days:.2f} station-days. Recall and false alarms "
        "per station-day at the threshold of P, and the largest recall with at most so many false alarms per day.",
        rows,
    )


def _events(rows: list[AlarmResult], results: Results) -> Table:
    first = rows[0]
    where = _chosen(results, "the detector's")
    return _alarms(
        f"Events in windows of {first.set}",
        f"{first.events} P labels, {first.days:.2f} station-days. Threshold: {where}. Recall: P within a detection. "
        "False: detections a station-day, and further minutes, without an arrival in them or in the minute before. "
        "Last: the largest recall with at most so many.",
        rows,
    )


def _alarms(title: str, note: str, rows: list[AlarmResult]) -> Table:
    rates = list(rows[0].recall_at)
    return Table(
        title,
        note,
        ("picker", "threshold", "recall", "false/day", *(f"at {rate}/day" for rate in rates)),
        [
            (
                each.picker,
                f"{each.threshold:g}",
                f"{each.recall:.3f}",
                f"{each.per_day:.1f}",
                *(f"{each.recall_at[rate]:.3f}" for rate in rates),
            )
            for each in rows
        ],
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
