"""Results that are closed, and those that there would be if the data ended now → numbered statements.

A statement is made when a result is new, when its time changed or its probability by `TOLD` or more, and when it is
closed. One that was stated and is in neither list any more is retracted.

After a restart the stream is read again from a little earlier, by filters that settle anew. What was stated before is
known: a result of the same label within `NEAR_NS` of it is the same one, whatever its key is now, and keeps its id.
If its last statement was final, nothing more is said of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from seisedge.edge.postprocess import Result

from .results import Found, Stamps, Statement, found_of

NEAR_NS = 500_000_000
TOLD = 0.05
"""Of a probability: every window changes the mean a little, for as long as windows cover the pick, and each statement
is written to disk and sent. The last word has the exact value."""

MEASURED_NS = 2_500_000_000
"""So far behind a pick the two seconds that are measured have come (see `Traces.measure`)."""

_MAX_KNOWN = 256

Measure = Callable[[Found], dict[str, Any]]
"""Further fields of a result, measured on the samples that are there now."""


@dataclass
class Known:
    """The last statement of a result, as far as later ones depend on it."""

    statement: Statement
    is_restored: bool = False
    """Stated before the last restart, and not found again yet."""
    measured: dict[str, Any] | None = None
    """What was measured of it, once all samples for that were there."""


class Revisions:
    """The statements of one stream.

    Parameters
    ----------
    measure
        Gives amplitude and the like of a result.
    known
        Last statements from before a restart.
    """

    def __init__(self, measure: Measure, known: Sequence[Statement] = ()) -> None:
        self._measure = measure
        self._open: dict[str, Known] = {}
        self._restored = [Known(each, is_restored=True) for each in known][-_MAX_KNOWN:]
        self._adopted: dict[str, Known] = {}

    @property
    def is_idle(self) -> bool:
        """Nothing is open: without a result there is nothing to state."""
        return not self._open and not self._restored

    def update(
        self, closed: Sequence[Result], pending: Sequence[Result], *, until_ns: int, stamps: Stamps
    ) -> list[Statement]:
        """Make the statements of one step.

        Parameters
        ----------
        closed
            Results that became certain by it.
        pending
            All that there would be more if the data ended here.
        until_ns
            How far the data have come.
        stamps
            When it was made.
        """
        statements: list[Statement] = []
        ended, going_on = [found_of(each) for each in closed], [found_of(each) for each in pending]
        present = {each.key for each in going_on}
        named = present | {each.key for each in ended}
        for found in ended:
            known = self._known(found, named)
            self._open.pop(found.key, None)
            if known is None or not known.statement.is_last:
                statements.append(self._state(found, known, "final", stamps, self._measured(found, known)))
        for found in going_on:
            known = self._known(found, named)
            if known is not None and (known.statement.is_last or not _differs(known.statement, found)):
                self._open.setdefault(found.key, known)
                continue
            measured = self._measured(found, known)
            statement = self._state(found, known, "provisional", stamps, measured)
            is_whole = until_ns - found.time_ns >= MEASURED_NS
            self._open[found.key] = Known(statement, measured=measured if is_whole else None)
            statements.append(statement)
        return statements + self._end(present, until_ns)

    def close(self) -> list[Statement]:
        """End a stream whose data will not come: the last word on what is open, as it stands."""
        last = [each.statement for each in (*self._open.values(), *self._restored) if not each.statement.is_last]
        self._open, self._restored = {}, []
        return [_next(each, "final") for each in last]

    def _known(self, found: Found, named: set[str]) -> Known | None:
        """Give the last statement of a result: of its own key, or else of the one that it must be.

        After a restart that is one from before it. And while later windows change the mean, the sample at which a run
        opens may move: then what was open is in neither list (`named`) any more, and a new one stands beside it.
        """
        if found.key in self._open:
            return self._open[found.key]
        if found.key in self._adopted:
            return self._adopted[found.key]
        moved = {key: each for key, each in self._open.items() if key not in named and _is_near(each.statement, found)}
        if moved:
            return self._open.pop(min(moved, key=lambda key: abs(moved[key].statement.time_ns - found.time_ns)))
        near = [each for each in self._restored if _is_near(each.statement, found)]
        if not near:
            return None
        best = min(near, key=lambda each: abs(each.statement.time_ns - found.time_ns))
        self._restored.remove(best)
        self._adopted[found.key] = best
        return best

    def _measured(self, found: Found, known: Known | None) -> dict[str, Any]:
        """Measure a result, unless its last statement has it, of the same time and all its samples."""
        if known is None or known.measured is None or known.statement.time_ns != found.time_ns:
            return self._measure(found)
        return known.measured

    @staticmethod
    def _state(
        found: Found,
        known: Known | None,
        status: Any,  # noqa: ANN401 - a literal of `Status`
        stamps: Stamps,
        measured: dict[str, Any],
    ) -> Statement:
        last = None if known is None else known.statement
        return Statement(
            id=found.key if last is None else last.id,
            revision=0 if last is None else last.revision + 1,
            status=status,
            kind=found.kind,
            station=found.station,
            label=found.label,
            time_ns=found.time_ns,
            opened_ns=found.opened_ns,
            probability=found.probability,
            model_digest=found.model_digest,
            row={**found.row(), **measured},
            stamps=stamps,
        )

    def _end(self, present: set[str], until_ns: int) -> list[Statement]:
        """Retract what later windows do not bear out; give the last word on what a restart left open."""
        statements: list[Statement] = []
        for key in [each for each in self._open if each not in present]:
            last = self._open.pop(key).statement
            if not last.is_last:
                statements.append(_next(last, "retracted"))
        for known in [each for each in self._restored if each.statement.time_ns + _PASSED_NS < until_ns]:
            self._restored.remove(known)
            if not known.statement.is_last:
                statements.append(_next(known.statement, "final"))
        if not self._restored and not self._open:
            self._adopted.clear()
        return statements


_PASSED_NS = 120_000_000_000  # behind every window and run that could still find it


def _is_near(last: Statement, found: Found) -> bool:
    apart = min(abs(last.time_ns - found.time_ns), abs(last.opened_ns - found.opened_ns))
    return (last.label, last.kind) == (found.label, found.kind) and apart <= NEAR_NS


def _differs(last: Statement, found: Found) -> bool:
    if (last.time_ns, last.label) != (found.time_ns, found.label):
        return True
    return abs(last.probability - found.probability) >= TOLD


def _next(last: Statement, status: Any) -> Statement:  # noqa: ANN401 - a literal of `Status`
    return dataclasses.replace(last, revision=last.revision + 1, status=status, stamps=None)
