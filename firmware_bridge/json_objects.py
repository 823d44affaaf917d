"""JSON objects one behind the other, with or without space between, from a stream or in messages.

The border of an object is found by its braces before it is parsed, so that the same bytes in any portions give the same
objects. Behind damage the search goes on at the next brace inside it: an object that follows a cut one is found.
"""

from __future__ import annotations

import json
import re
from collections import deque

from .errors import WireError

_TOKEN = re.compile(rb'["{}]')
_STRING_END = re.compile(rb'["\\]')
_DEEPEST = 3
_SPACE = b" \r\n\t"
_BETWEEN = b" \r\n\t,[]"  # an array of them is read too


class JsonObjects:
    """Splits bytes into JSON objects that have a certain key.

    Parameters
    ----------
    key
        What every object has; the objects inside others do not.
    max_bytes
        Longest object; a longer one is damage.
    is_message
        Each `feed` is a message of whole objects: one that does not end there is damage.
    """

    def __init__(self, key: str, *, max_bytes: int = 1 << 14, is_message: bool = False) -> None:
        self._key, self._max_bytes, self._is_message = key, max_bytes, is_message
        self._buffer = b""
        self._messages: deque[bytes] = deque()
        self._is_damaged = False

    def feed(self, data: bytes | memoryview) -> None:
        """Take bytes of the stream, or one message."""
        if self._is_message:
            self._messages.append(bytes(data))
        else:
            self._buffer += bytes(data)

    def next_object(self) -> dict[str, object] | None:
        """Give the next object, or None where more bytes are needed.

        Raises
        ------
        WireError
            Once for each damaged stretch.
        """
        while True:
            self._drop(self._buffer.find(b"{"))
            if not self._buffer:
                if not self._messages:
                    return None
                self._buffer, self._is_damaged = self._messages.popleft(), False
                continue
            end = _end_of(self._buffer, self._max_bytes)
            if end == 0 and not self._is_message:
                return None
            value = _parse(self._buffer[:end]) if end > 0 else None
            if value is not None and self._key in value:
                self._buffer, self._is_damaged = self._buffer[end:], False
                return value
            head, self._buffer = self._buffer[:40], self._buffer[1:]
            self._note(head)

    def _drop(self, start: int) -> None:
        """Drop what stands before the next object; all of it where there is none."""
        start = len(self._buffer) if start < 0 else start
        before, self._buffer = self._buffer[:start], self._buffer[start:]
        if before.strip(_BETWEEN):
            self._note(before[:40])

    def _note(self, found: bytes) -> None:
        if not self._is_damaged:
            self._is_damaged = True
            raise WireError(f"JSON: found {found!r}, wanted whole objects with the key {self._key!r}")


def _end_of(data: bytes, max_bytes: int) -> int:
    """Bytes of the object at the start; 0 where its end has not come, -1 where it can be none."""
    depth, place = 0, 0
    while token := _TOKEN.search(data, place, max_bytes):
        place = token.end()
        mark = token.group()
        if mark == b'"':
            place = _string_end(data, place, max_bytes)
            if place < 0:
                break
        elif mark == b"{":
            depth += 1
            if depth > _DEEPEST or (depth > 1 and not _may_hold(data, token.start())):
                return -1
        else:
            depth -= 1
            if not depth:
                return place
    return 0 if len(data) < max_bytes else -1


def _string_end(data: bytes, place: int, max_bytes: int) -> int:
    while mark := _STRING_END.search(data, place, max_bytes):
        if mark.group() == b'"':
            return mark.end()
        place = mark.end() + 1
    return -1


def _may_hold(data: bytes, place: int) -> bool:
    """Whether an object can begin here inside another: behind a colon, a comma or a bracket."""
    while place and data[place - 1] in _SPACE:
        place -= 1
    return data[place - 1] in b"[,:"


def _parse(data: bytes) -> dict[str, object] | None:
    try:
        value: object = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _no_constant(name: str) -> float:
    raise ValueError(name)  # NaN and infinities are no JSON
