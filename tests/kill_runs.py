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
from seedlink_server import SeedLinkServer

from seisedge.edge import OrtSession
from seisedge.edge.times import parse_time

NEAR_NS = 300_000_000


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
    """Feed a record slowly, kill and restart the daemon and the broker, then compare with the offline picks.

    `lost`: offline picks that no final statement is near to. `strangers`: final statements that are near to none, or
    that say the same under another id.
    """
    rng = random.Random(seed)  # noqa: S311 - moments, not secrets
    sent = rig.stream(seconds=70, samples=100)
    server = SeedLinkServer(b"".join(record for each in sent for record in packets.records(each)))
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
        for _ in range(kills):
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
        async with daemon_of(config, port) as daemon:
            await daemon.until_answering()
            await _until_delivered(daemon, len(sent))
            await daemon.end(signal.SIGTERM)
    finally:
        listener.close()
        broker.stop()
        await server.stop()
    return {"kills": done, "published": len(listener.rows), **_compare(listener.rows, model, sent)}


async def _until_delivered(daemon: Any, packets_sent: int) -> None:
    """Until the last sample is in and nothing waits."""
    for _ in range(2000):
        status = await daemon.status()
        newest = max((each["last_sample"] or "" for each in status["stations"]), default="")
        idle = all(each["queue"] == 0 for each in status["workers"]) and status["sinks"][0]["waiting"] == 0
        if newest and parse_time(newest) >= packets.START_NS + 69_900_000_000 and idle:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{packets_sent} packets were not worked off")


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
