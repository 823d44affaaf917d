"""systemd's notify protocol (sd_notify(3)) over the datagram socket that it names."""

from __future__ import annotations

import os
import socket


class Notifier:
    """Tells the service manager; silent where there is none."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address

    @property
    def watchdog_s(self) -> float | None:
        """How often the watchdog wants to hear of us, in seconds; None where it does not."""
        microseconds = os.environ.get("WATCHDOG_USEC", "")
        mine = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        return int(microseconds) / 1e6 if mine and microseconds.isdigit() and int(microseconds) else None

    def send(self, *lines: str) -> None:
        """Send lines such as `READY=1`; a manager that does not listen is none of our business."""
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            try:
                sender.sendto("\n".join(lines).encode(), self._address)
            except OSError:
                return
