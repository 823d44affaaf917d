"""The station side: reads an artefact and does exactly what it says, on a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seisedge.firmware_bridge.on_demand import imported

if TYPE_CHECKING:
    from seisedge.firmware_bridge import Packet

    from .aligner import Aligner, AlignerCounts, Chunk, Span
    from .detections import Detection
    from .errors import DataError, ManifestError, ModelError, SeisedgeError, UsageError
    from .manifest import Manifest, read_manifest
    from .picks import Pick, StationId
    from .pipeline import StationPicker, StationStream
    from .postprocess import Result
    from .preprocess import Preprocess
    from .scan import Scanner, ScanOptions, ScanReport
    from .session import OrtSession, Session
    from .waveforms import Waveform

__all__ = [
    "Aligner",
    "AlignerCounts",
    "Chunk",
    "DataError",
    "Detection",
    "Manifest",
    "ManifestError",
    "ModelError",
    "OrtSession",
    "Packet",
    "Pick",
    "Preprocess",
    "Result",
    "ScanOptions",
    "ScanReport",
    "Scanner",
    "SeisedgeError",
    "Session",
    "Span",
    "StationId",
    "StationPicker",
    "StationStream",
    "UsageError",
    "Waveform",
    "read_manifest",
]

_HOMES = {
    "Aligner": "aligner",
    "AlignerCounts": "aligner",
    "Chunk": "aligner",
    "DataError": "errors",
    "Detection": "detections",
    "Manifest": "manifest",
    "ManifestError": "errors",
    "ModelError": "errors",
    "OrtSession": "session",
    "Packet": ".firmware_bridge",
    "Pick": "picks",
    "Preprocess": "preprocess",
    "Result": "postprocess",
    "ScanOptions": "scan",
    "ScanReport": "scan",
    "Scanner": "scan",
    "SeisedgeError": "errors",
    "Session": "session",
    "Span": "aligner",
    "StationId": "picks",
    "StationPicker": "pipeline",
    "StationStream": "pipeline",
    "UsageError": "errors",
    "Waveform": "waveforms",
    "read_manifest": "manifest",
}


def __getattr__(name: str) -> object:
    """Import what is asked for, when it is asked for."""
    return imported(__name__, _HOMES, name)
