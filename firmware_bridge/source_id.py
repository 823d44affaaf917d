"""FDSN source identifiers: `FDSN:NET_STA_LOC_B_S_SS` (FDSN Source Identifiers 1.0, docs.fdsn.org)."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import WireError

_PREFIX = "FDSN:"
_PARTS = 6


@dataclass(frozen=True, slots=True, order=True)
class SourceId:
    """The six parts of a source identifier; parts may be empty, as a location often is."""

    network: str
    station: str
    location: str
    band: str
    source: str
    subsource: str

    @classmethod
    def parse(cls, text: str) -> SourceId:
        """Read `FDSN:NET_STA_LOC_B_S_SS`.

        Raises
        ------
        WireError
            The text has another form.
        """
        parts = text.removeprefix(_PREFIX).split("_")
        if not text.startswith(_PREFIX) or len(parts) != _PARTS:
            raise WireError(f"source identifier: found {text!r}, wanted FDSN:NET_STA_LOC_B_S_SS")
        return cls(*parts)

    @property
    def component(self) -> str:
        """The orientation code, such as Z, N, E, 1 or 2."""
        return self.subsource

    @property
    def channel(self) -> str:
        """The SEED channel code, such as `HHZ`."""
        return f"{self.band}{self.source}{self.subsource}"

    @property
    def instrument(self) -> str:
        """Band and instrument code, such as `HH`: what the components of one sensor have in common."""
        return f"{self.band}{self.source}"

    @property
    def nslc(self) -> str:
        """`NET.STA.LOC.CHA`, the older spelling."""
        return f"{self.network}.{self.station}.{self.location}.{self.channel}"

    def __str__(self) -> str:
        channel = f"{self.band}_{self.source}_{self.subsource}"
        return f"{_PREFIX}{self.network}_{self.station}_{self.location}_{channel}"
