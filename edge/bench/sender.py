"""A station in a process of its own: sends messages when they are due by its own clock, by UDP or as a SeedLink server.

`python -m seisedge.edge.bench.sender`. One line of JSON in: what to send (`Sending`). Out: the port of the SeedLink
server, or 0. In: the port to send datagrams to, or 0. Out: when the schedule begins, `begun_ns`, and at the end when
each message was sent, both by the monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import base64
import json
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

_HELLO = b"SeedLink v3.1 (edge-bench) :: SLPROTO:3.1\r\nedge-bench\r\n"
_PATIENCE_S = 30.0
_AHEAD_NS = 50_000_000  # from the answer that tells the time to the first message that may be due


@dataclass(frozen=True)
class Sending:
    """What to send: datagrams, or packets of a SeedLink server.

    Attributes
    ----------
    due_ns
        When, from the beginning of the schedule.
    messages
        What, as they are on the wire.
    """

    seedlink: bool
    due_ns: list[int]
    messages: list[bytes]

    def to_line(self) -> str:
        """Write what `from_line` reads."""
        messages = [base64.b64encode(each).decode() for each in self.messages]
        return json.dumps({"seedlink": self.seedlink, "due_ns": self.due_ns, "messages": messages}) + "\n"

    @classmethod
    def from_line(cls, line: str) -> Sending:
        """Read it."""
        value = json.loads(line)
        return cls(value["seedlink"], value["due_ns"], [base64.b64decode(each) for each in value["messages"]])


def main() -> None:
    """What the process does."""
    sending = Sending.from_line(sys.stdin.readline())
    if not sending.seedlink:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            _say({"port": 0})
            line.connect(("127.0.0.1", int(sys.stdin.readline())))
            _send(sending, line.send)
        return
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(_PATIENCE_S)
        _say({"port": server.getsockname()[1]})
        sys.stdin.readline()
        line, _ = server.accept()
        with line:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line.settimeout(_PATIENCE_S)
            _negotiate(line)
            _send(sending, line.sendall)


def _negotiate(line: socket.socket) -> None:
    """Answer a client of a server that has one station and no options, until it asks for data."""
    with line.makefile("rb") as commands:
        for command in commands:
            if command.strip() == b"HELLO":
                line.sendall(_HELLO)
            elif command.strip() == b"DATA":
                return
            else:
                line.sendall(b"ERROR\r\n")


def _send(sending: Sending, send: Callable[[bytes], object]) -> None:
    begun = time.perf_counter_ns() + _AHEAD_NS
    _say({"begun_ns": begun})
    sent: list[int] = []
    for due, message in zip(sending.due_ns, sending.messages, strict=True):
        early = begun + due - time.perf_counter_ns()
        if early > 0:
            time.sleep(early / 1e9)
        sent.append(time.perf_counter_ns())
        send(message)
    _say({"sent_ns": sent})


def _say(value: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
