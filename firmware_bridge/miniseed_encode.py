"""Packets → miniSEED 2 and 3 records, through pymseed (EarthScope's libmseed)."""

from __future__ import annotations

import json
from typing import Literal, TypeAlias

import numpy as np
from pymseed import DataEncoding, MiniSEEDError, MS3Record

from .errors import WireError
from .miniseed import reason_of
from .packet import Packet, PacketFlag
from .source_id import SourceId

Encoding: TypeAlias = Literal["steim2", "steim1", "int16", "int32", "float32"]
ENCODINGS: dict[Encoding, DataEncoding] = {
    "steim2": DataEncoding.STEIM2,
    "steim1": DataEncoding.STEIM1,
    "int16": DataEncoding.INT16,
    "int32": DataEncoding.INT32,
    "float32": DataEncoding.FLOAT32,
}
_NATURAL: dict[str, Encoding] = {"int16": "int16", "int32": "steim2", "float32": "float32"}
_QUESTIONABLE, _LOCKED = 2, 4
_LONGEST_STATION_2 = 5
_SAID = {PacketFlag.SATURATED: "DigitizerClipping", PacketFlag.OVERRUN: "MissingData"}


def encode_records(
    packet: Packet, encoding: Encoding | None = None, record_length: int = 512, *, version: Literal[2, 3] = 2
) -> list[bytes]:
    """Give a packet's records; `decode_record` gives the samples and the flags back.

    Parameters
    ----------
    encoding
        None for the sensor's own type: INT16 for int16, Steim2 for int32, FLOAT32 for float32.
    record_length
        Bytes: of each record in miniSEED 2 (a power of two), of the longest one in miniSEED 3.
    version
        miniSEED 2 keeps time to the microsecond, 3 to the nanosecond.

    Raises
    ------
    WireError
        The samples do not fit into the encoding: floats into integers, or values beyond its bits; or a station's name
        is too long for miniSEED 2.
    """
    if version == 2 and len(SourceId.parse(packet.source_id).station) > _LONGEST_STATION_2:
        raise WireError(
            f"miniSEED 2: found station {SourceId.parse(packet.source_id).station}, wanted at most 5 letters, or "
            "miniSEED 3 (.mseed3); sources of sensors take station=NET.STA"
        )
    chosen = encoding or _NATURAL[packet.samples.dtype.name]
    is_float = packet.samples.dtype.kind == "f"
    if is_float != (chosen == "float32") or (chosen == "int16" and packet.samples.dtype != np.int16):
        raise WireError(f"miniSEED record: found {packet.samples.dtype} samples, wanted such as fit into {chosen}")
    try:
        template = MS3Record(reclen=record_length, encoding=int(ENCODINGS[chosen]))
        template.sourceid, template.starttime = packet.source_id, packet.starttime_ns
        template.samprate, template.formatversion, template.pubversion = packet.sampling_rate, version, 1
        template.flags = _QUESTIONABLE if PacketFlag.CLOCK_QUESTIONABLE in packet.flags else _LOCKED
        said = {name: True for flag, name in _SAID.items() if flag in packet.flags}
        if said:
            template.extra = json.dumps({"FDSN": {"Flags": said}}, separators=(",", ":"))
        samples = packet.samples if is_float else packet.samples.astype(np.int32)
        return list(template.generate(data_samples=samples, sample_type="f" if is_float else "i"))
    except (MiniSEEDError, ValueError) as error:
        raise WireError(f"miniSEED record: found {reason_of(error)}, wanted samples that {chosen} can hold") from error
