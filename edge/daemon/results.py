"""`Statement`: what the daemon says of a result at one moment, with the times of its making."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any, Literal

from seisedge.edge.detections import Detection
from seisedge.edge.picks import Pick, StationId
from seisedge.edge.postprocess import Result
from seisedge.edge.times import format_time
from seisedge.edge.waveforms import Waveform

Status = Literal["provisional", "final", "retracted"]
Kind = Literal["pick", "detection", "waveform"]


@dataclass(frozen=True, slots=True)
class Stamps:
    """When things happened on the way to a statement, ns since the epoch; all but the first by the daemon's clock.

    Attributes
    ----------
    sample_ns
        Last sample of the newest window that took part.
    arrived_ns
        The packet that completed that window came in.
    ready_ns
        Its windows were cut and preprocessed.
    inferred_ns
        The network had answered.
    """

    sample_ns: int
    arrived_ns: int
    ready_ns: int
    inferred_ns: int


@dataclass(frozen=True, slots=True)
class Statement:
    """One revision of a result.

    Attributes
    ----------
    id
        The same for all revisions.
    revision
        0 for the first statement.
    status
        `provisional` may change; `final` is the last, with the time and probability that `edge-scan` gives;
        `retracted` is the last too: later windows do not bear it out.
    kind
        What the result is.
    station, label, time_ns, opened_ns, probability, model_digest
        Of the result; `opened_ns` names it while its time still moves.
    row
        The public fields, JSON-ready; those of `edge-scan`, then the daemon's own.
    stamps
        When it was made; None where it was made at a restart from what was stored.
    """

    id: str
    revision: int
    status: Status
    kind: Kind
    station: StationId
    label: str
    time_ns: int
    opened_ns: int
    probability: float
    model_digest: str
    row: dict[str, Any]
    stamps: Stamps | None = None

    @property
    def stream(self) -> str:
        """What its ids are unique in: station and model."""
        return stream_name(self.station, self.model_digest)

    @property
    def is_last(self) -> bool:
        """No revision will follow."""
        return self.status != "provisional"

    def as_row(self) -> dict[str, Any]:
        """Give the row that goes into the outbox: public fields, then status, kind and the chain's times."""
        row = {**self.row, "id": self.id, "revision": self.revision, "status": self.status, "kind": self.kind}
        if self.stamps is not None:
            row["sample_time"] = format_time(self.stamps.sample_ns)
            row["packet_arrival"] = format_time(self.stamps.arrived_ns)
            row["window_ready"] = format_time(self.stamps.ready_ns)
            row["inference_done"] = format_time(self.stamps.inferred_ns)
        return row


def stream_name(station: StationId, model_digest: str) -> str:
    """Name of the stream of one station's results by one model."""
    return f"{station}|{model_digest[:16]}"


@dataclass(frozen=True, slots=True)
class Found:
    """A result before it has a revision: what all kinds have in common."""

    key: str
    kind: Kind
    station: StationId
    label: str
    time_ns: int
    opened_ns: int
    probability: float
    model_digest: str
    result: Result

    def row(self) -> dict[str, Any]:
        """Give the public fields, JSON-ready; made where something is stated, which is seldom."""
        if isinstance(self.result, Waveform):
            return _row_of(self.result, self.key)
        row: dict[str, Any] = dict(self.result.as_row())
        row["probability"] = round(self.result.probability, 6)
        return row


def found_of(result: Result) -> Found:
    """Look at any result the same way. Its key does not move while the result is open."""
    if isinstance(result, Pick):
        return _found("pick", result.station, result.phase_hint, result.time_ns, result.opened_ns, result)
    if isinstance(result, Detection):
        # The label may change while the run is open; there is one run at a time.
        return _found("detection", result.station, result.label, result.time_ns, result.time_ns, result, keyed="")
    return _of_waveform(result)


def _found(  # noqa: PLR0913, PLR0917 - the parts of a result
    kind: Kind,
    station: StationId,
    label: str,
    time_ns: int,
    opened_ns: int,
    result: Pick | Detection,
    keyed: str | None = None,
) -> Found:
    key = _key(kind, station, label if keyed is None else keyed, opened_ns, result.model_digest)
    return Found(key, kind, station, label, time_ns, opened_ns, result.probability, result.model_digest, result)


def _of_waveform(result: Waveform) -> Found:
    key, start = _key("waveform", result.station, "", result.starttime_ns, result.model_digest), result.starttime_ns
    return Found(key, "waveform", result.station, "", start, start, 1.0, result.model_digest, result)


def _row_of(result: Waveform, key: str) -> dict[str, Any]:
    return {
        "id": key,
        "revision": 0,
        **codes_of(result.station),
        "time": format_time(result.starttime_ns),
        "sampling_rate": result.sampling_rate,
        "labels": list(result.labels),
        "samples": [[float(value) for value in column] for column in result.samples.T],
        "model": result.model,
        "model_digest": result.model_digest,
    }


def codes_of(station: StationId) -> dict[str, str]:
    """Give a station's codes as a row has them."""
    return {
        "network": station.network,
        "station": station.station,
        "location": station.location,
        "channel": station.channel,
    }


def _key(kind: Kind, station: StationId, label: str, opened_ns: int, model_digest: str) -> str:
    """16 hexadecimal digits from what stays the same while a result is open."""
    text = f"{kind}|{station}|{label}|{opened_ns}|{model_digest}"
    return hashlib.blake2s(text.encode(), digest_size=8).hexdigest()


def finite(value: float | None) -> float | None:
    """Give a number as JSON can hold it: None for what is no finite number."""
    return value if value is not None and math.isfinite(value) else None
