"""Sensors behind an MQTT broker (paho-mqtt: `pip install seisedge[mqtt]`): OpenEEW, Grillo, bare native frames.

mqtt://localhost/traces/%2B/%2B?vertical=x
mqtts://user@broker:8883/traces/+/+?format=openeew&password_file=/etc/seisedge/mqtt&ca_file=/etc/seisedge/ca.pem
mqtts://broker/sensors/%23?format=native&station=CH.HOME

In a URL the topic's `#` is written %23. MQTT 5; quality of service 1.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, final

from seisedge.edge.errors import DataError, UsageError
from seisedge.firmware_bridge import Packet

from .connection import Backoff, in_one_line, require_private, secret_of, tls_context
from .formats import FORMAT_OPTIONS, decoder_of
from .inbox import Inbox, decoded
from .source import Source, SourceCounts
from .urls import SourceUrl

if TYPE_CHECKING:
    from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

try:
    from paho.mqtt import client as paho
    from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
except ModuleNotFoundError:
    paho = None  # type: ignore[assignment]  # the extra `mqtt` is not installed

PORT, TLS_PORT = 1883, 8883
_FORMATS = ("openeew", "grillo", "native")
_KEEPALIVE_S = 30
_REFUSALS = (134, 135)  # MQTT 5: bad user name or password, not authorized


def open_url(url: SourceUrl, resume: str | None) -> Source:
    """Make the source; see the module's examples.

    Raises
    ------
    UsageError
        The URL says what MQTT does not have; or `resume`, for a broker does not repeat.
    DataError
        paho-mqtt is not installed.
    """
    if resume is not None:
        raise UsageError(f"source {url.text}: cannot resume: a broker does not repeat what it sent")
    if paho is None:
        raise DataError(f"source {url.text}: needs paho-mqtt: pip install 'seisedge[mqtt]'")
    return MqttSource(url)


@final
class MqttSource:
    """Subscribes to a topic, and connects again when the broker goes away.

    Parameters
    ----------
    backoff
        How long to wait before connecting again.

    Attributes
    ----------
    subscribed
        Is set while the broker has confirmed the subscription.
    """

    def __init__(self, url: SourceUrl, *, backoff: Backoff | None = None) -> None:
        url.require_options((*FORMAT_OPTIONS, "password_file", "ca_file"))
        self._topic = url.path.lstrip("/")
        if not url.host or not self._topic:
            raise UsageError(f"source {url.text}: found no broker and topic, wanted {url.scheme}://HOST/TOPIC")
        is_tls = url.scheme == "mqtts"
        if "ca_file" in url.options and not is_tls:
            raise UsageError(f"source {url.text}: found the option 'ca_file' without TLS, wanted mqtts://")
        self.url, self.counts = url.text, SourceCounts()
        self._address = (url.host, url.port or (TLS_PORT if is_tls else PORT))
        self._tls = tls_context(url) if is_tls else None
        self._user, self._password = url.user, secret_of(url, "password_file")
        if self._password is not None:
            require_private(url, encrypted=is_tls)
        self._decoder = decoder_of(url, _FORMATS, is_message=True)
        self._backoff = backoff or Backoff()
        self.subscribed = asyncio.Event()

    @property
    def position(self) -> str | None:
        """None: a broker does not repeat."""
        return None

    async def packets(self) -> AsyncGenerator[Packet, None]:
        """Yield packets for ever; lost connections are counted and made again.

        Raises
        ------
        DataError
            The broker refuses the user or the password.
        """
        while True:
            try:
                async with aclosing(self._connection()) as found:
                    async for packet in found:
                        yield packet
            except (OSError, ConnectionError) as error:
                self.counts.last_problem = in_one_line(error)
            await self._backoff.wait()

    async def _connection(self) -> AsyncGenerator[Packet, None]:
        inbox = Inbox(self.counts)
        client = self._client(inbox)
        connecting = asyncio.ensure_future(asyncio.to_thread(client.connect, *self._address, _KEEPALIVE_S))
        try:
            await asyncio.shield(connecting)
            client.loop_start()
            while True:
                for packet in decoded(self._decoder, await inbox.get(), self.counts):
                    yield packet
        finally:
            self.subscribed.clear()
            connecting.add_done_callback(lambda _: _close(client))  # a thread that still connects cannot be stopped

    def _client(self, inbox: Inbox) -> Client:
        """Make a client whose callbacks, which come on its own thread, are handed to the event loop."""
        loop = asyncio.get_running_loop()
        client = paho.Client(
            CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5, reconnect_on_failure=False
        )
        if self._user:
            client.username_pw_set(self._user, self._password)
        if self._tls is not None:
            client.tls_set_context(self._tls)

        def on_connect(_: Client, __: object, ___: ConnectFlags, code: ReasonCode, ____: Properties | None) -> None:
            if not code.is_failure:
                client.subscribe(self._topic, qos=1)
            elif code.value in _REFUSALS:
                _tell(loop, inbox.fail, DataError(f"source {self.url}: the broker says: {code}"))
            else:
                _tell(loop, inbox.fail, ConnectionError(f"the broker says: {code}"))

        def on_subscribe(_: Client, __: object, ___: int, codes: list[ReasonCode], ____: Properties | None) -> None:
            refused = [str(each) for each in codes if each.is_failure]
            if refused:
                _tell(loop, inbox.fail, DataError(f"source {self.url}: topic {self._topic}: {refused[0]}"))
            else:
                _tell(loop, self._note_subscribed)

        def on_message(_: Client, __: object, message: MQTTMessage) -> None:
            _tell(loop, inbox.put, bytes(message.payload))

        def on_disconnect(
            _: Client, __: object, ___: DisconnectFlags, code: ReasonCode, ____: Properties | None
        ) -> None:
            _tell(loop, inbox.fail, ConnectionError(f"the connection ended: {code}"))

        client.on_connect, client.on_subscribe = on_connect, on_subscribe
        client.on_message, client.on_disconnect = on_message, on_disconnect
        return client

    def _note_subscribed(self) -> None:
        self.counts.connects += 1
        self._backoff.reset()
        self.subscribed.set()


def _close(client: Client) -> None:
    client.disconnect()
    client.loop_stop()
    left = client.socket()
    if left is not None:  # paho's thread ends with its socket open where it was stopped before the broker's answer
        left.close()


def _tell(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *told: object) -> None:
    """Call on the loop's thread; a loop that has ended needs no telling."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(call, *told)
