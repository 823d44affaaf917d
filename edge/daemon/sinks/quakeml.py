"""QuakeML 1.2 (BED): one document per pick, replaced by its revisions, removed when it is retracted."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seisedge.edge.daemon.sink_config import QuakeMlSink, Sink
from seisedge.edge.daemon.store import Item
from seisedge.edge.whole_file import write_whole

from .sink import SinkError

_ROOT = "http://quakeml.org/xmlns/quakeml/1.2"
_BED = "http://quakeml.org/xmlns/bed/1.2"
_AUTHORITY = "smi:local/seisedge"


def quakeml(row: dict[str, Any]) -> bytes:
    """Write a pick's row as a document.

    Status, probability, SNR and the model stand in comments, for the schema has no place for them.
    """
    root = ET.Element(f"{{{_ROOT}}}quakeml")
    parameters = ET.SubElement(root, "eventParameters", publicID=f"{_AUTHORITY}/picks/{row['id']}", xmlns=_BED)
    event = ET.SubElement(parameters, "event", publicID=f"{_AUTHORITY}/event/{row['id']}")
    pick = ET.SubElement(event, "pick", publicID=f"{_AUTHORITY}/pick/{row['id']}")
    _comment(pick, f"status={row['status']}")
    _comment(pick, f"probability={row['probability']:g}")
    _comment(pick, f"model={row['model']} sha256={row['model_digest']}")
    if row.get("snr") is not None:
        _comment(pick, f"snr_db={row['snr']:.1f}")
    if row.get("amplitude") is not None:
        _comment(pick, f"peak_counts={row['amplitude']:g}")
    time = ET.SubElement(pick, "time")
    ET.SubElement(time, "value").text = row["time"]
    if row.get("time_uncertainty_s") is not None:
        ET.SubElement(time, "uncertainty").text = f"{row['time_uncertainty_s']:.6f}"
    codes = {"networkCode": row["network"], "stationCode": row["station"], "channelCode": row["channel"]}
    if row["location"]:
        codes["locationCode"] = row["location"]
    ET.SubElement(pick, "waveformID", codes)
    ET.SubElement(pick, "methodID").text = f"{_AUTHORITY}/method/{row['model_digest'][:16]}"
    ET.SubElement(pick, "phaseHint").text = row["phase_hint"]
    ET.SubElement(pick, "evaluationMode").text = "automatic"
    ET.SubElement(pick, "evaluationStatus").text = "preliminary"  # no one has reviewed it
    info = ET.SubElement(pick, "creationInfo")
    ET.SubElement(info, "author").text = "seisedge"
    if "published" in row:
        ET.SubElement(info, "creationTime").text = row["published"]
    ET.SubElement(info, "version").text = str(row["revision"])
    ET.register_namespace("q", _ROOT)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))


def _comment(parent: ET.Element, text: str) -> None:
    ET.SubElement(ET.SubElement(parent, "comment"), "text").text = text


class QuakeMlFolder:
    """A folder of documents, `<id>.xml`."""

    def __init__(self, part: QuakeMlSink) -> None:
        self._folder = Path(part.folder)

    def deliver(self, items: Sequence[Item]) -> None:
        """Write the picks among them; see `Sink`."""
        try:
            for each in items:
                if each.kind != "pick":
                    continue
                path = self._folder / f"{each.row['id']}.xml"
                if each.row["status"] == "retracted":
                    path.unlink(missing_ok=True)
                else:
                    write_whole(quakeml(each.row), path)
        except OSError as error:
            raise SinkError(f"{self._folder}: cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Nothing is open."""


def open_sink(part: Sink) -> QuakeMlFolder:
    """Make the sink; see `sinks.open_sink`."""
    if not isinstance(part, QuakeMlSink):
        raise TypeError(f"sink {part.label}: found {type(part).__name__}, wanted QuakeMlSink")
    return QuakeMlFolder(part)
