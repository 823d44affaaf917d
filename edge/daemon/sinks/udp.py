"""One datagram of JSON per statement. Nobody confirms a datagram: what was sent counts as delivered."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence

from seisedge.edge.daemon.sink_config import Sink, UdpSink
from seisedge.edge.daemon.store import Item

from .sink import SinkError

_LARGEST = 65_507


class UdpSender:
    """Sends to one address."""

    def __init__(self, part: UdpSink) -> None:
        self._host, self._port = part.host, part.port
        self._socket: socket.socket | None = None

    def deliver(self, items: Sequence[Item]) -> None:
        """Send; see `Sink`. What does not fit into a datagram is passed over."""
        try:
            sender = self._socket = self._socket or self._connect()
            for each in items:
                content = json.dumps(each.row, ensure_ascii=False).encode()
                if len(content) <= _LARGEST:
                    sender.send(content)
        except ConnectionRefusedError:
            return  # the answer to an earlier datagram: no one listens there, which is no fault of UDP
        except OSError as error:
            self.close()
            raise SinkError(f"udp {self._host}:{self._port}: {error.strerror or error}") from error

    def close(self) -> None:
        """Close the socket."""
        sender, self._socket = self._socket, None
        if sender is not None:
            sender.close()

    def _connect(self) -> socket.socket:
        family, kind, protocol, _, address = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)[0]
        sender = socket.socket(family, kind, protocol)
        try:
            sender.connect(address)
        except OSError:
            sender.close()
            raise
        return sender


def open_sink(part: Sink) -> UdpSender:
    """Make the sink; see `sinks.open_sink`."""
    if not isinstance(part, UdpSink):
        raise TypeError(f"sink {part.label}: found {type(part).__name__}, wanted UdpSink")
    return UdpSender(part)
