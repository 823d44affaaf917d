"""The table that grows while a training goes on: a line for each row of its curve."""

from __future__ import annotations

from datetime import timedelta

HEADER = f"{'step':>8} {'loss':>10} {'held out':>10} {'false picks':>12} {'elapsed':>10} {'left':>10}"


class TrainTable:
    """Writes rows of `Training.curve` as lines.

    Parameters
    ----------
    steps
        Of the whole training: the time that is left is told by how fast the last row came.
    """

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._last: tuple[float, float] | None = None

    def line(self, row: dict[str, float]) -> str:
        """Give a row's line; what it does not have is a dash."""
        step, seconds = row["step"], row["seconds"]
        before, since = self._last or (0.0, 0.0)
        self._last = step, seconds
        left = (self._steps - step) * (seconds - since) / max(step - before, 1.0)
        looked = f"{row['validation_loss']:.4f}" if "validation_loss" in row else "-"
        return (
            f"{step:>8.0f} {row['loss']:>10.4f} {looked:>10} {row.get('false_picks', 0.0):>12.0f} "
            f"{_clock(seconds):>10} {_clock(left):>10}"
        )


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
