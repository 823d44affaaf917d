"""POST of results as a JSON array; any answer of 2xx confirms them."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Sequence
from urllib.parse import urlsplit

from seisedge.edge.daemon.secrets import read_secret
from seisedge.edge.daemon.sink_config import HttpSink, Sink
from seisedge.edge.daemon.store import Item

from .sink import SinkError

_LARGEST_ANSWER = 1 << 16


class HttpPoster:
    """Posts to one URL over a connection that stays open."""

    def __init__(self, part: HttpSink) -> None:
        self._url, self._timeout_s = part.url, part.timeout_s
        self._parts = urlsplit(part.url)
        self._token = read_secret(part.token_file) if part.token_file else None
        self._tls = _context(part) if self._parts.scheme == "https" else None
        self._connection: http.client.HTTPConnection | None = None

    def deliver(self, items: Sequence[Item]) -> None:
        """Post all in one request; see `Sink`."""
        body = json.dumps([each.row for each in items], ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "seisedge"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        path = (self._parts.path or "/") + (f"?{self._parts.query}" if self._parts.query else "")
        try:
            connection = self._connection = self._connection or self._connect()
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            answer.read(_LARGEST_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise SinkError(f"{self._url}: {error}") from error
        if not answer.isclosed():  # more than we read: the connection cannot be used again
            self.close()
        if not 200 <= answer.status < 300:
            raise SinkError(f"{self._url}: found status {answer.status}, wanted 2xx")

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        host = self._parts.hostname or ""
        if self._tls is not None:
            return http.client.HTTPSConnection(host, self._parts.port, timeout=self._timeout_s, context=self._tls)
        return http.client.HTTPConnection(host, self._parts.port, timeout=self._timeout_s)


def _context(part: HttpSink) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=part.ca_file or None)
    except OSError as error:
        raise SinkError(f"sink {part.label}: ca_file {part.ca_file}: {error.strerror or error}") from error


def open_sink(part: Sink) -> HttpPoster:
    """Make the sink; see `sinks.open_sink`."""
    if not isinstance(part, HttpSink):
        raise TypeError(f"sink {part.label}: found {type(part).__name__}, wanted HttpSink")
    return HttpPoster(part)
