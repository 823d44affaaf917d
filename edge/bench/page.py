"""A report as one page of HTML that needs nothing else: tables, and plots in SVG."""

from __future__ import annotations

from html import escape

from .report import Report, Section, cell, energy_line, noise_line, verdict_cells
from .svg import plot

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --paper: #ffffff; --soft: #68737f; --line: #d5dbe1; --bad: #b3261e;
  --good: #1b7f4b; --a: #2b6cb0; --b: #d97706; --c: #0f9d78; --d: #8e5bb5; --e: #c2416b; --f: #64748b; --g: #a3861a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaee; --paper: #14181d; --soft: #9aa5b1; --line: #333c46;
  --bad: #ff8a80; --good: #6fd19c; --a: #74aee8; --b: #f0b35b; --c: #5fd0ae; --d: #c39be6; --e: #f08fb0; --f: #a8b4c2;
  --g: #d9c05a; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 1100px;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .7rem; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
table.words th, table.words td { text-align: left; white-space: normal; }
th { color: var(--soft); font-weight: 600; } .note { color: var(--soft); }
.pass { color: var(--good); font-weight: 600; } .fail, .noisy { color: var(--bad); font-weight: 600; }
svg { width: 100%; height: auto; margin: .8rem 0; } svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
svg .soft { fill: var(--soft); } svg .grid { stroke: var(--line); stroke-width: 1; }
"""


def html(report: Report) -> str:
    """The report as a page."""
    noisy = ' class="noisy"' if report.noise.noisy else ' class="note"'
    head = (
        report.environment.get("CPU", ""),
        report.created,
        f"seisedge {report.version}",
        report.settings.get("confidence", ""),
    )
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<title>edge-bench {escape(report.command)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>edge-bench {escape(report.command)}</h1>",
        f"<p class='note'>{' · '.join(map(escape, head))}</p>",
        f"<p{noisy}>{escape(noise_line(report.noise))}</p><p class='note'>{escape(energy_line(report.energy))}</p>",
        *map(_section, report.sections),
        _verdicts(report),
    ]
    if report.notes:
        parts.append(f"<ul class='note'>{''.join(f'<li>{escape(note)}</li>' for note in report.notes)}</ul>")
    parts += [_pairs("Settings", report.settings), _pairs("Machine", report.environment), "</body></html>\n"]
    return "\n".join(parts)


def _section(section: Section) -> str:
    note = f"<p class='note'>{escape(section.note)}</p>" if section.note else ""
    rows = ["".join(f"<th>{escape(each)}</th>" for each in ("", *section.columns))]
    for row in section.rows:
        cells = [row.name, *(cell(row, column) for column in section.columns)]
        rows.append("".join(f"<td>{escape(each)}</td>" for each in cells))
    return f"<h2>{escape(section.title)}</h2>{note}{plot(section)}{_table(rows)}"


def _table(rows: list[str], kind: str = "") -> str:
    lines = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<div class='wide'><table{kind}>{lines}</table></div>"


def _verdicts(report: Report) -> str:
    if not report.verdicts:
        return ""
    heads = ("", "covers", "budget", "found", "ratio", "", "source", "not documented")
    rows = ["".join(f"<th>{each}</th>" for each in heads)]
    for verdict in report.verdicts:
        kind = "pass" if verdict.passed else "fail"
        cells = [f"<td>{escape(each)}</td>" for each in verdict_cells(verdict)]
        cells[5] = f"<td class='{kind}'>{kind}</td>"
        rows.append("".join(cells))
    return f"<h2>Budgets, on this device</h2>{_table(rows, ' class=words')}"


def _pairs(title: str, pairs: dict[str, str]) -> str:
    rows = [f"<td>{escape(key)}</td><td>{escape(value)}</td>" for key, value in pairs.items()]
    return f"<h2>{title}</h2>{_table(rows, ' class=words')}"
