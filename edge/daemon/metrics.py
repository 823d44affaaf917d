"""Prometheus's text format 0.0.4, from what `/status.json` says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Labels = dict[str, str]
Sample = tuple[Labels, float | None]


def metrics_text(status: dict[str, Any]) -> str:
    """Write all metrics; what is not known is left out."""
    lines: list[str] = []
    for name, kind, text, samples in _metrics(status):
        known = [(labels, value) for labels, value in samples if value is not None]
        if known:
            lines += [f"# HELP seisedge_{name} {text}", f"# TYPE seisedge_{name} {kind}"]
            lines += [f"seisedge_{name}{_labels(labels)} {float(value):.9g}" for labels, value in known]
    return "\n".join(lines) + "\n"


def _metrics(status: dict[str, Any]) -> Iterator[tuple[str, str, str, list[Sample]]]:
    stations, sources, sinks = status["stations"], status["sources"], status["sinks"]
    machine, outbox = status["machine"], status["outbox"]
    yield "healthy", "gauge", "1 while there is no problem", [({}, float(status["ok"]))]
    yield "uptime_seconds", "gauge", "Since the start", [({}, status["uptime_s"])]
    for key, name, kind, text in (
        ("packets", "station_packets_total", "counter", "Packets of a station"),
        ("latency_s", "station_latency_seconds", "gauge", "Now minus the station's newest sample"),
    ):
        yield name, kind, text, [({"station": each["id"]}, each[key]) for each in stations]
    for key in ("windows", "skipped_windows", "gaps", "late_samples", "duplicate_samples"):
        samples: list[Sample] = [
            ({"station": each["id"], "model": name}, model[key])
            for each in stations
            for name, model in each["models"].items()
        ]
        yield f"station_{key}_total", "counter", f"{key.replace('_', ' ')} of a station".capitalize(), samples
    for key in ("packets", "bytes", "damaged", "overruns", "connects", "dropped"):
        yield f"source_{key}_total", "counter", f"{key} of a source".capitalize(), _named(sources, "source", key)
    yield "source_queue_packets", "gauge", "Packets that wait", _named(sources, "source", "queue")
    yield "sink_up", "gauge", "1 while the last delivery went well", _named(sinks, "sink", "up")
    yield "sink_delivered_total", "counter", "Results that a sink confirmed", _named(sinks, "sink", "delivered")
    yield "sink_failures_total", "counter", "Deliveries that failed", _named(sinks, "sink", "failures")
    yield "sink_waiting", "gauge", "Results that a sink has not confirmed", _named(sinks, "sink", "waiting")
    yield "outbox_durable", "gauge", "1 while results reach the disk", [({}, float(outbox["durable"]))]
    yield "outbox_lost_total", "counter", "Deliveries lost at a bound", [({}, outbox["lost"])]
    counts: list[Sample] = []
    for name, count in status["statements"].items():
        kind, state = name.split(" ")
        counts.append(({"kind": kind, "status": state}, count))
    yield "statements_total", "counter", "Statements made", counts
    quantiles: list[Sample] = [
        ({"quantile": q}, status["published_s"][p]) for q, p in (("0.5", "p50"), ("0.99", "p99"))
    ]
    yield "published_seconds", "gauge", "Packet arrival to statement stored", quantiles
    inference: list[Sample] = [
        ({"worker": str(number), "quantile": quantile}, each["inference_s"][key])
        for number, each in enumerate(status["workers"])
        for quantile, key in (("0.5", "p50"), ("0.99", "p99"))
    ]
    yield "inference_seconds", "gauge", "One call of a network", inference
    failed: list[Sample] = [({}, sum(each["failed_windows"] for each in status["workers"]))]
    yield "failed_windows_total", "counter", "Windows that the network did not take", failed
    yield (
        "refused_packets_total",
        "counter",
        "Packets of stations that are not taken",
        [({}, status["refused_packets"])],
    )
    yield "resident_memory_bytes", "gauge", "Memory of the process", [({}, machine["rss_bytes"])]
    yield "temperature_celsius", "gauge", "Of the processor", [({}, machine["temperature_c"])]
    yield "throttled", "gauge", "Raspberry Pi's mask of throttling", [({}, machine["throttled"])]
    yield "disk_free_bytes", "gauge", "Left for the outbox", [({}, machine["disk_free_bytes"])]


def _named(rows: list[dict[str, Any]], label: str, key: str) -> list[Sample]:
    return [({label: each["name"]}, float(each[key])) for each in rows]


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
