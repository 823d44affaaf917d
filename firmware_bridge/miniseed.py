"""miniSEED 2 and 3 records → packets, through pymseed (EarthScope's libmseed)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from pymseed import NSTERROR, NSTUNSET, DataEncoding, MiniSEEDError, MS3Record
from pymseed.clib import clibmseed

from .errors import TruncatedError, WireError
from .packet import Packet, PacketFlag, Samples

_TEXT = int(DataEncoding.TEXT)
_INT16 = int(DataEncoding.INT16)
_NO_TIME = (NSTERROR, NSTUNSET)
_DTYPES = {"i": np.int32, "f": np.float32, "d": np.float64}  # of memoryview formats; text has another
_TIME_QUESTIONABLE, _CLOCK_LOCKED = 2, 4  # bits of miniSEED 3's flags (docs.fdsn.org/projects/miniseed3)
_GOOD_TIMING = 50  # percent; a record that says less does not vouch for its time
_SLOWEST_HZ, _FASTEST_HZ = 1e-4, 1e6  # from tide gauges to acoustics; time is counted in whole ns


@dataclass(frozen=True, slots=True)
class RecordHeader:
    """Where a record stands in its file and what it covers.

    Attributes
    ----------
    source_id
        FDSN source identifier.
    starttime_ns, endtime_ns
        Times of the first and of the last sample.
    sampling_rate
        Samples per second.
    npts
        Number of samples.
    offset, length
        Bytes from the start of the buffer, and bytes of the record.
    encoding
        Of its samples, `pymseed.DataEncoding`.
    flags
        What the sender said of the data.
    """

    source_id: str
    starttime_ns: int
    endtime_ns: int
    sampling_rate: float
    npts: int
    offset: int
    length: int
    encoding: int
    flags: PacketFlag


def read_headers(buffer: bytes | memoryview) -> Iterator[RecordHeader]:
    """Headers of the records of a buffer, in its order, without decoding samples.

    Records without time series (text, no samples) are passed over: they hold nothing to pick.

    Raises
    ------
    TruncatedError
        The buffer ends inside a record.
    WireError
        The buffer does not begin with a record, or a record is damaged. In both cases the headers before it
        have been yielded.
    """
    offset, kind, message = 0, WireError, ""
    record: MS3Record | None = None
    try:
        for record in MS3Record.from_buffer(buffer):
            length = record.reclen
            if has_samples(record):
                yield _header(record, offset, length)
            offset += length
    except MiniSEEDError as error:
        kind = TruncatedError if error.status_code == clibmseed.MS_ENDOFFILE else WireError
        message = f"found {reason_of(error)}, wanted a whole miniSEED record"
    except WireError as error:
        message = str(error)
    if message:
        # Not in the handler and without the record: who keeps the error must not keep C's view of the buffer with it,
        # which crashes CPython 3.11 when it ends with both in a cycle.
        del record
        raise kind(message, offset)


def _header(record: MS3Record, offset: int, length: int) -> RecordHeader:
    start, end = record.starttime, record.endtime
    if start in (NSTERROR, NSTUNSET):
        raise WireError("found no start time in a miniSEED record, wanted one", offset)
    return RecordHeader(
        source_id=_source_id(record, offset),
        starttime_ns=start,
        endtime_ns=end,
        sampling_rate=record.samprate,
        npts=record.samplecnt,
        offset=offset,
        length=length,
        encoding=int(record.encoding),
        flags=_flags(record.flags, record.extra),
    )


def _source_id(record: MS3Record, offset: int | None = None) -> str:
    try:
        return record.sourceid
    except UnicodeDecodeError:
        raise WireError(
            "found codes that are no text in a miniSEED record, wanted letters and digits", offset
        ) from None


def decode_record(record_bytes: bytes | memoryview) -> Packet:
    """One record's samples, in the type of its encoding: int16, int32 or float32.

    Flags: clipping and saturation give SATURATED, missing data OVERRUN. The clock is questionable where the record's
    timing quality is below 50 %, where it has none (or 0) and does not say that its clock is locked, or says so itself.

    INT16 stays int16; the Steim encodings give int32; FLOAT64 is rounded to float32, the widest type that
    a kernel takes (24 significant bits, which is what a 24-bit digitizer has).

    Raises
    ------
    WireError
        The bytes are no whole record, its checksum fails, its samples are text or its rate is absurd.
    """
    packet = decode_series(record_bytes)
    if packet is None:
        raise WireError("miniSEED record: found no time series, wanted samples at a rate")
    return packet


def decode_series(record_bytes: bytes | memoryview) -> Packet | None:
    """Decode one record as `decode_record` does, or give None for one without a time series: text, state of health.

    Raises
    ------
    WireError
        As `decode_record`.
    """
    try:
        return packet_of_record(MS3Record.parse(record_bytes, unpack_data=True))
    except WireError as error:
        message = str(error)
    except (MiniSEEDError, ValueError) as error:
        message = f"miniSEED record: found {reason_of(error)}, wanted a decodable record"
    raise WireError(message)  # not in the handler: see `read_headers`


def has_samples(record: MS3Record) -> bool:
    """Whether a record has a time series: text and records without samples have none."""
    return record.samplecnt > 0 and record.samprate > 0 and record.encoding != _TEXT


def packet_of_record(record: MS3Record) -> Packet | None:
    """Make a packet of an unpacked record, its samples an own copy; None where it has no time series.

    Raises
    ------
    WireError
        Its rate is absurd, it has no start time, or its samples are no numbers.
    ValueError
        The record was not unpacked.
    """
    # Each look at a record crosses into C: once each, and none that the samples' own view answers.
    rate, view = record.samprate, record.datasamples
    if view.format not in _DTYPES or rate <= 0 or not len(view):
        return None
    start = record.starttime
    if start in _NO_TIME:
        raise WireError("miniSEED record: found no start time, wanted one")
    if not _SLOWEST_HZ <= rate <= _FASTEST_HZ:
        wanted = f"{_SLOWEST_HZ:g} to {_FASTEST_HZ:g} Hz"
        raise WireError(f"miniSEED record: found a sampling rate of {rate:g} Hz, wanted {wanted}")
    flags = _flags(record.flags, record.extra if record.extralength else "")
    return Packet(
        _source_id(record), start, rate, sensor_type(np.frombuffer(view, _DTYPES[view.format]), record.encoding), flags
    )


@lru_cache(maxsize=256)  # a station's records mostly say the same
def _flags(bits: int, extra: str) -> PacketFlag:
    fdsn = _mapping(_mapping(_json(extra)).get("FDSN"))
    said, quality = _mapping(fdsn.get("Flags")), _mapping(fdsn.get("Time")).get("Quality")
    flags = PacketFlag.NONE
    if said.get("DigitizerClipping") is True or said.get("AmplifierSaturation") is True:
        flags |= PacketFlag.SATURATED
    if said.get("MissingData") is True:
        flags |= PacketFlag.OVERRUN
    # Writers put 0 where they mean nothing by it: libmseed does so for microseconds in miniSEED 2.
    vouched = bool(bits & _CLOCK_LOCKED)
    if isinstance(quality, int | float) and quality > 0:
        vouched = quality >= _GOOD_TIMING
    if bits & _TIME_QUESTIONABLE or not vouched:
        flags |= PacketFlag.CLOCK_QUESTIONABLE
    return flags


def _json(text: str) -> object:
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None  # headers that cannot be read say nothing of the samples


def _mapping(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def sensor_type(samples: object, encoding: int) -> Samples:
    """Give an own copy of libmseed's samples in the narrowest type that the encoding allows."""
    array = np.asarray(samples)
    if array.dtype == np.int32:
        # libmseed widens INT16 to int32; the values came from 16 bits
        return array.astype(np.int16) if encoding == _INT16 else array.copy()
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):  # beyond float32: an infinity, which the aligner counts as no sample
            return array.astype(np.float32)
    raise WireError(f"miniSEED record: found samples of type {array.dtype}, wanted integers or floats")


def reason_of(error: Exception) -> str:
    """Give an error's text in one line."""
    return " ".join(str(error).split())
