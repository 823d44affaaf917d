"""A device's channels → FDSN source identifiers: the configuration that every sensor format shares."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import WireError
from .source_id import SourceId

_BANDS = ((1000.0, "G"), (250.0, "C"), (80.0, "H"), (10.0, "B"), (1.0, "M"), (0.0, "L"))
"""SEED manual, appendix A: band codes by sampling rate, of broad-band instruments, which accelerometers count as."""

_STATION = re.compile(r"[^A-Z0-9-]")


@dataclass(frozen=True, slots=True)
class Naming:
    """How a device's channels are called.

    Attributes
    ----------
    network
        XX, which is for tests, unless told.
    station
        Empty: the device's own id, upper case, its last eight characters.
    location
        Empty unless told.
    channels
        SEED codes such as `HNZ`, in the wire's order; where a frame has another number of channels, by the axis that
        is the code's last letter. Empty: a band code from the rate, N (accelerometer), and the device's name of the
        axis.
    """

    network: str = "XX"
    station: str = ""
    location: str = ""
    channels: tuple[str, ...] = ()

    def source_ids(self, device: str, axes: str, sampling_rate: float) -> tuple[str, ...]:
        """Give the identifiers of the channels with these one-letter axes.

        Raises
        ------
        WireError
            The device has another number of channels than are named, or an id without a letter or a digit.
        """
        chosen = self.channels
        if chosen and len(chosen) != len(axes):
            chosen = tuple(code for axis in axes for code in self.channels if code[2] == axis)
        if self.channels and len(chosen) != len(axes):
            raise WireError(f"device {device}: found {len(axes)} channels, wanted {len(self.channels)} as configured")
        station = self.station or _STATION.sub("", device.upper())[-8:]
        if not station:
            raise WireError(f"device: found the id {device!r}, wanted letters or digits")
        band = next(code for slowest, code in _BANDS if sampling_rate >= slowest)
        codes = chosen or tuple(f"{band}N{axis}" for axis in axes)
        return tuple(str(SourceId(self.network, station, self.location, code[0], code[1], code[2:])) for code in codes)
