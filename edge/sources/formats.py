"""The options of a source's URL that say what comes and how its channels are called → a decoder."""

from __future__ import annotations

from seisedge.edge.errors import UsageError
from seisedge.edge.strict import suggestion
from seisedge.firmware_bridge import Decoder
from seisedge.firmware_bridge.datacast import DatacastDecoder
from seisedge.firmware_bridge.frame_decoder import FrameDecoder
from seisedge.firmware_bridge.naming import Naming
from seisedge.firmware_bridge.openeew import OpenEewDecoder

from .urls import SourceUrl

NAMING_OPTIONS = ("station", "channels")
FORMAT_OPTIONS = ("format", *NAMING_OPTIONS, "vertical", "rate")


def naming_of(url: SourceUrl) -> Naming:
    """Read `station=NET.STA` or `NET.STA.LOC`, and `channels=HNZ,HNN,HNE` in the wire's order.

    Raises
    ------
    UsageError
        A code has another form.
    """
    network, station, location = "XX", "", ""
    if "station" in url.options:
        parts = url.options["station"].split(".")
        if len(parts) not in (2, 3) or not parts[0] or any(len(each) > 8 or not _is_code(each) for each in parts):
            raise UsageError(
                f"source {url.text}: station: found {url.options['station']!r}, wanted NET.STA or NET.STA.LOC"
            )
        network, station, location = (*parts, "")[:3]
    channels = tuple(filter(None, url.options.get("channels", "").split(",")))
    for each in channels:
        if len(each) != 3 or not _is_code(each):
            raise UsageError(
                f"source {url.text}: channels: found {each!r}, wanted three letters each, as in HNZ,HNN,HNE"
            )
    return Naming(network, station, location, channels)


def _is_code(text: str) -> bool:
    return text.isascii() and text.replace("-", "A").isalnum() and text.upper() == text if text else True


def decoder_of(url: SourceUrl, formats: tuple[str, ...], *, is_message: bool) -> Decoder:
    """Make the decoder of the option `format`, or of the first of `formats`.

    Parameters
    ----------
    is_message
        Whole datagrams or messages come; else a stream.

    Raises
    ------
    UsageError
        A format that the source does not have, or an option that the format does not have.
    """
    name = url.options.get("format", formats[0])
    if name not in formats:
        raise UsageError(f"source {url.text}: unknown format {name!r}{suggestion(name, formats)}")
    for option, its in (("vertical", ("openeew", "grillo")), ("rate", ("datacast",))):
        if option in url.options and name not in its:
            raise UsageError(f"source {url.text}: found the option {option!r}, which format={name} does not have")
    naming = naming_of(url)
    if name == "native":
        return FrameDecoder(naming, is_bare=is_message)
    if name == "datacast":
        return _datacast(url, naming)
    vertical = url.options.get("vertical", "x")
    if vertical not in {"x", "y", "z"}:
        raise UsageError(f"source {url.text}: vertical: found {vertical!r}, wanted x, y or z")
    return OpenEewDecoder(naming, vertical=vertical, is_message=is_message)


def _datacast(url: SourceUrl, naming: Naming) -> Decoder:
    if naming.channels:
        raise UsageError(f"source {url.text}: found the option 'channels', wanted none: datacast names its own")
    try:
        rate = float(url.options.get("rate", "0"))
    except ValueError:
        rate = -1.0
    if rate < 0 or rate > 1e6 or ("rate" in url.options and not rate):
        raise UsageError(f"source {url.text}: rate: found {url.options['rate']!r}, wanted samples per second")
    if "station" not in url.options:
        return DatacastDecoder(sampling_rate=rate)
    return DatacastDecoder(naming.network, naming.station, naming.location, sampling_rate=rate)
