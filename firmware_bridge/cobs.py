"""Consistent overhead byte stuffing: frames without a zero byte, so that a zero can stand between them.

S. Cheshire and M. Baker, "Consistent Overhead Byte Stuffing", IEEE/ACM Transactions on Networking 7 (1999).
"""

from __future__ import annotations

from .errors import WireError

_RUN = 254  # bytes behind a code of 255, which stands for no zero


def cobs_encode(data: bytes | bytearray | memoryview) -> bytes:
    """Stuff bytes: at most 1 + len // 254 more of them, none zero. The delimiter is the caller's to add."""
    parts: list[bytes] = []
    runs = bytes(data).split(b"\0")
    for index, run in enumerate(runs):
        rest = run
        while len(rest) >= _RUN:
            parts += (b"\xff", rest[:_RUN])
            rest = rest[_RUN:]
        if rest or not run or index < len(runs) - 1:
            parts += (bytes((len(rest) + 1,)), rest)
    return b"".join(parts)


def cobs_decode(data: bytes | bytearray | memoryview) -> bytes:
    """Take the stuffing out of what stood between two delimiters.

    Raises
    ------
    WireError
        A zero among the bytes, or a code that points beyond their end.
    """
    stuffed = bytes(data)
    if not stuffed or 0 in stuffed:
        raise WireError(f"COBS: found {'a zero byte' if stuffed else 'nothing'}, wanted a stuffed frame")
    out = bytearray(stuffed)
    place, length, extra = 0, len(out), [0]
    if length <= _RUN:  # too short for a run without a zero: a third of the time saved
        while place < length:  # a code stands where the zero before its run stood, but for the first one
            code = out[place]
            out[place] = 0
            place += code
    while place < length:
        code = out[place]
        out[place] = 0
        place += code
        if code == _RUN + 1:  # and for the one behind a run that is no zero's
            extra.append(place)
    if place != length:
        raise WireError(f"COBS: found a run that ends at byte {place}, wanted {length}")
    if len(extra) == 1:
        return bytes(memoryview(out)[1:])
    return b"".join(out[start + 1 : stop] for start, stop in zip(extra, [*extra[1:], length], strict=True))
