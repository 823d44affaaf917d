"""SIGKILL at random moments, with a broker that goes up and down: which picks were published, and under which ids."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import threading
from pathlib import Path
from typing import Any

import daemon_rig as rig
import packets
import paho.mqtt.client as paho
from daemon_process import daemon_of
from mosquitto_broker import Broker, free_port
from paho.mqtt.enums import CallbackAPIVersion
from seedlink_server import SeedLinkServer, Stored

from seisedge.edge import OrtSession
from seisedge.edge.times import parse_time
from seisedge.firmware_bridge import Packet

NEAR_NS = 300_000_000
LIFE_S, SHORTEST_S = 6, 70
"""Data that come in while a daemon lives, and the shortest record."""


class Gate:
    """Lets a server's records through up to a time that moves: the rest have not been measured yet."""

    def __init__(self) -> None:
        self._until_ns, self._moved = packets.START_NS, asyncio.Event()

    def open(self, seconds: float) -> None:
        """Let through what is measured `seconds` after the start."""
        self._until_ns = packets.START_NS + round(seconds * 1e9)
        self._moved.set()
        self._moved = asyncio.Event()

    async def before(self, stored: Stored) -> None:
        """Wait until a record may go."""
        while stored.starttime_ns >= self._until_ns:
            await self._moved.wait()


class Listener:
    """A subscriber that comes back whenever the broker does."""

    def __init__(self, port: int) -> None:
        self.rows: list[dict[str, Any]] = []
        self.ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="listener", protocol=paho.MQTTv5)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_message = lambda _c, _u, message: self.rows.append(json.loads(message.payload))
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _on_connect(self, client: paho.Client, *_: Any) -> None:
        client.subscribe("seisedge/#", 1)

    def _on_subscribe(self, *_: Any) -> None:
        self.ready.set()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


async def kill_runs(folder: Path, model: Path, *, kills: int, seed: int) -> dict[str, Any]:
    """Kill and restart the daemon and the broker while data come in, then compare with the offline picks.

    `lost`: offline picks that no final statement is near to. `strangers`: final statements that are near to none, or
    that say the same under another id.
    """
    rng = random.Random(seed)  # noqa: S311 - moments, not secrets
    seconds, gate = max(SHORTEST_S, LIFE_S * kills), Gate()
    sent = rig.stream(seconds=seconds, samples=100, bursts=range(12, seconds - 3, 12))
    server = SeedLinkServer(b"".join(record for each in sent for record in packets.records(each)), before=gate.before)
    await server.start()
    broker, port = Broker(folder, lines=("allow_anonymous true",)), free_port()
    broker.start()
    listener = Listener(broker.port)
    config = folder / "daemon.toml"
    sink = f'[[sink]]\ntype = "mqtt"\nhost = "127.0.0.1"\nport = {broker.port}\n'
    text = rig.config_text(folder, model, sink, sink=False).replace("127.0.0.1:0", f"127.0.0.1:{port}")
    config.write_text(text.replace("fake.mseed", f"{server.url}?streams=XX_AAA"), encoding="utf-8")
    done = 0
    try:
        assert await asyncio.to_thread(listener.ready.wait, 10)
        for number in range(kills):
            gate.open(seconds * (number + 1) / (kills + 1))
            async with daemon_of(config, port) as daemon:
                if rng.random() < 0.5:
                    await daemon.until_answering()
                await asyncio.sleep(rng.uniform(0.0, 1.5))
                await daemon.end(signal.SIGKILL)
                done += 1
            if rng.random() < 0.5:
                listener.ready.clear()
                broker.stop()
                await asyncio.sleep(rng.uniform(0.0, 0.3))
                broker.start()
                assert await asyncio.to_thread(listener.ready.wait, 10)
        gate.open(seconds)
        async with daemon_of(config, port) as daemon:
            await daemon.until_answering()
            await _until_delivered(daemon, sent)
            await daemon.end(signal.SIGTERM)
    finally:
        listener.close()
        broker.stop()
        await server.stop()
    return {"kills": done, "published": len(listener.rows), **_compare(listener.rows, model, sent)}


async def _until_delivered(daemon: Any, sent: list[Packet]) -> None:
    """Until the last sample is in and nothing waits."""
    for _ in range(2000):
        status = await daemon.status()
        newest = max((each["last_sample"] or "" for each in status["stations"]), default="")
        idle = all(each["queue"] == 0 for each in status["workers"]) and status["sinks"][0]["waiting"] == 0
        if newest and parse_time(newest) >= sent[-1].time_of(sent[-1].samples.size - 10) and idle:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{len(sent)} packets were not worked off")


def _compare(rows: list[dict[str, Any]], model: Path, sent: list[Any]) -> dict[str, Any]:
    wanted = rig.wanted_picks(OrtSession(model), sent)
    last_ns = max(parse_time(time) for _, _, time, _ in wanted)
    finals = [(row["phase_hint"], parse_time(row["time"]), row["id"]) for row in rows if row["status"] == "final"]
    lost: list[Any] = []
    strangers: list[Any] = []
    for _, label, time, _ in wanted:
        near = {key for phase, at, key in finals if phase == label and abs(at - parse_time(time)) <= NEAR_NS}
        said = [
            row
            for row in rows
            if row["phase_hint"] == label and abs(parse_time(row["time"]) - parse_time(time)) <= NEAR_NS
        ]
        if not near and not (said and parse_time(time) >= last_ns - 2_000_000_000):  # the last may be open at the end
            lost.append((label, time))
        if len({row["id"] for row in said}) > 1:
            strangers.append((label, time, sorted({row["id"] for row in said})))
    times = [(label, parse_time(time)) for _, label, time, _ in wanted]
    strangers += [
        each for each in finals if not any(each[0] == label and abs(each[1] - at) <= NEAR_NS for label, at in times)
    ]
    return {"wanted": len(wanted), "lost": lost, "strangers": strangers}
