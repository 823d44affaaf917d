"""A real mosquitto broker for tests, on a free port of the loopback interface, that can be killed and come back."""

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


class Broker:
    """One broker. Sessions live in its memory: a client that subscribes anew is what survives."""

    def __init__(self, folder: Path, *, lines: tuple[str, ...] = ()) -> None:
        self.port = free_port()
        self._path = folder / "mosquitto.conf"
        self._path.write_text("\n".join([f"listener {self.port} 127.0.0.1", *lines, ""]), encoding="utf-8")
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
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _program() -> str:
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if found is None:
        if os.environ.get("SEISEDGE_NEED_SHARED") == "1":
            pytest.fail("mosquitto is absent: install Debian's package mosquitto")
        pytest.skip("mosquitto is absent")
    return found
