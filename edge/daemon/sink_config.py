"""The kinds of sinks, and the keys that each takes in a `[[sink]]` table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from seisedge.edge import strict
from seisedge.edge.errors import UsageError


@dataclass(frozen=True)
class _Named:
    """What all kinds have.

    Attributes
    ----------
    name
        In messages, metrics and the outbox: a sink that keeps its name finds what it has not confirmed after a restart.
    provisional
        Whether it wants statements that may still change; finals always come.
    """

    type: str
    name: str = ""
    provisional: bool = True

    @property
    def label(self) -> str:
        """Name in messages, metrics and the outbox."""
        return self.name or self.type


@dataclass(frozen=True)
class FileSink(_Named):
    """JSON lines or CSV, rotated by size.

    Attributes
    ----------
    fsync
        Confirm only what is on the disk: slower, and safe against a power cut.
    """

    path: str = ""
    rotate_megabytes: int = 64
    keep: int = 10
    fsync: bool = True


@dataclass(frozen=True)
class QuakeMlSink(_Named):
    """A folder with one QuakeML 1.2 document per pick, replaced by its revisions."""

    folder: str = ""


@dataclass(frozen=True)
class WaveformSink(_Named):
    """A folder with the samples around each final pick as miniSEED."""

    folder: str = ""
    before_s: float = 15.0
    after_s: float = 45.0
    max_megabytes: int = 1024


@dataclass(frozen=True)
class MqttSink(_Named):
    """MQTT 5 with QoS 1: a statement is confirmed when the broker has acknowledged it.

    Attributes
    ----------
    topic
        With `{network}`, `{station}`, `{location}`, `{channel}`, `{kind}`.
    password_file, ca_file, cert_file, key_file
        Secrets come from files alone.
    """

    host: str = "localhost"
    port: int = 0
    topic: str = "seisedge/{kind}/{network}.{station}.{location}.{channel}"
    tls: bool = False
    user: str = ""
    password_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    client_id: str = ""


@dataclass(frozen=True)
class HttpSink(_Named):
    """POST of a JSON array; any answer of 2xx confirms it."""

    url: str = ""
    token_file: str = ""
    ca_file: str = ""
    timeout_s: float = 10.0


@dataclass(frozen=True)
class UdpSink(_Named):
    """One datagram of JSON per statement; nobody confirms it."""

    host: str = ""
    port: int = 0


@dataclass(frozen=True)
class DataLinkSink(_Named):
    """DataLink WRITE of JSON packets to a ringserver, each acknowledged."""

    host: str = ""
    port: int = 16_000


Sink: TypeAlias = FileSink | QuakeMlSink | WaveformSink | MqttSink | HttpSink | UdpSink | DataLinkSink

KINDS: dict[str, type[Sink]] = {
    "jsonl": FileSink,
    "csv": FileSink,
    "quakeml": QuakeMlSink,
    "waveform": WaveformSink,
    "mqtt": MqttSink,
    "http": HttpSink,
    "udp": UdpSink,
    "datalink": DataLinkSink,
}

_NEEDED: dict[str, tuple[str, ...]] = {
    "jsonl": ("path",),
    "csv": ("path",),
    "quakeml": ("folder",),
    "waveform": ("folder",),
    "mqtt": ("host", "topic"),
    "http": ("url",),
    "udp": ("host", "port"),
    "datalink": ("host", "port"),
}


def read_sink(value: object, path: str) -> Sink:
    """Read one `[[sink]]` table.

    Raises
    ------
    UsageError, ManifestError
        Naming the key's path.
    """
    if not isinstance(value, dict):
        raise UsageError(f"{path}: found {type(value).__name__}, wanted a table")
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in KINDS:
        hint = strict.suggestion(str(kind), set(KINDS))
        raise UsageError(f"{path}.type: unknown kind {kind!r}{hint}")
    sink = strict.read(KINDS[kind], value, path)
    for key in _NEEDED[kind]:
        if not getattr(sink, key):
            raise UsageError(f"{path}: missing key {key!r} of a sink of type {kind}")
    _check(sink, path)
    return sink


def _check(sink: Sink, path: str) -> None:
    if isinstance(sink, MqttSink):
        if not sink.tls and (sink.ca_file or sink.cert_file or sink.key_file):
            raise UsageError(f"{path}: found certificates and tls = false, wanted tls = true")
        if bool(sink.cert_file) != bool(sink.key_file):
            raise UsageError(f"{path}: found one of cert_file and key_file, wanted both or none")
        if sink.password_file and not sink.user:
            raise UsageError(f"{path}: found password_file without user, wanted both")
    if isinstance(sink, HttpSink) and not sink.url.startswith(("http://", "https://")):
        raise UsageError(f"{path}.url: found {sink.url!r}, wanted http:// or https://")
    if isinstance(sink, HttpSink) and "@" in sink.url.split("/")[2]:
        raise UsageError(f"{path}.url: found a user or password in the URL, wanted a token_file")
    if isinstance(sink, FileSink) and not (1 <= sink.rotate_megabytes <= 1 << 20 and 0 <= sink.keep <= 10_000):
        raise UsageError(f"{path}: found rotate_megabytes {sink.rotate_megabytes}, keep {sink.keep}, wanted 1.., 0..")
    if isinstance(sink, WaveformSink) and not (0 <= sink.before_s <= 600 and 0 <= sink.after_s <= 600):
        raise UsageError(f"{path}: found {sink.before_s:g} s before, {sink.after_s:g} s after, wanted 0 to 600")
    if isinstance(sink, MqttSink | UdpSink | DataLinkSink) and not 0 <= sink.port <= 65_535:
        raise UsageError(f"{path}.port: found {sink.port}, wanted a port")
