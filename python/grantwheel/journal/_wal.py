"""Reads the checksum chain of a SQLite write-ahead log, before SQLite does.

SQLite takes the log up to the first frame that does not fit, and says nothing of what is behind it. One flipped bit,
and what was committed after it is overwritten by what is written next. The format is public,
https://sqlite.org/fileformat.html: a header of 32 bytes, then frames of 24 bytes and a page each. The checksum of a
frame continues that of the one before.
"""

import struct
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

HEADER_SIZE = 32
FRAME_HEADER_SIZE = 24
_HEADER = struct.Struct(">8I")  # magic, version, page size, checkpoint, two salts, two checksums
_FRAME = struct.Struct(">6I")  # page, pages of the database if it commits, two salts, two checksums
_MAGIC = 0x377F0682  # its lowest bit says in which byte order the checksums are made
_VERSION = 3007000
_MASK = 0xFFFFFFFF

_Pair = tuple[int, int]


class Chain(NamedTuple):
    """What a log holds.

    ``end`` is the byte behind its last sound commit, and ``frames`` their number up to there. ``bad`` is the byte of
    what does not fit, if there is such a thing, ``kind`` whether it can be the end of an interrupted write, and
    ``beyond`` how many frames of the same round are behind it.
    """

    end: int
    frames: int
    kind: Literal["sound", "torn", "damaged"]
    bad: int | None = None
    beyond: int = 0
    what: str = ""


def read_chain(path: Path) -> Chain:
    """Follow the chain of a log to its end; without a file, it is sound and empty.

    Raises
    ------
    OSError
        The file can't be read.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except FileNotFoundError:
        return Chain(0, 0, "sound")


def _read(file: BinaryIO) -> Chain:
    head = file.read(HEADER_SIZE)
    if not head.strip(b"\0") and not file.read(1):
        return Chain(0, 0, "sound")
    if len(head) < HEADER_SIZE:
        return Chain(0, 0, "torn", 0, what="the header of the log is cut off")
    magic, version, page_size, _, salt_1, salt_2, sum_1, sum_2 = _HEADER.unpack(head)
    order = ">" if magic & 1 else "<"
    chain = checksum(order, (0, 0), head[:24])
    is_size = 512 <= page_size <= 65536 and page_size & (page_size - 1) == 0
    if magic & ~1 != _MAGIC or version != _VERSION or chain != (sum_1, sum_2) or not is_size:
        file.seek(0, 2)
        if file.tell() < HEADER_SIZE + FRAME_HEADER_SIZE:
            return Chain(0, 0, "torn", 0, what="the header of the log does not fit its checksum")
        return Chain(
            0, 0, "damaged", 0, what="the header of the log does not fit its checksum, and frames are behind it"
        )
    return _follow(file, order, page_size, (salt_1, salt_2), chain)


def _follow(file: BinaryIO, order: str, page_size: int, salts: _Pair, chain: _Pair) -> Chain:
    size = FRAME_HEADER_SIZE + page_size
    end = offset = HEADER_SIZE
    frames = sound = 0
    while True:
        frame = file.read(size)
        if len(frame) < FRAME_HEADER_SIZE:
            kind: Literal["sound", "torn"] = "torn" if frame else "sound"
            return Chain(end, frames, kind, offset if kind == "torn" else None, what="a frame is cut off")
        _, commits, salt_1, salt_2, sum_1, sum_2 = _FRAME.unpack_from(frame)
        ours = (salt_1, salt_2) == salts
        if len(frame) < size:
            return (
                Chain(end, frames, "torn", offset, what="a frame is cut off") if ours else Chain(end, frames, "sound")
            )
        chain = checksum(order, checksum(order, chain, frame[:8]), frame[FRAME_HEADER_SIZE:])
        fits = chain == (sum_1, sum_2)
        if not ours or not fits:
            break
        offset += size
        sound += 1
        if commits:
            end, frames = offset, sound
    beyond = _count(file, size, salts)
    if beyond:
        what = f"frame {sound + 1} does not fit its checksum, and {beyond} frames of the same round are behind it"
        return Chain(end, frames, "damaged", offset, beyond, what)
    if fits:  # so it is of this round: the checksum does not cover the salts
        return Chain(end, frames, "damaged", offset, what=f"the salts of frame {sound + 1} are not those of the log")
    if ours:
        return Chain(
            end, frames, "torn", offset, what=f"frame {sound + 1} does not fit its checksum, and nothing is behind it"
        )
    return Chain(end, frames, "sound")  # what a round before this one has left


def _count(file: BinaryIO, size: int, salts: _Pair) -> int:
    """Return how many of the frames from here on have these salts."""
    found = 0
    while len(frame := file.read(size)) >= FRAME_HEADER_SIZE:
        found += _FRAME.unpack_from(frame)[2:4] == salts
    return found


def checksum(order: str, before: _Pair, data: bytes) -> _Pair:
    """Continue a checksum over bytes, a multiple of eight, taken as numbers in a byte order (``<`` or ``>``)."""
    one, two = before
    numbers = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for number in numbers:
        one = (one + number + two) & _MASK
        two = (two + next(numbers) + one) & _MASK
    return one, two
