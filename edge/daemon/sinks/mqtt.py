"""MQTT 5 with QoS 1: a statement is confirmed when the broker has acknowledged it."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Sequence
from typing import Any

from seisedge.edge.daemon.secrets import read_secret
from seisedge.edge.daemon.sink_config import MqttSink, Sink
from seisedge.edge.daemon.store import Item
from seisedge.edge.errors import UsageError

from .sink import SinkError

try:
    import paho.mqtt.client as paho
    from paho.mqtt.enums import CallbackAPIVersion
except ImportError as failure:  # pragma: no cover - the extra is installed where this is tested
    raise UsageError("sink mqtt: the package paho-mqtt is not installed: pip install seisedge[mqtt]") from failure

_TIMEOUT_S = 10.0


class MqttPublisher:
    """A connection to one broker; broken, it is made anew with the next delivery."""

    def __init__(self, part: MqttSink) -> None:
        self._part = part
        self._where = f"mqtt {part.host}:{self._port}"
        self._password = read_secret(part.password_file) if part.password_file else None
        self._client: paho.Client | None = None

    @property
    def _port(self) -> int:
        return self._part.port or (8883 if self._part.tls else 1883)

    def deliver(self, items: Sequence[Item]) -> None:
        """Publish, and wait for the broker's acknowledgement of each; see `Sink`."""
        try:
            client = self._client = self._client or self._connect()
            sent = [client.publish(self._topic(each), json.dumps(each.row, ensure_ascii=False), 1) for each in items]
            for info in sent:
                info.wait_for_publish(_TIMEOUT_S)
            acknowledged = all(info.is_published() for info in sent)
        except (OSError, ValueError, RuntimeError) as error:
            self.close()
            raise SinkError(f"{self._where}: {error}") from error
        if not acknowledged:
            self.close()
            raise SinkError(f"{self._where}: found no acknowledgement within {_TIMEOUT_S:g} s")

    def close(self) -> None:
        """Leave the broker; what it has not acknowledged is given again to the next connection."""
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()

    def _connect(self) -> paho.Client:
        part = self._part
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=part.client_id, protocol=paho.MQTTv5)
        client.max_queued_messages_set(1000)
        client.connect_timeout = _TIMEOUT_S
        if part.user:
            client.username_pw_set(part.user, self._password)
        if part.tls:
            client.tls_set(
                ca_certs=part.ca_file or None,
                certfile=part.cert_file or None,
                keyfile=part.key_file or None,
                tls_version=ssl.PROTOCOL_TLS_CLIENT,
            )
        answered = threading.Event()
        answers: list[Any] = []

        def on_connect(_client: object, _data: object, _flags: object, reason: object, _more: object) -> None:
            answers.append(reason)
            answered.set()

        client.on_connect = on_connect
        client.connect(part.host, self._port, keepalive=30)
        client.loop_start()
        if answered.wait(_TIMEOUT_S) and not answers[0].is_failure:
            return client
        client.disconnect()
        client.loop_stop()
        if answers:
            raise SinkError(f"{self._where}: refused: {answers[0]}")
        raise SinkError(f"{self._where}: found no answer to CONNECT within {_TIMEOUT_S:g} s")

    def _topic(self, item: Item) -> str:
        row = item.row
        return self._part.topic.format(
            kind=item.kind,
            network=_level(row["network"]),
            station=_level(row["station"]),
            location=_level(row["location"]),
            channel=_level(row["channel"]),
        )


def _level(text: str) -> str:
    """Make a text fit for a level of a topic."""
    return "".join(each if each not in "/+#\0" else "_" for each in text)


def open_sink(part: Sink) -> MqttPublisher:
    """Make the sink; see `sinks.open_sink`."""
    if not isinstance(part, MqttSink):
        raise TypeError(f"sink {part.label}: found {type(part).__name__}, wanted MqttSink")
    return MqttPublisher(part)
