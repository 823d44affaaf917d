"""What a configuration says that cannot be, found without looking at anything but the file itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from seisedge.edge import strict
from seisedge.edge.errors import UsageError
from seisedge.edge.sources import parse_url

from .sink_config import WaveformSink

if TYPE_CHECKING:
    from .config import Config

SETTLING_S = 30.0
"""A pick becomes final at most this long behind its onset."""


def require_consistent(config: Config) -> None:
    """Refuse what cannot be.

    Raises
    ------
    UsageError
        One line: the key's path, what was found, what was wanted.
    """
    if not config.source:
        raise UsageError("source: found none, wanted at least one [[source]]")
    for number, source in enumerate(config.source):
        try:
            parse_url(source.url)
        except UsageError as error:  # noqa: PERF203 - a handful, at the start
            raise UsageError(f"source[{number}].url: {error}") from error
    _require_distinct("source", [each.label for each in config.source])
    _require_distinct("model", [each.name for each in config.model])
    _require_distinct("sink", [each.label for each in config.sink])
    known = {each.name for each in config.model}
    for number, station in enumerate(config.station):
        for name in station.models or ():
            if name not in known:
                hint = strict.suggestion(name, known)
                raise UsageError(f"station[{number}].models: unknown model {name!r}{hint}")
        if not re.fullmatch("[A-Z0-9]*", station.components):
            found = station.components
            raise UsageError(f'station[{number}].components: found {found!r}, wanted letters such as "Z" or "ZNE"')
    _check_numbers(config)
    for number, sink in enumerate(config.sink):
        most = config.daemon.history_s - SETTLING_S
        if isinstance(sink, WaveformSink) and sink.before_s + sink.after_s > most:
            found = f"{sink.before_s + sink.after_s:g} s around a pick"
            raise UsageError(f"sink[{number}]: found {found}, wanted at most daemon.history_s - 30 = {most:g}")
    read_address(config.http.listen)


def _require_distinct(path: str, names: list[str]) -> None:
    twice = next((name for number, name in enumerate(names) if name in names[:number]), None)
    if twice is not None:
        raise UsageError(f"{path}: found {twice!r} twice, wanted distinct names")


def _check_numbers(config: Config) -> None:
    limits: list[tuple[str, float, float, float]] = [
        ("daemon.workers", config.daemon.workers, 1, 64),
        ("daemon.history_s", config.daemon.history_s, 10, 3600),
        ("daemon.warm_up_s", config.daemon.warm_up_s, 0, 3600),
        ("daemon.max_stations", config.daemon.max_stations, 1, 10_000),
        ("daemon.stall_s", config.daemon.stall_s, 1, 3600),
        ("outbox.max_results", config.outbox.max_results, 1, 100_000_000),
        ("outbox.max_megabytes", config.outbox.max_megabytes, 1, 1 << 20),
    ]
    for number, source in enumerate(config.source):
        limits.append((f"source[{number}].queue_packets", source.queue_packets, 16, 1 << 20))
    for number, model in enumerate(config.model):
        limits += [
            (f"model[{number}].batch", model.batch, 1, 65_536),
            (f"model[{number}].stride", model.stride, 0, 1 << 26),
        ]
    for number, station in enumerate(config.station):
        limits.append((f"station[{number}].reorder_wait_s", station.reorder_wait_s, 0, 3600))
    for path, found, low, high in limits:
        if not low <= found <= high:
            raise UsageError(f"{path}: found {found:g}, wanted {low:g} to {high:g}")


def read_address(text: str) -> tuple[str, int] | None:
    """Read `host:port`; None for an empty text.

    Raises
    ------
    UsageError
        The text has another form.
    """
    if not text:
        return None
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise UsageError(f"http.listen: found {text!r}, wanted host:port such as 127.0.0.1:8600")
    return host.strip("[]"), int(port)
