"""P-Alert over TCP, where the gateway is the client: modes 1, 4 and 16 as the device is set.

palert://192.168.1.30                                       port 502
palert://192.168.1.30:502?station=TW.P001&utc_offset=28800  its clock is on local time
"""

from __future__ import annotations

from seisedge.edge.errors import UsageError
from seisedge.firmware_bridge.palert import PalertDecoder

from .formats import NAMING_OPTIONS, naming_of
from .source import Source
from .tcp import TcpSource
from .urls import SourceUrl

PORT = 502
_DAY_S = 86400.0


def open_url(url: SourceUrl, resume: str | None) -> Source:
    """Make the source; see the module's examples.

    Raises
    ------
    UsageError
        The URL says what a P-Alert does not have; or `resume`, for it does not repeat.
    """
    url.require_options((*NAMING_OPTIONS, "utc_offset", "timeout"))
    text = url.options.get("utc_offset", "0")
    try:
        offset_s = float(text)
    except ValueError:
        offset_s = _DAY_S
    if not -_DAY_S < offset_s < _DAY_S:
        raise UsageError(f"source {url.text}: utc_offset: found {text!r}, wanted seconds of less than a day")
    return TcpSource(url, resume, PalertDecoder(naming_of(url), utc_offset_s=offset_s), port=PORT)
