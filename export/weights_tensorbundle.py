"""Read TensorFlow checkpoints (`tf.train.Saver`, format V2), without TensorFlow: the variables by name.

A checkpoint is two files. `<prefix>.data-00000-of-00001` holds the values of the variables, one after another
and without gaps. `<prefix>.index` says what lies where: a table as LevelDB writes it, of blocks of sorted
entries, whose keys are the names of the variables and whose values are protobuf messages; the empty key has
the header. Every block and every variable carries a masked CRC-32C. All are checked, and no part of either
file may be unaccounted for, so that a changed byte is found wherever it is.

Forms: TensorFlow's `tensor_bundle.proto` and `tensor_shape.proto`; LevelDB's `table_format.md`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .errors import WeightError

# What is read is bounded. The largest known network takes 0.7 MB, three times that with its optimiser.
_MAX_INDEX_BYTES = 1 << 18
_MAX_DATA_BYTES = 1 << 24
_MAX_NAME_BYTES = 512
_MAX_DIMENSIONS = 8

_FOOTER_BYTES = 48
_TRAILER_BYTES = 5  # behind each block: kind of compression (0 for none), checksum
_MAGIC = bytes.fromhex("57fb808b247547db")

# The fields of the messages that a Saver writes, and the wire type of each. What is left out says that the
# file is something else: a partitioned variable, a shape of unknown rank.
_VARINT, _BYTES, _FIXED32 = 0, 2, 5
_HEADER = {1: _VARINT, 2: _VARINT, 3: _BYTES}  # shards, byte order, version
_ENTRY = {1: _VARINT, 2: _BYTES, 3: _VARINT, 4: _VARINT, 5: _VARINT, 6: _FIXED32}
_SHAPE = {2: _BYTES}
_DIMENSION = {1: _VARINT, 2: _BYTES}  # size, name
_DATA_TYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8"}


class _DamageError(Exception):
    """What is wrong with a checkpoint, without its path."""


@dataclass(frozen=True)
class _Entry:
    """Where the values of one variable lie, and what they are."""

    name: str
    data_type: str
    shape: tuple[int, ...]
    offset: int
    size: int
    checksum: int


def is_checkpoint(path: Path) -> bool:
    """Whether a file is the index of a checkpoint: its last bytes say so."""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - len(_MAGIC)))
        return file.read() == _MAGIC


def read_tensorbundle(path: Path) -> dict[str, NDArray[np.generic]]:
    """Read all variables of the checkpoint whose index is `path`, by name.

    Raises `WeightError` for files that are absent, damaged or something else.
    """
    with _naming(path):
        entries = _entries(_table(_read(path, _MAX_INDEX_BYTES)))
    data_path = path.with_name(f"{path.stem}.data-00000-of-00001")
    with _naming(data_path):
        data, end = _read(data_path, _MAX_DATA_BYTES), 0
        for entry in sorted(entries, key=lambda entry: entry.offset):
            if entry.offset != end:
                raise _DamageError(f"{entry.name}: found it at byte {entry.offset}, wanted it at {end}")
            end += entry.size
        if end != len(data):
            raise _DamageError(f"found {len(data)} bytes, wanted the {end} that the index lists")
        return {entry.name: _values(data, entry) for entry in entries}


@contextmanager
def _naming(path: Path) -> Generator[None, None, None]:
    """Make of what is wrong one line that begins with the path."""
    try:
        yield
    except _DamageError as damage:
        raise WeightError(f"{path}: {damage}") from damage
    except OSError as error:
        raise WeightError(f"{path}: found no readable file ({error.strerror}), wanted one") from error


def _read(path: Path, most: int) -> bytes:
    if not path.is_file():
        raise _DamageError("found no file, wanted one of a TensorFlow checkpoint")
    if (size := path.stat().st_size) > most:
        raise _DamageError(f"found {size} bytes, wanted {most} at most")
    return path.read_bytes()


def _values(data: bytes, entry: _Entry) -> NDArray[np.generic]:
    content = data[entry.offset : entry.offset + entry.size]
    _require_checksum(content, entry.checksum, entry.name)
    return np.frombuffer(content, entry.data_type).reshape(entry.shape)


class _Cursor:
    """Reads on through some bytes, and never past their end."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data, self._what, self._at = data, what, 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, size: int) -> bytes:
        if size > self.left:
            raise _DamageError(f"{self._what}: found {self.left} bytes, wanted {size} more")
        self._at += size
        return self._data[self._at - size : self._at]

    def varint(self) -> int:
        """Seven bits in each byte, the lowest first, and no byte more than needed."""
        value = 0
        for shift in range(0, 64, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if shift and not byte:
                break
            if byte < 0x80:
                return value
        raise _DamageError(f"{self._what}: found a number in more bytes than needed, or than ten")


def _table(data: bytes) -> dict[bytes, bytes]:
    """Give all entries. The blocks must fill the file, the keys ascend."""
    if len(data) < _FOOTER_BYTES or not data.endswith(_MAGIC):
        raise _DamageError("found no magic number at the end, wanted the index of a TensorFlow checkpoint")
    footer = _Cursor(data[-_FOOTER_BYTES:], "footer")
    meta, index = ((footer.varint(), footer.varint()) for _ in range(2))
    if footer.take(footer.left).strip(b"\0") != _MAGIC:
        raise _DamageError("footer: found something behind the handles, wanted zeros")
    handles = [_Cursor(value, "handle of a block") for _, value in _block(data, *index)]
    blocks = [(handle.varint(), handle.varint()) for handle in handles]
    end = 0
    for offset, size in (*blocks, meta, index):
        if offset != end:
            raise _DamageError(f"found a block at byte {offset}, wanted it at {end}")
        end += size + _TRAILER_BYTES
    if end != len(data) - _FOOTER_BYTES or any(handle.left for handle in handles):
        raise _DamageError(f"found blocks up to byte {end}, wanted {len(data) - _FOOTER_BYTES}")
    entries = [entry for block in blocks for entry in _block(data, *block)] + _block(data, *meta)
    keys = [key for key, _ in entries]
    if any(one >= other for one, other in pairwise(keys)):
        raise _DamageError("found keys out of order, wanted them to ascend")
    return dict(entries)


def _block(data: bytes, offset: int, size: int) -> list[tuple[bytes, bytes]]:
    """Give the entries of one block: each says how much of the key before its own begins with."""
    cursor = _Cursor(data[offset : offset + size + _TRAILER_BYTES], f"block at byte {offset}")
    body = cursor.take(size + 1)
    _require_checksum(body, int.from_bytes(cursor.take(4), "little"), f"block at byte {offset}")
    if body[-1]:
        raise _DamageError(f"block at byte {offset}: found compression {body[-1]}, wanted none")
    restarts = 4 * int.from_bytes(body[-5:-1], "little") + 4  # where keys are written out, and how many these are
    cursor = _Cursor(body[:-1][: max(size - restarts, 0)], f"block at byte {offset}")
    entries: list[tuple[bytes, bytes]] = []
    key = b""
    while cursor.left:
        shared, fresh, length = cursor.varint(), cursor.varint(), cursor.varint()
        if shared > len(key) or shared + fresh > _MAX_NAME_BYTES:
            raise _DamageError(f"block at byte {offset}: found a key of {shared} + {fresh} bytes after {len(key)}")
        key = key[:shared] + cursor.take(fresh)
        entries.append((key, cursor.take(length)))
    return entries


class _Message:
    """A protobuf message whose fields are those of `known`; what is absent is zero."""

    def __init__(self, data: bytes, known: dict[int, int], what: str) -> None:
        self.numbers: dict[int, int] = {}
        self.parts: dict[int, list[bytes]] = {}
        cursor = _Cursor(data, what)
        while cursor.left:
            tag = cursor.varint()
            field, wire = tag >> 3, tag & 7
            if known.get(field) != wire or field in self.numbers:
                raise _DamageError(f"{what}: found field {field} of wire type {wire}, wanted none such")
            if wire == _BYTES:
                self.parts.setdefault(field, []).append(cursor.take(cursor.varint()))
            else:
                self.numbers[field] = cursor.varint() if wire == _VARINT else int.from_bytes(cursor.take(4), "little")

    def number(self, field: int) -> int:
        return self.numbers.get(field, 0)


def _entries(table: dict[bytes, bytes]) -> list[_Entry]:
    """Read the header, under the empty key, and the entries of the variables."""
    header = _Message(table.get(b"", b""), _HEADER, "header")
    if (header.number(1), header.number(2)) != (1, 0):
        raise _DamageError(f"header: found {header.number(1)} shards of byte order {header.number(2)}, wanted 1 of 0")
    return [_entry(key.decode("ascii", "backslashreplace"), value) for key, value in table.items() if key]


def _entry(name: str, value: bytes) -> _Entry:
    if not name.isprintable():
        raise _DamageError(f"found variable {name!a}, wanted a printable name")
    entry = _Message(value, _ENTRY, name)
    code, shard = entry.number(1), entry.number(3)
    if code not in _DATA_TYPES or shard:
        raise _DamageError(f"{name}: found data type {code} in shard {shard}, wanted {sorted(_DATA_TYPES)} in 0")
    dimensions = _Message(b"".join(entry.parts.get(2, [])), _SHAPE, name).parts.get(2, [])
    shape = tuple(_Message(dimension, _DIMENSION, name).number(1) for dimension in dimensions[: _MAX_DIMENSIONS + 1])
    size = math.prod(shape) * np.dtype(_DATA_TYPES[code]).itemsize
    if not size or entry.number(5) != size or len(shape) > _MAX_DIMENSIONS:
        raise _DamageError(f"{name}: found shape {shape} in {entry.number(5)} bytes, wanted one that fits")
    return _Entry(name, _DATA_TYPES[code], shape, entry.number(4), size, entry.number(6))


def _crc_of_byte(crc: int) -> int:
    for _ in range(8):
        crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc


_CRC_TABLE = tuple(_crc_of_byte(byte) for byte in range(256))


def _require_checksum(data: bytes, stored: int, what: str) -> None:
    """Compare with a CRC-32C (RFC 3720, appendix B.4) in LevelDB's form: rotated, and moved by a constant."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    computed = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    if computed != stored:
        raise _DamageError(f"{what}: found checksum {stored:#010x}, wanted {computed:#010x}")
