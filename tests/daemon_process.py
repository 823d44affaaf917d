"""`edge-daemon run` in a process of its own, fed with JSON lines of what it says of itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

DAEMON = [sys.executable, "-m", "seisedge.edge.daemon_cli"]


class DaemonProcess:
    """One process; `url` is where it listens."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:  # noqa: S310 - our own loopback
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    async def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((await asyncio.to_thread(self.get, "/status.json"))[1])
        return found

    async def until_answering(self) -> None:
        for _ in range(3000):
            if self.process.returncode is not None:
                raise AssertionError(f"the daemon ended with {self.process.returncode}")
            with contextlib.suppress(OSError):
                await self.status()
                return
            await asyncio.sleep(0.01)
        raise AssertionError("the daemon does not answer")

    async def end(self, number: signal.Signals) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 30)


@asynccontextmanager
async def daemon_of(config: Path, port: int, **environment: str) -> AsyncGenerator[DaemonProcess, None]:
    """Start a daemon whose configuration listens on `port`; it is killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *DAEMON,
        "run",
        str(config),
        "--log",
        "json",
        env={**os.environ, **environment},
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield DaemonProcess(process, port)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
