"""`Pick`: a phase onset, and the names of its fields in every format that has names."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from .times import format_time


@dataclass(frozen=True, slots=True, order=True)
class StationId:
    """The components of one sensor: network, station, location, and band and instrument code (`HH`)."""

    network: str
    station: str
    location: str
    channel: str

    def __str__(self) -> str:
        return f"{self.network}.{self.station}.{self.location}.{self.channel}"


@dataclass(frozen=True, slots=True)
class Pick:
    """A phase onset at a station.

    Attributes
    ----------
    id
        The same for the same onset found again in the same data by the same model.
    revision
        0 for the first statement of a pick.
    station
        Which sensor.
    phase_hint
        The model's label, such as `P`.
    time_ns
        Onset, ns since the epoch.
    time_uncertainty_s
        One standard deviation; None where not known.
    probability
        Largest probability of the label in the pick's run.
    amplitude, snr
        None where not measured.
    model, model_digest
        Name and SHA-256 of the artefact.
    opened_ns
        See `tracker.Onset`; no part of what is written or compared.
    """

    id: str
    revision: int
    station: StationId
    phase_hint: str
    time_ns: int
    time_uncertainty_s: float | None
    probability: float
    amplitude: float | None
    snr: float | None
    model: str
    model_digest: str
    opened_ns: int = field(default=0, compare=False)

    def as_row(self) -> dict[str, str | int | float | None]:
        """Give the fields under their public names, in their public order."""
        return {
            "id": self.id,
            "revision": self.revision,
            "network": self.station.network,
            "station": self.station.station,
            "location": self.station.location,
            "channel": self.station.channel,
            "phase_hint": self.phase_hint,
            "time": format_time(self.time_ns),
            "time_uncertainty_s": self.time_uncertainty_s,
            "probability": self.probability,
            "amplitude": self.amplitude,
            "snr": self.snr,
            "model": self.model,
            "model_digest": self.model_digest,
        }


PICK_FIELDS = (
    "id",
    "revision",
    "network",
    "station",
    "location",
    "channel",
    "phase_hint",
    "time",
    "time_uncertainty_s",
    "probability",
    "amplitude",
    "snr",
    "model",
    "model_digest",
)


def pick_id(station: StationId, phase_hint: str, time_ns: int, model_digest: str) -> str:
    """16 hexadecimal digits from what makes a pick this pick."""
    text = f"{station}|{phase_hint}|{time_ns}|{model_digest}"
    return hashlib.blake2s(text.encode(), digest_size=8).hexdigest()
