"""Many miniSEED 2 records of one channel at once: their headers as arrays, and their samples in one call.

An archive is read twice, and a record of 512 bytes holds a few hundred samples: what Python does for each record
would cost more than all else. `uniform_run` looks at records that differ only in time and length; whatever is out
of the ordinary it leaves to `read_headers`, and the first and the last record of a run are held against it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pymseed import MiniSEEDError, MS3TraceList

from .miniseed import RecordHeader, read_headers, sensor_type
from .packet import Packet, PacketFlag, Samples

Int64 = npt.NDArray[np.int64]
_Bytes = npt.NDArray[np.uint8]

_FEWEST = 8  # records below which nothing is gained
_HEADER = 64  # bytes looked at: fixed header, blockette 1000, blockette 1001
_CODES, _RATE, _LAYOUT = slice(8, 20), slice(32, 39), slice(40, 56)
"""Names; rate and flags; time correction, offsets and blockette 1000 (SEED manual 2.4)."""


@dataclass(frozen=True)
class HeaderRun:
    """Records that stand one behind the other in a buffer.

    Attributes
    ----------
    first
        Header of the first one: all have its channel, rate, encoding, flags and length.
    starts_ns, npts
        int64 (record,): time of the first sample, number of samples.
    """

    first: RecordHeader
    starts_ns: Int64
    npts: Int64

    @property
    def nbytes(self) -> int:
        """Bytes of all of them."""
        return self.first.length * self.starts_ns.size


def uniform_run(buffer: memoryview) -> HeaderRun | None:
    """Headers of the records that a buffer begins with, as far as they are of one kind; None where they are few.

    Raises
    ------
    WireError
        As `read_headers`, of the first record.
    """
    if len(buffer) < _HEADER or bytes(buffer[6:7]) not in {b"D", b"R", b"Q", b"M"}:
        return None
    first = next(read_headers(buffer), None)
    if first is None or first.offset or len(buffer) // first.length < _FEWEST:
        return None
    rows = np.frombuffer(buffer, np.uint8, len(buffer) // first.length * first.length).reshape(-1, first.length)
    rows = rows[: _uniform(rows)]
    if len(rows) < _FEWEST:
        return None
    run = HeaderRun(first, _starts(rows), _big_endian(rows, 30))
    last_at = (len(rows) - 1) * first.length
    last = next(read_headers(buffer[last_at : last_at + first.length]), None)
    return run if _agrees(run, 0, first) and last is not None and _agrees(run, -1, last) else None


def _uniform(rows: _Bytes) -> int:
    """Count the records from the first on that differ from it in time and length alone."""
    first = rows[0]
    if not (bytes(first[46:50]) == b"\0\x30\x03\xe8" and bytes(first[40:44]) == bytes(4)):
        return 0  # blockette 1000 stands first, right behind the header; no time correction
    follows = bytes(first[50:52])
    if follows not in {b"\0\0", b"\0\x38"}:
        return 0
    same = np.ones(len(rows), np.bool_)
    for part in (_CODES, _RATE, _LAYOUT):
        same &= (rows[:, part] == first[part]).all(axis=1)
    digits = rows[:, :6]
    same &= ((digits >= 0x30) & (digits <= 0x39)).all(axis=1)
    same &= np.isin(rows[:, 6], np.frombuffer(b"DRQM", np.uint8)) & np.isin(rows[:, 7], np.frombuffer(b" \0", np.uint8))
    year, day = _big_endian(rows, 20), _big_endian(rows, 22)
    same &= (year >= 1900) & (year <= 2100) & (day >= 1) & (day <= 365)
    same &= (rows[:, 24] < 24) & (rows[:, 25] < 60) & (rows[:, 26] < 60)
    same &= _big_endian(rows, 28) < 10_000
    same &= _big_endian(rows, 30) > 0
    if follows == b"\0\x38":
        same &= (rows[:, 56:60] == np.frombuffer(b"\x03\xe9\0\0", np.uint8)).all(axis=1)
        same &= rows[:, 60] == first[60]  # timing quality, of which a flag is made
    return int(np.argmin(same)) if not same.all() else len(rows)


def _big_endian(rows: _Bytes, at: int) -> Int64:
    return rows[:, at].astype(np.int64) << 8 | rows[:, at + 1]


def _starts(rows: _Bytes) -> Int64:
    years = (_big_endian(rows, 20) - 1970).astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
    seconds = (years + _big_endian(rows, 22) - 1) * 86_400
    seconds += rows[:, 24].astype(np.int64) * 3600 + rows[:, 25].astype(np.int64) * 60 + rows[:, 26]
    starts = seconds * 1_000_000_000 + _big_endian(rows, 28) * 100_000
    if bytes(rows[0, 50:52]) == b"\0\x38":
        starts += rows[:, 61].view(np.int8).astype(np.int64) * 1000
    return starts


def _agrees(run: HeaderRun, at: int, header: RecordHeader) -> bool:
    return (int(run.starts_ns[at]), int(run.npts[at])) == (header.starttime_ns, header.npts)


def decode_run(content: bytes | memoryview, encoding: int, flags: PacketFlag, npts: int) -> Packet | None:
    """Decode records of one channel that join on to each other, in one call.

    Parameters
    ----------
    content
        The records, one behind the other.
    encoding, flags, npts
        Of every one of them, and samples of all together.

    Returns
    -------
    What the packets of `decode_record` give one behind the other; None where that is not certain: decode them one by
    one, to know which is damaged.
    """
    try:
        traces = MS3TraceList.from_buffer(content, unpack_data=True)
    except (MiniSEEDError, ValueError):
        return None
    segments = [(trace.sourceid, segment) for trace in traces for segment in trace]
    if len(segments) != 1:
        return None
    source_id, segment = segments[0]
    samples: Samples = sensor_type(segment.np_datasamples, encoding)
    if samples.size != npts:
        return None
    return Packet(source_id, segment.starttime, segment.samprate, samples, flags)
