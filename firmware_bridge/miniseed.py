"""miniSEED 2 and 3 records → packets, through pymseed (EarthScope's libmseed)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pymseed import NSTERROR, NSTUNSET, DataEncoding, MiniSEEDError, MS3Record
from pymseed.clib import clibmseed

from .errors import TruncatedError, WireError
from .packet import Packet, Samples

_TEXT = int(DataEncoding.TEXT)
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
    """

    source_id: str
    starttime_ns: int
    endtime_ns: int
    sampling_rate: float
    npts: int
    offset: int
    length: int
    encoding: int


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
    offset = 0
    try:
        for record in MS3Record.from_buffer(buffer):
            length = record.reclen
            if record.samplecnt > 0 and record.samprate > 0 and record.encoding != _TEXT:
                yield _header(record, offset, length)
            offset += length
    except MiniSEEDError as error:
        kind = TruncatedError if error.status_code == clibmseed.MS_ENDOFFILE else WireError
        raise kind(f"found {_reason(error)}, wanted a whole miniSEED record", offset) from error


def _header(record: MS3Record, offset: int, length: int) -> RecordHeader:
    start, end = record.starttime, record.endtime
    if start in (NSTERROR, NSTUNSET):
        raise WireError("found no start time in a miniSEED record, wanted one", offset)
    return RecordHeader(
        record.sourceid, start, end, record.samprate, record.samplecnt, offset, length, int(record.encoding)
    )


def decode_record(record_bytes: bytes | memoryview) -> Packet:
    """One record's samples, in the type of its encoding: int16, int32 or float32.

    INT16 stays int16; the Steim encodings give int32; FLOAT64 is rounded to float32, the widest type that
    a kernel takes (24 significant bits, which is what a 24-bit digitizer has).

    Raises
    ------
    WireError
        The bytes are no whole record, its checksum fails, its samples are text or its rate is absurd.
    """
    try:
        record = MS3Record.parse(record_bytes, unpack_data=True)
        samples = record.np_datasamples
    except (MiniSEEDError, ValueError) as error:
        raise WireError(f"miniSEED record: found {_reason(error)}, wanted a decodable record") from error
    if not _SLOWEST_HZ <= record.samprate <= _FASTEST_HZ:
        wanted = f"{_SLOWEST_HZ:g} to {_FASTEST_HZ:g} Hz"
        raise WireError(f"miniSEED record: found a sampling rate of {record.samprate:g} Hz, wanted {wanted}")
    return Packet(record.sourceid, record.starttime, record.samprate, sensor_type(samples, record.encoding))


def sensor_type(samples: object, encoding: int) -> Samples:
    """Give an own copy of libmseed's samples in the narrowest type that the encoding allows."""
    array = np.asarray(samples)
    if encoding == int(DataEncoding.INT16):
        return array.astype(np.int16)  # libmseed widens to int32; the values came from 16 bits
    if array.dtype == np.int32:
        return array.astype(np.int32)
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):  # beyond float32: an infinity, which the aligner counts as no sample
            return array.astype(np.float32)
    raise WireError(f"miniSEED record: found samples of type {array.dtype}, wanted integers or floats")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())
