"""What a scan did, in words for the terminal and as JSON."""

from __future__ import annotations

from .aligner import Span
from .scan import ScanReport, StationReport
from .times import NANOSECONDS, format_time

_LISTED = 20  # gaps and overlaps shown per station; the JSON report has them all


def summary_lines(report: ScanReport) -> list[str]:
    """Say what a scan did: totals, then each station's gaps, overlaps and skipped traces."""
    scanned = sum(1 for each in report.stations if each.station.refused is None)
    lines = [
        (
            f"{_plural(scanned, 'station')}, {report.hours:.2f} h of data, "
            f"{_plural(report.windows, 'window')}, {_totals(report)}"
        ),
    ]
    if report.seconds > 0 and report.hours > 0:
        lines.append(
            f"{report.seconds:.1f} s: {report.hours * 3600 / report.seconds:,.0f} times real time, "
            f"{report.windows / report.seconds:,.0f} windows/s"
        )
    for station in report.stations:
        lines += _station_lines(station)
    if report.passed_over:
        lines.append(f"{_plural(report.passed_over, 'file')} in folders passed over: no miniSEED")
    return lines


def _totals(report: ScanReport) -> str:
    """`4 picks (2 P, 2 S)`, and detections and waveforms where there are some."""
    parts: list[str] = []
    picks, detections = report.picks(), report.detections()
    for noun, counts in (("pick", picks), ("detection", detections)):
        if counts or (noun == "pick" and not detections and not report.waveform_samples):
            counted = f" ({_counted(counts)})" if counts else ""
            parts.append(f"{_plural(sum(counts.values()), noun)}{counted}")
    if report.waveform_samples:
        parts.append(f"waveforms of {_plural(report.waveform_samples, 'sample')}")
    return ", ".join(parts)


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {label}" for label, count in sorted(counts.items()))


def _station_lines(report: StationReport) -> list[str]:
    station = report.station
    if station.refused is not None:
        return [f"{station.id}: skipped: {station.refused}", *(f"  {note}" for note in report.notes)]
    found = [_counted(report.picks), _counted(report.detections)]
    if report.waveform_samples:
        found.append(f"waveforms of {_plural(report.waveform_samples, 'sample')}")
    picks = ", ".join(filter(None, found)) or "no picks"
    lines = [f"{station.id} ({', '.join(station.components)}): {report.hours:.2f} h, {picks}"]
    lines += [f"  {note}" for note in report.notes]
    if report.rate_changes:
        lines.append(f"  the sampling rate changed {_plural(report.rate_changes, 'time')}: streams restarted")
    lines += _span_lines(report, "gap", report.gaps, report.gap_count)
    lines += _span_lines(report, "overlap", report.overlaps, report.overlap_count)
    if report.skipped_windows:
        lines.append(f"  {_plural(report.skipped_windows, 'window')} skipped at gaps")
    return lines


def _span_lines(report: StationReport, kind: str, spans: list[Span], count: int) -> list[str]:
    shown = spans[:_LISTED]
    lines = [f"  {kind} {_describe(span, report)}" for span in shown]
    if count > len(shown):
        lines.append(f"  and {count - len(shown)} more {kind}s (--report FILE lists them)")
    return lines


def _describe(span: Span, report: StationReport) -> str:
    letter = component_letter(span, report)
    seconds = (span.endtime_ns - span.starttime_ns) / NANOSECONDS
    return f"{letter}: {format_time(span.starttime_ns)} to {format_time(span.endtime_ns)} ({seconds:.2f} s)"


def component_letter(span: Span, report: StationReport) -> str:
    """Give the channel that a span is of, as the archive calls it."""
    codes = sorted({trace.source_id.channel for index, trace in report.station.traces if index == span.component})
    return "/".join(codes)


def report_json(report: ScanReport) -> dict[str, object]:
    """Give the whole report as JSON-ready values; times are ISO 8601 UTC."""
    return {
        "hours": report.hours,
        "windows": report.windows,
        "seconds": report.seconds,
        "picks": report.picks(),
        "detections": report.detections(),
        "waveform_samples": report.waveform_samples,
        "problems": report.problems,
        "files_passed_over": report.passed_over,
        "stations": [_station_json(each) for each in report.stations],
    }


def _station_json(report: StationReport) -> dict[str, object]:
    def spans(listed: list[Span]) -> list[dict[str, str]]:
        return [
            {
                "channel": component_letter(span, report),
                "starttime": format_time(span.starttime_ns),
                "endtime": format_time(span.endtime_ns),
            }
            for span in listed
        ]

    return {
        "station": str(report.station.id),
        "components": list(report.station.components),
        "refused": report.station.refused,
        "hours": report.hours,
        "windows": report.windows,
        "skipped_windows": report.skipped_windows,
        "picks": report.picks,
        "detections": report.detections,
        "waveform_samples": report.waveform_samples,
        "rate_changes": report.rate_changes,
        "gap_count": report.gap_count,
        "gaps": spans(report.gaps),
        "overlap_count": report.overlap_count,
        "overlaps": spans(report.overlaps),
        "notes": report.notes,
    }


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
