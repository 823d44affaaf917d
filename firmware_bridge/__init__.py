"""Bytes from a sensor or an archive → `Packet`s. No sockets, no files, no clock, no threads (sans-I/O)."""

from .datalink import DataLinkClient, DataLinkPacket
from .decoder import Decoder, packets_of
from .errors import TruncatedError, WireError
from .miniseed import RecordHeader, decode_record, decode_series, read_headers
from .miniseed_encode import encode_records
from .miniseed_runs import HeaderRun, decode_run, uniform_run
from .miniseed_stream import MiniSeedDecoder
from .packet import Packet, PacketFlag, Samples
from .seedlink import SeedLinkClient
from .seedlink_frames import SeedLinkPacket
from .seedlink_requests import StationRequest, UserPassword, WebToken
from .source_id import SourceId

__all__ = [
    "DataLinkClient",
    "DataLinkPacket",
    "Decoder",
    "HeaderRun",
    "MiniSeedDecoder",
    "Packet",
    "PacketFlag",
    "RecordHeader",
    "Samples",
    "SeedLinkClient",
    "SeedLinkPacket",
    "SourceId",
    "StationRequest",
    "TruncatedError",
    "UserPassword",
    "WebToken",
    "WireError",
    "decode_record",
    "decode_run",
    "decode_series",
    "encode_records",
    "packets_of",
    "read_headers",
    "uniform_run",
]
