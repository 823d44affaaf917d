"""Bytes from a sensor or an archive → `Packet`s. No sockets, no files, no clock, no threads (sans-I/O)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .on_demand import imported

if TYPE_CHECKING:
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

_HOMES = {
    "DataLinkClient": "datalink",
    "DataLinkPacket": "datalink",
    "Decoder": "decoder",
    "HeaderRun": "miniseed_runs",
    "MiniSeedDecoder": "miniseed_stream",
    "Packet": "packet",
    "PacketFlag": "packet",
    "RecordHeader": "miniseed",
    "Samples": "packet",
    "SeedLinkClient": "seedlink",
    "SeedLinkPacket": "seedlink_frames",
    "SourceId": "source_id",
    "StationRequest": "seedlink_requests",
    "TruncatedError": "errors",
    "UserPassword": "seedlink_requests",
    "WebToken": "seedlink_requests",
    "WireError": "errors",
    "decode_record": "miniseed",
    "decode_run": "miniseed_runs",
    "decode_series": "miniseed",
    "encode_records": "miniseed_encode",
    "packets_of": "decoder",
    "read_headers": "miniseed",
    "uniform_run": "miniseed_runs",
}


def __getattr__(name: str) -> object:
    """Import what is asked for, when it is asked for."""
    return imported(__name__, _HOMES, name)
