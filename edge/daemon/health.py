"""How the daemon is: one object that metrics, the page, `/health` and `edge-daemon status` all read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seisedge.edge.times import format_time

if TYPE_CHECKING:
    from .intake import Intake
    from .results import Statement
    from .service import Service
    from .station import Station

NANOSECONDS = 1_000_000_000
_LOW_DISK_BYTES = 64 << 20
_SILENT_S = 60.0
_MOST_NAMED = 3
_THERMAL = Path("/sys/class/thermal/thermal_zone0/temp")
_THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")


@dataclass(frozen=True)
class Health:
    """`ok` while picks are made and stored; `problems` names what is not as it should be."""

    ok: bool
    problems: tuple[str, ...]

    @property
    def line(self) -> str:
        """One line for people."""
        return "; ".join(self.problems) or "ok"


def is_stalled(service: Service) -> bool:
    """Whether packets or results wait for longer than `stall_s` without being worked on.

    Without data nothing waits, so silence of the sources is no stall: a restart would not make a sensor speak.
    """
    limit = service.clock.monotonic_ns() - round(service.config.daemon.stall_s * NANOSECONDS)
    since = [each.inbox.waiting_since() for each in service.workers] + [service.publisher.waiting_since()]
    return any(each is not None and each < limit for each in since)


def health_of(service: Service) -> Health:
    """Look at everything that can be wrong."""
    problems: list[str] = []
    if is_stalled(service):
        problems.append("stalled: packets wait and are not worked on")
    if not service.outbox.is_durable:
        problems.append(f"results are not durable: {service.outbox.counts.last_problem}")
    problems += [f"source {each.label}: {what}" for each in service.intakes if (what := _source_problem(service, each))]
    problems += _station_problems(service)
    for label, delivery in list(service.deliveries.items()):
        if not delivery.counts.is_up:
            problems.append(f"sink {label}: {delivery.counts.last_problem}")
    free = free_bytes(Path(service.config.daemon.state))
    if free is not None and free < _LOW_DISK_BYTES:
        problems.append(f"disk: {free >> 20} MB left in {service.config.daemon.state}")
    if service.last_reload_problem:
        problems.append(f"reload: {service.last_reload_problem}")
    return Health(not problems, tuple(problems))


def _station_problems(service: Service) -> list[str]:
    """Name stations that are never picked, the first of them alone: there may be ten thousand."""
    found = [
        f"station {station.id}: model {name}: {each.lacking}"
        for worker in service.workers
        for station in list(worker.stations.values())
        for name, each in list(station.pipelines.items())
        if each.lacking and each.has_data  # of a sensor of another kind, such as infrasound, no model takes anything
    ]
    if len(found) > _MOST_NAMED:
        found = [*found[:_MOST_NAMED], f"{len(found) - _MOST_NAMED} more stations lack components"]
    if service.stations.are_all_unmatched:
        found.append(f"none of {len(service.stations.unmatched)} stations matches a [[station]]")
    return found


def _source_problem(service: Service, intake: Intake) -> str:
    if intake.problem:
        return intake.problem
    if intake.ended:
        return ""
    quiet_ns = service.clock.monotonic_ns() - (intake.arrived_ns or service.started_ns)
    if quiet_ns > _SILENT_S * NANOSECONDS:
        last = intake.source.counts.last_problem
        return f"no packet for {quiet_ns // NANOSECONDS} s" + (f": {last}" if last else "")
    return ""


def free_bytes(folder: Path) -> int | None:
    """Bytes left for us on a folder's disk; None where there is no such folder."""
    try:
        status = os.statvfs(folder)
    except OSError:
        return None
    return status.f_bavail * status.f_frsize


def temperature_c() -> float | None:
    """Temperature of the processor; None where the board does not tell."""
    try:
        return int(_THERMAL.read_text(encoding="ascii")) / 1000
    except (OSError, ValueError):
        return None


def throttled() -> int | None:
    """Raspberry Pi's mask of undervoltage and throttling; None on other boards."""
    try:
        return int(_THROTTLED.read_text(encoding="ascii"), 16)
    except (OSError, ValueError):
        return None


_THROTTLING = ("under-voltage", "processor slowed", "throttled", "hot")


def throttling(mask: int | None) -> list[str]:
    """Give the words for Raspberry Pi's mask: bits 0 to 3 are now, 16 to 19 since the boot (vcgencmd get_throttled)."""
    if mask is None:
        return []
    now = [word for bit, word in enumerate(_THROTTLING) if mask >> bit & 1]
    return now + [
        f"{word} since boot" for bit, word in enumerate(_THROTTLING) if mask >> 16 + bit & 1 and word not in now
    ]


def rss_bytes() -> int | None:
    """Resident memory of this process; None where /proc is absent."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None


def status_of(service: Service) -> dict[str, Any]:
    """Everything, JSON-ready: the interface of `/status.json`."""
    health, mask = health_of(service), throttled()
    now = service.clock.now_ns()
    published = service.publisher.published_s.at(0.5, 0.99)
    stations = [each for worker in service.workers for each in list(worker.stations.values())]
    return {
        "ok": health.ok,
        "problems": list(health.problems),
        "time": format_time(now),
        "pid": os.getpid(),
        "uptime_s": (service.clock.monotonic_ns() - service.started_ns) / NANOSECONDS,
        "models": [
            {"name": name, "model": each.manifest.name, "digest": each.digest}
            for name, each in service.sessions.items()
        ],
        "stations": [_station(each, now) for each in sorted(stations, key=lambda each: each.id)],
        "sources": [_source(service, each) for each in service.intakes],
        "sinks": [_sink(service, label) for label in sorted(service.deliveries)],
        "outbox": {
            "durable": service.outbox.is_durable,
            "stored": service.outbox.counts.stored,
            "in_memory": service.outbox.counts.in_memory,
            "lost": service.outbox.counts.lost_deliveries + service.publisher.lost,
            "failures": service.outbox.counts.failures,
        },
        "statements": {f"{kind} {status}": count for (kind, status), count in service.publisher.counts.items()},
        "published_s": {"p50": published[0], "p99": published[1]},
        "workers": [_worker(each) for each in service.workers],
        "refused_packets": service.stations.refused,
        "unmatched_stations": len(service.stations.unmatched),
        "reloads": service.reloads,
        "refused_reloads": service.refused_reloads,
        "last_reload_problem": service.last_reload_problem,
        "machine": {
            "rss_bytes": rss_bytes(),
            "temperature_c": temperature_c(),
            "throttled": mask,
            "throttling": throttling(mask),
            "disk_free_bytes": free_bytes(Path(service.config.daemon.state)),
        },
    }


def _station(station: Station, now_ns: int) -> dict[str, Any]:
    pipelines = list(station.pipelines.items())
    return {
        "id": str(station.id),
        "source": station.source,
        "packets": station.packets,
        "latency_s": (now_ns - station.newest_ns) / NANOSECONDS if station.newest_ns else None,
        "last_sample": format_time(station.newest_ns) if station.newest_ns else None,
        "channels": list(station.traces.channels),
        "last_pick": _pick(station.last_pick),
        "models": {
            name: {
                "windows": each.stream.cutter.windows,
                "skipped_windows": each.stream.cutter.skipped,
                "gaps": each.stream.aligner.counts.gap_count,
                "late_samples": each.stream.aligner.counts.late_samples,
                "duplicate_samples": each.stream.aligner.counts.duplicate_samples,
                "refused": [*each.stream.refused.values(), *filter(None, [each.lacking])],
            }
            for name, each in pipelines
        },
    }


def _pick(last: Statement | None) -> dict[str, Any] | None:
    if last is None:
        return None
    return {
        "label": last.label,
        "time": format_time(last.time_ns),
        "probability": round(last.probability, 6),
        "status": last.status,
    }


def _source(service: Service, intake: Intake) -> dict[str, Any]:
    counts = intake.source.counts
    return {
        "name": intake.label,
        "packets": counts.packets,
        "bytes": counts.received_bytes,
        "damaged": counts.damaged,
        "overruns": counts.overruns,
        "connects": counts.connects,
        "dropped": sum(each.inbox.dropped.get(intake.label, 0) for each in service.workers),
        "queue": sum(each.inbox.depth(intake.label) for each in service.workers),
        "ended": intake.ended,
        "last_problem": intake.problem or counts.last_problem,
    }


def _sink(service: Service, label: str) -> dict[str, Any]:
    counts = service.deliveries[label].counts
    return {
        "name": label,
        "up": counts.is_up,
        "delivered": counts.delivered,
        "waiting": service.outbox.waiting(label),
        "failures": counts.failures,
        "last_problem": counts.last_problem,
    }


def _worker(worker: Any) -> dict[str, Any]:  # noqa: ANN401 - importing it for the annotation would be a circle
    p50, p99 = worker.inference_s.at(0.5, 0.99)
    return {
        "queue": worker.inbox.depth(),
        "windows": worker.windows,
        "failed_windows": worker.failed_windows,
        "inference_s": {"p50": p50, "p99": p99},
        "stations": len(worker.stations),
    }
