"""How long a miniSEED record is, from its first bytes: what frames it inside SeedLink 3, which does not say."""

from __future__ import annotations

import struct

from .errors import WireError

_FIXED_2, _FIXED_3 = 48, 40
_CLASSIC = 512  # a record without blockette 1000 in SeedLink 3
_SHORTEST, _LONGEST = 7, 20  # exponents of two
_MAX_BLOCKETTES = 16
_LONGEST_CHAIN = 4096  # bytes that header and blockettes may take


def record_length(
    head: bytes | bytearray | memoryview, *, max_record: int = 1 << 20, unsaid: int = _CLASSIC
) -> int | None:
    """Give a record's length in bytes, or None where more of its first bytes are needed.

    `unsaid` is that of a record of version 2 without blockette 1000, which does not say it.

    Formats: SEED manual 2.4, chapter 8 (fixed header, blockette 1000); FDSN miniSEED 3, fixed header.

    Raises
    ------
    WireError
        The bytes do not begin a record, or it claims more than `max_record` bytes.
    """
    if len(head) < _FIXED_3:
        return None
    if bytes(head[:3]) == b"MS\x03":
        sid_length, extra_length, data_length = struct.unpack_from("<BHI", head, 33)
        length: int = _FIXED_3 + sid_length + extra_length + data_length
    elif head[6] in b"DRQM" and head[7] in b" \0":
        found = _length_2(head, unsaid)
        if found is None:
            return None
        length = found
    else:
        raise WireError(f"miniSEED record: found {bytes(head[:8])!r}, wanted a header of version 2 or 3")
    if length > max_record:
        raise WireError(f"miniSEED record: found a length of {length} bytes, wanted at most {max_record}")
    return length


def _length_2(head: bytes | bytearray | memoryview, unsaid: int) -> int | None:
    if len(head) < _FIXED_2:
        return None
    order = _byte_order(head)
    data_offset, at = struct.unpack_from(f"{order}HH", head, 44)
    end = min(data_offset, _LONGEST_CHAIN) or _CLASSIC
    for _ in range(_MAX_BLOCKETTES):
        if at == 0:
            return unsaid
        if not _FIXED_2 <= at <= end - 8:
            break
        if len(head) < at + 8:
            return None
        kind, following = struct.unpack_from(f"{order}HH", head, at)
        if kind == 1000:
            exponent = int(head[at + 6])
            if not _SHORTEST <= exponent <= _LONGEST:
                raise WireError(f"miniSEED record: found a length of 2^{exponent} bytes, wanted 2^7 to 2^20")
            return 1 << exponent
        at = following  # backwards too: a ring ends by the number of blockettes
    raise WireError("miniSEED record: found a broken chain of blockettes, wanted blockette 1000 in it")


def _byte_order(head: bytes | bytearray | memoryview) -> str:
    """Tell the byte order by the start time: only one of them gives a year and a day that exist."""
    for order in (">", "<"):
        year, day = struct.unpack_from(f"{order}HH", head, 20)
        if 1900 <= year <= 2100 and 1 <= day <= 366:
            return order
    raise WireError("miniSEED record: found no start time that makes sense, wanted a year from 1900 to 2100")
