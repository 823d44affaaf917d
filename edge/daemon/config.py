"""The configuration: one TOML file, read strictly. Every key that may stand in it is a field here."""

from __future__ import annotations

import fnmatch
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seisedge.edge import models, strict
from seisedge.edge.errors import ManifestError, UsageError
from seisedge.edge.picks import StationId
from seisedge.edge.sources import parse_url

from .sink_config import Sink, WaveformSink, read_sink

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # the same code, on the one Python that lacks it

MAX_BYTES = 1 << 20

SETTLING_S = 30.0
"""A pick becomes final at most this long behind its onset."""
_RESUMABLE = {"seedlink", "seedlinks", "datalink", "file", "sds"}


@dataclass(frozen=True)
class DaemonPart:
    """`[daemon]`.

    Attributes
    ----------
    state
        Folder of what must survive a restart: the outbox and the places of the sources.
    workers
        Threads that run the networks; stations are shared out among them.
    history_s
        Seconds of each channel that are kept in memory: for amplitudes, triggered waveforms and the page. Also how
        far a source is asked to go back at a restart, so that the filters have settled before new data come.
    warm_up_s
        Results this soon after the start of a stream are marked: the filters had not settled.
    max_stations
        Further stations are refused and counted: what comes in on a port must not fill the memory.
    stall_s
        The watchdog is fed no more once packets have waited this long without being worked on.
    """

    state: str = "/var/lib/seisedge"
    workers: int = 1
    history_s: float = 120.0
    warm_up_s: float = 30.0
    max_stations: int = 64
    stall_s: float = 30.0


@dataclass(frozen=True)
class HttpPart:
    """`[http]`: metrics, health and the page. An empty `listen` opens no port."""

    listen: str = "127.0.0.1:8600"


@dataclass(frozen=True)
class OutboxPart:
    """`[outbox]`: results that a sink has not confirmed yet. The oldest go when a bound is reached, and are counted."""

    max_results: int = 100_000
    max_megabytes: int = 256


@dataclass(frozen=True)
class SourcePart:
    """`[[source]]`.

    Attributes
    ----------
    url
        See `seisedge.edge.sources`.
    name
        In messages and metrics; the URL where it is empty.
    queue_packets
        Packets of a source that may wait for the worker.
    when_full
        `drop-oldest` prefers fresh data; `wait` lets the sender wait. `auto` waits for sources that keep what was
        not fetched (SeedLink, DataLink, files) and drops for all others.
    """

    url: str
    name: str = ""
    queue_packets: int = 4096
    when_full: Literal["auto", "wait", "drop-oldest"] = "auto"

    @property
    def label(self) -> str:
        """Name in messages and metrics."""
        return self.name or self.url

    @property
    def waits(self) -> bool:
        """Whether the sender waits when the queue is full."""
        if self.when_full == "auto":
            return parse_url(self.url).scheme in _RESUMABLE
        return self.when_full == "wait"


@dataclass(frozen=True)
class ModelPart:
    """`[[model]]`.

    Attributes
    ----------
    name
        How stations refer to it.
    artefact
        An embedded model's name or an .onnx file.
    threshold
        Label → on threshold, for labels whose threshold is not the manifest's.
    stride
        Samples from window to window; the manifest's where it is 0.
    batch
        Most windows in one call of the network; windows of several stations share a call.
    """

    name: str
    artefact: str
    threshold: dict[str, float] | None = None
    stride: int = 0
    batch: int = 64


@dataclass(frozen=True)
class StationPart:
    """`[[station]]`: which stations are picked, and by which models. Without any, every model picks every station.

    Attributes
    ----------
    match
        `NET.STA.LOC.CH` (`CX.PB01..HH`) with `*` and `?`; the first entry that matches counts.
    models
        Names of models; all where it is left out. An empty list: the station is not picked, but shown.
    reorder_wait_s
        Seconds of data for which a late packet or a silent component is waited for.
    components
        Letters of the components that the station has (`Z` of a vertical-only one): nothing waits for others, and they
        are not taken. Empty for all that the models take.
    """

    match: str
    models: tuple[str, ...] | None = None
    reorder_wait_s: float = 5.0
    components: str = ""


@dataclass(frozen=True)
class Config:
    """The whole file."""

    source: tuple[SourcePart, ...]
    sink: tuple[Sink, ...]
    daemon: DaemonPart = DaemonPart()
    http: HttpPart = HttpPart()
    outbox: OutboxPart = OutboxPart()
    model: tuple[ModelPart, ...] = (ModelPart("default", models.DEFAULT),)
    station: tuple[StationPart, ...] = (StationPart("*"),)

    def station_part(self, station: StationId) -> StationPart | None:
        """Give the first entry that matches a station; None where none does: it is not taken."""
        return next((each for each in self.station if fnmatch.fnmatchcase(str(station), each.match)), None)

    def models_of(self, part: StationPart) -> tuple[ModelPart, ...]:
        """Give the models that pick the stations of an entry."""
        return tuple(each for each in self.model if part.models is None or each.name in part.models)


def read_config(path: Path) -> Config:
    """Read and check a configuration.

    Raises
    ------
    UsageError
        One line: file, key's path, what was found, what was wanted, and the nearest valid name.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(f"{path}: found more than {MAX_BYTES} bytes, wanted a configuration")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: found no UTF-8 text, wanted TOML") from error
    return parse_config(text, str(path))


def parse_config(text: str, where: str) -> Config:
    """Read a configuration from its text; see `read_config`."""
    try:
        value = tomllib.loads(text)
        sinks = _tables(value.pop("sink", []), "sink")
        config = strict.read(Config, {"source": (), **value, "sink": ()}, "config")
        read = tuple(read_sink(each, f"config.sink[{number}]") for number, each in enumerate(sinks))
        config = Config(config.source, read, config.daemon, config.http, config.outbox, config.model, config.station)
        _check(config)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: found no TOML: {error}") from error
    except (ManifestError, UsageError) as error:
        line = " ".join(str(error).split()).removeprefix("config.").removeprefix("config: ")
        raise UsageError(f"{where}: {line}") from error
    return config


def _tables(value: object, path: str) -> list[object]:
    if not isinstance(value, list):
        raise UsageError(f"{path}: found one table, wanted a list of them: [[{path}]]")
    return value


def _check(config: Config) -> None:
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
