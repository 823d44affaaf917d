"""URLs of sources: which module opens which scheme, and the parts of a URL, strictly read.

udp://:8888?format=datacast&station=AM.R24FA.00
serial:/dev/ttyACM0?baud=115200
tcp://192.168.1.20:4000
mqtts://user@broker:8883/traces/+/+?format=openeew&password_file=/etc/seisedge/mqtt
palert://192.168.1.30:502?station=TW.P001
seedlink://geofon:18000?streams=CX_PB01:HH?,GE_APE
datalink://localhost:16000?match=CX_.*
sds:/data/archive?start=2014-05-01&end=2014-05-02
day.mseed        -        archive/
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Protocol, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from seisedge.edge.errors import UsageError
from seisedge.edge.strict import suggestion

from .source import Source

SCHEMES = {
    "udp": "udp",
    "tcp": "tcp",
    "serial": "serial_port",
    "mqtt": "mqtt",
    "mqtts": "mqtt",
    "palert": "palert",
    "seedlink": "seedlink",
    "seedlinks": "seedlink",
    "datalink": "datalink",
    "file": "files",
    "sds": "files",
}
"""Scheme → the module of this folder that opens it; imported when it is needed, with what it needs."""


@dataclass(frozen=True)
class SourceUrl:
    """The parts of a source's URL.

    Attributes
    ----------
    text
        Without a password; a URL with one is refused, for it would end up in process lists and logs.
    scheme, user, host, port, path
        `user` and `host` are empty and `port` is None where the URL has none.
    options
        What stands behind the `?`, each key once.
    """

    text: str
    scheme: str
    user: str = ""
    host: str = ""
    port: int | None = None
    path: str = ""
    options: dict[str, str] = field(default_factory=dict[str, str])

    def require_options(self, known: tuple[str, ...]) -> None:
        """Refuse options that the source does not have.

        Raises
        ------
        UsageError
            Naming the first one and the nearest known one.
        """
        for key in self.options:
            if key not in known:
                raise UsageError(f"source {self.text}: unknown option {key!r}{suggestion(key, known)}")


class _Opener(Protocol):
    def open_url(self, url: SourceUrl, resume: str | None) -> Source: ...


def parse_url(text: str) -> SourceUrl:
    """Read a source's URL; a text without a scheme is a file, a folder or `-`.

    Raises
    ------
    UsageError
        An unknown scheme, a password in the URL, a bad port, a `#` or an option that stands twice.
    """
    scheme, colon, _ = text.partition(":")
    if not colon or "/" in scheme or "." in scheme:
        return SourceUrl(text, "file", path=text)
    if scheme not in SCHEMES:
        raise UsageError(f"source {text}: unknown scheme {scheme!r}{suggestion(scheme, tuple(SCHEMES))}")
    try:
        parts = urlsplit(text)
        port = parts.port
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise UsageError(f"source {text}: cannot be read: {error}") from None
    if parts.password is not None:
        raise UsageError(f"source {scheme}://{parts.hostname}: found a password in the URL, wanted it in a file")
    before, mark, behind = text.partition("#")
    if mark:  # behind it nothing would be looked at
        raise UsageError(f"source {before}: found '#{behind}', wanted %23 for a # in a topic, a path or an option")
    options = dict(pairs)
    if len(options) != len(pairs):
        raise UsageError(f"source {text}: found an option twice, wanted each once")
    user, host = unquote(parts.username or ""), parts.hostname or ""
    return SourceUrl(text, scheme, user, host, port, unquote(parts.path), options)


def open_source(text: str, *, resume: str | None = None) -> Source:
    """Make the source of a URL; nothing is opened until its packets are asked for.

    Parameters
    ----------
    text
        See the module's examples.
    resume
        The `position` of an earlier source of this URL: go on behind it.

    Raises
    ------
    UsageError
        The URL cannot be read, or names what its source does not have.
    """
    url = parse_url(text)
    module = importlib.import_module(f"seisedge.edge.sources.{SCHEMES[url.scheme]}")
    return cast("_Opener", module).open_url(url, resume)
