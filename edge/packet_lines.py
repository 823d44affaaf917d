"""Packets as lines for people and for programs."""

from __future__ import annotations

import json

import numpy as np

from seisedge.firmware_bridge import Packet, PacketFlag

from .times import format_time


def flag_names(flags: PacketFlag) -> list[str]:
    """Name the flags that are set, in lower case."""
    return [str(each.name).lower() for each in PacketFlag if each and each in flags]


def text_line(packet: Packet) -> str:
    """Time of the first sample, source, number of samples, rate, least and greatest value, flags."""
    samples = packet.samples
    span = f"{samples.min():g} … {samples.max():g}" if samples.size else "no samples"
    flags = " ".join(flag_names(packet.flags))
    start = format_time(packet.starttime_ns)
    line = f"{start}  {packet.source_id:<28} {samples.size:>5} x {packet.sampling_rate:g} Hz  {span}  {flags}"
    return line.rstrip()


def json_line(packet: Packet, *, samples: bool) -> str:
    """One JSON object; with its samples if wanted, where what is no finite number becomes null."""
    found: dict[str, object] = {
        "source_id": packet.source_id,
        "starttime": format_time(packet.starttime_ns),
        "starttime_ns": packet.starttime_ns,
        "sampling_rate": packet.sampling_rate,
        "npts": int(packet.samples.size),
        "type": packet.samples.dtype.name,
        "flags": flag_names(packet.flags),
    }
    if samples:
        finite = np.isfinite(packet.samples).tolist()
        found["samples"] = [each if good else None for each, good in zip(packet.samples.tolist(), finite, strict=True)]
    return json.dumps(found)
