"""A small HTTP server for `/health`, `/metrics`, `/status.json` and the page: GET only, strict limits, no framework."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from seisedge.edge.sources.connection import limited

from .health import health_of, status_of
from .metrics import metrics_text
from .page import PAGE, picks_json, trace_json

if TYPE_CHECKING:
    from .service import Service

_MAX_HEAD = 8192
_MAX_CLIENTS = 32
_TIMEOUT_S = 5.0

Answer = tuple[int, str, bytes]

_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


class StatusServer:
    """Answers for one service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._server: asyncio.Server | None = None
        self._clients = 0
        self.port = 0
        self._pages: dict[str, Callable[[dict[str, list[str]]], Answer]] = {
            "/": lambda _: (200, "text/html; charset=utf-8", PAGE.encode()),
            "/health": lambda _: self._health(),
            "/metrics": lambda _: (200, "text/plain; version=0.0.4", metrics_text(status_of(service)).encode()),
            "/status.json": lambda _: _json(status_of(service)),
            "/picks.json": lambda _: _json(picks_json(service)),
            "/trace.json": self._trace,
        }

    async def open(self, host: str, port: int) -> None:
        """Listen.

        Raises
        ------
        OSError
            The address is taken or not ours.
        """
        self._server = await asyncio.start_server(self._serve, host, port, limit=_MAX_HEAD)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(asyncio.TimeoutError):
                await limited(self._server.wait_closed(), _TIMEOUT_S)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients += 1
        try:
            if self._clients <= _MAX_CLIENTS:
                await limited(self._answer(reader, writer), _TIMEOUT_S)
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self._clients -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        status, kind, body = self._look_up(head)
        lines = [
            f"HTTP/1.1 {status} {_REASONS[status]}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body)}",
            "Connection: close",
            "Cache-Control: no-store",
            "X-Content-Type-Options: nosniff",
            "Content-Security-Policy: default-src 'self' 'unsafe-inline'; frame-ancestors 'none'",
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()

    def _look_up(self, head: bytes) -> Answer:
        parts = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
            return _text(400, "found no HTTP request")
        if parts[0] != "GET":
            return _text(405, "wanted GET")
        try:
            url = urlsplit(parts[1])
            options = parse_qs(url.query, max_num_fields=8)
        except ValueError:
            return _text(400, "found a URL that cannot be read")
        page = self._pages.get(url.path)
        return _text(404, "no such page") if page is None else page(options)

    def _health(self) -> Answer:
        health = health_of(self._service)
        return _text(200 if health.ok else 503, health.line)

    def _trace(self, options: dict[str, list[str]]) -> Answer:
        found = trace_json(self._service, options.get("station", [""])[0])
        return _text(404, "no such station") if found is None else _json(found)


def _text(status: int, text: str) -> Answer:
    return status, "text/plain; charset=utf-8", f"{text}\n".encode()


def _json(value: object) -> Answer:
    return 200, "application/json", json.dumps(value, allow_nan=False).encode()
