"""What a SeedLink or DataLink server says that it has, as lines."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator

from seisedge.firmware_bridge import WireError

from .errors import DataError, UsageError
from .sources import open_source
from .sources.connection import in_one_line
from .sources.datalink import DataLinkSource
from .sources.seedlink import SeedLinkSource

# XML from the network is not given to a parser that expands entities: the elements that we want are flat.
_EITHER = re.compile(r"<(station|stream)\b([^>]*)>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r'([\w:]+)\s*=\s*"([^"]*)"')
_ENTITIES = {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&amp;": "&"}


async def info_lines(text: str, item: str, *, raw: bool) -> list[str]:
    """Ask a server and give its stations and streams, one a line; `raw` gives its answer as it is.

    Raises
    ------
    UsageError
        The URL is of another kind of source.
    DataError
        The server refuses, or cannot be reached.
    """
    source = open_source(text)
    if not isinstance(source, SeedLinkSource | DataLinkSource):
        raise UsageError(f"info {text}: wanted a URL of seedlink, seedlinks or datalink")
    try:
        content = (await source.info(item)).decode("utf-8", "replace")
    except (OSError, asyncio.TimeoutError, WireError) as error:
        raise DataError(f"{text}: {in_one_line(error)}") from error
    if raw:
        return content.splitlines()
    return list(_from_json(content) if content.lstrip().startswith("{") else _from_xml(content))


def _from_xml(content: str) -> Iterator[str]:
    station = ""
    for element, text in _EITHER.findall(content):
        found = {key.lower(): _plain(value) for key, value in _ATTRIBUTE.findall(text)}
        if element == "station":
            station = f"{found.get('network', '')}_{found.get('name', '')}"
            yield "  ".join(filter(None, (station, found.get("description", ""))))
        elif element == "stream":
            channel = f"{found.get('location', '').strip() or '--'}{found.get('seedname', '')}"
            yield f"{station}:{channel}  {found.get('begin_time', '')} … {found.get('end_time', '')}"
        else:
            begin, end = found.get("earliestpacketdatastarttime", ""), found.get("latestpacketdataendtime", "")
            yield f"{found.get('name', '')}  {begin} … {end}".rstrip(" …")


def _plain(text: str) -> str:
    for entity, character in _ENTITIES.items():
        text = text.replace(entity, character)
    return text


def _from_json(content: str) -> Iterator[str]:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"INFO: found JSON that cannot be read: {error}") from None
    for station in _list(answer, "station"):
        yield "  ".join(filter(None, (str(station.get("id", "")), str(station.get("description", "")))))
        for stream in _list(station, "stream"):
            yield f"{station.get('id')}:{stream.get('id')}  {stream.get('start_time')} … {stream.get('end_time')}"


def _list(value: object, key: str) -> list[dict[str, object]]:
    found = value.get(key) if isinstance(value, dict) else None
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
