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
_STRING_END = re.compile(rb'["\\\x00-\x1f]')
_LONGEST_STRING = 256  # names are short: a longer one begins where the damage has eaten a quote
_DEEPEST = 3
_SPACE = b" \r\n\t"
_BETWEEN = b" \r\n\t,[]"  # an array of them is read too


class JsonObjects:
    """Splits bytes into JSON objects that have a certain key.

    An object's end is looked for where the search stopped for want of bytes, so each byte is looked at once, whatever
    the portions are.

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
        self._buffer = bytearray()
        self._place = self._depth = 0  # how far the object at the buffer's start has been looked at
        self._string = 0  # where the string begins that we are in; 0: we are in none
        self._messages: deque[bytes] = deque()
        self._is_damaged = self._is_ended = False

    def feed(self, data: bytes | memoryview) -> None:
        """Take bytes of the stream, or one message."""
        if self._is_message:
            self._messages.append(bytes(data))
        else:
            self._buffer += data

    def end(self) -> None:
        """Nothing more will come: an object that is not whole is damage."""
        self._is_ended = True

    def next_object(self) -> dict[str, object] | None:
        """Give the next object, or None where more bytes are needed.

        Raises
        ------
        WireError
            Once for each damaged stretch.
        """
        while True:
            self._find_start()
            if not self._buffer:
                if not self._messages:
                    return None
                self._buffer += self._messages.popleft()
                self._is_damaged = False
                continue
            end = self._find_end()
            if end == 0 and not self._is_message and not self._is_ended:
                return None
            value = _parse(bytes(self._buffer[:end])) if end > 0 else None
            if value is not None and self._key in value:
                self._drop(end)
                self._is_damaged = False
                return value
            head = bytes(self._buffer[:40])
            self._drop(1)
            self._note(head)

    def _drop(self, count: int) -> None:
        """Drop what has been dealt with; what is at the start then has not been looked at."""
        del self._buffer[:count]
        self._place = self._depth = self._string = 0

    def _find_start(self) -> None:
        """Drop what stands before the next object; all of it where there is none."""
        start = self._buffer.find(b"{")
        start = len(self._buffer) if start < 0 else start
        if not start:
            return
        before = bytes(self._buffer[:start])
        self._drop(start)
        if before.strip(_BETWEEN):
            self._note(before[:40])

    def _note(self, found: bytes) -> None:
        if not self._is_damaged:
            self._is_damaged = True
            raise WireError(f"JSON: found {found!r}, wanted whole objects with the key {self._key!r}")

    def _find_end(self) -> int:
        """Bytes of the object at the start; 0 where its end has not come, -1 where it can be none."""
        data, most = self._buffer, self._max_bytes
        while (passed := self._pass_string()) > 0 and (token := _TOKEN.search(data, self._place, most)):
            self._place = token.end()
            mark = token.group()
            if mark == b'"':
                self._string = self._place
            elif mark == b"{":
                self._depth += 1
                if self._depth > _DEEPEST or (self._depth > 1 and not _may_hold(data, token.start())):
                    return -1
            else:
                self._depth -= 1
                if not self._depth:
                    return self._place
        self._place = max(self._place, min(len(data), most))
        return 0 if passed >= 0 and len(data) < most else -1

    def _pass_string(self) -> int:
        """Go behind the string that we are in, if we are in one: 1; 0 where its end has not come, -1 if it has none."""
        most = min(self._string + _LONGEST_STRING, self._max_bytes)
        while self._string:
            mark = _STRING_END.search(self._buffer, self._place, most)
            if mark is None:
                self._place = max(self._place, min(len(self._buffer), most))
                return 0 if len(self._buffer) < most else -1
            if mark.group() < b" ":
                return -1
            self._place = mark.end()
            if mark.group() == b'"':
                self._string = 0
            else:
                self._place += 1  # a backslash takes the next byte with it
        return 1


def _may_hold(data: bytearray, place: int) -> bool:
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
