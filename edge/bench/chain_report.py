"""The tables and verdicts of `edge-bench chain`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seisedge.edge.times import NANOSECONDS

from .budgets import ChainBudget
from .figures import distribution
from .report import Report, Row, Section, Verdict
from .run import Watch

STAGES = (
    "capture to arrival",
    "window ready",
    "queue",
    "preprocessing",
    "inference",
    "postprocessing",
    "publication",
)


@dataclass(frozen=True)
class Measured:
    """What a replay through one source gave: nanoseconds, as in `Replay`.

    Attributes
    ----------
    wire
        Of each packet: how late it was sent, and from there to the decoded packet. None in-process.
    problem
        What the source could not read.
    """

    source: str
    spans: list[tuple[int, ...]]
    published: list[int]
    skipped: int
    wire: tuple[list[int], list[int]] | None = None
    problem: str = ""


def chain_report(
    measured: list[Measured],
    budgets: dict[str, ChainBudget],
    watch: Watch,
    words: dict[str, str],
    extent: str,
) -> Report:
    """Put the replays' figures together; `extent` says how long they were."""
    sections = [section for each in measured for section in _sections(each)]
    verdicts = [verdict for each in measured for verdict in _verdicts(each, budgets)]
    notes = [f"{each.source}: damaged: {each.problem}" for each in measured if each.problem]
    notes += [
        f"{each.source}: found no window without a gap, wanted one: try a longer --length or a longer --reorder-wait"
        for each in measured
        if not each.spans
    ]
    return watch.report("chain", sections, verdicts, words=words, notes=notes, extent=extent)


def _sections(measured: Measured) -> list[Section]:
    columns = ("p50", "p90", "p99", "p99.9", "mean")
    spans = np.array(measured.spans, np.float64).reshape(-1, len(STAGES)) / NANOSECONDS
    rows: list[Row] = []
    if len(spans):
        rows = [Row(stage, distribution(spans[:, number], "s")) for number, stage in enumerate(STAGES)]
        rows.append(Row("the whole", distribution(spans.sum(axis=1), "s")))
    note = (
        f"{len(spans):,} windows, {measured.skipped:,} more skipped at gaps; a packet leaves when its last sample was "
        "taken, so the capture of a window's last sample to its arrival holds the filling of the packet."
    )
    sections = [
        Section(f"{measured.source}: from capture to publication", columns, tuple(rows), note, "ranges", columns[:4])
    ]
    if measured.wire is not None:
        late, under_way = (np.array(each, np.float64) / NANOSECONDS for each in measured.wire)
        rows = [Row("sent to decoded", distribution(under_way, "s"))] if under_way.size else []
        rows.append(Row("sent behind the schedule", distribution(late, "s")))
        note = f"{under_way.size:,} of {late.size:,} packets, by the sender's clock. Both are in capture to arrival."
        sections.append(Section(f"{measured.source}: the wire", columns, tuple(rows), note))
    if measured.published:
        picked = Row("onset to publication", distribution(np.array(measured.published, np.float64) / NANOSECONDS, "s"))
        note = "What the model must see behind an onset is in it."
        sections.append(Section(f"{measured.source}: picks", columns, (picked,), note))
    return sections


def _verdicts(measured: Measured, budgets: dict[str, ChainBudget]) -> list[Verdict]:
    spans = np.array(measured.spans, np.float64).reshape(-1, len(STAGES)).sum(axis=1) / NANOSECONDS
    picks = np.array(measured.published, np.float64) / NANOSECONDS
    verdicts: list[Verdict] = []
    for name, budget in budgets.items():
        values = spans if budget.span == "window" else picks
        if values.size or budget.span == "window":  # a record without picks is no failure, a replay without windows is
            found = float(np.percentile(values, budget.percentile)) if values.size else None
            covers = "last sample captured to published" if budget.span == "window" else "onset to published"
            verdicts.append(
                Verdict(
                    f"{name}, {measured.source}",
                    covers,
                    budget.source,
                    budget.not_documented,
                    budget.seconds,
                    found,
                    f"p{budget.percentile:g} of {values.size:,}",
                )
            )
    return verdicts
