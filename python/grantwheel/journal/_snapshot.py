"""The snapshot of a journal: a file beside the log, whole or not there.

It is a file and not rows: as rows it would have to share the one transaction at a time that SQLite has with the
appends, and its pages the log of those. A file delays nobody, and damage to one of the two is none to the other.

The bytes, all numbers little-endian: ``GWSNAP``, the version in two bytes, the position in eight, the CRC-32 of all of
this; then for each chunk its length and a CRC-32, four bytes each, and the chunk. The CRC-32 goes on over the whole
file, lengths included. The end is a chunk of length 0, so chunks that are empty are left out.
"""

import binascii
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from ._errors import DamageError, FormatError
from ._files import create, sync_directory
from ._words import Buffer

VERSION = 1
_HEAD = struct.Struct("<6sHQ")
_MAGIC = b"GWSNAP"
_NUMBER = struct.Struct("<I")
_PIECE = 1 << 20


def write(path: Path, sequence: int, chunks: Iterable[Buffer]) -> None:
    """Put a snapshot in the place of the one that is there: written, synced, renamed, the directory synced.

    Raises
    ------
    Exception
        What the chunks or the file system raise. The snapshot that was there is there still, or, when the directory
        could not be synced, one of the two.
    """
    building = _building(path)
    try:
        with create(building) as file:
            head = _HEAD.pack(_MAGIC, VERSION, sequence)
            check = binascii.crc32(head)
            file.write(head + _NUMBER.pack(check))
            for piece in _pieces(chunks):
                length = _NUMBER.pack(len(piece))
                check = binascii.crc32(piece, binascii.crc32(length, check))
                file.write(length + _NUMBER.pack(check))
                file.write(piece)
            end = _NUMBER.pack(0)
            file.write(end + _NUMBER.pack(binascii.crc32(end, check)))
            file.flush()
            os.fsync(file.fileno())
        building.rename(path)
    except BaseException:
        building.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def clear(path: Path) -> None:
    """Remove what a process that ended in the middle has left half made."""
    _building(path).unlink(missing_ok=True)


def _building(path: Path) -> Path:
    return path.with_name(path.name + "-new")


def read(path: Path) -> tuple[int, Iterator[bytes]] | None:
    """Return the position of a snapshot and its bytes in pieces, or None if there is none.

    The file is that of now, whatever takes its place later. It is closed with the iterator.

    Raises
    ------
    DamageError
        It is not what was written. The iterator too.
    FormatError
        It is of a newer version.
    OSError
        It can't be read.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    pieces = _read(file, path)
    first = next(pieces)  # so that the generator has begun, and closes the file when it is dropped
    assert isinstance(first, int)
    return first, pieces  # type: ignore[return-value]


def check(path: Path) -> int | None:
    """Read a whole snapshot, and return its position, or None if there is none.

    Raises
    ------
    DamageError
        It is not what was written.
    """
    found = read(path)
    if found is None:
        return None
    sequence, pieces = found
    for _ in pieces:
        pass
    return sequence


def _pieces(chunks: Iterable[Buffer]) -> Iterator[memoryview]:
    for chunk in chunks:
        view = memoryview(chunk).cast("B")
        for start in range(0, len(view), _PIECE):
            yield view[start : start + _PIECE]


def _read(file: BinaryIO, path: Path) -> Iterator[bytes | int]:
    with file:
        head = _exactly(file, _HEAD.size, path)
        check = binascii.crc32(head)
        if not _continues(file, check, path):
            raise DamageError(f"{path}: the head is not what was written, at byte 0")
        magic, version, sequence = _HEAD.unpack(head)
        if magic != _MAGIC or version != VERSION:
            raise FormatError(f"{path} is a snapshot of version {version}; this program knows {VERSION}")
        yield int(sequence)
        while True:
            at = file.tell()
            number = _exactly(file, _NUMBER.size, path)
            (length,) = _NUMBER.unpack(number)
            if length > _PIECE:
                raise DamageError(f"{path}: a piece is not what was written, at byte {at}")
            written = _exactly(file, _NUMBER.size, path)
            piece = _exactly(file, length, path)
            check = binascii.crc32(piece, binascii.crc32(number, check))
            if written != _NUMBER.pack(check):
                raise DamageError(f"{path}: a piece is not what was written, at byte {at}")
            if not length:
                break
            yield piece
        if file.read(1):
            raise DamageError(f"{path}: there is more than was written, from byte {file.tell() - 1} on")


def _continues(file: BinaryIO, check: int, path: Path) -> bool:
    return _exactly(file, _NUMBER.size, path) == _NUMBER.pack(check)


def _exactly(file: BinaryIO, length: int, path: Path) -> bytes:
    data = file.read(length)
    if len(data) < length:
        raise DamageError(f"{path} is cut off at byte {file.tell()}")
    return data
