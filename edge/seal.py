"""The digest that an artefact carries: whether its bytes are those that were verified when it was exported.

An ONNX file is a protobuf message, `ModelProto`, whose field 14 holds pairs of text. The last pair is the seal: the
SHA-256 of all bytes before it. It tells damage and changes by other tools; it is no signature.

Forms: `onnx.proto` (ModelProto, StringStringEntryProto); protobuf's encoding of fields.
"""

from __future__ import annotations

import hashlib

from .errors import ModelError

SEAL_KEY = "seisedge.sha256"

_METADATA_TAG = bytes([14 << 3 | 2])
_DIGEST_CHARACTERS = 64


def _entry(digest: str) -> bytes:
    """The pair of key and digest as a field of ModelProto; every length is below 128, so one byte."""
    pair = b"".join(
        bytes([tag, len(text)]) + text for tag, text in ((0x0A, SEAL_KEY.encode()), (0x12, digest.encode()))
    )
    return _METADATA_TAG + bytes([len(pair)]) + pair


_SEAL_BYTES = len(_entry("0" * _DIGEST_CHARACTERS))


def sealed(model: bytes) -> bytes:
    """Give a serialised model without a seal one."""
    return model + _entry(hashlib.sha256(model).hexdigest())


def check_seal(content: bytes, where: str) -> None:
    """Refuse a file whose bytes are not those that were sealed.

    Raises
    ------
    ModelError
        It has no seal at its end, or one of other bytes.
    """
    body, tail = content[:-_SEAL_BYTES], content[-_SEAL_BYTES:]
    digest = hashlib.sha256(body).hexdigest()
    if tail == _entry(digest):
        return
    if SEAL_KEY.encode() not in content:
        raise ModelError(f"{where}: found no {SEAL_KEY} in it, wanted an artefact that edge-export wrote")
    raise ModelError(
        f"{where}: found contents of SHA-256 {digest[:16]}…, which its seal does not name: "
        "the file was damaged or changed after its export; copy it again, or export it again"
    )
