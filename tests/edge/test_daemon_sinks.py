"""Sinks against real receivers: what is confirmed is there, and what fails is given again."""

from __future__ import annotations

import asyncio
import csv
import json
import resource
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import daemon_rig as rig
import obspy
import paho.mqtt.client as paho
import pytest
import trustme
from datalink_server import DataLinkServer
from mosquitto_broker import Broker, broker_in, free_port
from obspy.io.quakeml.core import _validate as validate_quakeml  # pyright: ignore[reportPrivateUsage]
from paho.mqtt.enums import CallbackAPIVersion

from seisedge.edge import UsageError
from seisedge.edge.daemon.sink_config import FileSink, read_sink
from seisedge.edge.daemon.sinks import Sink, SinkError, open_sink
from seisedge.edge.daemon.sinks.quakeml import quakeml
from seisedge.edge.daemon.store import Item

ROW: dict[str, Any] = {
    "id": "0123456789abcdef",
    "revision": 2,
    "network": "CX",
    "station": "PB01",
    "location": "",
    "channel": "HH",
    "phase_hint": "P",
    "time": "2014-05-01T00:00:03.598393Z",
    "time_uncertainty_s": 0.05,
    "probability": 0.843307,
    "amplitude": 677.79,
    "snr": 13.2,
    "model": "seismo-performer",
    "model_digest": "c5" * 32,
    "warm_up": False,
    "status": "final",
    "kind": "pick",
    "published": "2014-05-01T00:00:07.700000Z",
}


def items(*revisions: int, **changes: Any) -> list[Item]:
    return [Item(number, "pick", {**ROW, "revision": number, **changes}, None) for number in revisions]


@contextmanager
def sink_of(**table: Any) -> Generator[Sink, None, None]:
    sink = open_sink(read_sink(table, "sink"))
    try:
        yield sink
    finally:
        sink.close()


def test_json_lines_are_appended_and_rotated(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "picks.jsonl"
    with sink_of(type="jsonl", path=str(path), rotate_megabytes=1, keep=2) as sink:
        for start in range(0, 6000, 500):
            sink.deliver(items(*range(start, start + 500), padding="x" * 200))
    files = [path.with_name("picks.jsonl.2"), path.with_name("picks.jsonl.1"), path]
    assert sorted(path.parent.iterdir()) == sorted(files)
    found = [json.loads(line)["revision"] for each in files for line in each.read_text(encoding="utf-8").splitlines()]
    assert found == list(range(found[0], 6000))
    assert all(each.stat().st_size <= 1 << 20 for each in files)


def test_half_a_line_of_a_power_cut_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "picks.jsonl"
    path.write_text('{"id": "ha', encoding="utf-8")
    with sink_of(type="jsonl", path=str(path)) as sink:
        sink.deliver(items(1))
    assert json.loads(path.read_text(encoding="utf-8").splitlines()[1]) == {**ROW, "revision": 1}


def test_a_file_that_was_moved_away_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "picks.jsonl"
    with sink_of(type="jsonl", path=str(path)) as sink:
        sink.deliver(items(1))
        path.rename(tmp_path / "old")
        sink.deliver(items(2))
    assert len(path.read_text(encoding="utf-8").splitlines()) == 1


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    """A limit of the file's size does what a full disk does: it takes the half."""
    path = tmp_path / "picks.jsonl"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with sink_of(type="jsonl", path=str(path)) as sink:
        sink.deliver(items(1))
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100, hard))
        try:
            with pytest.raises(SinkError, match="File too large"):
                sink.deliver(items(2))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        sink.deliver(items(3))
    assert [json.loads(line)["revision"] for line in path.read_text(encoding="utf-8").splitlines()] == [1, 3]


def test_csv_has_a_header_once(tmp_path: Path) -> None:
    path = tmp_path / "picks.csv"
    for number in (1, 2):
        with sink_of(type="csv", path=str(path)) as sink:
            sink.deliver(items(number))
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["revision"] for row in rows] == ["1", "2"]
    assert rows[0]["time"] == ROW["time"]
    assert rows[0]["status"] == "final"


@pytest.mark.parametrize(
    "changes", [{}, {"location": "00", "snr": None, "amplitude": None, "time_uncertainty_s": None}]
)
def test_quakeml_keeps_the_schema_and_obspy_reads_it(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = tmp_path / "pick.xml"
    path.write_bytes(quakeml({**ROW, **changes}))
    assert validate_quakeml(str(path), verbose=True)
    (event,) = obspy.read_events(str(path))
    (pick,) = event.picks
    assert pick.time == obspy.UTCDateTime(ROW["time"])
    assert pick.phase_hint == "P"
    assert pick.waveform_id.get_seed_string() == f"CX.PB01.{changes.get('location', '')}.HH"
    assert (pick.evaluation_mode, pick.evaluation_status) == ("automatic", "preliminary")


def test_quakeml_documents_follow_their_revisions(tmp_path: Path) -> None:
    with sink_of(type="quakeml", folder=str(tmp_path)) as sink:
        sink.deliver(items(0, status="provisional"))
        sink.deliver(items(1))
        (path,) = tmp_path.iterdir()
        assert b"<version>1</version>" in path.read_bytes()
        sink.deliver(items(2, status="retracted"))
    assert list(tmp_path.iterdir()) == []


def test_triggered_waveforms_are_the_samples(tmp_path: Path, tiny_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = rig.stream()
    rig.feed(monkeypatch, sent)
    more = f'[[sink]]\ntype = "waveform"\nfolder = "{tmp_path}/cuts"\nbefore_s = 5\nafter_s = 10\n'
    rig.replay(rig.config_of(tmp_path, tiny_path, more))
    finals = [row for row in rig.rows_of(tmp_path) if row["status"] == "final"]
    files = sorted((tmp_path / "cuts").iterdir())
    assert sorted(each.stem.rsplit("_", 1)[1] for each in files) == sorted(row["id"] for row in finals)
    whole = {each.source_id: each for each in sent if each.starttime_ns == sent[0].starttime_ns}
    for row in finals[:1]:
        (path,) = [each for each in files if row["id"] in each.name]
        stream = obspy.read(str(path))
        assert {trace.stats.channel for trace in stream.merge()} == {"HHN", "HHE", "HHZ"}
        for trace in stream:
            assert abs(trace.stats.endtime - (obspy.UTCDateTime(row["time"]) + 10)) < 0.02
            assert trace.stats.starttime >= obspy.UTCDateTime(row["time"]) - 5.01
    assert whole


class _Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server: Any = self.server
        server.seen.append((self.headers["Authorization"], json.loads(body)))
        self.send_response(server.statuses.pop(0) if server.statuses else 204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        pass


@contextmanager
def http_receiver(*statuses: int) -> Generator[Any, None, None]:
    server: Any = HTTPServer(("127.0.0.1", 0), _Receiver)
    server.seen, server.statuses = [], list(statuses)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_http_confirms_with_2xx_alone(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n", encoding="utf-8")
    with http_receiver(503, 200) as server:
        url = f"http://127.0.0.1:{server.server_port}/picks"
        with sink_of(type="http", url=url, token_file=str(tmp_path / "token")) as sink:
            with pytest.raises(SinkError, match="found status 503, wanted 2xx") as caught:
                sink.deliver(items(1))
            assert "s3cret" not in str(caught.value)
            sink.deliver(items(1, 2))
    assert server.seen[1] == ("Bearer s3cret", [each.row for each in items(1, 2)])
    with sink_of(type="http", url=url) as sink, pytest.raises(SinkError, match="Connection refused"):
        sink.deliver(items(1))


def test_udp_sends_one_datagram_per_statement() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        with sink_of(type="udp", host="127.0.0.1", port=receiver.getsockname()[1]) as sink:
            sink.deliver(items(1, 2))
        assert [json.loads(receiver.recv(65_535))["revision"] for _ in range(2)] == [1, 2]


def test_datalink_writes_are_in_the_ring() -> None:
    async def run() -> DataLinkServer:
        server = DataLinkServer()
        await server.start()

        def send() -> None:
            with sink_of(type="datalink", host="localhost", port=server.port) as sink:
                sink.deliver(items(1, 2))

        await asyncio.to_thread(send)
        server.accepts_writes = False

        def refused() -> None:
            refusal = pytest.raises(SinkError, match="refuse")
            with sink_of(type="datalink", host="localhost", port=server.port) as sink, refusal:
                sink.deliver(items(3))

        await asyncio.to_thread(refused)
        await server.stop()
        return server

    server = asyncio.run(run())
    assert [each.stream_id for each in server.ring] == ["CX_PB01__HH/JSON"] * 2
    assert [json.loads(each.payload)["revision"] for each in server.ring] == [1, 2]


@contextmanager
def listening(
    broker: Broker, seen: list[tuple[str, dict[str, Any]]], ready: threading.Event
) -> Generator[None, None, None]:
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.on_message = lambda _c, _u, message: seen.append((message.topic, json.loads(message.payload)))
    client.on_subscribe = lambda _c, _u, _m, _r, _p: ready.set()
    client.connect("127.0.0.1", broker.port)
    client.subscribe("seisedge/#", 1)
    client.loop_start()
    try:
        yield
    finally:
        client.disconnect()
        client.loop_stop()


def test_mqtt_confirms_what_the_broker_acknowledged(tmp_path: Path) -> None:
    seen: list[tuple[str, dict[str, Any]]] = []
    ready = threading.Event()
    with broker_in(tmp_path) as broker, listening(broker, seen, ready):
        assert ready.wait(10)
        with sink_of(type="mqtt", host="127.0.0.1", port=broker.port) as sink:
            sink.deliver(items(1, 2))
            asyncio.run(rig.until(lambda: len(seen) == 2))
            assert seen[0] == ("seisedge/pick/CX.PB01..HH", items(1)[0].row)
            broker.stop()
            with pytest.raises(SinkError, match=r"mqtt 127\.0\.0\.1"):
                sink.deliver(items(3))
            broker.start()
            sink.deliver(items(3))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # paho forgets a socket that TLS refused
def test_mqtt_with_tls_and_a_password(tmp_path: Path) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    server = ca.issue_cert("localhost")
    server.private_key_pem.write_to_path(tmp_path / "key.pem")
    for number, each in enumerate(server.cert_chain_pems):
        each.write_to_path(tmp_path / "cert.pem", append=number > 0)
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).chmod(0o644)
    tmp_path.chmod(0o755)
    lines = (f"cafile {tmp_path}/ca.pem", f"certfile {tmp_path}/cert.pem", f"keyfile {tmp_path}/key.pem")
    with broker_in(tmp_path, lines=(*lines, "allow_anonymous true")) as broker:
        table = {"type": "mqtt", "host": "localhost", "port": broker.port, "tls": True}
        with sink_of(**table, ca_file=str(tmp_path / "ca.pem")) as sink:
            sink.deliver(items(1))
        with sink_of(**table) as sink, pytest.raises(SinkError, match="certificate verify failed"):
            sink.deliver(items(1))


def test_a_broker_that_refuses(tmp_path: Path) -> None:
    with broker_in(tmp_path, lines=("allow_anonymous false",)) as broker:
        refused = pytest.raises(SinkError, match="refused: Not authorized")
        with sink_of(type="mqtt", host="127.0.0.1", port=broker.port) as sink, refused:
            sink.deliver(items(1))
    port = free_port()
    with sink_of(type="mqtt", host="127.0.0.1", port=port) as sink, pytest.raises(SinkError, match="refused"):
        sink.deliver(items(1))


def test_a_secret_that_is_not_there_is_found_before_the_start(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="absent: cannot be read"):
        open_sink(read_sink({"type": "mqtt", "user": "x", "password_file": str(tmp_path / "absent")}, "sink"))
    assert FileSink("csv").label == "csv"
