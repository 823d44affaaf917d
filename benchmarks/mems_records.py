"""Three records of MEMS accelerometers at 50, 100 and 126 Hz: at which threshold the event is found, and what else is.

    python benchmarks/mems_records.py [--shared DIR] [--plot FILE.png] [MODEL ...]

A Grillo sensor (125 Hz said, 126.2 measured; its own JSON packets), a class-C sensor of the Community Seismic Network
(50 Hz, g, made the int16 counts of an ADXL355) and the accelerometer of a Raspberry Shake 4D (100 Hz), minutes each,
with one event each, and no label. Every record goes through the runtime's own stream. "event" is the highest threshold
at which there is a pick within the event's minute, "else" the highest one at which there is any pick outside: between
the two a picker finds the event and gives no false alarm. The recursive STA/LTA is that of `edge-export evaluate`.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import click
import matplotlib as mpl
import numpy as np
import obspy

from seisedge.edge import Packet, models
from seisedge.edge.recorder import Recorder
from seisedge.edge.session import OrtSession
from seisedge.export.evaluation.archive_cases import archive_cases
from seisedge.export.evaluation.cases import Case
from seisedge.export.evaluation.pickers import ArtefactPicker, Found, Picker
from seisedge.export.evaluation.sta_lta import StaLtaPicker
from seisedge.export.records import Continuous
from seisedge.firmware_bridge import SourceId
from seisedge.firmware_bridge.decoder import packets_of
from seisedge.firmware_bridge.grillo import grillo_decoder

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data"
COUNTS_PER_G = 980.665 / 0.003772  # of an ADXL355
EVENT_S = 60.0
_DRAWN_S = 120.0
PHASES = {"P": "tab:red", "S": "tab:blue"}


@dataclass(frozen=True)
class Record:
    """A record, where its event is (s from the start to about a minute behind), and its samples by component."""

    name: str
    event_s: float
    case: Case


def grillo(shared: Path) -> list[Packet]:
    """The sensor's own packets."""
    content = (shared / "mems" / "grillo_125hz_20200604.json").read_bytes()
    found = packets_of(grillo_decoder(), content, lambda _: None)
    return [renamed(each, "OE_GRLO", SourceId.parse(each.source_id).component) for each in found]


def renamed(packet: Packet, station: str, component: str) -> Packet:
    """The same samples under a short name."""
    return Packet(
        f"FDSN:{station}__H_N_{component}", packet.starttime_ns, packet.sampling_rate, packet.samples, packet.flags
    )


def of_traces(stream: obspy.Stream, station: str, counts: float) -> list[Packet]:
    """Traces as packets of a second, as int16 counts."""
    found: list[Packet] = []
    for trace in stream:
        samples = np.round((trace.data - trace.data.mean()) * counts).clip(-32768, 32767).astype(np.int16)
        rate = float(trace.stats.sampling_rate)
        name = f"FDSN:{station}__H_N_{trace.stats.channel[-1]}"
        whole = Packet(name, trace.stats.starttime.ns, rate, samples)
        found += [whole.cut(at, min(at + round(rate), samples.size)) for at in range(0, samples.size, round(rate))]
    return sorted(found, key=lambda each: each.starttime_ns)


def records(shared: Path, folder: Path) -> list[Record]:
    """Write each record as miniSEED, as `edge-bridge` does, and read it as an archive."""
    class_c = obspy.Stream(
        [obspy.read(str(path))[0] for path in sorted((shared / "mems/csn_ci38457511").glob("*.sac"))]
    )
    shake = obspy.read(str(shared / "mseed/rshake_AM.R91E4_20220521.mseed")).select(channel="EN?")
    given = (
        ("Grillo, 126 Hz", 10.0, grillo(shared)),
        ("CSN class C, 50 Hz", 30.0, of_traces(class_c, "CJ_CSN", COUNTS_PER_G)),
        ("Raspberry Shake 4D, 100 Hz", 5.0, of_traces(shake, "AM_SHAKE", 1.0)),
    )
    found: list[Record] = []
    for number, (name, event_s, sent) in enumerate(given):
        place = folder / str(number)
        place.mkdir()
        with Recorder(place / "record.mseed") as recorder:
            for packet in sent:
                recorder.write(packet)
        found.append(Record(name, event_s, archive_cases(Continuous(place)).cases[0]))
    return found


def highest(record: Record, picker: Picker, found: Found, *, inside: bool) -> tuple[float, str]:
    """Highest threshold at which there is a pick in the event's minute, or outside; and which."""
    best, which = 0.0, ""
    for phase in picker.phases:
        for on, onsets in zip(picker.grid, found[phase], strict=True):
            for time_ns, _ in onsets:
                at = (time_ns - record.case.start_ns) / 1e9
                if (record.event_s <= at < record.event_s + EVENT_S) == inside and on > best:
                    best, which = on, f"{phase} at {at:.1f} s"
    return best, which


def draw(found: list[tuple[Record, Picker, Found]], path: Path) -> None:
    """The first two minutes of each vertical, with the picks of one picker at a threshold of 0.1."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - behind the choice of the backend

    figure, axes = plt.subplots(len(found), 1, figsize=(9, 2.1 * len(found)), layout="constrained")
    for axis, (record, picker, picks) in zip(axes, found, strict=True):
        places = {"Z": 0}
        for _, packet in record.case.traces.packets(places, 0.0):
            first = (packet.starttime_ns - record.case.start_ns) / 1e9
            times = first + np.arange(packet.samples.size) / packet.sampling_rate
            axis.plot(times, packet.samples, color="0.35", linewidth=0.5)
        for phase, colour in PHASES.items():
            for time_ns, probability in picks[phase][picker.grid.index(0.1)]:
                at = (time_ns - record.case.start_ns) / 1e9
                if at > _DRAWN_S:
                    continue
                axis.axvline(at, color=colour, linewidth=1.2, alpha=0.9)
                axis.annotate(
                    f" {phase} {probability:.2f} ",
                    (at, 0.95),
                    xycoords=("data", "axes fraction"),
                    color=colour,
                    ha="right" if phase == "P" else "left",
                    va="top",
                    fontsize=8,
                )
        axis.set_title(f"{record.name}: vertical (counts)", loc="left", fontsize=9)
        axis.set_xlim(0, _DRAWN_S)
    axes[-1].set_xlabel("seconds")
    figure.savefig(path, dpi=110)


@click.command(help=__doc__)
@click.argument("model", nargs=-1)
@click.option("--shared", type=click.Path(path_type=Path), default=SHARED)
@click.option("--plot", type=click.Path(path_type=Path), help="A picture of the first model's picks.")
def main(model: tuple[str, ...], shared: Path, plot: Path | None) -> None:
    """Print the table."""
    names = model or ("edge-picker", "edge-picker-long")
    pickers: list[Picker] = [ArtefactPicker(name, OrtSession(models.find_model(name))) for name in names]
    pickers.append(StaLtaPicker())
    drawn: list[tuple[Record, Picker, Found]] = []
    click.echo("| record | s | picker | event | which | else | which |\n|---|---:|---|---:|---|---:|---|")
    with tempfile.TemporaryDirectory() as folder:
        for record in records(shared, Path(folder)):
            for picker in pickers:
                found = picker.pick(record.case)
                if picker is pickers[0]:
                    drawn.append((record, picker, found))
                event, which = highest(record, picker, found, inside=True)
                other, what = highest(record, picker, found, inside=False)
                seconds = (record.case.end_ns - record.case.start_ns) / 1e9
                click.echo(
                    f"| {record.name} | {seconds:.0f} | {picker.name} | {event:g} | {which} | {other:g} | {what} |"
                )
        if plot is not None:
            draw(drawn, plot)


if __name__ == "__main__":
    main()
