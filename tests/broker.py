"""A real mosquitto on an ephemeral loopback port, plain or with TLS and a password."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
needs_mosquitto = pytest.mark.skipif(
    MOSQUITTO is None and os.environ.get("SEISEDGE_NEED_SHARED") != "1",
    reason="there is no mosquitto: apt-get install mosquitto",
)


@dataclass
class Broker:
    port: int
    process: subprocess.Popen[bytes]
    config: Path

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=10)

    def start(self) -> None:
        assert MOSQUITTO is not None, "there is no mosquitto"
        command = [MOSQUITTO, "-c", str(self.config)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _wait_for(self.port, self.process)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Until it listens: a process of its own, which tells nobody when."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise AssertionError("mosquitto does not listen")


@contextmanager
def running_broker(folder: Path, *, tls: bool = False) -> Generator[Broker, None, None]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    lines = [f"listener {port} 127.0.0.1", "persistence false", "log_dest none"]
    if os.getuid() == 0:
        lines.append("user root")
    if tls:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / "ca.pem")
        server = authority.issue_cert("localhost", "127.0.0.1")
        server.private_key_pem.write_to_path(folder / "key.pem")
        server.cert_chain_pems[0].write_to_path(folder / "cert.pem")
        (folder / "users").write_text("gateway:correct horse\n", encoding="utf-8")
        (folder / "users").chmod(0o600)
        subprocess.run(["mosquitto_passwd", "-U", str(folder / "users")], check=True, capture_output=True)
        (folder / "password").write_text("correct horse\n", encoding="utf-8")
        (folder / "wrong").write_text("battery staple\n", encoding="utf-8")
        lines += [
            f"certfile {folder / 'cert.pem'}",
            f"keyfile {folder / 'key.pem'}",
            f"password_file {folder / 'users'}",
        ]
    else:
        lines.append("allow_anonymous true")
    config = folder / "mosquitto.conf"
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    broker = Broker(port, subprocess.Popen(["true"]), config)
    broker.process.wait()
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()
