"""Events, and the windows that are said to hold them: what a detector of events is worth.

An event is a P label. It is detected where a detection, a run of windows, holds it. Windows are explained by an arrival
in them, by one in the minute before them, whose coda they hold, and by what pickers do not agree on. A stretch of a
detection that nothing explains and that is a window long is a false detection, and so is every further minute of it:
a detector that always says yes finds everything, and must not get away with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from seisedge.edge import Session
from seisedge.edge.detections import Detection
from seisedge.edge.errors import UsageError
from seisedge.edge.postprocess import Result
from seisedge.edge.times import NANOSECONDS

from .alarms import CODA_S, AlarmScore
from .cases import Case, CaseSet
from .pickers import Found, StreamedPicker

BEGIN, END = "begin", "end"
_CODA_NS = round(CODA_S * NANOSECONDS)
Span = tuple[int, int]


class EventPicker(StreamedPicker):
    """An artefact that says of windows whether they hold an event; what `pick` gives are begins and ends.

    Raises
    ------
    UsageError
        The artefact does something else.
    """

    def __init__(self, name: str, session: Session, *, stride: int | None = None) -> None:
        if session.manifest.task != "event_detection":
            raise UsageError(f"{name}: found a model of {session.manifest.task}, wanted one that detects events")
        super().__init__(name, session, stride=stride, labels=session.manifest.picked_labels, phases=(BEGIN, END))
        self.window_ns = round(session.manifest.window_samples / session.manifest.sampling_rate * NANOSECONDS)

    def own_threshold(self, phase: str) -> int:
        """Give the place in the grid of the artefact's own; the least of its classes'."""
        del phase
        return min(super(EventPicker, self).own_threshold(each) for each in self._labels)

    def _keep(self, results: Sequence[Result], number: int, found: Found) -> None:
        for each in results:
            if isinstance(each, Detection):
                found[BEGIN][number].append((each.time_ns, each.probability))
                found[END][number].append((each.endtime_ns, each.probability))


def event_scores(picker: EventPicker, cases: CaseSet, found: list[Found]) -> list[AlarmScore]:
    """Count events and detections at every threshold."""
    scores: list[AlarmScore] = []
    for number in range(len(picker.grid)):
        counts = [
            count_events(case, spans_of(each, number), picker.window_ns)
            for case, each in zip(cases.cases, found, strict=True)
        ]
        events, detected, false = (sum(column) for column in zip(*counts, strict=True))
        scores.append(AlarmScore(events, detected, false, cases.days))
    return scores


def spans_of(found: Found, number: int) -> list[Span]:
    """Give begin and end of the detections at the threshold with this place in the grid."""
    return [(begin, end) for (begin, _), (end, _) in zip(found[BEGIN][number], found[END][number], strict=True)]


def count_events(case: Case, spans: list[Span], window_ns: int) -> tuple[int, int, int]:
    """Give a record's events, how many of them are detected, and false detections."""
    events = [each.time_ns for each in case.labels if each.phase == "P"]
    detected = sum(any(begin <= event < end for begin, end in spans) for event in events)
    known = [(each.time_ns - window_ns, each.time_ns + _CODA_NS + window_ns) for each in case.labels]
    known += [(each.start_ns - window_ns, each.end_ns + window_ns) for each in case.unknown]
    judged = case.start_ns - window_ns // 2, case.end_ns + window_ns // 2  # the middle of a window is in the record
    pieces = [piece for span in spans for piece in _rest((max(span[0], judged[0]), min(span[1], judged[1])), known)]
    lengths = [end - begin for begin, end in pieces]
    return len(events), detected, sum(1 + (each - window_ns) // _CODA_NS for each in lengths if each >= window_ns)


def _rest(span: Span, known: list[Span]) -> Iterator[Span]:
    """What is left of a span without others."""
    begin, end = span
    for first, last in sorted(known):
        if first > begin:
            yield begin, min(first, end)
        begin = max(begin, last)
    yield begin, end
