"""Sources with real peers: datagrams with loss, a pseudo-terminal, TCP that breaks, a mosquitto broker with TLS."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import tty
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
import paho.mqtt.client as paho
import pytest
from mosquitto_broker import Broker, broker_in, with_tls
from paho.mqtt.enums import CallbackAPIVersion
from sensor_packets import palert_1

from seisedge.edge.errors import DataError, UsageError
from seisedge.edge.sources import Source, open_source, parse_url, udp
from seisedge.edge.sources.connection import Backoff
from seisedge.edge.sources.formats import decoder_of, naming_of
from seisedge.edge.sources.inbox import Inbox
from seisedge.edge.sources.mqtt import MqttSource
from seisedge.edge.sources.serial_port import SerialSource
from seisedge.edge.sources.source import SourceCounts
from seisedge.edge.sources.tcp import TcpSource
from seisedge.edge.sources.udp import UdpSource
from seisedge.firmware_bridge import Packet, PacketFlag
from seisedge.firmware_bridge.datacast import encode_datacast
from seisedge.firmware_bridge.frame import Channel, Frame, encode_frame
from seisedge.firmware_bridge.frame_decoder import stuffed_frame

WAIT_S = 20.0
T = TypeVar("T")


def frame(sequence: int) -> Frame:
    samples = np.random.default_rng(sequence).integers(-500, 500, (10, 3)).astype(np.int16)
    about = tuple(Channel(axis) for axis in "ZNE")
    return Frame(0xABC, sequence, 10**18 + sequence * 10**8, (100, 1), samples, about)


async def no_wait(_: float) -> None:
    """Stands for the sleep of a back-off: other tasks go first."""
    for _ in range(3):
        await asyncio.sleep(0)


def eager() -> Backoff:
    return Backoff(jitter=lambda: 0.0, sleep=no_wait)


async def take(found: AsyncIterator[Packet], count: int) -> list[Packet]:
    return [await asyncio.wait_for(anext(found), WAIT_S) for _ in range(count)]


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await asyncio.wait_for(work(), 3 * WAIT_S)

    asyncio.run(whole())


def packets_of(source: Source) -> aclosing[AsyncGenerator[Packet, None]]:
    return aclosing(cast("AsyncGenerator[Packet, None]", source.packets()))


class Tasks:
    """Tasks beside a test: ended with it, their failures raised."""

    def __init__(self) -> None:
        self._all: list[asyncio.Task[object]] = []

    def create_task(self, work: Coroutine[object, object, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._all.append(cast("asyncio.Task[object]", task))
        return task

    async def __aenter__(self) -> Tasks:  # noqa: PYI034 - Self is not in Python 3.10
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            for each in self._all:
                each.cancel()
        await asyncio.gather(*self._all, return_exceptions=kind is not None)


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - a count has no event; nothing but the loop's own turns passes
        await asyncio.sleep(0)


async def after(event: asyncio.Event, send: Callable[[], None]) -> None:
    await event.wait()
    send()


def test_datagrams_with_loss_and_reordering() -> None:
    async def work() -> None:
        source = UdpSource(parse_url("udp://:0?format=native"))
        order = (0, 1, 4, 3, 4, 5)

        def send() -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
                for number in order:
                    peer.sendto(encode_frame(frame(number)), ("127.0.0.1", source.port))
                peer.sendto(b"rubbish", ("127.0.0.1", source.port))
                peer.sendto(encode_frame(frame(6)), ("127.0.0.1", source.port))

        async with Tasks() as group, packets_of(source) as found:
            group.create_task(after(source.bound, send))
            packets = await take(found, 21)
        assert [each.flags for each in packets[::3]] == [
            0, 0, PacketFlag.SEQUENCE_GAP, PacketFlag.REORDERED, PacketFlag.DUPLICATE, 0, 0,
        ]  # fmt: skip
        assert (source.counts.packets, source.counts.damaged, source.counts.connects) == (21, 1, 1)
        assert "frame" in source.counts.last_problem

    run(work)


def test_datagrams_that_the_system_drops_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them are accounted for when more came at once than the buffer of the port holds."""
    if not Path("/proc/net/udp").exists():
        pytest.skip("/proc/net/udp is absent: the system does not tell what it drops")
    monkeypatch.setattr(udp, "_BUFFER_BYTES", 4096)
    monkeypatch.setattr(udp, "_LOOK_S", 0.0)
    source, sent = UdpSource(parse_url("udp://:0?format=native")), 300

    async def read(found: AsyncIterator[Packet]) -> None:
        async for _ in found:
            pass

    async def work() -> None:
        async with packets_of(source) as found:
            reading = asyncio.ensure_future(read(found))
            await source.bound.wait()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
                for number in range(sent):  # at once: nothing reads meanwhile
                    peer.sendto(encode_frame(frame(number)), ("127.0.0.1", source.port))
                await until(lambda: source.counts.packets > 0)
                peer.sendto(encode_frame(frame(sent)), ("127.0.0.1", source.port))
                await until(lambda: source.counts.packets // 3 + source.counts.overruns == sent + 1)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        assert source.counts.overruns > 0
        assert "its buffer for the port was full" in source.counts.last_problem

    run(work)


def test_a_datacast_is_taken_from_one_sender() -> None:
    async def work() -> None:
        whole = Packet("FDSN:AM_SHAKE_00_E_H_Z", 10**18, 100.0, np.arange(100, dtype=np.int32))
        wires = [encode_datacast(whole.cut(i, i + 25)) for i in range(0, 100, 25)]
        source = UdpSource(parse_url("udp://:0?station=AM.R24FA.00&sender=127.0.0.2"))

        def send() -> None:
            for address, sent in (("127.0.0.3", wires[:1]), ("127.0.0.2", wires)):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
                    peer.bind((address, 0))
                    for each in sent:
                        peer.sendto(each, ("127.0.0.1", source.port))

        async with Tasks() as group, packets_of(source) as found:
            group.create_task(after(source.bound, send))
            packets = await take(found, 4)
        assert {each.source_id for each in packets} == {"FDSN:AM_R24FA_00_E_H_Z"}
        np.testing.assert_array_equal(np.concatenate([each.samples for each in packets]), whole.samples)

    run(work)


def test_native_frames_that_nobody_said_are_counted_and_told() -> None:
    async def work() -> None:
        source = UdpSource(parse_url("udp://:0?rate=100"))
        whole = Packet("FDSN:AM_SHAKE_00_E_H_Z", 10**18, 100.0, np.arange(25, dtype=np.int32))

        def send() -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
                for each in (*(encode_frame(frame(number)) for number in range(3)), encode_datacast(whole)):
                    peer.sendto(each, ("127.0.0.1", source.port))

        async with Tasks() as group, packets_of(source) as found:
            group.create_task(after(source.bound, send))
            packets = await take(found, 1)
        np.testing.assert_array_equal(packets[0].samples, whole.samples)
        assert source.counts.damaged == 3
        assert source.counts.last_problem.endswith("format=native reads it")

    run(work)


def test_udp_listens_on_loopback_unless_told() -> None:
    assert UdpSource(parse_url("udp://:8888")).address == ("127.0.0.1", 8888)
    everywhere = "0.0.0.0"  # noqa: S104 - what the URL asks for
    assert UdpSource(parse_url(f"udp://{everywhere}:8888")).address == (everywhere, 8888)


def test_a_port_that_is_taken_is_an_error() -> None:
    async def work() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            source = UdpSource(parse_url(f"udp://:{peer.getsockname()[1]}"))
            async with packets_of(source) as found:
                with pytest.raises(DataError, match="cannot listen"):
                    await anext(found)

    run(work)


def test_a_serial_port_that_is_unplugged_is_opened_again(tmp_path: Path) -> None:
    """Two pseudo-terminals behind one name, as a device that is plugged in again."""
    name = tmp_path / "ttyACM0"

    async def work() -> None:
        first, second = os.openpty(), os.openpty()
        try:
            for pair in (first, second):
                tty.setraw(pair[1])
            name.symlink_to(os.ttyname(first[1]))
            source = SerialSource(parse_url(f"serial:{name}?baud=921600&station=CH.HOME"), backoff=eager())
            async with packets_of(source) as found, Tasks() as group:
                taken = group.create_task(take(found, 6))
                await until(lambda: source.counts.connects == 1)  # opening a port empties it
                wire = stuffed_frame(frame(0)) + stuffed_frame(frame(1))
                os.write(first[0], wire[:50])
                await asyncio.sleep(0)
                os.write(first[0], wire[50:])
                packets = await taken
                assert packets[0].source_id == "FDSN:CH_HOME__H_N_Z"
                np.testing.assert_array_equal(packets[4].samples, frame(1).samples[:, 1])
                taken = group.create_task(take(found, 3))
                os.write(first[0], stuffed_frame(frame(2))[:30])
                name.unlink()
                name.symlink_to(os.ttyname(second[1]))
                os.close(first[0])
                await until(lambda: source.counts.connects == 2)
                os.write(second[0], stuffed_frame(frame(3)))
                packets = await taken
            assert packets[0].flags == PacketFlag.SEQUENCE_GAP
            assert source.counts.connects == 2
            assert source.counts.last_problem
        finally:
            for each in (first[1], *second):
                os.close(each)

    run(work)


def test_a_device_that_is_not_there_is_tried_again(tmp_path: Path) -> None:
    async def work() -> None:
        waits: list[float] = []
        enough = asyncio.Event()

        async def sleep(length_s: float) -> None:
            waits.append(length_s)
            if len(waits) == 4:
                enough.set()
            await asyncio.sleep(0)

        backoff = Backoff(jitter=lambda: 1.0, sleep=sleep)
        source = SerialSource(parse_url(f"serial:{tmp_path}/none"), backoff=backoff)
        async with packets_of(source) as found:
            task = asyncio.ensure_future(cast("asyncio.Future[Packet]", anext(found)))
            await enough.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert waits[:4] == [1.0, 2.0, 4.0, 8.0]
        assert "none" in source.counts.last_problem

    run(work)


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def sending(portions: list[bytes]) -> Serve:
    """One portion for each connection, which then ends."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if portions:
            writer.write(portions.pop(0))
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    return serve


def test_tcp_frames_over_connections_that_break() -> None:
    async def work() -> None:
        wire = b"".join(stuffed_frame(frame(i)) for i in range(6))
        server = await asyncio.start_server(sending([wire[:100], wire[100:]]), "127.0.0.1", 0)
        url = parse_url(f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async with server:
            source = TcpSource(url, None, decoder_of(url, ("native",), is_message=False), backoff=eager())
            async with packets_of(source) as found:
                packets = await take(found, 18)
        assert {each.flags for each in packets} == {PacketFlag.NONE}
        assert source.counts.connects >= 2
        assert source.counts.last_problem

    run(work)


def test_palert_over_tcp() -> None:
    async def work() -> None:
        server = await asyncio.start_server(sending([palert_1(0) + palert_1(1)[:500], palert_1(2)]), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            source = open_source(f"palert://127.0.0.1:{port}?station=TW.P001")
            assert isinstance(source, TcpSource)
            source.backoff = eager()
            async with packets_of(source) as found:
                packets = await take(found, 6)
        assert packets[0].source_id == "FDSN:TW_P001__H_L_Z"
        assert source.counts.damaged == 1
        assert packets[3].flags == PacketFlag.SEQUENCE_GAP

    run(work)


def openeew(number: int) -> bytes:
    axes = {axis: [0.1 * (number + i) for i in range(32)] for axis in "xyz"}
    head = {"device_id": "A8032A", "sr": 31.25, "device_t": 1.6e9 + 1.024 * number}
    return json.dumps({**head, "traces": axes}).encode()


def publish(broker: Broker, topic: str, payloads: list[bytes], folder: Path | None = None) -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2)
    if folder is not None:
        client.tls_set(str(folder / "ca.pem"))
        client.username_pw_set("gateway", "correct horse")
    client.connect("localhost" if folder is not None else "127.0.0.1", broker.port)
    client.loop_start()
    for each in payloads:
        client.publish(topic, each, qos=1).wait_for_publish(WAIT_S)
    client.disconnect()
    client.loop_stop()
    left = client.socket()
    if left is not None:
        left.close()


def test_openeew_through_a_broker_that_restarts(tmp_path: Path) -> None:
    async def work(broker: Broker) -> None:
        source = MqttSource(parse_url(f"mqtt://127.0.0.1:{broker.port}/traces/+/+?vertical=x"), backoff=eager())

        async def send(payloads: list[bytes]) -> None:
            await source.subscribed.wait()
            await asyncio.to_thread(publish, broker, "traces/public/A8032A", payloads)

        async with packets_of(source) as found, Tasks() as group:
            group.create_task(send([openeew(0), openeew(1)[:300], openeew(1)]))
            packets = await take(found, 6)
            assert (packets[0].source_id, source.counts.damaged) == ("FDSN:XX_A8032A__B_N_Z", 1)
            await asyncio.to_thread(broker.stop)
            next_packet = group.create_task(take(found, 3))
            await asyncio.to_thread(broker.start)
            while source.counts.connects < 2:
                await asyncio.wait_for(source.subscribed.wait(), WAIT_S)
                await asyncio.sleep(0)
            await send([openeew(3)])
            assert (await next_packet)[0].flags == PacketFlag.SEQUENCE_GAP
        assert source.counts.connects == 2

    with broker_in(tmp_path) as broker:
        run(lambda: work(broker))


def test_tls_with_a_password_from_a_file(tmp_path: Path) -> None:
    async def work(broker: Broker) -> None:
        options = f"format=native&ca_file={tmp_path}/ca.pem&password_file={tmp_path}"
        base = f"mqtts://gateway@localhost:{broker.port}/sensors/%23?{options}"
        source = MqttSource(parse_url(f"{base}/password"), backoff=eager())

        async def send() -> None:
            await source.subscribed.wait()
            await asyncio.to_thread(publish, broker, "sensors/a", [encode_frame(frame(0))], tmp_path)

        async with packets_of(source) as found, Tasks() as group:
            group.create_task(send())
            packets = await take(found, 3)
        np.testing.assert_array_equal(packets[0].samples, frame(0).samples[:, 0])
        refused = MqttSource(parse_url(f"{base}/wrong"), backoff=eager())
        async with packets_of(refused) as found:
            with pytest.raises(DataError, match="the broker says"):
                await asyncio.wait_for(anext(found), WAIT_S)

    with broker_in(tmp_path, lines=with_tls(tmp_path)) as broker:
        run(lambda: work(broker))


def test_an_inbox_that_is_full_drops_the_oldest() -> None:
    async def work() -> None:
        counts = SourceCounts()
        inbox = Inbox(counts, most=2)
        for each in (b"1", b"2", b"3"):
            inbox.put(each)
        inbox.fail(OSError("first"))
        inbox.fail(OSError("second"))
        assert [await inbox.get(), await inbox.get()] == [b"2", b"3"]
        with pytest.raises(OSError, match="first"):
            await inbox.get()
        assert (counts.damaged, counts.last_problem) == (1, "more than 2 messages waited: the oldest was dropped")

    run(work)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("udp://:8888?fromat=native", "did you mean 'format'"),
        ("udp://:8888?format=nativ", "did you mean 'native'"),
        ("udp://:8888?sender=home", "wanted an IP address"),
        ("udp://:8888?station=R24FA", "wanted NET.STA"),
        ("udp://:8888?rate=fast", "wanted samples per second"),
        ("udp://:8888?channels=EHZ", "does not have"),
        ("udp://:8888?vertical=x", "does not have"),
        ("tcp://:4000", "wanted tcp://HOST:PORT"),
        ("tcp://h:4000?channels=Z", "wanted three letters"),
        ("tcp://h:4000?timeout=0", "number of seconds"),
        ("serial:ttyACM0", "wanted serial:/dev/ttyACM0"),
        ("serial:/dev/ttyACM0?baud=fast", "wanted 300 to"),
        ("mqtt://broker", "wanted mqtt://HOST/TOPIC"),
        ("mqtt://broker/t?ca_file=/etc/ca.pem", "wanted mqtts://"),
        ("mqtt://broker/t?vertical=up", "wanted x, y or z"),
        ("palert://h?utc_offset=east", "wanted seconds"),
        ("mqtt://broker/traces/#", "found '#', wanted %23 for a # in a topic, a path or an option"),
        ("mqtt://broker/traces/#?vertical=x", r"found '#\?vertical=x', wanted %23"),
        ("udp://:8888#x", "found '#x', wanted %23"),
        ("file:day#1.mseed", "found '#1.mseed', wanted %23"),
    ],
)
def test_urls_are_read_strictly(url: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_source(url)


@pytest.mark.parametrize("url", ["udp://:1", "tcp://h:1", "serial:/dev/x", "mqtt://h/t", "palert://h"])
def test_nothing_resumes(url: str) -> None:
    assert open_source(url).position is None
    with pytest.raises(UsageError, match="cannot resume"):
        open_source(url, resume="x")


def test_a_password_needs_tls(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x\n", encoding="utf-8")
    with pytest.raises(UsageError, match="without TLS"):
        open_source(f"mqtt://u@broker/t?password_file={tmp_path}/secret")


def test_names() -> None:
    naming = naming_of(parse_url("tcp://h:1?station=CH.HOME.10&channels=HNZ,HNN,HNE"))
    assert naming.source_ids("1", "ZNE", 100.0)[1] == "FDSN:CH_HOME_10_H_N_N"
