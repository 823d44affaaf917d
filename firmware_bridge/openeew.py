"""OpenEEW and Grillo accelerometers: JSON with acceleration in gal → packets of the sensor's counts.

Three forms, told apart by their keys (facts from openeew/openeew-firmware and openeew/openeew):

* firmware: `device_id, sr, user, network, station, device_t, traces: {x, y, z}`;
* older, and Grillo's 125 Hz sensors: `device_id, cloud_t, traces: [{t, sr, x, y, z}, …]`;
* archive, one a line: `country_code, device_id, x, y, z, device_t, cloud_t, sr`.

`device_t` and `t` are the time of the last sample, roughly: the clock model makes times of them. The firmware turns the
ADXL355's counts into gal by raw / 260000 * 980.665, rounded to 0.001 gal, a quarter of a count: so counts come back
exactly.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .clock import PacketClock
from .errors import WireError
from .json_objects import JsonObjects
from .naming import NameOwners, Naming
from .packet import NANOSECONDS, Packet, PacketFlag

COUNTS_PER_GAL = 260_000 / 980.665
"""Adxl355.cpp:506 of the firmware; the data sheet's 256,000 counts per g is not what it uses."""

_FULL_SCALE = 1 << 19  # the sensor has 20 bits
_COMPONENTS = "Z12"
_MAX_DEVICES = 256
_MAX_SAMPLES = 4096
_SLOWEST_HZ, _FASTEST_HZ = 1.0, 4000.0  # of an ADXL355
_LARGEST = 1e15  # number that a message says of itself; an integer of JSON may be too large for a float


@dataclass(frozen=True, slots=True)
class _Trace:
    stamp_ns: int
    sampling_rate: float
    counts: npt.NDArray[np.int32]  # (3, npts)
    flags: PacketFlag


class OpenEewDecoder:
    """Decodes the three forms.

    Parameters
    ----------
    naming
        How channels are called; the station is the device's id unless told. What a device sends whose channels
        are called as another's is damage.
    vertical
        The axis that points up or down: x, y or z; it becomes Z, the other two in their order 1 and 2. It is in
        the device's metadata, not in its packets.
    is_message
        Each `feed` is one MQTT message; else objects of a file or a pipe in any portions.
    """

    def __init__(self, naming: Naming | None = None, *, vertical: str = "x", is_message: bool = False) -> None:
        if vertical not in {"x", "y", "z"}:
            raise ValueError(f"vertical: found {vertical!r}, wanted x, y or z")
        self._naming = naming or Naming()
        self._owners = NameOwners(self._naming)
        self._axes = vertical + "".join(each for each in "xyz" if each != vertical)
        self._objects = JsonObjects("device_id", is_message=is_message)
        self._clocks: OrderedDict[str, PacketClock] = OrderedDict()
        self._packets: deque[Packet] = deque()

    def feed(self, data: bytes | memoryview) -> None:
        """Take bytes of a stream, or one message."""
        self._objects.feed(data)

    def end(self) -> None:
        """Nothing more will come: an object that is not whole is damage."""
        self._objects.end()

    def next_packet(self) -> Packet | None:
        """Give the next packet, or None where more are needed.

        Raises
        ------
        WireError
            Once for each object that is cut, broken, or of none of the forms.
        """
        while not self._packets:
            found = self._objects.next_object()
            if found is None:
                return None
            device = _text(found, "device_id")
            for trace in self._traces(found):
                self._take(device, trace)
        return self._packets.popleft()

    def clock_of(self, device: str) -> PacketClock | None:
        """Give a device's clock model, for its counts; None where nothing came from it."""
        return self._clocks.get(device)

    def _traces(self, found: dict[str, object]) -> list[_Trace]:
        traces = found.get("traces")
        if isinstance(traces, list):
            return [self._trace(_mapping(each), "t", _mapping(each)) for each in traces]
        if isinstance(traces, dict):
            return [self._trace(found, "device_t", _mapping(traces))]
        return [self._trace(found, "device_t", found)]

    def _trace(self, head: dict[str, object], time_key: str, axes: dict[str, object]) -> _Trace:
        rate = _number(head, "sr")
        if not _SLOWEST_HZ <= rate <= _FASTEST_HZ:
            raise WireError(f"OpenEEW: found sr {rate:g}, wanted {_SLOWEST_HZ:g} to {_FASTEST_HZ:g} Hz")
        stamp = _number(head, time_key)
        if not 0 <= stamp < 1 << 33:
            raise WireError(f"OpenEEW: found {time_key} {stamp:g}, wanted seconds since 1970")
        rows = [_counts(axes, axis) for axis in self._axes]
        if len({row.size for row in rows}) != 1:
            raise WireError(f"OpenEEW: found {[row.size for row in rows]} samples of the axes, wanted as many of each")
        counts = np.stack(rows)
        clipped = bool((np.abs(counts) >= _FULL_SCALE - 1).any())
        flags = PacketFlag.SATURATED if clipped else PacketFlag.NONE
        return _Trace(round(stamp * 1e6) * 1000, rate, counts, flags)

    def _take(self, device: str, trace: _Trace) -> None:
        source_ids = self._naming.source_ids(device, _COMPONENTS, trace.sampling_rate)
        self._owners.require_own(device, _COMPONENTS, source_ids)
        clock = self._clock(device, trace.sampling_rate)
        place = clock.place(trace.counts.shape[1], trace.stamp_ns)
        for source_id, row in zip(source_ids, trace.counts, strict=True):
            flags = place.flags | trace.flags
            self._packets.append(Packet(source_id, place.starttime_ns, place.sampling_rate, row, flags))

    def _clock(self, device: str, sampling_rate: float) -> PacketClock:
        clock = self._clocks.get(device)
        if clock is None or abs(sampling_rate / clock.nominal_rate - 1) > 0.2:  # set to another rate
            clock = self._clocks[device] = PacketClock(sampling_rate, stamps_last=True)
            if len(self._clocks) > _MAX_DEVICES:
                self._clocks.popitem(last=False)
        self._clocks.move_to_end(device)
        return clock


def _counts(axes: dict[str, object], axis: str) -> npt.NDArray[np.int32]:
    values = axes.get(axis)
    if not isinstance(values, list) or not 0 < len(values) <= _MAX_SAMPLES:
        raise WireError(f"OpenEEW: found no list of samples {axis!r}, wanted 1 to {_MAX_SAMPLES}")
    if not all(type(each) in (int, float) for each in values):
        raise WireError(f"OpenEEW: found samples {axis!r} that are no numbers")
    try:
        gal = np.array(values, np.float64)
    except OverflowError:
        raise WireError(f"OpenEEW: found samples {axis!r} beyond the sensor's range") from None
    with np.errstate(over="ignore"):  # an infinity, which is beyond the range too
        counts = np.rint(gal * COUNTS_PER_GAL)
    if not (np.abs(counts) <= _FULL_SCALE).all():
        raise WireError(f"OpenEEW: found samples {axis!r} beyond the sensor's range of {_FULL_SCALE} counts")
    return counts.astype(np.int32)


def _number(found: dict[str, object], key: str) -> float:
    value = found.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _LARGEST:
        raise WireError(f"OpenEEW: found {key} {str(value)[:20]!r}, wanted a number")
    return float(value)


def _text(found: dict[str, object], key: str) -> str:
    value = found.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= 64 or not value.isprintable():
        raise WireError(f"OpenEEW: found {key} {str(value)[:20]!r}, wanted a name")
    return value


def _mapping(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise WireError(f"OpenEEW: found a trace {str(value)[:20]!r}, wanted an object")
    return value


def encode_openeew(device: str, packets: tuple[Packet, Packet, Packet]) -> bytes:
    """Write three packets of one time (x, y, z) in the firmware's form, gal rounded to 0.001 as it does.

    Raises
    ------
    WireError
        The packets differ in time, rate or length.
    """
    first = packets[0]
    heads = {(each.starttime_ns, each.sampling_rate, each.samples.size) for each in packets}
    if len(heads) != 1:
        raise WireError(f"OpenEEW: found {len(heads)} times, rates or lengths in three packets, wanted one")
    gal = {
        axis: [round(int(v) / COUNTS_PER_GAL, 3) for v in each.samples]
        for axis, each in zip("xyz", packets, strict=True)
    }
    last_s = first.time_of(first.samples.size - 1) / NANOSECONDS
    values = ", ".join(f'"{axis}": {gal[axis]}' for axis in gal)
    head = f'"device_id": "{device}", "sr": {first.sampling_rate:.10g}, "device_t": {last_s:.6f}'
    return f'{{{head}, "traces": {{{values}}}}}'.encode()
