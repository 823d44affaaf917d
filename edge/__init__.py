"""The station side: reads an artefact and does exactly what it says, on a stream."""

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
