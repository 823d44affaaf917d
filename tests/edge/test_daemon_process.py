"""The daemon as its own process: systemd's protocol, signals, the page in a browser, and kills."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import daemon_rig as rig
import packets
import pytest
from click.testing import CliRunner
from daemon_process import DaemonProcess, daemon_of
from kill_runs import kill_runs
from mosquitto_broker import free_port
from seedlink_server import SeedLinkServer

from seisedge.edge.daemon_cli import main


def content() -> bytes:
    """The made-up station as miniSEED, in the order of time."""
    return b"".join(record for each in rig.stream(samples=400) for record in packets.records(each))


def config_in(folder: Path, model: Path, url: str, port: int) -> Path:
    path = folder / "daemon.toml"
    text = rig.config_text(folder, model).replace("fake.mseed", url).replace("127.0.0.1:0", f"127.0.0.1:{port}")
    path.write_text(text, encoding="utf-8")
    return path


PICKER = '[[model]]\nname = "picker"\nartefact = "edge-picker"\n'


class Manager:
    """What systemd does: a socket that hears of the daemon."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._socket.setblocking(False)
        self.heard: list[str] = []

    def has(self, word: str) -> bool:
        try:
            while True:
                self.heard += self._socket.recv(4096).decode().splitlines()
        except BlockingIOError:
            return word in self.heard

    def close(self) -> None:
        self._socket.close()


def test_it_tells_systemd_reloads_and_stops(tmp_path: Path, tiny_path: Path) -> None:
    port = free_port()

    async def run() -> None:
        server = SeedLinkServer(content())
        await server.start()
        config = config_in(tmp_path, tiny_path, f"{server.url}?streams=XX_AAA", port)
        manager = Manager(tmp_path)
        async with daemon_of(config, port, NOTIFY_SOCKET=str(manager.path), WATCHDOG_USEC="60000000") as daemon:
            await rig.until(lambda: manager.has("READY=1"))
            await rig.until(lambda: manager.has("WATCHDOG=1"))
            await rig.until(lambda: bool(rig.rows_of(tmp_path)))
            await _look(daemon)
            with config.open("a", encoding="utf-8") as file:
                file.write(f'[[sink]]\ntype = "csv"\npath = "{tmp_path}/picks.csv"\n')
            reload = await asyncio.to_thread(CliRunner().invoke, main, ["reload", "--url", daemon.url])
            assert reload.exit_code == 0
            await rig.until(lambda: any(each.startswith("RELOADING=1") for each in manager.heard) or manager.has(""))
            for _ in range(1000):
                if len((await daemon.status())["sinks"]) == 2:
                    break
                await asyncio.sleep(0.01)
            assert [each["name"] for each in (await daemon.status())["sinks"]] == ["csv", "jsonl"]
            assert await daemon.end(signal.SIGTERM) == 0
            assert manager.has("STOPPING=1")
        manager.close()
        await server.stop()

    asyncio.run(run())


def test_a_reload_that_is_refused_says_why_and_ends_with_code_1(tmp_path: Path, tiny_path: Path) -> None:
    port = free_port()

    async def reload(daemon: DaemonProcess) -> tuple[int, str]:
        done = await asyncio.to_thread(CliRunner().invoke, main, ["reload", "--url", daemon.url])
        return done.exit_code, done.output

    async def run() -> None:
        config = config_in(tmp_path, tiny_path, f"seedlink://127.0.0.1:{free_port()}", port)
        text = config.read_text(encoding="utf-8")
        wrong = text + PICKER + "stride = 5000\n"
        async with daemon_of(config, port) as daemon:
            await daemon.until_answering()
            for _ in range(2):  # the same problem again is told again
                config.write_text(wrong, encoding="utf-8")
                refused = f"{config}: model[1].stride: found 5000, wanted at most 2048 for model edge-picker"
                assert await reload(daemon) == (1, f"edge-daemon: the old configuration stays: {refused}\n")
                assert (await daemon.status())["last_reload_problem"] == refused
            config.write_text(text, encoding="utf-8")
            assert await reload(daemon) == (0, "")
            status = await daemon.status()
            assert [status[key] for key in ("reloads", "refused_reloads", "last_reload_problem")] == [1, 2, ""]
            assert await daemon.end(signal.SIGTERM) == 0

    asyncio.run(run())


async def _look(daemon: DaemonProcess) -> None:
    """Everything that a person or a machine may ask of it."""
    status = await daemon.status()
    assert [each["id"] for each in status["stations"]] == ["XX.AAA..HH"]
    assert await asyncio.to_thread(daemon.get, "/health") == (200, "ok\n")
    code, metrics = await asyncio.to_thread(daemon.get, "/metrics")
    assert code == 200
    assert 'seisedge_station_packets_total{station="XX.AAA..HH"}' in metrics
    assert all(line.startswith(("#", "seisedge_")) for line in metrics.splitlines())
    assert (await asyncio.to_thread(daemon.get, "/nothing"))[0] == 404
    assert (await asyncio.to_thread(daemon.get, "/trace.json?station=nobody"))[0] == 404
    told = await asyncio.to_thread(CliRunner().invoke, main, ["status", "--url", daemon.url])
    assert told.exit_code == 0
    assert re.match(r"ok\nup [\d.]+ s; packet to pick [\d.]+ ms median, [\d.]+ ms p99\nworker 1: ", told.output)
    assert "station XX.AAA..HH: data " in told.output
    assert " gaps, last pick " in told.output
    assert "\nmachine: memory " in told.output
    assert " GB left" in told.output


@pytest.mark.parametrize(
    "request_", [b"POST / HTTP/1.1\r\n\r\n", b"GET /\r\n\r\n", b"\xff" * 20_000, b"GET /?%ff[ HTTP/1.1\r\n\r\n", b""]
)
def test_garbage_at_the_port_is_answered_or_dropped(tmp_path: Path, tiny_path: Path, request_: bytes) -> None:
    async def run() -> bytes:
        from seisedge.edge.daemon.service import Service  # noqa: PLC0415 - only here

        monkey = pytest.MonkeyPatch()
        rig.feed(monkey, [], live=True)
        service = Service(rig.config_of(tmp_path, tiny_path))
        task = asyncio.ensure_future(service.run())
        await rig.until(lambda: service.server is not None and service.server.port > 0)
        assert service.server is not None
        reader, writer = await asyncio.open_connection("127.0.0.1", service.server.port)
        writer.write(request_)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        service.stop()
        await task
        monkey.undo()
        return answer

    answer = asyncio.run(run())
    assert answer == b"" or answer.split(b" ")[1] in (b"400", b"405", b"200")


def test_a_wrong_configuration_ends_with_code_2(tmp_path: Path) -> None:
    path = tmp_path / "daemon.toml"
    path.write_text("[[source]]\nulr = 'x'\n", encoding="utf-8")
    done = CliRunner().invoke(main, ["check", str(path)])
    assert done.exit_code == 2
    assert done.output == f"edge-daemon: {path}: source[0]: unknown key 'ulr'; did you mean 'url'?\n"


def test_init_and_check(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["init", "seedlink://x:18000?streams=CX_PB01", "--state", str(tmp_path)])
    assert done.exit_code == 0
    path = tmp_path / "daemon.toml"
    path.write_text(done.output, encoding="utf-8")
    checked = CliRunner().invoke(main, ["check", str(path)])
    assert checked.exit_code == 0, checked.output
    assert "golden input as it should be" in checked.output
    assert CliRunner().invoke(main, ["init", "sedlink://x"]).exit_code == 2


def test_no_daemon_there() -> None:
    done = CliRunner().invoke(main, ["status", "--url", f"http://127.0.0.1:{free_port()}"])
    assert done.exit_code == 1
    assert "no daemon answers there" in done.output


def test_kills_lose_no_pick(tmp_path: Path, tiny_path: Path) -> None:
    report = asyncio.run(kill_runs(tmp_path, tiny_path, kills=3, seed=5))
    assert report["lost"] == []
    assert report["strangers"] == []
    assert report["kills"] == 3


def _chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        if os.environ.get("SEISEDGE_NEED_SHARED") == "1":
            pytest.fail("Chromium is absent: install Debian's package chromium")
        pytest.skip("Chromium is absent")
    return found


def test_the_page_in_a_browser(tmp_path: Path, tiny_path: Path) -> None:
    program, port = _chromium(), free_port()

    async def run() -> str:
        server = SeedLinkServer(content())
        await server.start()
        config = config_in(tmp_path, tiny_path, f"{server.url}?streams=XX_AAA", port)
        async with daemon_of(config, port) as daemon:
            await daemon.until_answering()
            await rig.until(lambda: any(each["status"] == "final" for each in rig.rows_of(tmp_path)))
            command: list[Any] = [
                program,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
            ]
            command += [f"--user-data-dir={tmp_path}/chromium", "--virtual-time-budget=4000", "--dump-dom", daemon.url]
            done = await asyncio.to_thread(
                subprocess.run, command, capture_output=True, text=True, timeout=60, check=True
            )
            assert await daemon.end(signal.SIGTERM) == 0
        await server.stop()
        return str(done.stdout)

    page = asyncio.run(run())
    assert '<div id="state" class="ok">All is well' in page
    assert "XX.AAA..HH" in page
    assert page.count('<tr class="final">') >= 3
