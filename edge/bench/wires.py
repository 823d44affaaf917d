"""The chain's packets through real sources: a sender process, a socket of the loopback interface, and the decoder."""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import cast

from seisedge.edge.errors import DataError, SeisedgeError, UsageError
from seisedge.edge.sources import open_source
from seisedge.edge.sources.udp import UdpSource
from seisedge.firmware_bridge import Packet, SourceId, WireError, encode_records
from seisedge.firmware_bridge.datacast import encode_datacast
from seisedge.firmware_bridge.frame_encoder import FrameEncoder

from .link import Arrival, Delivery
from .sender import Sending

_SILENCE_S = 0.5  # behind the sender's last message: then all that will come is here
_PATIENCE_S = 60.0
_MILLISECOND = 1_000_000  # to which datacast keeps time

Encode = Callable[[Packet], list[bytes]]


def _seedlink() -> Encode:
    numbers = iter(range(1, 1 << 24))
    return lambda packet: [b"SL%06X" % next(numbers) + record for record in encode_records(packet, "steim2")]


@dataclass(frozen=True)
class Wire:
    """A way from the sender to the gateway.

    Attributes
    ----------
    encoder
        Gives what writes packets.
    url
        Of the source that reads them; port and sampling rate go into it.
    """

    encoder: Callable[[], Encode]
    url: str


WIRES = {
    "udp-datacast": Wire(
        lambda: lambda packet: [encode_datacast(packet)], "udp://127.0.0.1:{port}?station=XX.BENCH&rate={rate:g}"
    ),
    "udp-native": Wire(lambda: FrameEncoder(is_bare=True), "udp://127.0.0.1:{port}?format=native&station=XX.BENCH"),
    "seedlink": Wire(_seedlink, "seedlink://127.0.0.1:{port}?version=3"),
}
"""Every wire, by the name that the user gives."""


class _Sender:
    """The station's process."""

    def __init__(self, sending: Sending) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "seisedge.edge.bench.sender"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._thread = threading.Thread(target=self._wait)
        self.sent: Future[list[int]] = Future()
        """When each message was sent, once all are."""
        try:
            self._say(sending.to_line())
            self.port = cast("int", self._hear("port"))
        except DataError:
            self.close()
            raise

    def start(self, port: int) -> int:
        """Let it begin, once somebody listens; give the beginning of its schedule."""
        self._say(f"{port}\n")
        begun = cast("int", self._hear("begun_ns"))
        self._thread.start()
        return begun

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        if self._thread.is_alive():
            self._thread.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def _wait(self) -> None:
        try:
            self.sent.set_result(cast("list[int]", self._hear("sent_ns")))
        except DataError as error:
            self.sent.set_exception(error)

    def _say(self, line: str) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # what it does not answer is the error
                self._process.stdin.write(line)
                self._process.stdin.flush()

    def _hear(self, key: str) -> object:
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            raise DataError("edge-bench chain: the process that sends has ended, wanted it to send")
        return json.loads(line)[key]


class _Receiver:
    """A source in a thread of its own, which stamps packets as the source yields them, whatever the chain does."""

    def __init__(self, url: str) -> None:
        self._source = open_source(url)
        self._loop = asyncio.new_event_loop()
        self.packets: queue.SimpleQueue[tuple[Packet, int] | SeisedgeError] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._receive(),))
        self._task: asyncio.Task[None] | None = None
        self._started: Future[int] = Future()
        self._thread.start()
        self.port = self._started.result(_PATIENCE_S)
        """Of a source that listens; else 0."""

    async def _receive(self) -> None:
        self._task = asyncio.ensure_future(self._take())
        if isinstance(self._source, UdpSource):
            bound = asyncio.ensure_future(self._source.bound.wait())
            await asyncio.wait({self._task, bound}, return_when=asyncio.FIRST_COMPLETED)
            bound.cancel()
        self._started.set_result(self._source.port if isinstance(self._source, UdpSource) else 0)
        await asyncio.wait({self._task})

    async def _take(self) -> None:
        try:
            async for packet in self._source.packets():
                self.packets.put((packet, time.perf_counter_ns()))
        except SeisedgeError as error:
            self.packets.put(error)

    def close(self) -> None:
        """End it, and what it has open."""
        if self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    @property
    def problem(self) -> str:
        """What was damaged or lost, in one line; empty where nothing was."""
        return self._source.counts.last_problem if self._source.counts.damaged else ""


class OverWire:
    """Packets of a schedule, through a wire: the feed of the chain, and what it saw on the way.

    The schedule's losses, delays and reordering are the sender's: it sends what is due when it is due, so that over
    TCP, which loses nothing, a lost packet is one that the station never sent.
    """

    def __init__(self, sender: _Sender, receiver: _Receiver, schedule: list[Arrival], letters: tuple[str, ...]) -> None:
        self._sender, self._receiver = sender, receiver
        self._components = {letter: number for number, letter in enumerate(letters)}
        self._schedule = schedule
        self._offset = sender.start(receiver.port) - schedule[0].due_ns
        self._arrived: dict[tuple[int, int], int] = {}

    def now(self) -> int:
        """Nanoseconds of the data's time."""
        return time.perf_counter_ns() - self._offset

    def __iter__(self) -> Iterator[Delivery]:
        """Wait for each.

        Raises
        ------
        SeisedgeError
            The source or the sender failed.
        """
        while True:
            try:
                found = self._receiver.packets.get(timeout=_SILENCE_S)
            except queue.Empty:
                if self._sender.sent.done():
                    return
                continue
            if isinstance(found, SeisedgeError):
                raise found
            packet, stamp = found
            component = self._components[SourceId.parse(packet.source_id).subsource]
            self._arrived[component, packet.starttime_ns // _MILLISECOND] = stamp
            yield Delivery(component, packet, stamp - self._offset)

    def lateness(self) -> tuple[list[int], list[int]]:
        """Nanoseconds, of each packet: of the sender behind its schedule; and from there to the decoded packet."""
        late: list[int] = []
        under_way: list[int] = []
        for each, sent in zip(self._schedule, self._sender.sent.result(_PATIENCE_S), strict=True):
            late.append(sent - self._offset - each.due_ns)
            arrived = self._arrived.get((each.component, each.packet.starttime_ns // _MILLISECOND))
            if arrived is not None:
                under_way.append(arrived - sent)
        return late, under_way

    @property
    def problem(self) -> str:
        """What the source could not read, in one line."""
        return self._receiver.problem


@contextmanager
def over_wire(name: str, schedule: list[Arrival], letters: tuple[str, ...], rate: float) -> Generator[OverWire]:
    """Open a wire and begin.

    Raises
    ------
    UsageError
        The wire cannot carry such packets.
    DataError
        The sender has failed.
    """
    wire = WIRES[name]
    encode = wire.encoder()
    try:
        written = [encode(each.packet) for each in schedule]
    except WireError as error:
        raise UsageError(f"--source {name}: cannot carry this record: {error}") from error
    if any(len(parts) != 1 for parts in written):
        raise UsageError(f"--source {name}: found packets that need several messages, wanted a shorter --packet")
    base = schedule[0].due_ns
    sending = Sending(name == "seedlink", [each.due_ns - base for each in schedule], [each for (each,) in written])
    with closing(_Sender(sending)) as sender:
        receiver = _Receiver(wire.url.format(port=sender.port, rate=rate))
        with closing(receiver):
            yield OverWire(sender, receiver, schedule, letters)
