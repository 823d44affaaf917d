"""Plots of a report's sections, drawn as SVG text: bars, ranges on a logarithmic axis, stacks, a line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from .figures import Figure
from .report import Row, Section, shown

_WIDTH, _LEFT, _RIGHT = 1000, 270, 90
_ROW = 26
_COLOURS = tuple("abcdefg")


def plot(section: Section) -> str:
    """Draw a section; empty where it has no plot or no figures for one."""
    if section.plot == "none":
        return ""
    rows = [row for row in section.rows if all(name in row.figures for name in section.plotted)]
    if not rows:
        return ""
    if section.plot == "line":
        return _line(section, rows)
    draw = {"ranges": _ranges, "bars": _stack, "stack": _stack}[section.plot]
    return draw(section, rows)


def _ranges(section: Section, rows: Sequence[Row]) -> str:
    """A line from the first to the last figure of each row, a dot for each, time on a logarithmic axis."""
    values = [row.figures[name].value for row in rows for name in section.plotted]
    low, high = _decades(values)

    def x(value: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (math.log10(max(value, low)) - math.log10(low)) / math.log10(
            high / low
        )

    unit = rows[0].figures[section.plotted[0]].unit
    ticks = [10.0**power for power in range(round(math.log10(low)), round(math.log10(high)) + 1)]
    height = len(rows) * _ROW + 40
    parts = [_tick(x(tick), height, shown(Figure(tick, unit))) for tick in ticks]
    for place, row in enumerate(rows):
        y = 14 + place * _ROW
        points = [row.figures[name].value for name in section.plotted]
        parts.append(_label(row.name, y))
        parts.append(
            f"<line x1='{x(points[0]):.1f}' x2='{x(points[-1]):.1f}' y1='{y}' y2='{y}' stroke='var(--a)' "
            "stroke-width='3'/>"
        )
        for number, (name, value) in enumerate(zip(section.plotted, points, strict=True)):
            title = escape(f"{row.name}: {name} {shown(row.figures[name])}")
            parts.append(
                f"<circle cx='{x(value):.1f}' cy='{y}' r='{6 - number}' fill='var(--{_COLOURS[number]})'>"
                f"<title>{title}</title></circle>"
            )
        last = escape(shown(row.figures[section.plotted[-1]]))
        parts.append(f"<text class='soft' x='{x(points[-1]) + 10:.1f}' y='{y + 4}'>{last}</text>")
    return _svg(height, parts) + _legend(section.plotted)


def _stack(section: Section, rows: Sequence[Row]) -> str:
    """The figures of each row one behind the other; each row over its own sum where they span decades."""
    sums = [sum(row.figures[name].value for name in section.plotted) for row in rows]
    relative = len(section.plotted) > 1 and max(sums) > 20 * min(sums)
    span = _WIDTH - _LEFT - _RIGHT
    height = len(rows) * _ROW + 16
    parts: list[str] = []
    for place, (row, total) in enumerate(zip(rows, sums, strict=True)):
        y, at = 14 + place * _ROW, float(_LEFT)
        parts.append(_label(row.name, y))
        scale = span / max(total if relative else max(sums), 1e-300)
        for number, name in enumerate(section.plotted):
            width = max(row.figures[name].value * scale, 0.0)
            title = escape(f"{row.name}: {name} {shown(row.figures[name])}")
            parts.append(
                f"<rect x='{at:.1f}' y='{y - 8}' width='{width:.1f}' height='16' fill='var(--{_COLOURS[number % 7]})'>"
                f"<title>{title}</title></rect>"
            )
            at += width
        unit = row.figures[section.plotted[0]].unit
        parts.append(f"<text class='soft' x='{at + 6:.1f}' y='{y + 4}'>{escape(shown(Figure(total, unit)))}</text>")
    text = "Each bar over its own sum, which stands behind it." if relative else ""
    return _svg(height, parts) + (_legend(section.plotted) if len(section.plotted) > 1 else "") + _soft(text)


def _line(section: Section, rows: Sequence[Row]) -> str:
    """The second figure over the first."""
    across, up = section.plotted[:2]
    points = sorted((row.figures[across].value, row.figures[up].value) for row in rows)
    (left, right), (_, top) = (points[0][0], points[-1][0]), (0.0, max(value for _, value in points))
    height, unit = 280, rows[0].figures[up].unit

    def place(point: tuple[float, float]) -> tuple[float, float]:
        x = 90 + (_WIDTH - 180) * (point[0] - left) / max(right - left, 1e-300)
        return x, height - 40 - (height - 60) * point[1] / max(top, 1e-300)

    places = [place(point) for point in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts = [
        *(_mark(place((value, 0.0))[0], height, f"{value:,.0f}") for value in _thinned([point[0] for point in points])),
        f"<line class='grid' x1='90' x2='{_WIDTH - 90}' y1='{height - 40}' y2='{height - 40}'/>",
        f"<polyline points='{path}' fill='none' stroke='var(--a)' stroke-width='2'/>",
        f"<text class='soft' x='{_WIDTH - 80}' y='{height - 36}'>{escape(across)}</text>",
        f"<text class='soft' x='4' y='16'>{escape(up)}</text>",
        f"<text class='soft' x='4' y='32'>{escape(shown(Figure(top, unit)))}</text>",
    ]
    for (x, y), point in zip(places, points, strict=True):
        title = escape(f"{across} {point[0]:,.0f}: {up} {shown(Figure(point[1], unit))}")
        parts.append(f"<circle cx='{x:.1f}' cy='{y:.1f}' r='4' fill='var(--b)'><title>{title}</title></circle>")
    return _svg(height, parts)


def _thinned(values: Sequence[float]) -> list[float]:
    """Leave out of ascending values those whose names would touch."""
    kept: list[float] = []
    for value in values:
        if not kept or value - kept[-1] > 0.07 * (values[-1] - values[0]):
            kept.append(value)
    return kept


def _mark(x: float, height: int, text: str) -> str:
    return f"<text class='soft' x='{x:.1f}' y='{height - 20}' text-anchor='middle'>{escape(text)}</text>"


def _decades(values: Sequence[float]) -> tuple[float, float]:
    """Whole powers of ten around all values above zero."""
    positive = [value for value in values if value > 0] or [1.0]
    low, high = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
    return 10.0**low, 10.0 ** max(high, low + 1)


def _tick(x: float, height: int, text: str) -> str:
    return (
        f"<line class='grid' x1='{x:.1f}' x2='{x:.1f}' y1='2' y2='{height - 24}'/>"
        f"<text class='soft' x='{x:.1f}' y='{height - 8}' text-anchor='middle'>{escape(text)}</text>"
    )


def _label(text: str, y: int) -> str:
    kept = text if len(text) <= 38 else text[:37] + "…"
    return f"<text x='{_LEFT - 10}' y='{y + 4}' text-anchor='end'>{escape(kept)}</text>"


def _legend(names: Sequence[str]) -> str:
    items = [
        f"<span style='color:var(--{_COLOURS[number % 7]})'>●</span> {escape(name)}"
        for number, name in enumerate(names)
    ]
    return f"<p class='note'>{' &nbsp; '.join(items)}</p>"


def _soft(text: str) -> str:
    return f"<p class='note'>{escape(text)}</p>" if text else ""


def _svg(height: int, parts: Sequence[str]) -> str:
    return f"<svg viewBox='0 0 {_WIDTH} {height}' role='img'>{''.join(parts)}</svg>"
