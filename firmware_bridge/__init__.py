"""Bytes from a sensor or an archive → `Packet`s. No sockets, no files, no clock, no threads (sans-I/O)."""

from .decoder import Decoder, packets_of
from .errors import TruncatedError, WireError
from .miniseed import RecordHeader, decode_record, read_headers
from .miniseed_runs import HeaderRun, decode_run, uniform_run
from .packet import Packet, PacketFlag, Samples
from .source_id import SourceId

__all__ = [
    "Decoder",
    "HeaderRun",
    "Packet",
    "PacketFlag",
    "RecordHeader",
    "Samples",
    "SourceId",
    "TruncatedError",
    "WireError",
    "decode_record",
    "decode_run",
    "packets_of",
    "read_headers",
    "uniform_run",
]
