"""Pictures of picks and detections: the waveforms around them. Needs matplotlib, which the base install lacks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from seisedge.firmware_bridge import Packet

from .archive_index import Trace
from .archive_packets import read_packets
from .detections import Detection
from .errors import UsageError
from .picks import Pick
from .stations import Station
from .times import NANOSECONDS, format_time

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Float64 = npt.NDArray[np.float64]

_BEFORE_S, _AFTER_S = 5.0, 10.0
_TOGETHER_S = 30.0  # picks no further apart share a picture
_COLOURS = {"P": "tab:red", "S": "tab:blue"}
_DETECTED = "tab:green"


def require_matplotlib() -> None:
    """Fail before the scan, not behind it.

    Raises
    ------
    UsageError
        matplotlib is not installed.
    """
    try:
        import matplotlib as mpl  # noqa: PLC0415 - the base install does not have it
    except ImportError:
        raise UsageError("pictures: found no matplotlib, wanted it: pip install 'seisedge[archive]'") from None
    mpl.use("agg")


Found = Pick | Detection


def draw_results(station: Station, found: list[Found], folder: Path) -> list[Path]:
    """One PNG per group of picks or detections: the components, and what was found with its probability.

    Parameters
    ----------
    station
        Whose files are read again around the picks.
    found
        At that station.
    folder
        Made when it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return [_draw_group(station, group, folder) for group in _groups(found)]


def _groups(found: list[Found]) -> list[list[Found]]:
    groups: list[list[Found]] = []
    for each in sorted(found, key=lambda each: each.time_ns):
        if groups and each.time_ns - max(map(_end_ns, groups[-1])) <= _TOGETHER_S * NANOSECONDS:
            groups[-1].append(each)
        else:
            groups.append([each])
    return groups


def _end_ns(found: Found) -> int:
    return found.endtime_ns if isinstance(found, Detection) else found.time_ns


def _draw_group(station: Station, found: list[Found], folder: Path) -> Path:
    from matplotlib.figure import Figure  # noqa: PLC0415 - see require_matplotlib

    start = found[0].time_ns - round(_BEFORE_S * NANOSECONDS)
    end = max(map(_end_ns, found)) + round(_AFTER_S * NANOSECONDS)
    packets = _read(station, start, end)
    figure = Figure(figsize=(10, 1.2 + 1.8 * len(packets)), layout="constrained")
    rows = figure.subplots(len(packets), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (source_id, parts) in zip(rows, packets.items(), strict=True):
        _draw_trace(axes, source_id, parts, start)
        _draw_found(axes, found, start)
    rows[0].set_title(f"{station.id}   {format_time(start)}   {found[0].model}", fontsize=10, loc="left")
    rows[0].set_xlim(0, (end - start) / NANOSECONDS)
    rows[0].legend(loc="upper right", fontsize=8)
    rows[-1].set_xlabel("seconds")
    stamp = format_time(found[0].time_ns)[:19].replace(":", "").replace("-", "")
    path = folder / f"{station.id}_{stamp}.png"
    figure.savefig(path, dpi=110)
    return path


def _read(station: Station, start: int, end: int) -> dict[str, list[Packet]]:
    """The station's packets near a span, by channel: vertical first, then as the alphabet has them."""
    packets: dict[str, list[Packet]] = {}
    spans = [(component, _between(trace, start, end)) for component, trace in station.traces]
    near = [each for each in spans if each[1].starts]  # a file that begins behind the picture has none
    for _, packet, _ in read_packets(near, on_problem=lambda _: None):  # the scan has told of problems already
        packets.setdefault(packet.source_id, []).append(packet)
    return dict(sorted(packets.items(), key=lambda item: (item[0][-1] not in "Z3", item[0])))


def _between(trace: Trace, start: int, end: int) -> Trace:
    """Select the records of a trace that begin near a span, and the last one before it."""
    near = Trace(trace.path, trace.source_id)
    before = max((each for each in trace.starts if each < start), default=start)
    for begin, offset, length in zip(trace.starts, trace.offsets, trace.lengths, strict=True):
        if before <= begin < end:
            near.starts.append(begin)
            near.offsets.append(offset)
            near.lengths.append(length)
    return near


def _draw_trace(axes: Axes, source_id: str, packets: list[Packet], start: int) -> None:
    level = float(np.median(np.concatenate([packet.samples for packet in packets])))
    times: list[Float64] = []
    counts: list[Float64] = []
    for packet in packets:
        first = (packet.starttime_ns - start) / NANOSECONDS
        if times and first - times[-1][-1] > 1.5 / packet.sampling_rate:  # a gap breaks the line
            times.append(np.array([np.nan]))
            counts.append(np.array([np.nan]))
        times.append(first + np.arange(packet.samples.size) / packet.sampling_rate)
        counts.append(packet.samples.astype(np.float64) - level)
    axes.plot(np.concatenate(times), np.concatenate(counts), color="0.25", linewidth=0.6)
    axes.set_ylabel(source_id.rsplit("_", 1)[-1], rotation=0)
    axes.tick_params(labelsize=8)
    axes.margins(y=0.1)


def _draw_found(axes: Axes, found: list[Found], start: int) -> None:
    """A line for a pick, a span for a detection."""
    for each in found:
        at = (each.time_ns - start) / NANOSECONDS
        text = f"{format_time(each.time_ns)[11:23]} ({each.probability:.2f})"
        if isinstance(each, Detection):
            end = (each.endtime_ns - start) / NANOSECONDS
            axes.axvspan(at, end, color=_DETECTED, alpha=0.15, linewidth=0, label=f"{each.label} {text}")
        else:
            colour = _COLOURS.get(each.phase_hint, _DETECTED)
            axes.axvline(at, color=colour, linewidth=1.2, label=f"{each.phase_hint} {text}")
