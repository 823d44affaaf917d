"""A real mosquitto broker for tests, on a free port of the loopback interface, that can be killed and come back.

It is open to all, or has TLS and a password with the lines of `with_tls`.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme


class Broker:
    """One broker. Sessions live in its memory: a client that subscribes anew is what survives."""

    def __init__(self, folder: Path, *, lines: tuple[str, ...] = ()) -> None:
        self.port = free_port()
        self._path = folder / "mosquitto.conf"
        first = [f"listener {self.port} 127.0.0.1", "persistence false", *(["user root"] if os.getuid() == 0 else [])]
        self._path.write_text("\n".join([*first, *lines, ""]), encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen([_program(), "-c", str(self._path)], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:  # noqa: PERF203 - it is what we wait for
                time.sleep(0.01)
            else:
                return
        raise AssertionError("mosquitto does not listen")

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()


@contextmanager
def broker_in(folder: Path, *, lines: tuple[str, ...] = ("allow_anonymous true",)) -> Generator[Broker, None, None]:
    broker = Broker(folder, lines=lines)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


def with_tls(folder: Path) -> tuple[str, ...]:
    """Lines of a broker that wants TLS and a password; `ca.pem`, `password` and `wrong` are in the folder then."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    server = authority.issue_cert("localhost", "127.0.0.1")
    server.private_key_pem.write_to_path(folder / "key.pem")
    server.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    users = folder / "users"
    users.write_text("gateway:correct horse\n", encoding="utf-8")
    users.chmod(0o600)
    subprocess.run([_program("mosquitto_passwd"), "-U", str(users)], check=True, capture_output=True)
    (folder / "password").write_text("correct horse\n", encoding="utf-8")
    (folder / "wrong").write_text("battery staple\n", encoding="utf-8")
    return f"certfile {folder / 'cert.pem'}", f"keyfile {folder / 'key.pem'}", f"password_file {users}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _program(name: str = "mosquitto") -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        if os.environ.get("SEISEDGE_NEED_SHARED") == "1":
            pytest.fail("mosquitto is absent: install Debian's package mosquitto")
        pytest.skip("mosquitto is absent")
    return found
