"""Pictures of an evaluation. They need matplotlib, which `seisedge[archive]` brings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seisedge.edge.plot import require_matplotlib

from .evaluation import Results
from .results import LabelledResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_S = 0.5
_SIZE = 4.0  # inches, of one panel


def draw(results: Results, folder: Path) -> list[Path]:
    """Draw what there is; the files.

    Raises
    ------
    UsageError
        matplotlib is not installed.
    """
    require_matplotlib()
    figures: dict[str, Figure] = {}
    for name in dict.fromkeys(each.set for each in results.labelled):
        figures[name] = _labelled([each for each in results.labelled if each.set == name], name)
    figures |= {name: _continuous(results, name) for name in dict.fromkeys(each.set for each in results.continuous)}
    figures |= {name: _mems(results, name) for name in dict.fromkeys(each.set for each in results.mems)}
    return [_save(figure, folder / f"{_file(name)}.png") for name, figure in figures.items()]


def _file(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in name)


def _save(figure: Figure, path: Path) -> Path:
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path


def _panels(rows: int, columns: int) -> tuple[Figure, Any]:
    from matplotlib import pyplot as plt  # noqa: PLC0415

    return plt.subplots(
        rows, columns, figsize=(columns * _SIZE * 1.2, rows * _SIZE), squeeze=False, layout="constrained"
    )


def _labelled(rows: list[LabelledResult], name: str) -> Figure:
    phases = list(dict.fromkeys(each.phase for each in rows))
    figure, axes = _panels(len(phases), 3)
    colours = {picker: f"C{at}" for at, picker in enumerate(dict.fromkeys(each.picker for each in rows))}
    for line, phase in zip(axes, phases, strict=True):
        mine = [each for each in rows if each.phase == phase]
        panels: tuple[Callable[[Axes, LabelledResult, str], None], ...] = (_curve, _residuals, _diagram)
        for axis, panel in zip(line, panels, strict=True):
            for each in mine:
                panel(axis, each, colours[each.picker])
        line[0].set(xlabel="recall", ylabel=f"{phase}: precision", xlim=(0.4, 1.01), ylim=(0.4, 1.01))
        line[0].legend(fontsize=8, loc="lower left")
        line[1].set(xlabel="pick less label, s", ylabel="share of hits up to there", xlim=(-_MOST_S, _MOST_S))
        line[1].axvline(0, color="0.7", zorder=0, linewidth=0.8)
        line[2].plot([0, 1], [0, 1], color="0.7", zorder=0, linewidth=0.8)
        line[2].set(xlabel="probability of the pick", ylabel="share that is right", xlim=(0, 1), ylim=(-0.02, 1.02))
        if any(each.reliability and each.reliability.error is not None for each in mine):
            line[2].legend(fontsize=8, loc="lower right")
    figure.suptitle(f"{name}: picks within 0.5 s of a label; dots at the chosen threshold")
    return figure


def _curve(axis: Axes, row: LabelledResult, colour: str) -> None:
    some = [each for each in row.curve if each[3] > 0]  # without a hit there is no precision to speak of
    axis.plot([each[2] for each in some], [each[1] for each in some], color=colour, linewidth=1.2, label=row.picker)
    at = row.at["0.5"]
    axis.plot(at.recall, at.precision, "o", color=colour)


def _residuals(axis: Axes, row: LabelledResult, colour: str) -> None:
    found = np.sort(np.array(row.residuals_s))
    if found.size:
        axis.step(found, np.arange(1, found.size + 1) / found.size, where="post", color=colour, linewidth=1.2)


def _diagram(axis: Axes, row: LabelledResult, colour: str) -> None:
    if row.reliability is None or row.reliability.error is None:
        return
    counts = np.array(row.reliability.counts)
    some = counts > 0
    mean, right = np.array(row.reliability.probability)[some], np.array(row.reliability.right)[some]
    label = f"{row.picker}, ECE {row.reliability.error:.2f}"
    axis.plot(mean, right, "-", color=colour, linewidth=1.0, label=label)
    axis.scatter(mean, right, s=6 + 60 * counts[some] / counts.max(), color=colour)


def _continuous(results: Results, name: str) -> Figure:
    rows = [each for each in results.continuous if each.set == name]
    phases = list(dict.fromkeys(each.phase for each in rows))
    figure, axes = _panels(1, len(phases))
    for axis, phase in zip(axes[0], phases, strict=True):
        mine = [each for each in rows if each.phase == phase]
        for each in mine:
            (line,) = axis.plot(
                [point[1] for point in each.curve], [point[3] for point in each.curve], label=each.picker, linewidth=1.2
            )
            axis.plot(each.recall, each.unmatched_per_day, "o", color=line.get_color())
        axis.set(xlabel=f"recall of the {mine[0].labels} consensus {phase}", ylabel="unmatched picks per station-day")
        axis.set_yscale("symlog", linthresh=1)
        axis.set(xlim=(0, 1.01), ylim=(0, None))
        axis.legend(fontsize=8, loc="upper left")
    figure.suptitle(f"{name}; dots at the chosen threshold", fontsize=10)
    return figure


def _mems(results: Results, name: str) -> Figure:
    rows = [each for each in results.mems if each.set == name]
    figure, axes = _panels(1, 1)
    axis = axes[0][0]
    for each in rows:
        (line,) = axis.plot(
            [point[2] for point in each.curve], [point[1] for point in each.curve], label=each.picker, linewidth=1.2
        )
        axis.plot(each.per_day, each.recall, "o", color=line.get_color())
    axis.set_xscale("symlog", linthresh=1)
    axis.set(xlabel="false alarms per station-day", ylabel=f"recall of {rows[0].events} events", ylim=(0, 1.02))
    axis.set(xlim=(0, None))
    axis.legend(fontsize=8, loc="lower right")
    figure.suptitle(f"{name}\ndots at the threshold of P", fontsize=10)
    return figure
