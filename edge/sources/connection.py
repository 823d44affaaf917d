"""What the sources that dial out share: opening, reading, dialling again after a failure, secrets from files."""

from __future__ import annotations

import asyncio
import os
import random
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from seisedge.edge.errors import SecretFileError, UsageError
from seisedge.firmware_bridge import Packet, WireError

from .source import SourceCounts
from .urls import SourceUrl

T = TypeVar("T")

PORTION = 1 << 16
"""Bytes to read at once."""

_CONNECT_TIMEOUT_S = 20.0
_MOST_SECRET_BYTES = 16384
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass
class Backoff:
    """How long to wait before the next try: twice as long each time, with a random part, until a try succeeds.

    Parameters
    ----------
    first_s, longest_s
        The first wait and the longest one, in seconds.
    jitter
        Gives numbers from 0 to 1: a wait is half to all of its length, so that many clients do not come at once.
    sleep
        What waits.
    """

    first_s: float = 1.0
    longest_s: float = 60.0
    jitter: Callable[[], float] = random.random
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    tries: int = 0

    async def wait(self) -> None:
        """Wait before the next try."""
        length = min(self.longest_s, self.first_s * 2.0 ** min(self.tries, 30))
        self.tries += 1
        await self.sleep(length * (0.5 + self.jitter() / 2))

    def reset(self) -> None:
        """A try has succeeded."""
        self.tries = 0


async def limited(work: Coroutine[Any, Any, T] | asyncio.Future[T], seconds: float) -> T:
    """Wait for something, but not for ever; a cancellation always gets through.

    `asyncio.wait_for` before Python 3.12 loses a cancellation that comes together with the result.

    Raises
    ------
    asyncio.TimeoutError
        It took longer; it has been cancelled.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
        if task.done():
            return task.result()
        raise asyncio.TimeoutError
    finally:
        if not task.done():
            task.cancel()


@asynccontextmanager
async def connected(
    host: str, port: int, tls: ssl.SSLContext | None
) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter], None]:
    """Open a connection, and close it whatever happens.

    Raises
    ------
    OSError
        There is no such host, nobody listens, or TLS fails.
    """
    opening = asyncio.ensure_future(asyncio.open_connection(host, port, ssl=tls))
    try:
        reader, writer = await limited(opening, _CONNECT_TIMEOUT_S)
    except asyncio.CancelledError:
        if opening.done() and not opening.cancelled() and opening.exception() is None:
            opening.result()[1].transport.abort()
        raise
    try:
        yield reader, writer
    finally:
        writer.transport.abort()  # a peer that does not answer cannot hold us


async def reconnecting(
    connection: Callable[[], AsyncGenerator[Packet, None]],
    counts: SourceCounts,
    backoff: Backoff,
    *,
    peer: str = "",
    is_wanted: Callable[[], bool] = lambda: True,
) -> AsyncGenerator[Packet, None]:
    """Yield the packets of one connection after the other; what ended one is noted before the next is made.

    Parameters
    ----------
    connection
        Opens one and yields its packets; `OSError`, `TimeoutError` and `WireError` end it.
    backoff
        Begins again with each packet that comes.
    peer
        Who is named in `counts.last_problem`, where the failure does not say it.
    is_wanted
        Whether there is to be another one.
    """
    while is_wanted():
        try:
            async with aclosing(connection()) as received:
                async for packet in received:
                    backoff.reset()
                    yield packet
        except (OSError, asyncio.TimeoutError, WireError) as error:
            counts.last_problem = f"{peer}: {in_one_line(error)}" if peer else in_one_line(error)
        if is_wanted():
            await backoff.wait()


async def read_alive(reader: asyncio.StreamReader, seconds: float, ask: Callable[[], None]) -> bytes:
    """Wait for bytes; after a silence ask for a sign of life, give up after a second one.

    Raises
    ------
    ConnectionError
        The server is silent, or has closed the connection.
    """
    try:
        data = await limited(reader.read(PORTION), seconds)
    except asyncio.TimeoutError:
        ask()
        try:
            data = await limited(reader.read(PORTION), seconds)
        except asyncio.TimeoutError:
            raise ConnectionError("the server has gone silent") from None
    if not data:
        raise ConnectionError("the server closed the connection")
    return data


def tls_context(url: SourceUrl) -> ssl.SSLContext:
    """Give what verifies the server, with `ca_file` where its certificate is not signed by a public authority.

    Raises
    ------
    UsageError
        The file cannot be read.
    """
    path = url.options.get("ca_file")
    try:
        return ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise SecretFileError(f"source {url.text}: ca_file {path}: cannot be read: {error}") from None


def secret_of(url: SourceUrl, option: str) -> str | None:
    """Read a password or a token from the file that an option names; None without the option.

    Raises
    ------
    UsageError
        The file cannot be read, is empty, or has more than one line.
    """
    path = url.options.get(option)
    if path is None:
        return None
    try:
        with Path(path).open("rb") as file:
            lines = file.read(_MOST_SECRET_BYTES).decode("utf-8").splitlines()
    except OSError as error:
        raise SecretFileError(f"source {url.text}: {option} {path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"source {url.text}: {option} {path}: found bytes that are no UTF-8, wanted text") from None
    if len(lines) != 1 or not lines[0].strip():
        raise UsageError(f"source {url.text}: {option} {path}: found {len(lines)} lines, wanted one")
    return lines[0].strip()


def require_private(url: SourceUrl, *, encrypted: bool) -> None:
    """Refuse to send a secret over a line that anybody can read.

    Raises
    ------
    UsageError
        Naming the scheme to use.
    """
    if not encrypted and url.host not in _LOOPBACK:
        raise UsageError(f"source {url.text}: found a password or a token without TLS, wanted {url.scheme}s://")


def seconds_of(url: SourceUrl, option: str, default: float) -> float:
    """Read an option that is a number of seconds.

    Raises
    ------
    UsageError
        It is no positive number.
    """
    text = url.options.get(option)
    try:
        value = default if text is None else float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise UsageError(f"source {url.text}: {option}: found {text!r}, wanted a number of seconds above 0")
    return value


def is_yes(url: SourceUrl, option: str) -> bool:
    """Read an option that is `yes` or `no`; without it, no.

    Raises
    ------
    UsageError
        It is neither.
    """
    text = url.options.get(option, "no")
    if text not in {"yes", "no"}:
        raise UsageError(f"source {url.text}: {option}: found {text!r}, wanted yes or no")
    return text == "yes"


def in_one_line(error: BaseException) -> str:
    """Give an error's text in one line; the system's own words where it has a number for it."""
    if isinstance(error, asyncio.TimeoutError) and not error.args:
        return "no answer in time"
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) and error.errno is not None:
        return os.strerror(error.errno) if error.errno > 0 else str(error.strerror)  # below 0: of name services
    return " ".join(str(error).split()) or type(error).__name__
