"""Native frames from a serial port (pyserial: `pip install seisedge[serial]`): COBS-stuffed, zeros between.

serial:/dev/ttyACM0
serial:/dev/ttyUSB0?baud=921600&station=CH.HOME
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import final

from seisedge.edge.errors import DataError, UsageError
from seisedge.firmware_bridge import Packet

from .connection import Backoff, reconnecting
from .formats import NAMING_OPTIONS, decoder_of
from .inbox import decoded
from .source import Source, SourceCounts
from .urls import SourceUrl

try:
    import serial
except ModuleNotFoundError:
    serial = None  # type: ignore[assignment]  # the extra `serial` is not installed

_BAUD = 115_200
_PORTION = 1 << 14


def open_url(url: SourceUrl, resume: str | None) -> Source:
    """Make the source; see the module's examples.

    Raises
    ------
    UsageError
        The URL says what a serial port does not have; or `resume`, for a line does not repeat.
    DataError
        pyserial is not installed.
    """
    if resume is not None:
        raise UsageError(f"source {url.text}: cannot resume: the line does not repeat what it sent")
    if serial is None:
        raise DataError(f"source {url.text}: needs pyserial: pip install 'seisedge[serial]'")
    return SerialSource(url)


@final
class SerialSource:
    """Reads a port, and opens it again when the device was unplugged.

    Parameters
    ----------
    backoff
        How long to wait before opening it again.
    """

    def __init__(self, url: SourceUrl, *, backoff: Backoff | None = None) -> None:
        url.require_options(("format", "baud", *NAMING_OPTIONS))
        if not url.path.startswith("/"):
            raise UsageError(f"source {url.text}: found no device, wanted serial:/dev/ttyACM0")
        text = url.options.get("baud", str(_BAUD))
        if not text.isdecimal() or not 300 <= int(text) <= 12_000_000:
            raise UsageError(f"source {url.text}: baud: found {text!r}, wanted 300 to 12000000")
        self.url, self.counts = url.text, SourceCounts()
        self._device, self._baud = url.path, int(text)
        self._decoder = decoder_of(url, ("native",), is_message=False)
        self._backoff = backoff or Backoff(longest_s=10.0)

    @property
    def position(self) -> str | None:
        """None: the line does not repeat."""
        return None

    def packets(self) -> AsyncGenerator[Packet, None]:
        """Yield packets for ever; a port that is not there, or goes away, is opened again."""
        # A SerialException is an OSError.
        return reconnecting(self._open, self.counts, self._backoff, peer=self._device)

    async def _open(self) -> AsyncGenerator[Packet, None]:
        readable, loop = asyncio.Event(), asyncio.get_running_loop()
        with serial.Serial(self._device, self._baud, timeout=0, exclusive=True) as port:
            self.counts.connects += 1
            descriptor = port.fileno()
            loop.add_reader(descriptor, readable.set)
            try:
                while True:
                    await readable.wait()
                    readable.clear()
                    data = port.read(_PORTION)
                    for packet in decoded(self._decoder, data, self.counts):
                        yield packet
            finally:
                loop.remove_reader(descriptor)
