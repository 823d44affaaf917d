"""What `edge-daemon status` shows a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def status_lines(found: dict[str, Any]) -> list[str]:
    """Write what `/status.json` says, the problems first."""
    published, outbox = found["published_s"], found["outbox"]
    lines = ["ok" if found["ok"] else "PROBLEMS:", *(f"  {each}" for each in found["problems"])]
    lines.append(
        f"up {_age(found['uptime_s'])}; packet to pick {_ms(published['p50'])} median, {_ms(published['p99'])} p99"
    )
    lines += [
        f"worker {number}: {each['queue']} packets wait, {each['windows']} windows, {each['failed_windows']} failed; "
        f"a call of the network {_ms(each['inference_s']['p50'])} median, {_ms(each['inference_s']['p99'])} p99"
        for number, each in enumerate(found["workers"], start=1)
    ]
    lines += _stations(found["stations"])
    if found["unmatched_stations"]:
        lines.append(
            f"{found['unmatched_stations']} stations match no [[station]]; {found['refused_packets']} packets left out"
        )
    lines += [*_sources(found["sources"]), *_sinks(found["sinks"])]
    lines.append(f"outbox: {'on the disk' if outbox['durable'] else 'NOT DURABLE'}, {outbox['lost']} lost")
    return [*lines, _machine_line(found["machine"])]


def _stations(stations: list[dict[str, Any]]) -> Iterator[str]:
    for each in stations:
        gaps = sum(model["gaps"] for model in each["models"].values())
        latency = "no data" if each["latency_s"] is None else f"data {_age(each['latency_s'])} old"
        refused = "".join(f"; {why}" for model in each["models"].values() for why in model["refused"])
        about = f"{latency}, {each['packets']} packets, {gaps} gaps, {_last(each['last_pick'])}{refused}"
        yield f"station {each['id']}: {about}"


def _sources(sources: list[dict[str, Any]]) -> Iterator[str]:
    for each in sources:
        overruns = f", {each['overruns']} overrun" if each["overruns"] else ""
        yield (
            f"source {each['name']}: {each['packets']} packets, {each['damaged']} damaged{overruns}, "
            f"{each['dropped']} dropped, {each['queue']} wait{_tail(each['last_problem'])}"
        )


def _sinks(sinks: list[dict[str, Any]]) -> Iterator[str]:
    for each in sinks:
        state = "up" if each["up"] else "DOWN"
        yield (
            f"sink {each['name']}: {state}, {each['delivered']} delivered, {each['waiting']} wait"
            f"{_tail(each['last_problem'] if not each['up'] else '')}"
        )


def _machine_line(machine: dict[str, Any]) -> str:
    board = [f"memory {machine['rss_bytes'] / 1e6:.0f} MB"] if machine["rss_bytes"] else []
    if machine["disk_free_bytes"] is not None:
        board.append(f"disk {machine['disk_free_bytes'] / 1e9:.1f} GB left")
    if machine["temperature_c"] is not None:
        board.append(f"{machine['temperature_c']:.0f} °C")
    if machine["throttled"] is not None:
        board.append(", ".join(machine["throttling"]) or "not throttled")
    return "machine: " + ", ".join(board)


def _last(pick: dict[str, Any] | None) -> str:
    if pick is None:
        return "no pick yet"
    return f"last pick {pick['label']} {pick['time'][:22]}Z, probability {pick['probability']:.2f}, {pick['status']}"


def _age(seconds: float) -> str:
    """Write a length of time as a person says it."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.1f} ms"


def _tail(problem: str) -> str:
    return f"; {problem}" if problem else ""
