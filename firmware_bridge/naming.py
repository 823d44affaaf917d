"""A device's channels → FDSN source identifiers: the configuration that all sensor formats share."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import WireError
from .source_id import SourceId

_BANDS = ((1000.0, "G"), (250.0, "C"), (80.0, "H"), (10.0, "B"), (1.0, "M"), (0.0, "L"))
"""SEED manual, appendix A: band codes by sampling rate, of broad-band instruments, which accelerometers count as."""

REPLACED = 60
"""Frames in a row from another device after which it has the name: the one before was taken out of use, or an id that
damage made and no checksum gave away. At a frame a second a minute; of two that both send, each is heard more often.
"""

_STATION = re.compile(r"[^A-Z0-9-]")
_MOST_NAMES = 4096  # that are remembered: 256 devices of 16 channels


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
            The device has another number of channels than are named, two of one name, or an id without a letter or a
            digit.
        """
        station = self.station or _STATION.sub("", device.upper())[-8:]
        if not station:
            raise WireError(f"device: found the id {device!r}, wanted letters or digits")
        band = next(code for slowest, code in _BANDS if sampling_rate >= slowest)
        codes = self._chosen(device, axes) or tuple(f"{band}N{axis}" for axis in axes)
        if len(set(codes)) != len(codes):
            known = ", ".join(codes)
            raise WireError(f"device {device}: found the channels {known}, wanted each once (channels= names them)")
        return tuple(str(SourceId(self.network, station, self.location, code[0], code[1], code[2:])) for code in codes)

    def _chosen(self, device: str, axes: str) -> tuple[str, ...]:
        """Give the configured codes of these axes; none where none are configured."""
        if len(self.channels) in {0, len(axes)}:
            return self.channels
        chosen: list[str] = []
        for axis in axes:
            fitting = [code for code in self.channels if code[2] == axis]
            if len(fitting) > 1:
                known = " and ".join(fitting)
                raise WireError(
                    f"device {device}: found the axis {axis}, wanted one of channels= to end with it, not {known}"
                )
            chosen += fitting
        if len(chosen) != len(axes):
            raise WireError(f"device {device}: found {len(axes)} channels, wanted {len(self.channels)} as configured")
        return tuple(chosen)


@dataclass(slots=True)
class _Owner:
    """What has a name: an axis of a device; `refused` counts the frames of others since its own last one."""

    device: str
    axis: str
    refused: int = 0

    def is_it(self, device: str, axis: str) -> bool:
        return self.device == device and self.axis == axis


class NameOwners:
    """Which axis of which device has which name, so that two of them never become one channel.

    Parameters
    ----------
    naming
        What gave the names.
    """

    def __init__(self, naming: Naming) -> None:
        self._is_station_told = bool(naming.station)
        self._owners: dict[str, _Owner] = {}
        self._last: tuple[str, str, tuple[str, ...]] | None = None  # that were taken; None behind a refusal

    def require_own(self, device: str, axes: str, source_ids: tuple[str, ...]) -> None:
        """Note that a device sent its axes under these names; the first one to do so has them.

        Raises
        ------
        WireError
            Another device, or another axis, has one of them.
        """
        if self._last == (device, axes, source_ids):
            return
        sent, self._last = tuple(zip(axes, source_ids, strict=True)), None
        known = [(axis, each, self._owners[each]) for axis, each in sent if each in self._owners]
        others = [(axis, each, owner) for axis, each, owner in known if not owner.is_it(device, axis)]
        if any(owner.refused < REPLACED for _, _, owner in others):
            for _, _, owner in others:
                owner.refused += 1
            raise WireError(self._told(device, *others[0]))
        for axis, each in sent:
            self._owners[each] = _Owner(device, axis)
        while len(self._owners) > _MOST_NAMES:
            del self._owners[next(iter(self._owners))]
        self._last = (device, axes, source_ids)

    def _told(self, device: str, axis: str, source_id: str, owner: _Owner) -> str:
        if owner.device == device:
            wanted = "channels= with a code for each axis"
            return f"device {device}: found the name {source_id} for its axes {owner.axis} and {axis}, wanted {wanted}"
        wanted = "ids that differ in their last eight characters, or a URL for each with its station="
        if self._is_station_told:
            wanted = "one device for a station= (without station= each is a station of its own)"
        return f"device {device}: found the name {source_id}, which device {owner.device} has, wanted {wanted}"
