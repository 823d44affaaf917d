"""The configuration: one TOML file, read strictly. Every key that may stand in it is a field here."""

from __future__ import annotations

import fnmatch
import sys
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from seisedge.edge import models, strict
from seisedge.edge.errors import ManifestError, UsageError
from seisedge.edge.picks import StationId
from seisedge.edge.sources import parse_url

from .config_checks import require_consistent
from .sink_config import Sink, read_sink

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # the same code, on the one Python that lacks it

MAX_BYTES = 1 << 20
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
class Tables:
    """What stands in the file."""

    source: tuple[SourcePart, ...]
    sink: tuple[Sink, ...]
    daemon: DaemonPart = DaemonPart()
    http: HttpPart = HttpPart()
    outbox: OutboxPart = OutboxPart()
    model: tuple[ModelPart, ...] = (ModelPart("default", models.DEFAULT),)
    station: tuple[StationPart, ...] = (StationPart("*"),)


@dataclass(frozen=True)
class Config(Tables):
    """A configuration that was read.

    Attributes
    ----------
    where
        The file, for messages on what only its models, sources and folders can tell.
    """

    where: str = field(default="", compare=False)

    def place(self, key: str) -> str:
        """Name a key and its file."""
        return f"{self.where}: {key}" if self.where else key

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
        _require_lists(value)
        sinks = value.pop("sink", [])
        tables = strict.read(Tables, {"source": (), **value, "sink": ()}, "config")
        read = tuple(read_sink(each, f"config.sink[{number}]") for number, each in enumerate(sinks))
        config = Config(**{**_fields(tables), "sink": read}, where=where)
        require_consistent(config)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: found no TOML: {error}") from error
    except (ManifestError, UsageError) as error:
        line = " ".join(str(error).split()).removeprefix("config.").removeprefix("config: ")
        raise UsageError(f"{where}: {line}") from error
    return config


def _fields(tables: Tables) -> dict[str, Any]:
    return {each.name: getattr(tables, each.name) for each in fields(tables)}


def _require_lists(value: dict[str, Any]) -> None:
    """Refuse what is easily written for something else, in the words of TOML."""
    for key in ("source", "model", "station", "sink"):
        found = value.get(key, [])
        if not isinstance(found, list):
            what = "one table" if isinstance(found, dict) else f"{type(found).__name__} {found!r}"
            raise UsageError(f"{key}: found {what}, wanted a list of them: [[{key}]]")
    for number, model in enumerate(value.get("model", [])):
        threshold = model.get("threshold", {}) if isinstance(model, dict) else {}
        if not isinstance(threshold, dict):
            wanted = "one for each label, such as { P = 0.5 }"
            raise UsageError(f"model[{number}].threshold: found {threshold!r}, wanted {wanted}")
