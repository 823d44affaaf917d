"""The digest that an artefact carries: whether its bytes are those that were verified when it was exported.

An ONNX file is a protobuf message, `ModelProto`, whose field 14 holds pairs of text. The last pair is the seal: the
SHA-256 of all bytes before it. It tells damage and changes by other tools; it is no signature.

Forms: `onnx.proto` (ModelProto, StringStringEntryProto); protobuf's encoding of fields.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import BinaryIO

from .errors import ModelError

SEAL_KEY = "seisedge.sha256"

_METADATA, _KEY, _VALUE = 14, 1, 2
_PIECE = 1 << 20


def metadata_entry(key: str, value: str) -> bytes:
    """Give a pair of text as a field of `ModelProto`: what is appended to a serialised model to give it the pair."""
    pair = b"".join(
        field_header(number, len(text)) + text for number, text in ((_KEY, key.encode()), (_VALUE, value.encode()))
    )
    return field_header(_METADATA, len(pair)) + pair


def field_header(number: int, size: int) -> bytes:
    """Give what stands before the `size` bytes of field `number` (below 16) of a protobuf message."""
    header = bytearray([number << 3 | 2])
    while size > 0x7F:
        header.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*header, size])


_SEAL_BYTES = len(metadata_entry(SEAL_KEY, "0" * 64))


def seal_of(file: BinaryIO) -> bytes:
    """Give what has to be appended to a file that holds a model: read from where the file stands to its end."""
    digest = hashlib.sha256()
    for piece in _pieces(file):
        digest.update(piece)
    return metadata_entry(SEAL_KEY, digest.hexdigest())


def check_seal(file: BinaryIO, size: int, where: str) -> str:
    """Read a sealed file of `size` bytes and give the SHA-256 of all of it.

    Raises
    ------
    ModelError
        It has no seal at its end, or one of other bytes.
    """
    digest, left = hashlib.sha256(), size - _SEAL_BYTES
    while left > 0 and (piece := file.read(min(left, _PIECE))):
        digest.update(piece)
        left -= len(piece)
    tail, body = file.read(), digest.hexdigest()
    if tail == metadata_entry(SEAL_KEY, body):
        digest.update(tail)
        return digest.hexdigest()
    if SEAL_KEY.encode() not in tail:
        raise ModelError(f"{where}: found no {SEAL_KEY} at its end, wanted an artefact that edge-export wrote")
    raise ModelError(
        f"{where}: found contents of SHA-256 {body[:16]}…, which its seal does not name: "
        "the file was damaged or changed after its export; copy it again, or export it again"
    )


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece
